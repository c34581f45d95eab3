//! `/v1/upstreams`: groups of servers and how each of them fares.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use weir_config::model::{self, HashKey};
use weir_discovery::Status;
use weir_gateway::metrics::{Counter, TargetCounters};
use weir_gateway::{Member, UpstreamReport};

use super::SharedState;
use super::health::Health;
use crate::log::timestamp::rfc3339;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery: Option<Discovery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<BreakerStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<ConcurrencyStatus>,
    targets: Vec<TargetStatus<'a>>,
}

/// How the source of the targets fares.
#[derive(Serialize)]
struct Discovery {
    source: &'static str,
    /// Null before the first answer of this process.
    last_success: Option<String>,
    last_change: Option<String>,
    /// What is wrong with it, if something is: then the last known targets are in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_since: Option<String>,
    /// Numbers by reason, those that are not 0.
    left_out: BTreeMap<&'static str, usize>,
}

impl From<Status> for Discovery {
    fn from(status: Status) -> Self {
        let reasons = status.left_out.reasons().into_iter();
        let (error, error_since) = match status.lost {
            Some(lost) => (Some(lost.error), Some(rfc3339(lost.since))),
            None => (None, None),
        };
        Self {
            source: status.source,
            last_success: status.last_success.map(rfc3339),
            last_change: status.last_change.map(rfc3339),
            error,
            error_since,
            left_out: reasons.filter(|(_, number)| *number > 0).collect(),
        }
    }
}

#[derive(Serialize)]
struct BreakerStatus {
    state: &'static str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct ConcurrencyStatus {
    limit: u32,
    in_use: u32,
    queued: u32,
}

#[derive(Serialize)]
struct TargetStatus<'a> {
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    weight: u32,
    in_flight: u64,
    /// Null before the first response.
    latency_ms: Option<f64>,
    /// What balancing decides by; null before the first news, and where latency does not matter.
    ewma_ms: Option<f64>,
    requests: u64,
    failed: u64,
    cut: u64,
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
    let mut sources = shared.node.discoverer.status();
    let upstreams = reports
        .iter()
        .zip(configured)
        .map(|(report, config)| describe(report, config, sources.remove(report.name)));
    super::json(&Upstreams {
        upstreams: upstreams.collect(),
    })
}

/// Reports and configuration have the same order.
fn describe<'a>(
    report: &'a UpstreamReport<'a>,
    config: &'a model::Upstream,
    source: Option<Status>,
) -> Upstream<'a> {
    Upstream {
        name: report.name,
        balance: config.balance.name(),
        hash: config.balance.key().map(describe_key),
        sticky: config.sticky.as_ref().map(|sticky| sticky.name.as_str()),
        is_panicking: report.is_panicking,
        discovery: source.map(Discovery::from),
        breaker: config.breaker.as_ref().map(|_| BreakerStatus {
            state: report.breaker.phase.as_str(),
            since: rfc3339(report.breaker.since),
            reason: report.breaker.reason.clone(),
        }),
        concurrency: config
            .concurrency
            .as_ref()
            .map(|settings| ConcurrencyStatus {
                limit: settings.limit,
                in_use: report.load.in_use,
                queued: report.load.queued,
            }),
        targets: report
            .members
            .iter()
            .map(|member| describe_target(member, &config.balance))
            .collect(),
    }
}

fn describe_key(key: &HashKey) -> Value {
    match key {
        HashKey::Address | HashKey::Path => json!(key.name()),
        HashKey::Header(name) => json!({ key.name(): name.as_str() }),
        HashKey::Cookie(name) => json!({ key.name(): name }),
    }
}

fn describe_target<'a>(member: &'a Member, balance: &model::Balance) -> TargetStatus<'a> {
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
        latency_ms: mean_ms(&target.counters, |counters| &counters.latency_nanos),
        ewma_ms: ewma(balance).and_then(|ewma| mean_ms(&target.counters, ewma)),
        requests: sum(|counters| &counters.requests),
        failed: sum(|counters| &counters.failed),
        cut: sum(|counters| &counters.cut),
        connections: Connections {
            made: sum(|counters| &counters.connected),
            reused: sum(|counters| &counters.reused),
            failed: sum(|counters| &counters.connect_failed),
        },
        health: member.state.health().into(),
    }
}

/// The average that an algorithm decides by, if it asks for latency.
pub(super) fn ewma(balance: &model::Balance) -> Option<fn(&TargetCounters) -> &Counter> {
    match balance {
        model::Balance::LeastRequest => Some(|counters| &counters.mean_nanos),
        model::Balance::PeakEwma => Some(|counters| &counters.peak_nanos),
        model::Balance::RoundRobin | model::Balance::ConsistentHash(_) => None,
    }
}

/// The mean of what workers see, those that asked the target at all.
pub(super) fn mean_ms(
    counters: &[TargetCounters],
    nanos: fn(&TargetCounters) -> &Counter,
) -> Option<f64> {
    let seen: Vec<u64> = counters
        .iter()
        .map(|worker| nanos(worker).get())
        .filter(|nanos| *nanos > 0)
        .collect();
    let sum: u64 = seen.iter().sum();
    // Microseconds are as fine as anyone reads.
    (!seen.is_empty()).then(|| (sum as f64 / seen.len() as f64 / 1e3).round() / 1e3)
}
