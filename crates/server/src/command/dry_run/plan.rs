//! What a route does with a request, worked out with the gateway's own functions.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use weir_config::model::{
    self, Action, Balance, Config, HeaderPolicy, HeaderRules, HostHeader, PolicyKind, Route,
    Upstream,
};
use weir_config::template::{Part, Template, Variable};
use weir_core::RequestId;
use weir_core::secret::tells_of_secret;
use weir_gateway::hop::{self, ForwardingCache, ForwardingInfo};
use weir_gateway::render::RenderContext;
use weir_gateway::rewrite;
use weir_gateway::router::{Captures, Router};
use weir_gateway::{Failure, preflight};

use super::question::Request;
use super::traffic::{Copies, Shares, chosen};

/// Whom the request is taken to come from.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What happens to a request that a route takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) route: String,
    /// The route's place in the file, from 0.
    pub(super) index: usize,
    /// In the order in which they act, which is that of their kinds first.
    pub(super) policies: Vec<Policy>,
    pub(super) towards: Towards,
    /// Header changes on the way to the upstream.
    pub(super) request_headers: Vec<Change>,
    /// Header changes on the way to the client.
    pub(super) response_headers: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) kind: Cow<'static, str>,
}

/// Where the answer comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Towards {
    Upstream {
        name: String,
        balance: Cow<'static, str>,
        /// What the consistent hash is of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
        /// The cookie by which a client comes back to its target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sticky: Option<String>,
        targets: Vec<String>,
        /// Path and query as the target gets them.
        path: String,
        host: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        split: Option<Box<Shares>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mirror: Option<Copies>,
    },
    /// Requests to several upstreams, whose answers become one.
    Aggregate {
        parts: Vec<Ask>,
    },
    Redirect {
        status: u16,
        location: String,
    },
    /// Weir's own answer to a preflight.
    Preflight {
        policy: String,
    },
    /// The configuration's own answer.
    Answer {
        status: u16,
        /// Of its body.
        bytes: usize,
    },
    /// Weir answers that it will not.
    Refusal {
        status: u16,
        /// The word of the problem answer and the log.
        reason: Cow<'static, str>,
        /// What the log adds.
        cause: Option<Cow<'static, str>>,
    },
}

/// One part of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) name: String,
    pub(super) upstream: String,
    /// Path and query as the target gets them.
    pub(super) path: String,
    pub(super) required: bool,
}

/// One header change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// `remove`, `set` or `add`.
    pub(super) operation: Cow<'static, str>,
    pub(super) name: String,
    /// `None` with `remove`, and for a value that is not sent.
    pub(super) value: Option<String>,
    /// Who changes it.
    pub(super) from: String,
}

impl Plan {
    /// The plan of the route at `index`, which takes the request.
    pub(super) fn new(index: usize, request: &Request, config: &Config) -> Self {
        let route = &config.routes[index];
        let found =
            Router::compile(&config.routes).find_as(&request.route_request(), request.caller());
        let captures = found.map(|found| found.captures).unwrap_or_default();
        let context = context(request, config, route, &captures);
        let policies: Vec<&model::Policy> = route
            .policies
            .iter()
            .map(|policy| &config.policies[*policy])
            .collect();
        let writer = Writer { context: &context };

        let of_action = || match &route.action {
            Action::Forward {
                to, rewrite, host, ..
            } => {
                let upstream = &config.upstreams[chosen(to, &request.fields)];
                match forwarded_path(request, rewrite.as_ref(), &context) {
                    Ok(path) => Towards::Upstream {
                        name: upstream.name.clone(),
                        balance: balance(&upstream.balance).into(),
                        hash: upstream.balance.key().map(ToString::to_string),
                        sticky: upstream.sticky.as_ref().map(|cookie| cookie.name.clone()),
                        targets: upstream.targets.iter().map(target).collect(),
                        path,
                        host: host_sent(host, request, upstream),
                        split: Shares::of(to, &request.fields, config).map(Box::new),
                        mirror: Copies::of(&route.action, config),
                    },
                    Err(error) => refusal(error),
                }
            }
            Action::Aggregate(aggregate) => match parts(aggregate, config, &context) {
                Ok(parts) => Towards::Aggregate { parts },
                Err(error) => refusal(error),
            },
            Action::Redirect { to, status } => match rewrite::location(to, &context) {
                Ok(location) => Towards::Redirect {
                    status: status.as_u16(),
                    location: shown(&location),
                },
                Err(error) => refusal(error),
            },
            Action::Respond(respond) => Towards::Answer {
                status: respond.status.as_u16(),
                bytes: respond.body.len(),
            },
        };
        let towards = own_answer(request, config, route).unwrap_or_else(of_action);
        let mut request_headers = Vec::new();
        let mut response_headers = Vec::new();
        if matches!(
            towards,
            Towards::Upstream { .. } | Towards::Aggregate { .. }
        ) {
            request_headers = forwarding(request, config);
            for (from, rules) in rules(&policies, route) {
                writer.push_changes(&mut request_headers, &rules.request, &from);
            }
        }
        // Neither refusals nor preflights pass rules.
        if !matches!(towards, Towards::Refusal { .. } | Towards::Preflight { .. }) {
            for (from, rules) in rules(&policies, route) {
                writer.push_changes(&mut response_headers, &rules.response, &from);
            }
        }
        Self {
            route: route.name.clone(),
            index,
            policies: described(&policies),
            towards,
            request_headers,
            response_headers,
        }
    }
}

fn parts(
    aggregate: &model::Aggregate,
    config: &Config,
    context: &RenderContext<'_>,
) -> Result<Vec<Ask>, rewrite::RewriteError> {
    let plan = |part: &model::Part| {
        let upstream = &config.upstreams[part.upstream].name;
        let mut path = String::new();
        let context = RenderContext {
            upstream_name: upstream,
            ..*context
        };
        rewrite::rewrite_alone(&part.path, &context, &mut path)?;
        Ok(Ask {
            name: part.name.clone(),
            upstream: upstream.clone(),
            path,
            required: part.is_required,
        })
    };
    aggregate.parts.iter().map(plan).collect()
}

fn refusal(error: rewrite::RewriteError) -> Towards {
    refused(Failure::BadPath(error.reason()))
}

fn refused(failure: Failure) -> Towards {
    Towards::Refusal {
        status: failure.status().as_u16(),
        reason: failure.reason().into(),
        cause: failure.cause().map(Into::into),
    }
}

/// The `cors` policy of a route, and its name.
pub(super) fn cors<'c>(route: &Route, config: &'c Config) -> Option<(&'c str, &'c model::Cors)> {
    let mut policies = route.policies.iter().map(|at| &config.policies[*at]);
    policies.find_map(|policy| match &policy.kind {
        PolicyKind::Cors(cors) => Some((&*policy.name, &**cors)),
        _ => None,
    })
}

/// What is answered whatever the route does.
fn own_answer(request: &Request, config: &Config, route: &Route) -> Option<Towards> {
    let asked = preflight::asked_method(&request.method, &request.fields);
    if let Some(asked) = asked
        && let Some((policy, cors)) = cors(route, config)
    {
        return Some(match preflight::judge(cors, &asked, &request.fields) {
            Ok(()) => Towards::Preflight {
                policy: policy.to_owned(),
            },
            Err(failure) => refused(failure),
        });
    }
    let is_taken = matches!(request.method, Method::GET | Method::HEAD);
    let is_aggregate = matches!(route.action, Action::Aggregate(_));
    (is_aggregate && !is_taken).then(|| refused(Failure::MethodNotAllowed))
}

fn described(policies: &[&model::Policy]) -> Vec<Policy> {
    let rank = |policy: &&model::Policy| match policy.kind {
        PolicyKind::Cors(_) => 0,
        PolicyKind::Jwt(_)
        | PolicyKind::Introspection(_)
        | PolicyKind::ApiKey(_)
        | PolicyKind::Session(_)
        | PolicyKind::Basic(_)
        | PolicyKind::Mtls(_)
        | PolicyKind::Signature(_)
        | PolicyKind::Hmac(_)
        | PolicyKind::AnyOf(_) => 1,
        PolicyKind::Require(_) => 2,
        PolicyKind::Validate(_) => 3,
        PolicyKind::Transform(_) => 4,
        PolicyKind::Identity(_) => 5,
        PolicyKind::SecurityHeaders(_) => 6,
        PolicyKind::Headers(_) => 7,
        PolicyKind::Compress(_) => 8,
    };
    let mut sorted = policies.to_vec();
    sorted.sort_by_key(rank);
    let describe = |policy: &&model::Policy| Policy {
        name: policy.name.clone(),
        kind: policy.kind.name().into(),
    };
    sorted.iter().map(describe).collect()
}

/// What Weir states about a request's origin to every upstream.
fn forwarding(request: &Request, config: &Config) -> Vec<Change> {
    let mut fields = request.fields.clone();
    // A request with too many connection options is refused; nothing is to be shown for it.
    let _ = hop::strip_hop_by_hop(&mut fields);
    hop::rebuild_forwarding(
        &mut fields,
        &ForwardingInfo {
            peer: PEER,
            trusted: is_trusted(config),
            scheme: request.scheme,
            host: &request.authority,
            received_version: http::Version::HTTP_11,
        },
        &mut ForwardingCache::default(),
    );
    let is_new = |(name, value): &(&HeaderName, &HeaderValue)| {
        request.fields.get_all(name).all(|before| before != *value)
    };
    let set = |name: &str, value: String| Change {
        operation: "set".into(),
        name: name.to_owned(),
        value: Some(value),
        from: "weir".to_owned(),
    };
    let mut changes: Vec<Change> = fields
        .iter()
        .filter(is_new)
        .map(|(name, value)| set(name.as_str(), shown(value)))
        .collect();
    if !is_trusted(config) || !fields.contains(&REQUEST_ID) {
        changes.push(set(REQUEST_ID.as_str(), "{request.id}".to_owned()));
    }
    changes
}

fn is_trusted(config: &Config) -> bool {
    hop::is_trusted(PEER, &config.trusted_proxies)
}

/// Header rules in the order in which they act: the policies' as listed, then the route's own.
fn rules<'a>(policies: &[&'a model::Policy], route: &'a Route) -> Vec<(String, &'a HeaderPolicy)> {
    let mut rules: Vec<(String, &HeaderPolicy)> = policies
        .iter()
        .filter_map(|policy| match &policy.kind {
            PolicyKind::Headers(headers) => Some((format!("policy {}", policy.name), headers)),
            _ => None,
        })
        .collect();
    rules.push((format!("route {}", route.name), &route.headers));
    rules
}

/// The context of a request from this machine, without a client certificate.
fn context<'a>(
    request: &'a Request,
    config: &'a Config,
    route: &'a Route,
    captures: &'a Captures,
) -> RenderContext<'a> {
    let upstream_name = match &route.action {
        Action::Forward { to, .. } => config.upstreams[chosen(to, &request.fields)].name.as_str(),
        Action::Redirect { .. } | Action::Respond(_) | Action::Aggregate(_) => "",
    };
    RenderContext {
        client_address: hop::client_address(&request.fields, PEER, &config.trusted_proxies),
        request_id: RequestId::generate(),
        method: &request.method,
        scheme: request.scheme,
        host: &request.host,
        path: &request.path,
        query: request.query.as_deref(),
        fields: &request.fields,
        route_name: &route.name,
        upstream_name,
        captures: captures.named(&route.matcher.paths, &request.path),
        tls_server_name: None,
        tls_client_subject: None,
        tls_client_fingerprint: None,
        principal: None,
    }
}

fn forwarded_path(
    request: &Request,
    rule: Option<&model::Rewrite>,
    context: &RenderContext<'_>,
) -> Result<String, rewrite::RewriteError> {
    let mut path = String::new();
    match (rule, &request.query) {
        (Some(rule), _) => rewrite::rewrite(rule, context, &mut path)?,
        (None, Some(query)) => path = format!("{}?{query}", request.path),
        (None, None) => path.clone_from(&request.path),
    }
    Ok(path)
}

fn host_sent(host: &HostHeader, request: &Request, upstream: &Upstream) -> String {
    match host {
        HostHeader::Preserve if !request.authority.is_empty() => request.authority.clone(),
        HostHeader::Literal(text) => text.clone(),
        HostHeader::Preserve | HostHeader::Target => match upstream.targets.as_slice() {
            [only] => authority(only),
            _ => "the target's own".to_owned(),
        },
    }
}

fn balance(balance: &Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "round robin",
        Balance::LeastRequest => "least request",
        Balance::PeakEwma => "peak EWMA",
        Balance::ConsistentHash(_) => "consistent hash",
    }
}

fn authority(target: &model::Target) -> String {
    let model::Target { host, port, .. } = target;
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// `127.0.0.1:9001`, or `127.0.0.1:9001 (weight 3, zone eu-1)`.
fn target(target: &model::Target) -> String {
    let weight = (target.weight != 1).then(|| format!("weight {}", target.weight));
    let zone = target.zone.as_ref().map(|zone| format!("zone {zone}"));
    let details: Vec<String> = weight.into_iter().chain(zone).collect();
    if details.is_empty() {
        return authority(target);
    }
    format!("{} ({})", authority(target), details.join(", "))
}

fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Writes header values, but no secrets.
struct Writer<'a> {
    context: &'a RenderContext<'a>,
}

impl Writer<'_> {
    fn push_changes(&self, changes: &mut Vec<Change>, rules: &HeaderRules, from: &str) {
        let mut push = |operation: &'static str, name: &HeaderName, value| {
            let (name, from) = (name.as_str().to_owned(), from.to_owned());
            changes.push(Change {
                operation: operation.into(),
                name,
                value,
                from,
            });
        };
        for name in &rules.remove {
            push("remove", name, None);
        }
        for (operation, rules) in [("set", &rules.set), ("add", &rules.add)] {
            for (name, template) in rules {
                push(operation, name, self.value(name, template));
            }
        }
    }

    /// `None` if nothing is sent: variables came out empty, or as what is no field value.
    fn value(&self, name: &HeaderName, template: &Template) -> Option<String> {
        let mut value = String::new();
        for part in &template.parts {
            match part {
                Part::Literal(text) => value.push_str(text),
                Part::Secret(secret) => value.push_str(&secret.to_string()),
                // A new one with each request.
                Part::Variable(Variable::RequestId) => value.push_str("{request.id}"),
                Part::Variable(variable) => self.context.with_value(variable, |bytes| {
                    value.push_str(&String::from_utf8_lossy(bytes));
                }),
            }
        }
        let is_fixed = template.as_literal().is_some();
        if !is_fixed {
            let sent = value.trim_ascii();
            if sent.is_empty() || HeaderValue::from_bytes(sent.as_bytes()).is_err() {
                return None;
            }
            value = sent.to_owned();
        }
        Some(if tells_of_secret(name.as_str()) {
            "[redacted]".to_owned()
        } else {
            value
        })
    }
}
