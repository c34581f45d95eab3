//! What a snapshot's parts have counted.

use std::sync::Arc;

use super::Snapshot;
use crate::metrics::{
    PartCounters, RouteCounters, TransformCounters, UpstreamCounters, ValidationCounters,
};
use crate::traffic::MirrorCounters;
use crate::upstream::{BreakerReport, Load, Member};
use crate::websocket::WebSocketCounters;

/// Counters of one route, for reports.
pub struct RouteReport<'a> {
    /// The route's name; `None` stands for requests that no route took.
    pub name: Option<&'a str>,
    /// One set per worker.
    pub counters: &'a [RouteCounters],
    /// Copies of its requests, one set per worker; `None` if the route has no mirror.
    pub mirrored: Option<&'a [MirrorCounters]>,
    /// Bodies that are changed, one set per worker; `None` if no policy of the route does that.
    pub transformed: Option<&'a [TransformCounters]>,
    /// Parts of its aggregate by name, one set per worker for each; none if it has no aggregate.
    pub parts: &'a [(Arc<str>, Arc<[PartCounters]>)],
    /// Its requests and responses as its contract judged them; `None` if the route has none.
    pub validated: Option<(&'a [ValidationCounters], &'a [ValidationCounters])>,
    /// WebSockets that are open, and counters of all, one set per worker; `None` if the route lets none
    /// through.
    pub websockets: Option<(usize, &'a [WebSocketCounters])>,
}

/// One upstream, for reports.
pub struct UpstreamReport<'a> {
    /// The upstream's name.
    pub name: &'a str,
    /// Its targets as of now, in the order of the configuration or the discovery.
    pub members: Vec<Member>,
    /// Whether so little of it is healthy that health is ignored.
    pub is_panicking: bool,
    /// Its circuit breaker; closed if none is configured.
    pub breaker: BreakerReport,
    /// Requests that have a place and that wait for one; none if they are not bounded.
    pub load: Load,
    /// Counters of the upstream as a whole, one set per worker.
    pub counters: &'a [UpstreamCounters],
}

impl Snapshot {
    /// Counters of all routes, last those of requests without one.
    pub fn route_reports(&self) -> impl Iterator<Item = RouteReport<'_>> {
        let unrouted = RouteReport {
            name: None,
            counters: &self.unrouted,
            mirrored: None,
            transformed: None,
            parts: &[],
            validated: None,
            websockets: None,
        };
        self.routes
            .iter()
            .map(|route| RouteReport {
                name: Some(&route.name),
                counters: &route.counters,
                mirrored: route.has_mirror().then_some(&*route.mirrored),
                transformed: route.transformed(),
                parts: match &route.aggregation {
                    Some(aggregation) => &aggregation.counters.parts,
                    None => &[],
                },
                validated: route.validation.as_ref().map(|validation| {
                    let counted = &validation.counted;
                    (&*counted.requests, &*counted.responses)
                }),
                websockets: route
                    .websocket
                    .as_ref()
                    .map(|settings| (settings.gate.open(), &*settings.gate.counters)),
            })
            .chain(std::iter::once(unrouted))
    }

    /// All upstreams.
    pub fn upstream_reports(&self) -> impl Iterator<Item = UpstreamReport<'_>> {
        self.upstreams.iter().map(|upstream| UpstreamReport {
            name: &upstream.name,
            members: upstream.cluster.plan().members.clone(),
            is_panicking: upstream.cluster.plan().is_panicking,
            breaker: upstream.cluster.breaker.report(&upstream.name),
            load: upstream.cluster.bulkhead.load(),
            counters: &upstream.cluster.counters,
        })
    }
}
