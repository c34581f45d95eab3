//! The audit: entries that are only ever added, each chained to the one before by its hash.
//!
//! ```text
//! hash(n) = SHA-256("weir.audit.v1" ‖ hash(n-1) ‖ scope ‖ n ‖ who, what, to whom, when
//!                   ‖ SHA-256(salt ‖ origin) ‖ SHA-256(salt ‖ change))
//! ```
//!
//! What may be personal, the actor's origin and the subject's state, enters the chain as a salted
//! hash only. It can be erased, with its salt, and the chain still holds; an erasure is itself an
//! entry, and text that is gone without one is a broken link.

mod chain;
mod entry;
mod erase;
mod query;
mod verify;

pub(crate) use chain::{Head, append};
pub use entry::{Actor, Change, Entry, Origin, Subject};
pub use erase::{ERASURE_BEGUN, ERASURE_DONE, ErasedStretch, Eraser, Person};
pub use query::{Query, Recorded};
pub(crate) use verify::verify;
pub use verify::{Broken, ERASURE, Fault, Verified};
