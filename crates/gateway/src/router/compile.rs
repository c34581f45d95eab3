//! From the configuration's routes to the tries that look-ups walk.

use hashbrown::HashMap;
use weir_config::model::Route;
use weir_config::pattern::{HostPattern, PathPattern};

use super::conditions::{Conditions, MethodBits};
use super::{Candidate, Router, Trie};

/// What is kept of a route beside its place in the tries.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Box<str>,
    pub(super) hosts: Box<[HostPattern]>,
    pub(super) paths: Box<[PathPattern]>,
    pub(super) conditions: Conditions,
}

/// The tries of every host level.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<str>, Trie>,
    /// By suffix, without `*.`.
    wildcard: HashMap<Box<str>, Trie>,
    none: Trie,
}

impl Router {
    /// Compiles routes; [`super::Found::route`] is an index into them.
    pub fn compile(routes: &[Route]) -> Self {
        let entries: Vec<Entry> = routes.iter().map(Entry::of).collect();
        let mut hosts = Hosts::default();
        for (index, entry) in entries.iter().enumerate() {
            // More routes than that are no configuration that fits into memory.
            let Ok(index) = u32::try_from(index) else {
                break;
            };
            if entry.hosts.is_empty() {
                entry.insert_into(&mut hosts.none, index);
            }
            for host in &entry.hosts {
                entry.insert_into(hosts.trie_mut(host), index);
            }
        }
        let ranks: Vec<_> = entries
            .iter()
            .map(|entry| entry.conditions.rank())
            .collect();
        for trie in hosts.all_mut() {
            trie.sort_by_key(|candidate| {
                (
                    ranks[candidate.route as usize],
                    candidate.route,
                    candidate.pattern,
                )
            });
        }
        Self {
            routes: entries,
            hosts,
        }
    }
}

impl Entry {
    fn of(route: &Route) -> Self {
        Self {
            name: route.name.as_str().into(),
            hosts: route.matcher.hosts.as_slice().into(),
            paths: route.matcher.paths.as_slice().into(),
            conditions: Conditions::of(&route.matcher),
        }
    }

    fn insert_into(&self, trie: &mut Trie, route: u32) {
        let candidate = Candidate {
            route,
            pattern: None,
            methods: MethodBits::stated(&self.conditions.methods),
            has_conditions: !self.conditions.is_empty(),
            has_claims: !self.conditions.claims.is_empty(),
            has_captures: false,
        };
        for (index, pattern) in (0..).zip(&self.paths) {
            let candidate = Candidate {
                pattern: Some(index),
                has_captures: pattern.tail.is_some() || pattern.captures().next().is_some(),
                ..candidate.clone()
            };
            trie.insert(Some(pattern), candidate);
        }
        if self.paths.is_empty() {
            trie.insert(None, candidate);
        }
    }
}

impl Hosts {
    fn trie_mut(&mut self, host: &HostPattern) -> &mut Trie {
        let (map, key) = match host {
            HostPattern::Exact(host) => (&mut self.exact, host),
            HostPattern::Wildcard(suffix) => (&mut self.wildcard, suffix),
        };
        map.entry(key.as_str().into()).or_default()
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Trie> {
        self.exact
            .values_mut()
            .chain(self.wildcard.values_mut())
            .chain([&mut self.none])
    }

    /// Every trie, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Trie> {
        self.exact
            .values()
            .chain(self.wildcard.values())
            .chain([&self.none])
    }

    /// The tries that a host leads to, most specific first.
    pub(super) fn tries<'s>(&'s self, host: &str) -> impl Iterator<Item = &'s Trie> {
        // No pattern is longer, and each suffix of a long hostile name would be hashed.
        let host = if host.len() > HostPattern::MAX_LENGTH {
            ""
        } else {
            host
        };
        // An empty map is not worth a hash.
        let exact = if self.exact.is_empty() {
            None
        } else {
            self.exact.get(host)
        };
        let below = if self.wildcard.is_empty() { "" } else { host };
        exact
            .into_iter()
            .chain(suffixes(below).filter_map(|suffix| self.wildcard.get(suffix)))
            .chain([&self.none])
    }
}

/// What is left of a host without its first label, its first two, and so on.
fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    // An empty first label is no label.
    let host = if host.starts_with('.') { "" } else { host };
    memchr::memchr_iter(b'.', host.as_bytes()).map(move |dot| &host[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_shrink_label_by_label() {
        let all: Vec<_> = suffixes("a.b.example.com").collect();
        assert_eq!(all, ["b.example.com", "example.com", "com"]);
        assert_eq!(suffixes("localhost").count(), 0);
        assert_eq!(suffixes(".example.com").count(), 0);
    }
}
