//! Who answers requests.

use std::time::Duration;

use super::{
    Balance, Breaker, Certificate, Concurrency, Discovery, Health, Hedge, Material, Reach, Retry,
    StickyCookie, TlsVersion, UpstreamTimeouts, Zones,
};

/// A group of servers that answer alike.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Unique name.
    pub name: String,
    /// At least one; none if they are discovered.
    pub targets: Vec<Target>,
    /// Where the targets come from, if not from the file.
    pub discovery: Option<Discovery>,
    /// How a target is picked.
    pub balance: Balance,
    /// Cookie by which a client comes back to its target, whatever `balance` says.
    pub sticky: Option<StickyCookie>,
    /// Which targets are near.
    pub zones: Zones,
    /// Which targets take traffic.
    pub health: Health,
    /// When the upstream as a whole is not asked.
    pub breaker: Option<Breaker>,
    /// How much it may be asked at a time.
    pub concurrency: Option<Concurrency>,
    /// TLS towards the targets; `None` is plain TCP.
    pub tls: Option<UpstreamTls>,
    /// Which HTTP version to speak.
    pub http2: UpstreamHttp2,
    /// What to do when a target cannot be reached or answers badly.
    pub retry: Retry,
    /// A second attempt before the first one failed.
    pub hedge: Option<Hedge>,
    /// Deadlines per phase.
    pub timeouts: UpstreamTimeouts,
    /// Connection pool bounds.
    pub pool: Pool,
    /// Where its connections may lead.
    pub reach: Reach,
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
    /// Availability zone.
    pub zone: Option<String>,
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

/// Idle connections kept per worker and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Most HTTP/1 connections, in use or not; further requests wait for one.
    pub max_connections: u32,
    /// Most idle connections kept.
    pub max_idle: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How HTTP/2 connections with exchanges under way are kept an eye on; `None`: not at all.
    pub pings: Option<Pings>,
}

/// Questions to a target that says nothing, whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pings {
    /// Silence before it is asked.
    pub interval: Duration,
    /// Time for the answer.
    pub timeout: Duration,
}
