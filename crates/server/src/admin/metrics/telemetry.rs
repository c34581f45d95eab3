//! What was lost of logs and traces, and who looks on.

use std::sync::atomic::Ordering::Relaxed;

use super::exposition::{Exposition, Kind};
use crate::admin::Telemetry;
use crate::otlp::Outcomes;

pub(super) fn collect(exposition: &mut Exposition, telemetry: &Telemetry) {
    exposition
        .family(
            "weir_log_lines_lost",
            Kind::Counter,
            "Log lines that were not written.",
        )
        .sample(&[], telemetry.log.lost_lines());
    exposition
        .family(
            "weir_log_writes_failed",
            Kind::Counter,
            "Writes to the log that failed.",
        )
        .sample(&[], telemetry.log.failed_writes());
    exposition
        .family(
            "weir_request_onlookers",
            Kind::Gauge,
            "Who follows requests as they end.",
        )
        .sample(&[], telemetry.journal.onlookers() as u64);
    let signals: [(&str, &Outcomes); 2] = [
        ("traces", &telemetry.otlp.spans),
        ("logs", &telemetry.otlp.logs),
    ];
    let mut family = exposition.family(
        "weir_otlp_exported",
        Kind::Counter,
        "Spans and log records that a receiver took.",
    );
    for (signal, outcomes) in signals {
        family.sample(&[("signal", signal)], outcomes.exported.load(Relaxed));
    }
    let mut family = exposition.family(
        "weir_otlp_dropped",
        Kind::Counter,
        "Spans and log records that no receiver got, by reason.",
    );
    for (signal, outcomes) in signals {
        for (reason, counter) in [
            ("queue_full", &outcomes.queue_full),
            ("rejected", &outcomes.rejected),
            ("expired", &outcomes.expired),
        ] {
            let labels = [("signal", signal), ("reason", reason)];
            family.sample(&labels, counter.load(Relaxed));
        }
    }
    let mut family = exposition.family(
        "weir_otlp_exports_failed",
        Kind::Counter,
        "Attempts to send an export that failed.",
    );
    for (signal, outcomes) in signals {
        family.sample(&[("signal", signal)], outcomes.failures.load(Relaxed));
    }
}
