//! Several upstreams behind one route, and copies of its traffic.

use std::time::Duration;

use http::HeaderName;

use super::{HashKey, Share, StickyCookie};

/// Where a route's requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// All to one upstream: an index into [`Config::upstreams`](super::Config::upstreams).
    Upstream(usize),
    /// Shares of them to several.
    Split(Box<Split>),
}

impl Destination {
    /// Every upstream that may answer, the first one being the one to fall back to.
    pub fn upstreams(&self) -> impl Iterator<Item = usize> + '_ {
        let (one, many) = match self {
            Self::Upstream(upstream) => (Some(*upstream), &[][..]),
            Self::Split(split) => (None, split.backends.as_slice()),
        };
        one.into_iter()
            .chain(many.iter().map(|backend| backend.upstream))
    }
}

/// Shares of a route's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// At least one; the first is the stable one, which a rollback returns to.
    pub backends: Vec<Backend>,
    /// Requests that have a fixed place whatever the shares; the first that holds decides.
    pub pins: Vec<Pin>,
    /// What keeps a client where it is; without it each request is placed by itself.
    pub sticky: Option<Stickiness>,
    /// What makes a shift halt or roll back by itself.
    pub guard: Option<Guard>,
}

/// One side of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Index into [`Config::upstreams`](super::Config::upstreams); no two of a split are equal.
    pub upstream: usize,
    /// Share relative to its siblings; 0 takes pinned requests only.
    pub weight: u32,
}

/// Requests with a fixed place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// What is looked at.
    pub by: PinBy,
    /// The value that must be there; `None`: any.
    pub value: Option<String>,
    /// Index into [`Split::backends`].
    pub backend: usize,
}

/// What a pin looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinBy {
    /// A header's first value.
    Header(HeaderName),
    /// A cookie's value.
    Cookie(String),
}

/// What keeps a client on its side of a split. As shares shift between two sides, only clients of the
/// one that shrinks move; of more sides, those that lie between the two may move, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stickiness {
    /// A cookie that Weir sets.
    Cookie(StickyCookie),
    /// Something that the request has already.
    Key(HashKey),
}

/// Watches every backend but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Share of requests that may end with 5xx.
    pub error_rate: Option<Share>,
    /// Longest 99th percentile of the time to the response's head.
    pub latency: Option<Duration>,
    /// Time over which both are taken.
    pub window: Duration,
    /// Requests in that time below which they say nothing.
    pub minimum_requests: u32,
    /// What happens when one is exceeded.
    pub then: GuardAction,
}

/// What a guard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardAction {
    /// All traffic goes back to the first backend.
    Rollback,
    /// A gradual shift stops where it is.
    Halt,
}

impl GuardAction {
    /// Its word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Halt => "halt",
        }
    }
}

/// Copies of requests for another upstream, whose answers nobody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Index into [`Config::upstreams`](super::Config::upstreams).
    pub upstream: usize,
    /// Share of the requests that are copied.
    pub share: Share,
    /// Requests with a longer body are not copied.
    pub body_bytes: u64,
    /// Copies under way per worker; beyond them requests are not copied.
    pub limit: u32,
}
