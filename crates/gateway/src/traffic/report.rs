//! What is told about splits.

use std::sync::Arc;
use std::time::Duration;

use weir_config::model::Guard;

use super::state::{Override, Trip};

pub use super::state::Phase as ShiftPhase;

/// A split as of now.
#[derive(Clone, Debug)]
pub struct SplitReport {
    /// Name of the route.
    pub route: Arc<str>,
    /// In the order of the file.
    pub backends: Vec<BackendReport>,
    /// Why the shares are others than in the file.
    pub held: Option<Override>,
    /// The last shift, unless another change followed.
    pub shift: Option<ShiftReport>,
    /// As configured.
    pub guard: Option<Guard>,
    /// Why the guard acted; it acts again after the next change.
    pub trip: Option<Trip>,
}

/// One side of a split.
#[derive(Clone, Debug)]
pub struct BackendReport {
    /// Name of the upstream.
    pub upstream: Arc<str>,
    /// Share in the file, in percent.
    pub file_percent: f64,
    /// Share now, in percent.
    pub percent: f64,
    /// Requests since the process started, or the split got its upstreams.
    pub requests: u64,
    /// Those answered with 5xx.
    pub failed: u64,
    /// Requests of late: within the guard's window, or half a minute without a guard.
    pub recent_requests: u64,
    /// Share of them that was answered with 5xx, in percent; `None` without requests.
    pub recent_failed_percent: Option<f64>,
    /// 99th percentile of their time to the response's head; `None` without requests.
    pub recent_p99: Option<Duration>,
}

/// A gradual change of shares.
#[derive(Clone, Debug)]
pub struct ShiftReport {
    /// How it stands.
    pub phase: ShiftPhase,
    /// Shares in percent where it began.
    pub from: Vec<f64>,
    /// Shares in percent where it ends.
    pub to: Vec<f64>,
    /// How long it takes.
    pub over: Duration,
    /// How much of that is left.
    pub left: Duration,
    /// From 0 to 1.
    pub progress: f64,
}
