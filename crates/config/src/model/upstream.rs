//! Who answers requests.

use std::time::Duration;

use http::StatusCode;

use super::{Certificate, Material, TlsVersion};

/// A group of servers that answer alike.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Unique name.
    pub name: String,
    /// At least one.
    pub targets: Vec<Target>,
    /// How a target is picked.
    pub balance: Balance,
    /// TLS towards the targets; `None` is plain TCP.
    pub tls: Option<UpstreamTls>,
    /// Which HTTP version to speak.
    pub http2: UpstreamHttp2,
    /// What to do when a target cannot be reached or answers badly.
    pub retry: Retry,
    /// Deadlines per phase.
    pub timeouts: UpstreamTimeouts,
    /// Connection pool bounds.
    pub pool: Pool,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host (name, IPv4, or IPv6 without brackets). Names are resolved when connecting.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Share of the traffic relative to its siblings; 0 takes none.
    pub weight: u32,
    /// Availability zone, shown to the operator.
    pub zone: Option<String>,
}

/// Load-balancing algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Weighted round robin, spread smoothly.
    RoundRobin,
    /// Fewest requests in flight of two random candidates, weighted.
    LeastRequest,
}

/// TLS towards targets.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Name to send as SNI and to verify; the target's host when `None`.
    pub server_name: Option<String>,
    /// PEM bundle to trust; the system's store when `None`.
    pub authorities: Option<Material>,
    /// Client certificate to present.
    pub certificate: Option<Certificate>,
    /// Oldest protocol version accepted.
    pub minimum_version: TlsVersion,
}

/// HTTP version towards targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamHttp2 {
    /// HTTP/1.1 only: `http2: false`.
    Never,
    /// HTTP/2 only, with prior knowledge on plain TCP: `http2: true`.
    Always,
    /// What ALPN agrees on, HTTP/1.1 on plain TCP: the default.
    Negotiate,
}

/// Repeats of a failed attempt. Only requests whose repetition is safe are repeated: nothing was
/// sent yet, or the method is idempotent (RFC 9110 §9.2.2) and the body is still at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts after the first; 0 turns repeats off.
    pub attempts: u32,
    /// Failures that are worth another attempt.
    pub when: Vec<RetryCondition>,
    /// Repeats allowed as a share of requests, in percent.
    pub budget_percent: u32,
}

/// A failure that may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCondition {
    /// No connection could be made.
    Connect,
    /// The connection ended before a response head arrived.
    Reset,
    /// This status came back (500–599).
    Status(StatusCode),
}

/// Deadlines towards a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// TCP and TLS handshake together.
    pub connect: Duration,
    /// From the request being sent to the response's head.
    pub first_byte: Duration,
    /// Longest silence while a body is moving, in either direction.
    pub idle: Duration,
}

/// Idle connections kept per worker and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Most idle connections kept.
    pub max_idle: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
}
