//! Where requests of routes go, and with which `Host`: secrets of the file go with one that the file sends
//! there itself. Behind one address there can be many servers, and `Host` chooses among them.

use std::collections::{HashMap, HashSet};

use crate::model::{Action, HostHeader, Policy, Route};

/// Every upstream that gets requests of a route, and what it gets as `Host`.
pub(super) fn sent(route: &Route) -> Vec<(usize, &HostHeader)> {
    match &route.action {
        Action::Forward {
            to, mirror, host, ..
        } => {
            let mirrored = mirror.iter().map(|mirror| mirror.upstream);
            let upstreams = to.upstreams().chain(mirrored);
            upstreams.map(|upstream| (upstream, host)).collect()
        }
        Action::Aggregate(aggregate) => {
            let parts = aggregate.parts.iter();
            parts.map(|part| (part.upstream, &part.host)).collect()
        }
        Action::Redirect { .. } | Action::Respond(_) => Vec::new(),
    }
}

/// What a route sends as `Host`, if that is not the target's own.
enum Hosts {
    /// Whatever the client says.
    Any,
    /// One of these.
    These(HashSet<String>),
}

impl Hosts {
    fn of(route: &Route, header: &HostHeader) -> Option<Self> {
        let patterns = &route.matcher.hosts;
        match header {
            HostHeader::Target => None,
            HostHeader::Literal(host) => Some(Self::These([host.to_ascii_lowercase()].into())),
            HostHeader::Preserve if patterns.is_empty() => Some(Self::Any),
            HostHeader::Preserve => {
                let hosts = patterns
                    .iter()
                    .map(|host| host.to_string().to_ascii_lowercase());
                Some(Self::These(hosts.collect()))
            }
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::These(_), Self::Any) => false,
            (Self::These(own), Self::These(others)) => others.is_subset(own),
        }
    }
}

/// What routes of the file send as `Host` along with what a policy sets, by policy and upstream.
pub(super) struct HostsOfFile(HashMap<(usize, usize), Vec<Hosts>>);

impl HostsOfFile {
    pub(super) fn of<'r>(routes: impl Iterator<Item = &'r Route>) -> Self {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for route in routes {
            for (upstream, header) in sent(route) {
                for policy in &route.policies {
                    let hosts = all.entry((*policy, upstream)).or_default();
                    hosts.extend(Hosts::of(route, header));
                }
            }
        }
        Self(all)
    }

    /// A policy of which `is_secret` holds and that a route would send with a `Host` with which no route of
    /// the file sends it.
    pub(super) fn elsewhere<'p>(
        &self,
        route: &Route,
        policies: impl Fn(usize) -> Option<&'p Policy>,
        is_secret: impl Fn(&Policy) -> bool,
    ) -> Option<&'p Policy> {
        let sent = sent(route);
        let secret = route.policies.iter().filter_map(|at| {
            let policy = policies(*at)?;
            is_secret(policy).then_some((*at, policy))
        });
        let mut elsewhere = secret.filter(|(at, _)| {
            sent.iter().any(|(upstream, header)| {
                let Some(hosts) = Hosts::of(route, header) else {
                    return false;
                };
                let of_file = self.0.get(&(*at, *upstream));
                !of_file.is_some_and(|all| all.iter().any(|one| one.covers(&hosts)))
            })
        });
        elsewhere.next().map(|(_, policy)| policy)
    }
}
