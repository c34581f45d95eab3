//! A snapshot as one worker sees it.

use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::Snapshot;
use crate::metrics::RouteCounters;
use crate::upstream::cluster::Cluster;
use crate::upstream::{LocalUpstream, Pools, View};

/// One worker's view of a snapshot: the shared part, and pools of its own.
pub(crate) struct LocalSnapshot {
    shared: Arc<Snapshot>,
    pub(crate) generation: u64,
    /// In the order of [`Snapshot::upstreams`].
    pub(crate) local: Vec<Rc<LocalUpstream>>,
}

impl Deref for LocalSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.shared
    }
}

impl LocalSnapshot {
    /// Takes over the views of upstreams that both revisions have.
    pub(crate) fn new(
        shared: Arc<Snapshot>,
        generation: u64,
        previous: Option<&Self>,
        pools: &Pools,
    ) -> Self {
        let known: HashMap<*const Cluster, &Rc<LocalUpstream>> = previous
            .into_iter()
            .flat_map(|previous| &previous.local)
            .map(|local| (Arc::as_ptr(&local.cluster), local))
            .collect();
        let mut local = Vec::with_capacity(shared.upstreams.len());
        for upstream in &shared.upstreams {
            let settings = upstream.model().pool;
            local.push(match known.get(&Arc::as_ptr(&upstream.cluster)) {
                Some(local) => {
                    // The settings may be new although the plan is not.
                    local.renew(pools, settings);
                    Rc::clone(local)
                }
                None => {
                    let cluster = Arc::clone(&upstream.cluster);
                    Rc::new(LocalUpstream::new(cluster, pools, settings))
                }
            });
        }
        Self {
            shared,
            generation,
            local,
        }
    }

    /// The newest targets of an upstream with the worker's connections to them.
    pub(crate) fn view(&self, upstream: usize, pools: &Pools) -> Rc<View> {
        self.local[upstream].view(pools, self.upstreams[upstream].model().pool)
    }

    /// Takes up new plans of all upstreams, so that idle workers let go of old ones.
    pub(crate) fn refresh_views(&self, pools: &Pools) {
        for upstream in 0..self.local.len() {
            drop(self.view(upstream, pools));
        }
    }

    pub(crate) fn route_counters(&self, route: Option<usize>, worker: usize) -> &RouteCounters {
        match route {
            Some(route) => &self.routes[route].counters[worker],
            None => &self.unrouted[worker],
        }
    }
}
