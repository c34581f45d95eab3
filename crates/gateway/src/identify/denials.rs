//! Requests that policies refused, counted by policy: as many as the configuration has, whatever clients send.

use std::sync::Arc;

use weir_config::model::{Config, PolicyKind};

use crate::metrics::{DenialCounters, per_worker};
use crate::snapshot::Snapshot;

/// Counters of all policies that may refuse somebody.
#[derive(Clone, Default)]
pub(crate) struct Denials {
    /// In the order of the configuration's policies.
    in_order: Vec<Option<Counted>>,
}

/// What is counted of a policy. It outlives revisions.
#[derive(Clone)]
struct Counted {
    policy: Arc<str>,
    way: &'static str,
    counters: Arc<[DenialCounters]>,
}

/// Refusals of one policy, for reports.
pub struct DenialReport<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Its kind.
    pub way: &'static str,
    /// One set per worker.
    pub counters: &'a [DenialCounters],
}

impl Denials {
    /// Goes on with those that are of the same name and kind.
    pub(crate) fn compile(config: &Config, former: &Self, workers: usize) -> Self {
        let counted = |name: &str, way: &'static str| {
            let mut known = former.in_order.iter().flatten();
            let known = known.find(|one| *one.policy == *name && one.way == way);
            known.cloned().unwrap_or_else(|| Counted {
                policy: Arc::from(name),
                way,
                counters: per_worker(workers),
            })
        };
        let policies = config.policies.iter();
        let in_order = policies
            .map(|policy| refuses(&policy.kind).then(|| counted(&policy.name, policy.kind.name())));
        Self {
            in_order: in_order.collect(),
        }
    }

    /// Counts a request that this policy refused for this reason.
    pub(crate) fn count(&self, policy: usize, worker: usize, reason: &str) {
        if let Some(Some(counted)) = self.in_order.get(policy) {
            counted.counters[worker].count(reason);
        }
    }
}

fn refuses(kind: &PolicyKind) -> bool {
    kind.identifies() || matches!(kind, PolicyKind::Require(_))
}

impl Snapshot {
    /// Refusals of all policies that ask who is calling.
    pub fn denial_reports(&self) -> impl Iterator<Item = DenialReport<'_>> {
        let counted = self.denials.in_order.iter().flatten();
        counted.map(|counted| DenialReport {
            policy: &counted.policy,
            way: counted.way,
            counters: &counted.counters,
        })
    }
}
