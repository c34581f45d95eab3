//! Bodies that are changed by programs.

use weir_gateway::Snapshot;
use weir_gateway::metrics::{Counter, PartCounters, TransformCounters, TransformedCounters};

use super::exposition::{Exposition, Kind};

type Side = fn(&TransformCounters) -> &TransformedCounters;
type Outcome = fn(&TransformedCounters) -> &Counter;

const SIDES: [(&str, Side); 2] = [
    ("request", |counters| &counters.request),
    ("response", |counters| &counters.response),
];

const OUTCOMES: [(&str, Outcome); 3] = [
    ("changed", |counters| &counters.changed),
    ("passed", |counters| &counters.passed),
    ("failed", |counters| &counters.failed),
];

pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot) {
    let routes: Vec<(&str, &[TransformCounters])> = snapshot
        .route_reports()
        .filter_map(|route| Some((route.name?, route.transformed?)))
        .collect();
    let mut family = exposition.family(
        "weir_transformed_bodies",
        Kind::Counter,
        "Bodies that a policy is to change, by what became of them.",
    );
    for (route, counters) in &routes {
        for (side, select) in SIDES {
            for (outcome, count) in OUTCOMES {
                let sum: u64 = counters.iter().map(|one| count(select(one)).get()).sum();
                let labels = [("http_route", *route), ("side", side), ("outcome", outcome)];
                family.sample(&labels, sum);
            }
        }
    }
    parts(exposition, snapshot);
    let mut family = exposition.family(
        "weir_transform_handed_over",
        Kind::Counter,
        "Runs of programs that took too long for a worker and went to another thread.",
    );
    for (route, counters) in &routes {
        let sum: u64 = counters.iter().map(|one| one.pooled.get()).sum();
        family.sample(&[("http_route", *route)], sum);
    }
}

type PartOutcome = fn(&PartCounters) -> &Counter;

const PART_OUTCOMES: [(&str, PartOutcome); 3] = [
    ("answered", |part| &part.answered),
    ("failed", |part| &part.failed),
    ("timed_out", |part| &part.timed_out),
];

fn parts(exposition: &mut Exposition, snapshot: &Snapshot) {
    let mut family = exposition.family(
        "weir_aggregate_parts",
        Kind::Counter,
        "Parts that aggregates asked for, by what became of them.",
    );
    for report in snapshot.route_reports() {
        let Some(route) = report.name else { continue };
        for (part, counters) in report.parts {
            for (outcome, count) in PART_OUTCOMES {
                let sum: u64 = counters.iter().map(|one| count(one).get()).sum();
                let labels = [
                    ("http_route", route),
                    ("part", &**part),
                    ("outcome", outcome),
                ];
                family.sample(&labels, sum);
            }
        }
    }
}
