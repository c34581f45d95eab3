//! What tells how near the process is to its limits.

use weir_gateway::Gateway;

use super::exposition::{Exposition, Kind};

pub(super) fn collect(exposition: &mut Exposition, gateway: &Gateway) {
    let delays = gateway
        .worker_counters()
        .map(|worker| worker.delay_nanos.get());
    let pressures = gateway
        .worker_counters()
        .map(|worker| worker.pressure.get());
    exposition
        .family(
            "weir_event_loop_delay_seconds",
            Kind::Gauge,
            "How late the event loop is now, of the worker that is latest.",
        )
        .sample(&[], delays.max().unwrap_or(0) as f64 / 1e9);
    let waits = gateway
        .worker_counters()
        .map(|worker| worker.turn_nanos.get());
    exposition
        .family(
            "weir_turn_wait_seconds",
            Kind::Gauge,
            "How long a request waits for its turn now, of the worker where that is longest.",
        )
        .sample(&[], waits.max().unwrap_or(0) as f64 / 1e9);
    exposition
        .family(
            "weir_shedding_pressure",
            Kind::Gauge,
            "Which requests are refused for load, from 0 to 3, of the worker that refuses most.",
        )
        .sample(&[], pressures.max().unwrap_or(0) as f64 / 1e3);
    exposition
        .family(
            "weir_memory_pressure",
            Kind::Gauge,
            "0 while memory is below its mark, 1 above it, 2 a tenth above it.",
        )
        .sample(&[], gateway.memory_pressure());
    exposition
        .family("weir_bans", Kind::Counter, "Addresses banned.")
        .sample(&[], gateway.bans_given());
    exposition
        .family("weir_bans_active", Kind::Gauge, "Addresses banned now.")
        .sample(&[], gateway.bans_active());
}
