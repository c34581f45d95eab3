//! The health of upstreams in numbers.

use std::collections::HashSet;

use weir_gateway::{HealthReport, Snapshot};

use super::exposition::{Exposition, Kind};

pub(super) fn collect(exposition: &mut Exposition, snapshot: &Snapshot) {
    let targets = targets(snapshot);
    let mut each = |name, kind, help, value: fn(&HealthReport) -> u64| {
        let mut family = exposition.family(name, kind, help);
        for (upstream, target, health) in &targets {
            family.sample(&[("upstream", upstream), ("target", target)], value(health));
        }
    };
    each(
        "weir_upstream_healthy",
        Kind::Gauge,
        "1 if nothing speaks against a target, 0 if it is unhealthy or ejected.",
        |health| u64::from(health.state.takes_traffic()),
    );
    each(
        "weir_upstream_ejections",
        Kind::Counter,
        "Times that a target was ejected because requests failed.",
        |health| health.ejections,
    );
    let mut family = exposition.family(
        "weir_upstream_checks",
        Kind::Counter,
        "Active health checks by outcome.",
    );
    for (upstream, target, health) in &targets {
        let checks = health.checks.as_ref();
        for (outcome, count) in [
            ("passed", checks.map_or(0, |checks| checks.passed)),
            ("failed", checks.map_or(0, |checks| checks.failed)),
        ] {
            let labels = [
                ("upstream", *upstream),
                ("target", target),
                ("outcome", outcome),
            ];
            family.sample(&labels, count);
        }
    }
    let mut family = exposition.family(
        "weir_upstream_panicking",
        Kind::Gauge,
        "1 if so little of an upstream is healthy that health is ignored.",
    );
    for report in snapshot.upstream_reports() {
        family.sample(&[("upstream", report.name)], u8::from(report.is_panicking));
    }
}

/// Each upstream's targets, one that is listed twice once.
fn targets(snapshot: &Snapshot) -> Vec<(&str, String, HealthReport)> {
    let mut seen = HashSet::new();
    let mut targets = Vec::new();
    for upstream in snapshot.upstream_reports() {
        for member in &upstream.members {
            if seen.insert((upstream.name, member.target.identity)) {
                let target = member.target.authority.to_string();
                targets.push((upstream.name, target, member.state.health()));
            }
        }
    }
    targets
}
