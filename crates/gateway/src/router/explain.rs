//! The dry run: which route takes a request, and why others do not.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use serde::{Deserialize, Serialize};
use weir_config::model::{ClaimRule, ValueMatch};
use weir_core::secret::tells_of_secret;

use super::conditions::{MethodBits, header_holds, query_holds};
use super::{Caller, Candidate, Entry, Missed, RouteRequest, Router};
use crate::identify;

/// How a request's route is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What the data plane would do.
    pub outcome: Outcome,
    /// Routes that come close, most specific first: those that were tried on the way to the winner, or,
    /// if nothing was found, those that take the path on another host or with another last slash.
    pub considered: Vec<Considered>,
    /// How many more came close and are not listed.
    pub omitted: usize,
    /// Nodes of the compiled tables that the search went through.
    pub visited: usize,
}

/// What the data plane would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// A route takes the request.
    Found {
        /// The route's name.
        route: String,
        /// Its place in the file, from 0.
        index: usize,
        /// The path pattern that matched, if it states one.
        path: Option<String>,
        /// What the pattern captured by name; the trailing `*` as `*`.
        captures: BTreeMap<String, String>,
    },
    /// No route takes it: 404.
    NoRoute,
    /// Routes would take it from somebody with a credential: 401.
    NoCredential,
    /// Routes would take it with another method: 405.
    Method {
        /// What `Allow` lists.
        allowed: Vec<String>,
    },
}

/// A route that does not take the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The route's name.
    pub route: String,
    /// Its place in the file, from 0.
    pub index: usize,
    /// The path pattern that came close, if it states one.
    pub path: Option<String>,
    /// Each condition that does not hold, in words: `method GET is not among POST`.
    pub failed: Vec<String>,
}

impl Explanation {
    /// Most routes that are listed as considered.
    pub const MAX_CONSIDERED: usize = 20;
}

impl Router {
    /// Finds the route of a request as [`Router::find_as`] does, and tells why others did not take it.
    pub fn explain(&self, request: &RouteRequest<'_>, caller: Caller<'_>) -> Explanation {
        let found = self.find_as(request, caller);
        let mut visited = 0;
        let mut considered = Vec::new();
        let mut is_near = false;
        for trie in self.hosts.tries(request.host) {
            let reached = trie.visit(request.path, &mut visited, &mut |terminal| {
                for candidate in terminal.candidates() {
                    let mut failed = self.failed(candidate, request);
                    failed.extend(self.failed_claims(candidate, caller));
                    if !failed.is_empty() {
                        considered.push(self.considered(candidate, failed));
                    }
                }
                self.pick_as(terminal, request, Caller::Unasked)
            });
            if reached.is_some() {
                is_near = true;
                break;
            }
        }
        if !is_near {
            self.consider_other_hosts(request, &mut considered);
            self.consider_other_slash(request, &mut considered);
        }
        let omitted = considered.len().saturating_sub(Explanation::MAX_CONSIDERED);
        considered.truncate(Explanation::MAX_CONSIDERED);
        Explanation {
            outcome: self.outcome(found, request.path),
            considered,
            omitted,
            visited,
        }
    }

    fn outcome(&self, found: Result<super::Found, Missed>, path: &str) -> Outcome {
        let found = match found {
            Ok(found) => found,
            Err(Missed::NoRoute) => return Outcome::NoRoute,
            Err(Missed::NoCredential) => return Outcome::NoCredential,
            Err(Missed::Method(allowed)) => {
                let allowed = allowed.iter().map(ToString::to_string).collect();
                return Outcome::Method { allowed };
            }
        };
        let entry = &self.routes[found.route];
        let pattern = found
            .captures
            .pattern()
            .map(|index| entry.paths[index].to_string());
        let captures = found.captures.named(&entry.paths, path);
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Outcome::Found {
            route: entry.name.to_string(),
            index: found.route,
            path: pattern,
            captures: captures.iter().map(owned).collect(),
        }
    }

    fn considered(&self, candidate: &Candidate, failed: Vec<String>) -> Considered {
        let entry = self.entry(candidate);
        Considered {
            route: entry.name.to_string(),
            index: candidate.route as usize,
            path: candidate
                .pattern
                .map(|index| entry.paths[index as usize].to_string()),
            failed,
        }
    }

    fn consider_other_hosts(&self, request: &RouteRequest<'_>, considered: &mut Vec<Considered>) {
        let own: Vec<*const super::Trie> = self
            .hosts
            .tries(request.host)
            .map(std::ptr::from_ref)
            .collect();
        let mut candidates: Vec<&Candidate> = Vec::new();
        for trie in self.hosts.all() {
            if own.contains(&std::ptr::from_ref(trie)) {
                continue;
            }
            trie.visit(request.path, &mut 0, &mut |terminal| {
                // A route that takes every path is near to nothing.
                let stated = terminal.candidates().iter();
                candidates.extend(stated.filter(|candidate| candidate.pattern.is_some()));
                None::<()>
            });
        }
        candidates.sort_by_key(|candidate| (candidate.route, candidate.pattern));
        candidates.dedup_by_key(|candidate| (candidate.route, candidate.pattern));
        for candidate in candidates {
            let hosts = self.entry(candidate).hosts.iter().map(ToString::to_string);
            let mut failed = vec![format!(
                "host {} is not among {}",
                request.host,
                list(hosts)
            )];
            failed.extend(self.failed(candidate, request));
            considered.push(self.considered(candidate, failed));
        }
    }

    fn consider_other_slash(&self, request: &RouteRequest<'_>, considered: &mut Vec<Considered>) {
        let other = match request.path.strip_suffix('/') {
            Some(shorter) => shorter.to_owned(),
            None => format!("{}/", request.path),
        };
        let request = RouteRequest {
            path: &other,
            ..*request
        };
        for trie in self.hosts.tries(request.host) {
            trie.visit(&other, &mut 0, &mut |terminal| {
                for candidate in terminal.candidates() {
                    let entry = self.entry(candidate);
                    let known = considered.iter().any(|one| *one.route == *entry.name);
                    if known || candidate.pattern.is_none() {
                        continue;
                    }
                    let mut failed =
                        vec![format!("it takes path {other}, with another last slash")];
                    failed.extend(self.failed(candidate, &request));
                    considered.push(self.considered(candidate, failed));
                }
                None::<()>
            });
        }
    }

    /// The conditions beside host and path that do not hold.
    fn failed(&self, candidate: &Candidate, request: &RouteRequest<'_>) -> Vec<String> {
        let Entry { conditions, .. } = self.entry(candidate);
        let mut failed = Vec::new();
        if !self.takes_method(candidate, MethodBits::of(request.method), request.method) {
            let methods = list(conditions.methods.iter().map(Method::to_string));
            failed.push(format!("method {} is not among {methods}", request.method));
        }
        for (name, condition) in &conditions.headers {
            if !header_holds(name, condition, request.fields) {
                failed.push(header_failure(name, condition, request));
            }
        }
        for (name, condition) in &conditions.query {
            if !query_holds(name, condition, request.query) {
                let is_present = query_holds(name, &ValueMatch::Present, request.query);
                failed.push(failure("query parameter", name, condition, is_present));
            }
        }
        failed
    }

    /// The claims that do not hold.
    fn failed_claims(&self, candidate: &Candidate, caller: Caller<'_>) -> Vec<String> {
        let claims = &self.entry(candidate).conditions.claims;
        let failed = |rule: &ClaimRule| match caller {
            Caller::Unasked => None,
            Caller::Nobody => Some(format!("claim {} needs a credential", rule.claim.text)),
            Caller::Known(principal) => {
                let holds = identify::holds(rule, principal);
                let has_any = principal.claim(&rule.claim.steps).is_some();
                (!holds).then(|| claim_failure(rule, has_any))
            }
        };
        claims.iter().filter_map(failed).collect()
    }
}

fn claim_failure(rule: &ClaimRule, has_any: bool) -> String {
    let name = &rule.claim.text;
    match has_any {
        true => format!(
            "claim {name} is not among {}",
            list(rule.values.iter().cloned())
        ),
        false => format!("claim {name} is missing"),
    }
}

fn header_failure(name: &HeaderName, condition: &ValueMatch, request: &RouteRequest<'_>) -> String {
    let is_present = request.fields.contains(name);
    failure("header", name.as_str(), condition, is_present)
}

/// What was sent is not repeated: it may be a secret. So may be what is expected.
fn failure(kind: &str, name: &str, condition: &ValueMatch, is_present: bool) -> String {
    match condition {
        ValueMatch::Absent => format!("{kind} {name} is there"),
        _ if !is_present => format!("{kind} {name} is missing"),
        ValueMatch::Present => format!("{kind} {name} is missing"),
        _ if tells_of_secret(name) => format!("{kind} {name} is not what is expected"),
        ValueMatch::Exact(expected) => format!("{kind} {name} is not `{expected}`"),
        ValueMatch::Prefix(expected) => format!("{kind} {name} does not begin with `{expected}`"),
    }
}

fn list(items: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 8;
    let more = items.len().saturating_sub(MOST);
    let listed = items.take(MOST).collect::<Vec<_>>().join(", ");
    match more {
        0 => listed,
        _ => format!("{listed} and {more} more"),
    }
}
