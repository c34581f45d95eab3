//! How the sources of targets fare.

use std::time::UNIX_EPOCH;

use weir_discovery::Discoverer;

use super::exposition::{Exposition, Kind};

/// Nothing for a process whose upstreams list their targets.
pub(super) fn collect(exposition: &mut Exposition, discoverer: &Discoverer) {
    let sources = discoverer.status();
    if sources.is_empty() {
        return;
    }
    let mut family = exposition.family(
        "weir_discovery_up",
        Kind::Gauge,
        "1 unless the source is lost and the last known targets are in use.",
    );
    for (upstream, status) in &sources {
        let labels = [("upstream", upstream.as_str()), ("source", status.source)];
        family.sample(&labels, u8::from(status.lost.is_none()));
    }
    let mut family = exposition.family(
        "weir_discovery_targets",
        Kind::Gauge,
        "Targets in use that a source told of.",
    );
    for (upstream, status) in &sources {
        family.sample(&[("upstream", upstream)], status.targets);
    }
    let mut family = exposition.family(
        "weir_discovery_targets_left_out",
        Kind::Gauge,
        "Targets of the last answer that are not used, by reason.",
    );
    for (upstream, status) in &sources {
        for (reason, number) in status.left_out.reasons() {
            family.sample(
                &[("upstream", upstream.as_str()), ("reason", reason)],
                number,
            );
        }
    }
    let mut family = exposition.family(
        "weir_discovery_last_success_timestamp_seconds",
        Kind::Gauge,
        "When the source last gave an answer that was believed; 0 before the first.",
    );
    for (upstream, status) in &sources {
        let since = status
            .last_success
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        family.sample(
            &[("upstream", upstream)],
            since.unwrap_or_default().as_secs(),
        );
    }
}
