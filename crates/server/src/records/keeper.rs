//! Brings records up to date when the process starts, and knows whether they can be reached.
//!
//! Traffic never waits for them: a start goes on without, and what needs them says so until they are
//! back.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;
use weir_store::records::FileFault;
use weir_store::{Error, Records};

/// How often an engine that answers is asked whether it still does.
const LOOK: Duration = Duration::from_secs(5);
/// Between attempts to reach one that does not; doubled each time up to the second.
const RETRY: Duration = Duration::from_millis(500);
const MOST_RETRY: Duration = Duration::from_secs(5);

/// How records fare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Not asked yet, or being brought up to date.
    Starting,
    /// They answer.
    Available,
    /// They do not, for now.
    Unavailable {
        /// Since when.
        since: SystemTime,
        /// What the last attempt met with.
        why: String,
    },
    /// The database does not fit this program, or is damaged, and waiting will not help.
    Unusable {
        /// What is the matter, and what to do.
        why: String,
    },
}

impl Condition {
    /// In one word.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Available => "available",
            Self::Unavailable { .. } => "unavailable",
            Self::Unusable { .. } => "unusable",
        }
    }
}

/// The process' records and their condition.
pub(crate) struct Keeper {
    records: Records,
    condition: watch::Sender<Condition>,
}

impl Keeper {
    pub(crate) fn new(records: Records) -> Self {
        Self {
            records,
            condition: watch::Sender::new(Condition::Starting),
        }
    }

    /// The records, in whatever condition.
    pub(crate) const fn records(&self) -> &Records {
        &self.records
    }

    pub(crate) fn condition(&self) -> Condition {
        self.condition.borrow().clone()
    }

    /// Waits for a condition.
    pub(crate) async fn until(&self, is_it: impl FnMut(&Condition) -> bool) {
        // It ends with the process only.
        let _ = self.condition.subscribe().wait_for(is_it).await;
    }

    /// Migrates, then looks after the engine for as long as the process lives.
    pub(crate) async fn keep(&self) {
        let mut pause = RETRY;
        let mut is_migrated = false;
        loop {
            let outcome = if is_migrated {
                self.records.ping().await
            } else {
                self.records.migrate().await.map(drop)
            };
            match outcome {
                Ok(()) => {
                    is_migrated = true;
                    pause = RETRY;
                    self.is_available();
                    sleep(LOOK).await;
                    continue;
                }
                Err(error) if is_lasting(&error) => self.is_unusable(&error),
                Err(error) => self.is_unavailable(&error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(MOST_RETRY);
        }
    }

    fn is_available(&self) {
        let before = self.enter(Condition::Available);
        if before != Condition::Available {
            let engine = self.records.engine().name();
            tracing::info!(engine, "records are available");
        }
    }

    fn is_unavailable(&self, error: &Error) {
        let why = self.records.in_words(error);
        let since = match self.condition() {
            Condition::Unavailable { since, .. } => since,
            _ => {
                tracing::error!(error = %why, "records are not available; traffic goes on");
                SystemTime::now()
            }
        };
        self.enter(Condition::Unavailable { since, why });
    }

    fn is_unusable(&self, error: &Error) {
        let why = self.records.in_words(error);
        let now = Condition::Unusable { why: why.clone() };
        if self.enter(now.clone()) != now {
            tracing::error!(error = %why, "records cannot be used; traffic goes on");
        }
    }

    fn enter(&self, condition: Condition) -> Condition {
        self.condition.send_replace(condition)
    }
}

/// Whether it takes a person to put it right.
fn is_lasting(error: &Error) -> bool {
    let fault = error.file_fault();
    matches!(error, Error::Schema(_)) || fault.is_some_and(FileFault::is_lasting)
}
