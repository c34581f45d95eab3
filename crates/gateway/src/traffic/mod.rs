//! Traffic management: which upstream of a split answers a request, how the shares change while
//! traffic flows, and copies of requests for another upstream.
//!
//! Deciding is pure (`place.rs`, `shares.rs`, `state.rs`, `guard.rs`); what runs is `running.rs`, one
//! for each split and shared by all workers, and `registry.rs`, which knows them by their routes.

mod change;
mod choose;
mod counters;
mod guard;
pub(crate) mod mirror;
mod place;
mod registry;
mod report;
mod running;
mod shares;
mod state;

pub use change::{Change, ChangeError};
pub(crate) use choose::choose;
pub use counters::MirrorCounters;
pub(crate) use mirror::Tee;
pub use place::pinned;
pub use registry::Traffic;
pub use report::{BackendReport, ShiftPhase, ShiftReport, SplitReport};
pub(crate) use running::Running;
pub use state::{Override, SavedSplit, Trip};
