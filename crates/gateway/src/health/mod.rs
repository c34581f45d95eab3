//! Which targets take traffic: what active checks and requests say of them, and what follows.
//!
//! The machines are pure (`verdict`, `ejection`, `window`, and `standing`, which puts them together);
//! `watch` applies them to an upstream, on the supervisor's thread, and `prober` asks the targets.

mod ejection;
pub(crate) mod passive;
mod probe;
mod prober;
mod standing;
mod verdict;
mod watch;
mod window;

use std::time::{Instant, SystemTime};

use crate::failure::Failure;

pub use standing::{CheckAnswer, ChecksReport, HealthReport, HealthState, Standing};
pub(crate) use watch::Health;

/// A point in time, for decisions and for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    pub(crate) wall: SystemTime,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    #[cfg(test)]
    pub(crate) fn later(self, by: std::time::Duration) -> Self {
        Self {
            instant: self.instant + by,
            wall: self.wall + by,
        }
    }
}

/// How a target failed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No response, or none that can be read.
    Failure(Failure),
    /// A status that counts as a failure.
    Status(u16),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failure(failure) => {
                formatter.write_str(failure.reason())?;
                match failure.cause() {
                    Some(cause) => write!(formatter, ", {cause}"),
                    None => Ok(()),
                }
            }
            Self::Status(status) => write!(formatter, "status {status}"),
        }
    }
}
