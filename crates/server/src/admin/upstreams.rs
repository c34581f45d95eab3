//! `/v1/upstreams`: groups of servers and how each of them fares.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use weir_config::model::{self, HashKey};
use weir_gateway::metrics::{Counter, TargetCounters};
use weir_gateway::{Member, UpstreamReport};

use super::SharedState;
use super::health::Health;

#[derive(Serialize)]
struct Upstreams<'a> {
    upstreams: Vec<Upstream<'a>>,
}

#[derive(Serialize)]
struct Upstream<'a> {
    name: &'a str,
    balance: &'static str,
    /// As the file has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<Value>,
    /// The sticky cookie's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    sticky: Option<&'a str>,
    #[serde(rename = "panic")]
    is_panicking: bool,
    targets: Vec<TargetStatus<'a>>,
}

#[derive(Serialize)]
struct TargetStatus<'a> {
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    weight: u32,
    in_flight: u64,
    requests: u64,
    failed: u64,
    connections: Connections,
    health: Health,
}

#[derive(Serialize)]
struct Connections {
    made: u64,
    reused: u64,
    failed: u64,
}

pub(super) async fn list(State(shared): SharedState) -> Response {
    let snapshot = shared.node.gateway.snapshot();
    let configured = snapshot.config.upstreams.iter();
    let reports: Vec<UpstreamReport<'_>> = snapshot.upstream_reports().collect();
    let upstreams = reports
        .iter()
        .zip(configured)
        .map(|(report, config)| describe(report, config));
    super::json(&Upstreams {
        upstreams: upstreams.collect(),
    })
}

/// Reports and configuration have the same order.
fn describe<'a>(report: &'a UpstreamReport<'a>, config: &'a model::Upstream) -> Upstream<'a> {
    Upstream {
        name: report.name,
        balance: config.balance.name(),
        hash: config.balance.key().map(describe_key),
        sticky: config.sticky.as_ref().map(|sticky| sticky.name.as_str()),
        is_panicking: report.is_panicking,
        targets: report.members.iter().map(describe_target).collect(),
    }
}

fn describe_key(key: &HashKey) -> Value {
    match key {
        HashKey::Address | HashKey::Path => json!(key.name()),
        HashKey::Header(name) => json!({ key.name(): name.as_str() }),
        HashKey::Cookie(name) => json!({ key.name(): name }),
    }
}

fn describe_target(member: &Member) -> TargetStatus<'_> {
    let target = &member.target;
    let sum = |counter: fn(&TargetCounters) -> &Counter| -> u64 {
        target
            .counters
            .iter()
            .map(|worker| counter(worker).get())
            .sum()
    };
    TargetStatus {
        address: &target.authority,
        zone: member.zone.as_deref(),
        weight: member.weight,
        in_flight: sum(|counters| &counters.in_flight),
        requests: sum(|counters| &counters.requests),
        failed: sum(|counters| &counters.failed),
        connections: Connections {
            made: sum(|counters| &counters.connected),
            reused: sum(|counters| &counters.reused),
            failed: sum(|counters| &counters.connect_failed),
        },
        health: member.state.health().into(),
    }
}
