//! Patterns that select requests: hosts and paths.

use std::fmt;

/// Which hosts a route takes. Hosts are compared in lower case and without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this host.
    Exact(String),
    /// `*.example.com`: one or more labels in front of this suffix (kept without `*.`).
    Wildcard(String),
}

/// Which paths a route takes: literal segments, `{name}` for one segment, and a trailing `*` for
/// whatever follows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// The segments after the leading `/`, split at `/`.
    pub segments: Vec<Segment>,
    /// `Some(prefix)` if the pattern ends in `*`: the text in front of `*` in the last segment.
    pub tail: Option<String>,
    text: String,
}

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text, normalised.
    Literal(String),
    /// Any one non-empty segment, captured under this name.
    Capture(String),
}

impl PathPattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PathPattern({:?})", self.text)
    }
}
