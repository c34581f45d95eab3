//! What happens when there is more than can be served.

use std::time::Duration;

/// Which requests are served first when not all can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The first to be refused.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Refused only after all others.
    High,
    /// Never refused for load.
    Critical,
}

impl Priority {
    /// The word under which the file knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Bounds on the process as a whole, beyond which work is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overload {
    /// How late a worker's event loop may be, all the time, before requests are refused, those of the
    /// lowest priority first; `None` turns it off.
    pub delay: Option<Duration>,
    /// Resident bytes of the process above which new work is refused; `None` turns it off.
    pub memory: Option<u64>,
    /// Bans of addresses that mostly cause errors.
    pub bans: Option<Bans>,
}

/// An address that causes this many errors is not served for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bans {
    /// Errors that ban.
    pub errors: u32,
    /// Time in which they must come.
    pub within: Duration,
    /// How long the ban lasts.
    pub ban_for: Duration,
    /// Statuses that count as errors, beside requests that cannot be read.
    pub statuses: Vec<u16>,
}

/// Slowest transfer that is put up with, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinimumRate {
    /// Bytes per second, on average from the end of the grace on.
    pub bytes_per_second: u64,
    /// Time before the average counts.
    pub grace: Duration,
}
