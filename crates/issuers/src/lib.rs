//! Foreign issuers: their keys, followed beside the data plane, and their word on opaque tokens.
//!
//! [`Issuers`] runs a thread with a task for each issuer whose keys are followed. What an issuer says reaches those who
//! check tokens through `weir_jose::remote`, so that no request waits for an issuer that has answered before. An issuer
//! that cannot be asked, or talks garbage, leaves the keys that were known, also over restarts, until they are too old.
//!
//! ```text
//! file · JWKS URL · issuer URL ── follow ──▶ Publisher ──▶ RemoteKeys ──▶ the data plane
//!                                    │                └───▶ Status, log
//!                                    └──▶ issuers/*.json
//! ```
//!
//! Introspection (RFC 7662) is the other way: [`Introspector::ask`] waits for the issuer, and remembers nothing. Neither
//! decides whether somebody is let in.

mod fetch;
mod follow;
mod introspect;
mod issuers;
mod kept;
mod metadata;
mod settings;

pub use introspect::{ClientCredentials, Introspected, Introspection, Introspector, Unreachable};
pub use issuers::{Issuers, Options, Status};
pub use settings::{Form, Settings, Source};
