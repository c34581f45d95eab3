//! Where an upstream's targets come from when the configuration does not list them: DNS, a file,
//! Consul, Kubernetes, or the targets themselves.
//!
//! [`Discoverer`] runs one task for each discovered upstream and says which [`Found`] sets of
//! targets came of it. A source is not trusted: what it says is held against the upstream's bounds
//! (`accept.rs`), and one that is lost, talks garbage or is empty all at once leaves the targets
//! that were known (`state.rs`).
//!
//! ```text
//! source/* ── answer or failure ──▶ Feed ── accept ──▶ State ──▶ Found ──▶ the data plane
//!                                     │                            └────▶ discovery/NAME.json
//!                                     └──▶ Status, log
//! ```
//!
//! This crate does not know how traffic is carried, and does not ask targets whether they are well.

mod accept;
mod discoverer;
mod feed;
mod last_known;
mod source;
mod state;
mod status;

pub use accept::LeftOut;
pub use discoverer::{Discoverer, Found, Options};
pub use source::kubernetes::Pod;
pub use source::registration::{Registered, Registration, RegistrationError};
pub use status::{Lost, Status};
