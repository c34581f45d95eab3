//! Which requests a route takes.

use http::{HeaderName, Method};

use super::ClaimRule;
use crate::pattern::{HostPattern, PathPattern};

/// Which requests a route takes. Everything stated must hold; what is not stated does not matter.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Any of these hosts.
    pub hosts: Vec<HostPattern>,
    /// Any of these paths.
    pub paths: Vec<PathPattern>,
    /// Any of these methods.
    pub methods: Vec<Method>,
    /// All of these header conditions.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// All of these query conditions; names and values are compared percent-decoded.
    pub query: Vec<(String, ValueMatch)>,
    /// All of these claims of whoever calls, as the route's policies find out.
    pub claims: Vec<ClaimRule>,
}

/// A condition on a header's or query parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// There, with any value.
    Present,
    /// Not there.
    Absent,
    /// Exactly this, case-sensitive.
    Exact(String),
    /// Begins with this, case-sensitive.
    Prefix(String),
}
