//! What came of checking messages by their routes' contracts.

use weir_gateway::Snapshot;
use weir_gateway::metrics::{Counter, ValidationCounters};

use super::exposition::{Exposition, Kind};
use super::sum;

type Select = fn(&ValidationCounters) -> &Counter;

const OUTCOMES: [(&str, Select); 4] = [
    ("valid", |counters| &counters.valid),
    ("refused", |counters| &counters.refused),
    ("reported", |counters| &counters.reported),
    ("unchecked", |counters| &counters.unchecked),
];

pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot) {
    let sets: Vec<(&str, &str, &[ValidationCounters])> = snapshot
        .route_reports()
        .filter_map(|report| {
            let (requests, responses) = report.validated?;
            let route = report.name?;
            Some([(route, "request", requests), (route, "response", responses)])
        })
        .flatten()
        .collect();
    let mut family = exposition.family(
        "weir_validated_messages",
        Kind::Counter,
        "Messages of routes with a contract, by what came of checking them.",
    );
    for (route, message, counters) in &sets {
        for (outcome, select) in OUTCOMES {
            let labels = [
                ("http_route", *route),
                ("message", message),
                ("outcome", outcome),
            ];
            family.sample(&labels, sum(*counters, select));
        }
    }
    let mut family = exposition.family(
        "weir_contract_faults",
        Kind::Counter,
        "Messages that break their route's contract, by the part with the first fault.",
    );
    for (route, message, counters) in &sets {
        for (at, place) in weir_gateway::metrics::PLACES.iter().enumerate() {
            let labels = [
                ("http_route", *route),
                ("message", message),
                ("part", place),
            ];
            let sum = sum(*counters, |counters: &ValidationCounters| {
                &counters.by_place[at]
            });
            family.sample(&labels, sum);
        }
    }
}
