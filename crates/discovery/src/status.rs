//! How a source fares, for whoever looks.

use std::time::SystemTime;

use crate::accept::LeftOut;

/// How the source of one upstream fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Kind of source, as the configuration calls it.
    pub source: &'static str,
    /// Targets in use.
    pub targets: usize,
    /// When the source last gave an answer that was believed; `None` if it never did in this
    /// process. Then the targets, if there are any, are those of an earlier one.
    pub last_success: Option<SystemTime>,
    /// When the targets last changed in this process.
    pub last_change: Option<SystemTime>,
    /// What is wrong with the source, if something is. The last known targets are in use then.
    pub lost: Option<Lost>,
    /// What the last believed answer had beside the targets.
    pub left_out: LeftOut,
}

/// A source that gives no answer, or none that can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What is wrong, lowercase, one line, without secrets.
    pub error: String,
    /// Since when.
    pub since: SystemTime,
}
