//! How long people stay signed in.

use std::time::Duration;

/// Sessions of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// When one ends that is not used, a minute at least.
    pub idle: Duration,
    /// When one ends whatever happens; `idle` at least.
    pub absolute: Duration,
    /// For how long one token is the session's, `absolute` at most.
    pub rotate_every: Duration,
    /// How long a token still works that was replaced; less than `rotate_every`.
    pub overlap: Duration,
}
