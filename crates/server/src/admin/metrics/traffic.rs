//! Splits and mirrors.

use weir_gateway::traffic::{MirrorCounters, Traffic};
use weir_gateway::{Snapshot, metrics::Counter};

use super::exposition::{Exposition, Kind};
use super::sum;

pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot, traffic: &Traffic) {
    splits(exposition, traffic);
    mirrors(exposition, snapshot);
}

fn splits(exposition: &mut Exposition, traffic: &Traffic) {
    let splits = traffic.reports();
    let sides = || {
        let each = splits.iter().flat_map(|split| {
            let route = &*split.route;
            split.backends.iter().map(move |backend| (route, backend))
        });
        each.map(|(route, backend)| {
            let labels = [("http_route", route), ("upstream", &*backend.upstream)];
            (labels, backend)
        })
    };
    let mut family = exposition.family(
        "weir_split_share_ratio",
        Kind::Gauge,
        "Share of a route's requests that an upstream gets, from 0 to 1.",
    );
    for (labels, backend) in sides() {
        family.sample(&labels, backend.percent / 100.0);
    }
    let mut family = exposition.family(
        "weir_split_requests",
        Kind::Counter,
        "Requests by the upstream that a split chose.",
    );
    for (labels, backend) in sides() {
        family.sample(&labels, backend.requests);
    }
    let mut family = exposition.family(
        "weir_split_requests_failed",
        Kind::Counter,
        "Requests by the upstream that a split chose, answered with 5xx.",
    );
    for (labels, backend) in sides() {
        family.sample(&labels, backend.failed);
    }
    let mut family = exposition.family(
        "weir_split_guard_acted",
        Kind::Gauge,
        "1 if a split's guard has halted or rolled back, until the next change.",
    );
    for split in splits.iter().filter(|split| split.guard.is_some()) {
        let labels = [("http_route", &*split.route)];
        family.sample(&labels, u8::from(split.trip.is_some()));
    }
}

/// One of a mirror's counters.
type Select = fn(&MirrorCounters) -> &Counter;

fn mirrors(exposition: &mut Exposition, snapshot: &Snapshot) {
    let mirrors: Vec<(&str, &[MirrorCounters])> = snapshot
        .route_reports()
        .filter_map(|route| Some((route.name?, route.mirrored?)))
        .collect();
    let outcomes: [(&str, Select); 6] = [
        ("answered", |mirror| &mirror.answered),
        ("failed", |mirror| &mirror.failed),
        ("timed_out", |mirror| &mirror.timed_out),
        ("over_limit", |mirror| &mirror.over_limit),
        ("body_too_large", |mirror| &mirror.body_too_large),
        ("body_incomplete", |mirror| &mirror.body_incomplete),
    ];
    let mut family = exposition.family(
        "weir_mirror_copies",
        Kind::Counter,
        "Copies of requests by what came of them; the last three were not sent.",
    );
    for (route, counters) in &mirrors {
        for (outcome, counter) in outcomes {
            let labels = [("http_route", *route), ("outcome", outcome)];
            family.sample(&labels, sum(*counters, counter));
        }
    }
    let mut family = exposition.family(
        "weir_mirror_copies_under_way",
        Kind::Gauge,
        "Copies of requests under way now.",
    );
    for (route, counters) in &mirrors {
        let under_way = sum(*counters, |mirror: &MirrorCounters| &mirror.under_way);
        family.sample(&[("http_route", route)], under_way);
    }
}
