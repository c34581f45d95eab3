//! What protects upstreams, and requests from them: circuit breakers, bulkheads, hedges.

use weir_gateway::metrics::{Counter, UpstreamCounters};
use weir_gateway::{Phase, Snapshot, UpstreamReport};

use super::exposition::{Exposition, Kind};

/// One of an upstream's counters, and the value of the label that tells it from its siblings.
type Part = (&'static str, fn(&UpstreamCounters) -> &Counter);

const REFUSALS: [Part; 3] = [
    ("circuit_open", |upstream| &upstream.circuit_open),
    ("upstream_busy", |upstream| &upstream.busy),
    ("queue_timeout", |upstream| &upstream.queue_timeout),
];

const HEDGES: [Part; 2] = [
    ("sent", |upstream| &upstream.hedges),
    ("won", |upstream| &upstream.hedges_won),
];

pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot) {
    let upstreams: Vec<UpstreamReport<'_>> = snapshot.upstream_reports().collect();
    let mut family = exposition.family(
        "weir_upstream_breaker_state",
        Kind::Gauge,
        "1 for the state that the circuit breaker is in.",
    );
    for upstream in &upstreams {
        for phase in Phase::ALL {
            family.sample(
                &[("upstream", upstream.name), ("state", phase.as_str())],
                u8::from(upstream.breaker.phase == phase),
            );
        }
    }
    let mut family = exposition.family(
        "weir_upstream_breaker_opened",
        Kind::Counter,
        "How often the circuit breaker opened.",
    );
    for upstream in &upstreams {
        family.sample(&[("upstream", upstream.name)], upstream.breaker.opened);
    }
    let mut parts = |name, help, label: &'static str, parts: &[Part]| {
        let mut family = exposition.family(name, Kind::Counter, help);
        for upstream in &upstreams {
            for (value, counter) in parts {
                let sum = super::sum(upstream.counters, counter);
                family.sample(&[("upstream", upstream.name), (label, *value)], sum);
            }
        }
    };
    parts(
        "weir_upstream_refused",
        "Requests that were not forwarded, to spare the upstream.",
        "reason",
        &REFUSALS,
    );
    parts(
        "weir_upstream_hedges",
        "Attempts made beside one that was under way.",
        "outcome",
        &HEDGES,
    );
    let mut gauge = |name, help, value: fn(&UpstreamReport<'_>) -> u32| {
        let mut family = exposition.family(name, Kind::Gauge, help);
        for upstream in &upstreams {
            family.sample(&[("upstream", upstream.name)], value(upstream));
        }
    };
    gauge(
        "weir_upstream_concurrency_in_use",
        "Requests that have one of the places of the bulkhead.",
        |upstream| upstream.load.in_use,
    );
    gauge(
        "weir_upstream_concurrency_queued",
        "Requests that wait for a place.",
        |upstream| upstream.load.queued,
    );
}
