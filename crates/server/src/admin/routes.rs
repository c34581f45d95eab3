//! `/v1/routes`: what each route takes, does and has done.

use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weir_config::Config;
use weir_config::model::{self, Action, ClaimRule, Destination, Match, ValueMatch};
use weir_config::pattern::HostPattern;
use weir_core::secret::tells_of_secret;
use weir_gateway::metrics::{DURATION_BUCKETS, RouteCounters};

use super::SharedState;

#[derive(Serialize)]
struct Routes<'a> {
    /// Upper bounds of the classes of durations, but for the last one, which has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_bounds_ms: Option<Vec<f64>>,
    routes: Vec<Route<'a>>,
    /// Requests that no route took.
    unrouted: Served,
}

#[derive(Serialize)]
struct Route<'a> {
    name: &'a str,
    r#match: Value,
    policies: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    /// Upstreams with their weights in the file; how they are now is `/v1/traffic`'s to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<Value>,
    /// Parts of an aggregate and who is asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregate: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<Redirect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    respond: Option<Value>,
    #[serde(flatten)]
    served: Served,
}

#[derive(Serialize)]
struct Redirect {
    to: String,
    status: u16,
}

/// What came of a route's requests.
#[derive(Default, Serialize)]
struct Served {
    requests: Requests,
    /// Null before the first request.
    mean_duration_ms: Option<f64>,
    /// Requests by class of duration, if they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    durations: Option<Vec<u64>>,
}

#[derive(Default, Serialize)]
struct Requests {
    total: u64,
    #[serde(rename = "1xx")]
    informational: u64,
    #[serde(rename = "2xx")]
    successful: u64,
    #[serde(rename = "3xx")]
    redirected: u64,
    #[serde(rename = "4xx")]
    client_error: u64,
    #[serde(rename = "5xx")]
    server_error: u64,
}

impl Served {
    fn sum(counters: &[RouteCounters]) -> Self {
        let class = |at: usize| {
            counters
                .iter()
                .map(|worker| worker.by_class[at].get())
                .sum()
        };
        let mut requests = Requests {
            total: 0,
            informational: class(0),
            successful: class(1),
            redirected: class(2),
            client_error: class(3),
            server_error: class(4),
        };
        requests.total = requests.informational
            + requests.successful
            + requests.redirected
            + requests.client_error
            + requests.server_error;
        let nanos: u64 = counters
            .iter()
            .map(|worker| worker.duration_nanos.get())
            .sum();
        let mean = nanos as f64 / 1e6 / requests.total as f64;
        // Microseconds are as fine as anyone reads.
        let mean_duration_ms = (requests.total > 0).then(|| (mean * 1e3).round() / 1e3);
        Self {
            requests,
            mean_duration_ms,
            durations: None,
        }
    }

    fn with_durations(self, counters: &[RouteCounters]) -> Self {
        let class = |at: usize| -> u64 {
            let workers = counters.iter();
            workers.map(|worker| worker.durations[at].get()).sum()
        };
        Self {
            durations: Some((0..=DURATION_BUCKETS.len()).map(class).collect()),
            ..self
        }
    }
}

/// What is wanted beyond the usual.
#[derive(Deserialize)]
pub(super) struct Wish {
    durations: Option<String>,
}

pub(super) async fn list(State(shared): SharedState, Query(wish): Query<Wish>) -> Response {
    let wants_durations = wish.durations.is_some_and(|value| value != "false");
    let snapshot = shared.node.gateway.snapshot();
    let config = &*snapshot.config;
    let mut routes = Vec::with_capacity(config.routes.len());
    let mut unrouted = Served::default();
    // Reports are in the configuration's order; the one without a route is the last.
    let mut configured = config.routes.iter();
    for report in snapshot.route_reports() {
        let mut served = Served::sum(report.counters);
        if wants_durations {
            served = served.with_durations(report.counters);
        }
        match configured.next() {
            Some(route) => routes.push(describe(config, route, served)),
            None => unrouted = served,
        }
    }
    let bounds = DURATION_BUCKETS.map(|seconds| seconds * 1e3);
    super::json(&Routes {
        duration_bounds_ms: wants_durations.then(|| bounds.to_vec()),
        routes,
        unrouted,
    })
}

fn describe<'a>(config: &'a Config, route: &'a model::Route, served: Served) -> Route<'a> {
    let upstream = |at: usize| config.upstreams[at].name.as_str();
    let (to, mirror, redirect, status) = match &route.action {
        Action::Forward { to, mirror, .. } => (Some(to), mirror.as_ref(), None, None),
        Action::Redirect { to, status } => {
            let (to, status) = (to.to_string(), status.as_u16());
            (None, None, Some(Redirect { to, status }), None)
        }
        Action::Respond(respond) => (None, None, None, Some(respond.status.as_u16())),
        Action::Aggregate(_) => (None, None, None, None),
    };
    let aggregate = match &route.action {
        Action::Aggregate(aggregate) => {
            let part = |part: &model::Part| (part.name.clone(), upstream(part.upstream).into());
            let parts: Map<String, Value> = aggregate.parts.iter().map(part).collect();
            Some(json!({ "parts": parts }))
        }
        _ => None,
    };
    let side = |backend: &model::Backend| json!({ "upstream": upstream(backend.upstream), "weight": backend.weight });
    let (single, split) = match to {
        Some(Destination::Upstream(at)) => (Some(upstream(*at)), None),
        Some(Destination::Split(split)) => (None, Some(split.backends.iter().map(side).collect())),
        None => (None, None),
    };
    Route {
        name: &route.name,
        r#match: match_value(&route.matcher),
        policies: route
            .policies
            .iter()
            .map(|at| config.policies[*at].name.as_str())
            .collect(),
        upstream: single,
        split,
        mirror: mirror.map(
            |mirror| json!({ "upstream": upstream(mirror.upstream), "percent": mirror.share.percent() }),
        ),
        aggregate,
        redirect,
        respond: status.map(|status| json!({ "status": status })),
        served,
    }
}

/// As in the configuration; what it does not state is left out.
fn match_value(matcher: &Match) -> Value {
    let mut value = Map::new();
    let mut list = |key: &str, items: Vec<String>| {
        if !items.is_empty() {
            value.insert(key.to_owned(), items.into());
        }
    };
    list("host", matcher.hosts.iter().map(host_text).collect());
    list(
        "path",
        matcher
            .paths
            .iter()
            .map(|path| path.as_str().to_owned())
            .collect(),
    );
    list(
        "methods",
        matcher.methods.iter().map(ToString::to_string).collect(),
    );
    let headers = matcher
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    let query = matcher
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value));
    for (key, conditions) in [
        ("headers", conditions(headers)),
        ("query", conditions(query)),
    ] {
        if !conditions.is_empty() {
            value.insert(key.to_owned(), conditions.into());
        }
    }
    if !matcher.claims.is_empty() {
        value.insert("claims".to_owned(), claims(&matcher.claims).into());
    }
    value.into()
}

fn host_text(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
    }
}

fn claims(rules: &[ClaimRule]) -> Map<String, Value> {
    let values = |rule: &ClaimRule| match rule.values.as_slice() {
        [] => json!("*"),
        values => json!(values),
    };
    rules
        .iter()
        .map(|rule| (rule.claim.text.clone(), values(rule)))
        .collect()
}

fn conditions<'a>(
    conditions: impl Iterator<Item = (&'a str, &'a ValueMatch)>,
) -> Map<String, Value> {
    conditions
        .map(|(name, value)| (name.to_owned(), condition(name, value)))
        .collect()
}

fn condition(name: &str, value: &ValueMatch) -> Value {
    let shown = |text: &'_ str| {
        if tells_of_secret(name) {
            "[redacted]".to_owned()
        } else {
            text.to_owned()
        }
    };
    match value {
        ValueMatch::Present => json!({ "present": true }),
        ValueMatch::Absent => json!({ "present": false }),
        ValueMatch::Exact(text) => shown(text).into(),
        ValueMatch::Prefix(text) => json!({ "prefix": shown(text) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_config::model::ClaimPath;
    use weir_config::template::{Part, Template, Variable};
    use weir_core::Secret;

    #[test]
    fn a_match_is_shown_as_written_but_for_credentials() {
        let matcher = Match {
            hosts: vec![HostPattern::Wildcard("example.com".into())],
            paths: Vec::new(),
            methods: vec![http::Method::GET],
            headers: vec![
                (
                    http::header::AUTHORIZATION,
                    ValueMatch::Exact("Bearer canary".into()),
                ),
                (http::header::ACCEPT, ValueMatch::Prefix("text/".into())),
            ],
            query: vec![
                ("debug".into(), ValueMatch::Absent),
                ("api_key".into(), ValueMatch::Prefix("canary".into())),
            ],
            claims: vec![
                ClaimRule {
                    claim: ClaimPath::top("plan"),
                    values: vec!["gold".into(), "silver".into()],
                },
                ClaimRule {
                    claim: ClaimPath::top("tenant"),
                    values: Vec::new(),
                },
            ],
        };
        let expected = json!({
            "host": ["*.example.com"],
            "methods": ["GET"],
            "headers": { "authorization": "[redacted]", "accept": { "prefix": "text/" } },
            "query": { "debug": { "present": false }, "api_key": { "prefix": "[redacted]" } },
            "claims": { "plan": ["gold", "silver"], "tenant": "*" },
        });
        assert_eq!(match_value(&matcher), expected);
        assert_eq!(match_value(&Match::default()), json!({}));
    }

    #[test]
    fn a_redirect_is_shown_with_its_variables() {
        let template = Template {
            parts: vec![
                Part::Literal("https://example.com/".into()),
                Part::Variable(Variable::PathCapture("id".into())),
                Part::Literal("?from=".into()),
                Part::Variable(Variable::RequestHost),
                Part::Secret(Secret::new("canary-7f3a".into())),
            ],
        };
        assert_eq!(
            template.to_string(),
            "https://example.com/{path.id}?from={request.host}[redacted]"
        );
    }
}
