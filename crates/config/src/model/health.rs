//! Which targets take traffic.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::Method;

/// How the health of an upstream's targets is found out and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Questions asked of each target.
    pub active: Option<ActiveCheck>,
    /// Conclusions from the traffic.
    pub passive: Option<PassiveCheck>,
    /// How long the share of a target that became healthy, or joined, grows from a tenth to its whole.
    /// Zero turns it off.
    pub slow_start: Duration,
    /// When less than this share of the weight is healthy, in percent, health is ignored: better a
    /// chance with every target than all load on the few that are left. Zero turns it off.
    pub panic_threshold_percent: u32,
}

/// A question asked of each target again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveCheck {
    /// What is asked.
    pub probe: Probe,
    /// From one question to the next; each wait is shortened or prolonged by up to a tenth at random.
    pub interval: Duration,
    /// How long an answer may take in all.
    pub timeout: Duration,
    /// Wrong answers in a row until the target is unhealthy.
    pub unhealthy_after: u32,
    /// Right answers in a row until the target is healthy again.
    pub healthy_after: u32,
    /// Another port to ask.
    pub port: Option<u16>,
}

/// What a target is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether a connection can be made, TLS included.
    Tcp,
    /// A request.
    Http {
        /// `GET` or `HEAD`.
        method: Method,
        /// Path and query.
        path: String,
        /// `Host`; the target's own host and port when `None`.
        host: Option<String>,
        /// Statuses that mean healthy; several ranges.
        statuses: Vec<RangeInclusive<u16>>,
    },
    /// The health service of gRPC, over HTTP/2.
    Grpc {
        /// Whose health is asked for; empty: the server's as a whole.
        service: String,
        /// `:authority`; the target's own host and port when `None`.
        host: Option<String>,
    },
}

/// Ejection of targets that fail requests (outlier detection).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassiveCheck {
    /// Failures in a row that eject a target; 0 turns this off. A failure is a connection that could
    /// not be made, one that ended before the response's head, a deadline passed, a response that
    /// cannot be read, or one of `statuses`.
    pub consecutive_failures: u32,
    /// Statuses that count as failures.
    pub statuses: Vec<u16>,
    /// Share of failed requests over ten seconds that ejects a target, in percent.
    pub failure_rate_percent: Option<u32>,
    /// Requests in these ten seconds below which the share says nothing.
    pub minimum_requests: u32,
    /// First time without traffic; it grows by itself with every further ejection, up to ten times.
    pub eject_for: Duration,
    /// Largest share of the upstream's targets that is ejected at a time, in percent. The last target is
    /// never ejected.
    pub max_ejected_percent: u32,
}
