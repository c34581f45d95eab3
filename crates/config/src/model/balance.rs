//! How one of an upstream's targets is picked.

use std::time::Duration;

use http::HeaderName;

/// Load-balancing algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Weighted round robin, spread smoothly.
    RoundRobin,
    /// Fewest requests in flight of two random candidates, weighted.
    LeastRequest,
    /// Lowest latency of two random candidates, weighted: a moving average that goes up at once and
    /// comes down by and by, times the requests in flight.
    PeakEwma,
    /// The same key goes to the same target (Maglev).
    ConsistentHash(HashKey),
}

impl Balance {
    /// The word under which the file knows it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastRequest => "least_request",
            Self::PeakEwma => "peak_ewma",
            Self::ConsistentHash(_) => "consistent_hash",
        }
    }

    /// What decides where a request goes, if something of it does.
    pub fn key(&self) -> Option<&HashKey> {
        match self {
            Self::ConsistentHash(key) => Some(key),
            Self::RoundRobin | Self::LeastRequest | Self::PeakEwma => None,
        }
    }
}

/// What of a request decides where it goes. A request without it, or with an empty value, is placed at
/// random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address; behind trusted proxies the one that they name.
    Address,
    /// The normalised path, without the query.
    Path,
    /// The first value of this header, as the target gets it.
    Header(HeaderName),
    /// The value of this cookie.
    Cookie(String),
}

impl HashKey {
    /// The word under which the file knows it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Path => "path",
            Self::Header(_) => "header",
            Self::Cookie(_) => "cookie",
        }
    }
}

impl std::fmt::Display for HashKey {
    /// `address`, or `header x-user`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())?;
        match self {
            Self::Address | Self::Path => Ok(()),
            Self::Header(name) => write!(formatter, " {name}"),
            Self::Cookie(name) => write!(formatter, " {name}"),
        }
    }
}

/// A cookie that Weir sets, so that a client comes back to where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyCookie {
    /// The cookie's name.
    pub name: String,
    /// `Max-Age`; without it the cookie ends with the browser's session.
    pub max_age: Option<Duration>,
}

/// Which targets are near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zones {
    /// Whether targets of this node's own zone come first.
    pub prefer_own: bool,
    /// Share of the own zone's weight that must be healthy for it to take all traffic, in percent;
    /// below it the rest goes to other zones in proportion.
    pub overflow_below_percent: u32,
}
