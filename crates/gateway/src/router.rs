//! Finds the route of a request: compiled once from the configuration, looked up once a request.
//!
//! # Which route wins
//!
//! Every condition that a route states must hold. Among the routes for which they do, the most
//! specific wins; these are compared in order, and the first difference decides:
//!
//! 1. **host**: exact, then the longer wildcard suffix, then the shorter, then no host stated;
//! 2. **path**, segment by segment from the left: literal, then capture, then the trailing `*` (the
//!    longer text in front of `*` first); a route without path comes last;
//! 3. **methods**: stated before not stated; for `HEAD`, a route that states `HEAD` before one that
//!    takes it because it states `GET`;
//! 4. **claims**: more before fewer; of equally many the one that states more values;
//! 5. **header and query conditions**: more before fewer; of equally many the one with more `exact`,
//!    then with more `prefix` conditions;
//! 6. the file's **order**.
//!
//! Claims are known once somebody found out who calls, and that is the business of the route's policies. So
//! [`Router::find`] takes them to hold, and says whether the winner has any ([`Found::has_claims`]);
//! [`Router::find_as`] then chooses among the routes of that host and path shape, and of no other one: what
//! somebody may not have does not go to a route of less specific paths instead.
//!
//! # How it is found
//!
//! ```text
//!   host ──▶ exact map ──▶ wildcard map, label by label ──▶ no host
//!                │                  │                          │
//!                └────────▶ trie of segments: literal ▸ capture ▸ tails, longest first
//!                                   │
//!                                   └────▶ candidates of one path shape, sorted by 3 to 6
//! ```
//!
//! The search visits candidates in the order of the rule, so the first whose conditions hold is the
//! answer; nothing is collected or compared. Its cost depends on the request's host labels and path
//! segments and on how many routes share one host and path, not on the number of routes.

use http::Method;
use smallvec::SmallVec;
use weir_config::pattern::{PathPattern, Segment};
use weir_core::Principal;

use crate::Fields;

mod compile;
mod conditions;
mod explain;
mod trie;

pub use explain::{Considered, Explanation, Outcome};

use compile::{Entry, Hosts};
use conditions::MethodBits;
pub(crate) use conditions::query_parameters;
use trie::{Candidate, Terminal, Trie};

/// Every route of a configuration, compiled for look-up.
#[derive(Debug)]
pub struct Router {
    routes: Vec<Entry>,
    hosts: Hosts,
}

/// What of a request decides its route.
#[derive(Clone, Copy, Debug)]
pub struct RouteRequest<'a> {
    /// Lower case, without port and without a trailing dot; IPv6 in brackets.
    pub host: &'a str,
    /// Normalised.
    pub path: &'a str,
    /// Without `?`, as it was sent.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The header fields.
    pub fields: &'a Fields,
}

/// Who calls, for routes with claims.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// Nobody was asked: all claims are taken to hold.
    Unasked,
    /// Somebody without a credential: no claim holds.
    Nobody,
    /// Somebody with a good credential.
    Known(&'a Principal),
}

/// The route of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Index into the routes that the router was compiled from.
    pub route: usize,
    /// Whether it asks for claims.
    pub has_claims: bool,
    /// What the path pattern captured.
    pub captures: Captures,
}

/// Why there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missed {
    /// No route takes such a request.
    NoRoute,
    /// Routes would take it from somebody with a credential.
    NoCredential,
    /// Routes would take it with one of these methods, which are sorted: what `Allow` lists with an
    /// answer of 405 (RFC 9110 §15.5.6).
    Method(Vec<Method>),
}

/// Places in a path that captures and a trailing `*` stand for.
///
/// Holds no reference, so that it can live as long as its request; up to eight captures without an
/// allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    pattern: Option<u32>,
    ranges: SmallVec<[(u32, u32); 8]>,
    tail: Option<(u32, u32)>,
}

/// [`Captures`] together with what they refer to.
#[derive(Clone, Copy, Debug)]
pub struct PathCaptures<'a> {
    captures: &'a Captures,
    pattern: Option<&'a PathPattern>,
    path: &'a str,
}

impl Router {
    /// The route of a request, with claims taken to hold.
    pub fn find(&self, request: &RouteRequest<'_>) -> Result<Found, Missed> {
        let (_, candidate) = self.first(request)?;
        Ok(self.found(candidate, request.path))
    }

    /// The route of a request by this caller.
    pub fn find_as(&self, request: &RouteRequest<'_>, caller: Caller<'_>) -> Result<Found, Missed> {
        let (terminal, _) = self.first(request)?;
        match self.pick_as(terminal, request, caller) {
            Some(candidate) => Ok(self.found(candidate, request.path)),
            None => Err(match caller {
                Caller::Nobody => Missed::NoCredential,
                Caller::Unasked | Caller::Known(_) => Missed::NoRoute,
            }),
        }
    }

    /// The path shape that takes a request, and the first candidate there.
    fn first<'r>(
        &'r self,
        request: &RouteRequest<'_>,
    ) -> Result<(&'r Terminal, &'r Candidate), Missed> {
        let mut visited = 0;
        let bits = MethodBits::of(request.method);
        let mut tries = self.hosts.tries(request.host);
        let first = tries.find_map(|trie| {
            trie.visit(request.path, &mut visited, &mut |terminal| {
                let candidate = self.pick(terminal, bits, request, |_| true)?;
                Some((terminal, candidate))
            })
        });
        first.ok_or_else(|| self.missed(request))
    }

    fn pick_as<'r>(
        &'r self,
        terminal: &'r Terminal,
        request: &RouteRequest<'_>,
        caller: Caller<'_>,
    ) -> Option<&'r Candidate> {
        let bits = MethodBits::of(request.method);
        self.pick(terminal, bits, request, |candidate| {
            self.takes_caller(candidate, caller)
        })
    }

    /// The first candidate of one path shape whose conditions hold.
    fn pick<'r>(
        &'r self,
        terminal: &'r Terminal,
        method: MethodBits,
        request: &RouteRequest<'_>,
        takes_caller: impl Fn(&Candidate) -> bool,
    ) -> Option<&'r Candidate> {
        let candidates = terminal.candidates();
        let holds = |candidate: &&Candidate| {
            self.takes_method(candidate, method, request.method)
                && self.takes_rest(candidate, request)
                && takes_caller(candidate)
        };
        if method == MethodBits::HEAD {
            let mut stated = candidates
                .iter()
                .filter(|candidate| candidate.methods.states(MethodBits::HEAD));
            if let Some(candidate) = stated.find(holds) {
                return Some(candidate);
            }
        }
        candidates.iter().find(holds)
    }

    fn takes_method(&self, candidate: &Candidate, bits: MethodBits, method: &Method) -> bool {
        if !candidate.methods.takes(bits) {
            return false;
        }
        // An extension method shares its bit with all others.
        bits != MethodBits::EXTENSION
            || candidate.methods.is_any()
            || self.entry(candidate).conditions.methods.contains(method)
    }

    fn takes_rest(&self, candidate: &Candidate, request: &RouteRequest<'_>) -> bool {
        !candidate.has_conditions
            || self
                .entry(candidate)
                .conditions
                .hold(request.fields, request.query)
    }

    fn takes_caller(&self, candidate: &Candidate, caller: Caller<'_>) -> bool {
        match caller {
            _ if !candidate.has_claims => true,
            Caller::Unasked => true,
            Caller::Nobody => false,
            Caller::Known(principal) => self.entry(candidate).conditions.claims_hold(principal),
        }
    }

    fn entry(&self, candidate: &Candidate) -> &Entry {
        &self.routes[candidate.route as usize]
    }

    fn found(&self, candidate: &Candidate, path: &str) -> Found {
        let captures = match candidate.pattern {
            None => Captures::default(),
            Some(index) if !candidate.has_captures => Captures {
                pattern: Some(index),
                ..Captures::default()
            },
            Some(index) => {
                let pattern = &self.entry(candidate).paths[index as usize];
                Captures::of(index, pattern, path)
            }
        };
        Found {
            route: candidate.route as usize,
            has_claims: candidate.has_claims,
            captures,
        }
    }

    /// Only on failure: visits again, this time for the methods.
    fn missed(&self, request: &RouteRequest<'_>) -> Missed {
        let mut allowed: Vec<Method> = Vec::new();
        for trie in self.hosts.tries(request.host) {
            trie.visit(request.path, &mut 0, &mut |terminal| {
                for candidate in terminal.candidates() {
                    if self.takes_rest(candidate, request) {
                        allowed.extend_from_slice(&self.entry(candidate).conditions.methods);
                    }
                }
                None::<()>
            });
        }
        if allowed.is_empty() {
            return Missed::NoRoute;
        }
        if allowed.contains(&Method::GET) {
            allowed.push(Method::HEAD);
        }
        allowed.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        allowed.dedup();
        Missed::Method(allowed)
    }
}

impl Captures {
    /// Walks the pattern along a path that it matches.
    pub(crate) fn of(index: u32, pattern: &PathPattern, path: &str) -> Self {
        let mut captures = Self {
            pattern: Some(index),
            ..Self::default()
        };
        let length = path.len();
        let mut at = 1;
        for segment in &pattern.segments {
            let rest = path.as_bytes().get(at..).unwrap_or_default();
            let end = memchr::memchr(b'/', rest).map_or(length, |slash| at + slash);
            if let Segment::Capture(_) = segment {
                captures.ranges.push(range(at, end));
            }
            at = end + 1;
        }
        if let Some(prefix) = &pattern.tail {
            captures.tail = Some(range((at + prefix.len()).min(length), length));
        }
        captures
    }

    /// Joins the captures with the patterns of the route ([`weir_config::model::Match::paths`]) and
    /// the path that they were found in.
    pub fn named<'a>(&'a self, paths: &'a [PathPattern], path: &'a str) -> PathCaptures<'a> {
        PathCaptures {
            captures: self,
            pattern: self.pattern.and_then(|index| paths.get(index as usize)),
            path,
        }
    }

    /// Index of the path pattern that matched; `None` on a route that states no path.
    pub fn pattern(&self) -> Option<usize> {
        self.pattern.map(|index| index as usize)
    }
}

impl<'a> PathCaptures<'a> {
    /// What `{name}` captured.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let index = self
            .pattern?
            .captures()
            .position(|capture| capture == name)?;
        self.slice(*self.captures.ranges.get(index)?)
    }

    /// What the trailing `*` stands for.
    pub fn tail(&self) -> Option<&'a str> {
        self.slice(self.captures.tail?)
    }

    /// The path in two: the literal text in front of the first capture or of the trailing `*`, and
    /// what follows. `None` for a pattern that is literal throughout; a route that states no path is
    /// read as `/*`.
    pub fn split_front(&self) -> Option<(&'a str, &'a str)> {
        let first = self.captures.ranges.first().or(self.captures.tail.as_ref());
        let at = match (first, self.pattern) {
            (Some((start, _)), _) => *start as usize,
            (None, Some(_)) => return None,
            (None, None) => 1,
        };
        self.path.split_at_checked(at)
    }

    /// Every capture with its name, and the tail as `*`.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let names = self.pattern.into_iter().flat_map(PathPattern::captures);
        let values = self.captures.ranges.iter().map(|range| self.slice(*range));
        let captured = names.zip(values);
        let tail = self.captures.tail.map(|range| ("*", self.slice(range)));
        captured
            .chain(tail)
            .map(|(name, value)| (name, value.unwrap_or_default()))
    }

    fn slice(&self, (start, end): (u32, u32)) -> Option<&'a str> {
        self.path.get(start as usize..end as usize)
    }
}

/// Paths are bounded by `limits.head_bytes`, far below 4 GiB; a longer one captures nothing.
fn range(start: usize, end: usize) -> (u32, u32) {
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => (start, end),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests;
