//! What is wanted of the gateway beside its configuration file: routes, upstreams, policies and certificates in the
//! records, changed in numbered revisions.
//!
//! One service, [`Revisions`], on the records. A revision is a set of changes that take effect together:
//! it is judged as a whole, with all that was there before, by whoever knows how ([`Revisions::apply`]
//! takes the judge), and is made only if no other was made meanwhile. Every revision keeps what it changed, so that any two
//! states can be compared and any earlier one be brought back, which is a revision again.
//!
//! Secrets of documents are sealed before they are kept ([`Secrets`]); whoever looks sees `•••`.
//!
//! What it does not do: it does not know the configuration file, asks nobody whether they may make a
//! change, and puts nothing into effect.

mod apply;
mod author;
mod back;
mod change;
mod diff;
mod error;
mod history;
mod plan;
mod resource;
mod revision;
mod rewrap;
mod sealed;
mod secrets;
mod trash;

pub use apply::{Judgement, Objection};
pub use author::Author;
pub use back::{Staying, Why};
pub use change::{Action, Change, MOST_COMMENT, Precondition, Proposal, What};
pub use diff::{ChangeKind, Difference, unified};
pub use error::{Error, Result};
pub use resource::{Latest, Resource, Wanted};
pub use revision::{Outcome, Revision};
pub use rewrap::Rewrapped;
pub use secrets::Secrets;
pub use trash::{Discarded, PREFIX, RETENTION, Trashed};

use std::sync::Arc;

use tokio::sync::Semaphore;
use weir_store::Records;
use weir_store::records::{PlatformTable, TenantTable};

const RESOURCES: TenantTable = TenantTable::new("resources");
const REVISIONS: PlatformTable = PlatformTable::new("revisions");
const CHANGES: PlatformTable = PlatformTable::new("revision_changes");

/// The service.
#[derive(Clone, Debug)]
pub struct Revisions {
    records: Records,
    secrets: Secrets,
    /// The turn to make one; of clones there is one.
    turn: Arc<Semaphore>,
}

impl Revisions {
    /// On these records, with what opens the secrets of documents.
    pub fn new(records: Records, secrets: Secrets) -> Self {
        Self {
            records,
            secrets,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// What opens the secrets of documents.
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }
}
