//! `/metrics`: the workers' counters, added up when they are asked for.
//!
//! Names are OpenTelemetry's where it has one, in Prometheus' spelling. Nothing a client sends
//! becomes a label: the number of series is bounded by the configuration.

mod certificates;
mod discovery;
mod exposition;
mod grpc;
mod health;
mod identity;
mod overload;
pub(super) mod process;
mod resilience;
mod shaping;
mod telemetry;
mod traffic;
mod transform;
mod validation;
mod websocket;

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use weir_gateway::metrics::{
    Counter, DURATION_BUCKETS, RouteCounters, TargetCounters, WorkerCounters,
};
use weir_gateway::reason::REASONS;
use weir_gateway::{Alteration, Gateway, Refusal, Snapshot, Target, Version};

use super::{Shared, SharedState};
use crate::deeds::Deeds;
use crate::records::{Condition, Keeper};
use exposition::{Exposition, Format, Kind};

/// Stands for requests that no route took; names of routes begin with a letter or a digit.
const UNROUTED: &str = "_unrouted";
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) async fn show(State(shared): SharedState, headers: HeaderMap) -> Response {
    let accept = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|field| field.to_str().ok());
    let format = Format::negotiate(&accept.collect::<Vec<_>>().join(","));
    let text = collect(&shared, format);
    ([(CONTENT_TYPE, format.media_type())], text).into_response()
}

fn collect(shared: &Shared, format: Format) -> String {
    let mut exposition = Exposition::new(format);
    let gateway = &shared.node.gateway;
    let snapshot = gateway.snapshot();
    requests(&mut exposition, &snapshot);
    grpc::collect(&mut exposition, &snapshot);
    websocket::collect(&mut exposition, &snapshot);
    workers(&mut exposition, gateway);
    shaping::collect(&mut exposition, gateway);
    transform::collect(&mut exposition, &snapshot);
    overload::collect(&mut exposition, gateway);
    upstreams(&mut exposition, &snapshot);
    health::collect(&mut exposition, &snapshot);
    discovery::collect(&mut exposition, &shared.node.discoverer);
    identity::collect(&mut exposition, gateway, &snapshot);
    identity::issuers(&mut exposition, &shared.node.issuers);
    traffic::collect(&mut exposition, &snapshot, gateway.traffic());
    resilience::collect(&mut exposition, &snapshot);
    validation::collect(&mut exposition, &snapshot);
    configuration(&mut exposition, shared);
    certificates::collect(&mut exposition, &snapshot);
    telemetry::collect(&mut exposition, &shared.telemetry);
    records(&mut exposition, &shared.keeper);
    deeds(&mut exposition, &shared.deeds);
    process::collect(&mut exposition);
    exposition
        .family("weir_build", Kind::Info, "What was built.")
        .sample(&[("version", super::VERSION), ("commit", super::COMMIT)], 1);
    exposition.finish()
}

fn sum<'a, T: 'a>(
    workers: impl IntoIterator<Item = &'a T>,
    counter: impl Fn(&T) -> &Counter,
) -> u64 {
    workers
        .into_iter()
        .map(|worker| counter(worker).get())
        .sum()
}

fn requests(exposition: &mut Exposition, snapshot: &Snapshot) {
    let routes: Vec<(&str, &[RouteCounters])> = snapshot
        .route_reports()
        .map(|report| (report.name.unwrap_or(UNROUTED), report.counters))
        .collect();
    let mut family = exposition.family(
        "http_server_request_duration_seconds",
        Kind::Histogram,
        "Time from a request's head to the last byte of its answer.",
    );
    for (route, counters) in &routes {
        let buckets: Vec<u64> = (0..=DURATION_BUCKETS.len())
            .map(|at| sum(*counters, |worker: &RouteCounters| &worker.durations[at]))
            .collect();
        let nanos = sum(*counters, |worker: &RouteCounters| &worker.duration_nanos);
        let seconds = nanos as f64 / 1e9;
        family.histogram(
            &[("http_route", route)],
            &DURATION_BUCKETS,
            &buckets,
            seconds,
        );
    }
    let mut family = exposition.family(
        "http_server_requests",
        Kind::Counter,
        "Requests by class of the answer's status.",
    );
    for (route, counters) in &routes {
        for (at, class) in CLASSES.iter().enumerate() {
            family.sample(
                &[("http_route", route), ("http_response_status_class", class)],
                sum(*counters, |worker: &RouteCounters| &worker.by_class[at]),
            );
        }
    }
    let mut bytes = |name, help, counter: fn(&RouteCounters) -> &Counter| {
        let mut family = exposition.family(name, Kind::Counter, help);
        for (route, counters) in &routes {
            family.sample(&[("http_route", route)], sum(*counters, counter));
        }
    };
    bytes(
        "http_server_request_body_bytes",
        "Bytes of request bodies.",
        |route| &route.received,
    );
    bytes(
        "http_server_response_body_bytes",
        "Bytes of response bodies.",
        |route| &route.sent,
    );
}

fn workers(exposition: &mut Exposition, gateway: &Gateway) {
    let total =
        |counter: &dyn Fn(&WorkerCounters) -> &Counter| sum(gateway.worker_counters(), counter);
    let mut family = exposition.family(
        "weir_answers",
        Kind::Counter,
        "Answers made by the gateway or cut short, by reason and by the setting that decided.",
    );
    for (at, reason) in REASONS.iter().enumerate() {
        let setting = reason.decider.pattern();
        let mut labels = vec![("reason", reason.word)];
        labels.extend(setting.as_deref().map(|setting| ("decided_by", setting)));
        family.sample(&labels, total(&|worker| &worker.by_reason[at]));
    }
    let mut family = exposition.family(
        "weir_altered",
        Kind::Counter,
        "Requests of which, or of whose answers, something was changed.",
    );
    for (at, alteration) in Alteration::ALL.iter().enumerate() {
        family.sample(
            &[("by", alteration.word())],
            total(&|worker| &worker.altered[at]),
        );
    }
    let mut family = exposition.family(
        "weir_requests",
        Kind::Counter,
        "Requests by the client's version of HTTP.",
    );
    for (at, version) in Version::ALL.iter().enumerate() {
        family.sample(
            &[("network_protocol_version", version.as_str())],
            total(&|worker| &worker.by_version[at]),
        );
    }
    let mut counter = |name, help, counter: fn(&WorkerCounters) -> &Counter| {
        exposition
            .family(name, Kind::Counter, help)
            .sample(&[], total(&counter));
    };
    counter(
        "weir_connections_accepted",
        "Client connections accepted.",
        |worker| &worker.accepted,
    );
    counter(
        "weir_handshakes_failed",
        "TLS and PROXY protocol handshakes that failed.",
        |worker| &worker.handshakes_failed,
    );
    counter(
        "weir_upstream_retries",
        "Attempts that were repeats.",
        |worker| &worker.retries,
    );
    counter(
        "weir_access_records_dropped",
        "Requests missing in the access log because it could not keep up.",
        |worker| &worker.records_dropped,
    );
    counter(
        "weir_header_values_dropped",
        "Header values that a rule made and that were not valid.",
        |worker| &worker.header_values_dropped,
    );
    counter(
        "weir_trace_records_dropped",
        "Traced requests that are not exported because the exporter could not keep up.",
        |worker| &worker.traces_dropped,
    );
    let mut family = exposition.family(
        "weir_connections_refused",
        Kind::Counter,
        "Client connections that ended before they brought a request, by reason.",
    );
    for (at, refusal) in Refusal::ALL.iter().enumerate() {
        family.sample(
            &[("reason", refusal.reason())],
            total(&|worker| &worker.refused[at]),
        );
    }
    exposition
        .family(
            "weir_connections_open",
            Kind::Gauge,
            "Client connections open now.",
        )
        .sample(&[], gateway.connections());
}

fn records(exposition: &mut Exposition, keeper: &Keeper) {
    let is_available = keeper.condition() == Condition::Available;
    exposition
        .family(
            "weir_records_available",
            Kind::Gauge,
            "Whether records can be read and changed: 1 or 0.",
        )
        .sample(
            &[("engine", keeper.records().engine().name())],
            u64::from(is_available),
        );
}

fn deeds(exposition: &mut Exposition, deeds: &Deeds) {
    exposition
        .family(
            "weir_audit_pending",
            Kind::Gauge,
            "Changes of the process that the audit does not have yet.",
        )
        .sample(&[], deeds.pending());
    exposition
        .family(
            "weir_audit_lost",
            Kind::Counter,
            "Changes of the process that only the log has.",
        )
        .sample(&[], deeds.lost());
}

fn upstreams(exposition: &mut Exposition, snapshot: &Snapshot) {
    let targets = targets(snapshot);
    let mut each = |name, kind, help, counter: Select| {
        let mut family = exposition.family(name, kind, help);
        for (upstream, target) in &targets {
            let labels = [("upstream", *upstream), ("target", &*target.authority)];
            family.sample(&labels, sum(&*target.counters, counter));
        }
    };
    each(
        "weir_upstream_requests",
        Kind::Counter,
        "Attempts sent to a target.",
        |target| &target.requests,
    );
    each(
        "weir_upstream_requests_failed",
        Kind::Counter,
        "Attempts that brought no response.",
        |target| &target.failed,
    );
    each(
        "weir_upstream_answers_cut",
        Kind::Counter,
        "Answers that broke off or stalled after their head.",
        |target| &target.cut,
    );
    each(
        "weir_upstream_in_flight",
        Kind::Gauge,
        "Attempts under way now.",
        |target| &target.in_flight,
    );
    latencies(exposition, snapshot);
    let mut family = exposition.family(
        "weir_upstream_connections",
        Kind::Counter,
        "Connections made and failed, and attempts that went over a connection used before.",
    );
    for (upstream, target) in &targets {
        let outcomes: [(&str, Select); 3] = [
            ("made", |target| &target.connected),
            ("reused", |target| &target.reused),
            ("failed", |target| &target.connect_failed),
        ];
        for (outcome, counter) in outcomes {
            let labels = [
                ("upstream", *upstream),
                ("target", &*target.authority),
                ("outcome", outcome),
            ];
            family.sample(&labels, sum(&*target.counters, counter));
        }
    }
}

/// How long targets take, as answered and as balancing reckons.
fn latencies(exposition: &mut Exposition, snapshot: &Snapshot) {
    let mut family = exposition.family(
        "weir_upstream_latency_seconds",
        Kind::Gauge,
        "Time to a response's head of late: `mean` of what was answered, `ewma` that balancing decides by.",
    );
    for (upstream, target) in targets(snapshot) {
        let mut configured = snapshot.config.upstreams.iter();
        let balance = configured
            .find(|config| config.name == upstream)
            .map(|config| &config.balance);
        let ewma = balance.and_then(super::upstreams::ewma);
        let mean: Select = |target| &target.latency_nanos;
        let averages = [("mean", Some(mean)), ("ewma", ewma)];
        for (average, select) in averages {
            let Some(select) = select else { continue };
            let millis = super::upstreams::mean_ms(&target.counters, select);
            let labels = [
                ("upstream", upstream),
                ("target", &*target.authority),
                ("average", average),
            ];
            family.sample(&labels, millis.unwrap_or_default() / 1e3);
        }
    }
}

/// One of a target's counters.
type Select = fn(&TargetCounters) -> &Counter;

/// A server that an upstream lists twice is one target, and one series.
fn targets(snapshot: &Snapshot) -> Vec<(&str, Arc<Target>)> {
    let mut seen = HashSet::new();
    let mut targets = Vec::new();
    for upstream in snapshot.upstream_reports() {
        for member in upstream.members {
            if seen.insert((upstream.name, member.target.identity)) {
                targets.push((upstream.name, member.target));
            }
        }
    }
    targets
}

fn configuration(exposition: &mut Exposition, shared: &Shared) {
    use std::sync::atomic::Ordering::Relaxed;
    let node = &shared.node;
    exposition
        .family(
            "weir_config_revision",
            Kind::Gauge,
            "Number of the revision in effect.",
        )
        .sample(&[], node.revision().number);
    let mut reloads = exposition.family(
        "weir_config_reloads",
        Kind::Counter,
        "Changes of the configuration.",
    );
    reloads.sample(
        &[("outcome", "applied")],
        node.reloads_applied.load(Relaxed),
    );
    reloads.sample(
        &[("outcome", "rejected")],
        node.reloads_rejected.load(Relaxed),
    );
    exposition
        .family(
            "weir_config_last_reload_successful",
            Kind::Gauge,
            "1 unless the configuration was refused when it was last read.",
        )
        .sample(&[], u8::from(node.rejection().is_none()));
    exposition
        .family(
            "weir_early_ends",
            Kind::Counter,
            "How often something that runs beside traffic ended early and was begun anew.",
        )
        .sample(&[], node.early_ends.load(Relaxed));
    let running = node.running();
    exposition
        .family(
            "weir_config_resources_revision",
            Kind::Gauge,
            "Number of the revision of resources that is in effect, 0 before the first.",
        )
        .sample(&[], running.revision);
    exposition
        .family(
            "weir_config_resources_refused",
            Kind::Gauge,
            "1 while a later revision of resources cannot be put into effect, or some are left out.",
        )
        .sample(
            &[],
            u8::from(running.refused.is_some() || !running.left_out.is_empty()),
        );
    exposition
        .family(
            "weir_config_resources_left_out",
            Kind::Gauge,
            "How many resources this node cannot use and runs without.",
        )
        .sample(&[], running.left_out.len());
}

#[cfg(test)]
mod tests;
