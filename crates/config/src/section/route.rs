//! `routes`: which requests go where.

use std::collections::HashMap;

use http::Method;

use super::access::IDENTIFYING;
use super::action::{self, REDIRECT, REWRITE};
use super::aggregate::AGGREGATE;
use super::check::Declared;
use super::grpc::{self, GRPC, SSE};
use super::headers::{self, HEADERS, VariableUse};
use super::log::{self, ROUTE_LOG};
use super::matcher::{self, MATCH};
use super::mirror::MIRROR;
use super::overload::{self, PRIORITIES};
use super::policy::ACTING_ONCE;
use super::respond::RESPOND;
use super::split::SPLIT;
use super::telemetry::ROUTE_TRACING;
use super::websocket::{self, WEBSOCKET};
use crate::codes;
use crate::decode::{Context, Cursor, Object};
use crate::diagnostic::Finding;
use crate::model::{Action, Match, Route};
use crate::pattern::PathPattern;
use crate::shape::{Record, Shape, field};
use crate::source::Span;
use crate::suggest::quote;
use crate::value::http::HOST_HEADER;
use crate::value::text::{self, NAME, SLUG};

pub(super) static ROUTE: Record = Record {
    name: "route",
    about: "Which requests are answered how: with `upstream`, `split`, `aggregate`, `redirect` or `respond`.",
    fields: &[
        field("name", Shape::Text(&NAME), "Unique name, shown in logs and metrics.").required(),
        field("match", Shape::Record(&MATCH), "Which requests it takes. Default: every request.")
            .default("{}"),
        field(
            "policies",
            Shape::List { items: &Shape::Text(&NAME), least: 0 },
            "Names of policies that hold here. Their order of action is fixed by the request's life.",
        )
        .default("[]"),
        field("upstream", Shape::Text(&NAME), "Name of the upstream that answers."),
        field("split", Shape::Record(&SPLIT), "Shares of the requests for several upstreams."),
        field("aggregate", Shape::Record(&AGGREGATE), "Several upstreams, whose answers become one."),
        field("redirect", Shape::Record(&REDIRECT), "Answers with a redirect instead."),
        field("respond", Shape::Record(&RESPOND), "Answers with what is written here instead."),
        field("mirror", Shape::Record(&MIRROR), "Copies of requests for another upstream. Default: none."),
        field("rewrite", Shape::Record(&REWRITE), "Changes the path before it is forwarded."),
        field(
            "host",
            Shape::Text(&HOST_HEADER),
            "What to send as Host: `preserve` what the client sent, the `target`'s own, or this text.",
        )
        .default("preserve"),
        field(
            "headers",
            Shape::Record(&HEADERS),
            "Header changes of this route alone, after those of its policies.",
        )
        .default("{}"),
        field(
            "priority",
            Shape::Choice(&PRIORITIES),
            "Which requests are refused first under overload.",
        )
        .default("normal"),
        field(
            "organization",
            Shape::Text(&SLUG),
            "Whose traffic it is: while this organization is suspended, requests are refused. Default: nobody's.",
        ),
        field("log", Shape::Record(&ROUTE_LOG), "What of its requests is logged."),
        field("tracing", Shape::Record(&ROUTE_TRACING), "Which of its requests are traced."),
        field("grpc", Shape::Record(&GRPC), "gRPC calls.").default("{}"),
        field("sse", Shape::Record(&SSE), "Event streams. Default: they pass as they are."),
        field(
            "websocket",
            WEBSOCKET,
            "Lets WebSockets through. `true` takes the defaults of its settings.",
        )
        .default("false"),
    ],
};

pub(super) fn decode_all(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    declared: &mut Declared,
) -> Vec<Route> {
    let mut routes = Vec::new();
    let mut names = Vec::new();
    let mut matches: HashMap<String, (String, Span)> = HashMap::new();
    for item in cursor.items(context) {
        let Some(decoded) = decode(context, &item, declared) else {
            declared.is_incomplete = true;
            continue;
        };
        let Decoded {
            name,
            name_span,
            match_span,
            identity,
            route,
        } = decoded;
        if let (Some(identity), Some(name)) = (identity, &name) {
            if let Some((first, first_span)) = matches.get(&identity) {
                let first_at = context.line(*first_span);
                let message = format!("{} already takes these requests", quote(first));
                let finding = item
                    .error(codes::UNREACHABLE_ROUTE, message)
                    .at(match_span)
                    .help(format!(
                        "the earlier route is at {first_at}; this one would never match"
                    ));
                context.report(finding);
            } else {
                matches.insert(identity, (name.clone(), match_span));
            }
        }
        names.extend(name.map(|name| (name, name_span)));
        declared.is_incomplete |= route.is_none();
        routes.extend(route);
    }
    context.report_repeated(names, |name, first| {
        Finding::error(
            codes::DUPLICATE_ROUTE,
            format!("two routes are called {}", quote(name)),
        )
        .help(format!("the first is at {first}"))
        .path("routes")
    });
    routes
}

struct Decoded {
    name: Option<String>,
    name_span: Span,
    match_span: Span,
    /// Equal for routes that match the same requests; `None` if the match has mistakes.
    identity: Option<String>,
    route: Option<Route>,
}

fn decode(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    declared: &mut Declared,
) -> Option<Decoded> {
    let object = Object::open(context, cursor)?;
    declared.is_incomplete |= object.has_unknown();
    let name_cursor = object.written("name");
    let name_span = name_cursor.map_or_else(|| cursor.span(), |cursor| cursor.span());
    let name = object
        .written("name")
        .and_then(|cursor| cursor.parse(context, text::name));

    let findings_before = context.findings.len();
    let matched = matcher::decode(context, &object.get("match")?);
    let match_is_clean = context.findings.len() == findings_before;
    let (matcher, identity) = matched.unzip();
    let identity = identity.filter(|_| match_is_clean);
    let known_paths = matcher.as_ref().filter(|_| match_is_clean);

    let mut uses = Vec::new();
    let policies = decode_policies(context, &object, declared, known_paths);
    let action = action::decode(context, &object, declared, &mut uses);
    if matches!(action, Some(Action::Respond(_) | Action::Redirect { .. })) {
        report_unapplied(context, &object, declared, &policies);
    }
    let headers = object
        .get("headers")
        .and_then(|cursor| headers::decode(context, &cursor, &mut uses));
    let priority = overload::decode_priority(context, &object.get("priority")?);
    let organization = object
        .written("organization")
        .and_then(|cursor| cursor.parse(context, text::slug));
    let streams = grpc::decode(context, &object);
    if streams.is_some_and(|streams| streams.grpc.web)
        && let Some(Action::Forward { to, .. }) = &action
        && let Some(name) = declared.without_http2(to.upstreams())
    {
        let message = format!(
            "calls need HTTP/2, and {} is asked over HTTP/1.1",
            quote(name)
        );
        let finding = Finding::warning(codes::WITHOUT_EFFECT, message)
            .help("write `http2: true` under the upstream, or remove `grpc` here");
        object.report(context, object.key_span("grpc"), finding);
    }
    let websocket = websocket::decode(context, &object.get("websocket")?);
    for answer in ["aggregate", "redirect", "respond"] {
        if websocket.is_some() && object.written(answer).is_some() {
            object.report_conflict(context, answer, "websocket");
        }
    }
    if let Some(matcher) = known_paths {
        if object.written("aggregate").is_some() {
            report_untaken_methods(context, &object, matcher, "aggregate");
        }
        if websocket.is_some() {
            report_untaken_methods(context, &object, matcher, "websocket");
        }
    }
    let matches_by_claims = matcher
        .as_ref()
        .is_some_and(|matcher| !matcher.claims.is_empty());
    report_unknown_callers(
        context,
        &object,
        declared,
        &policies,
        (matches_by_claims, &uses),
    );
    if object.written("aggregate").is_some() && declared.has_kind(&policies, "transform") {
        let message = "an aggregate does not go through a `transform` policy";
        let finding = Finding::error(codes::CONFLICT, message)
            .help("its `jq` does the same: remove the policy from the route");
        object.report(context, object.key_span("policies"), finding);
    }
    if let Some(matcher) = known_paths {
        report_unknown_captures(context, matcher, &uses);
    }

    let match_span = object
        .written("match")
        .map_or(name_span, |_| object.key_span("match"));
    let log_sample = log::decode_route_sample(context, &object, "log");
    let trace_sample = log::decode_route_sample(context, &object, "tracing");
    let route = match (name.clone(), matcher, action, headers, streams) {
        (Some(name), Some(matcher), Some(action), Some(headers), Some(streams)) => Some(Route {
            name,
            matcher,
            policies,
            action,
            headers,
            priority,
            organization,
            streams,
            websocket,
            log_sample,
            trace_sample,
        }),
        _ => None,
    };
    Some(Decoded {
        name,
        name_span,
        match_span,
        identity,
        route,
    })
}

fn decode_policies(
    context: &mut Context<'_>,
    object: &Object<'_>,
    declared: &mut Declared,
    matcher: Option<&Match>,
) -> Vec<usize> {
    let Some(cursor) = object.get("policies") else {
        return Vec::new();
    };
    let mut indices = Vec::new();
    let mut places = Vec::new();
    for item in cursor.items(context) {
        let Some(name) = item.text(context) else {
            continue;
        };
        let Some(index) = declared.use_policy(name) else {
            let help = context.suggest(name, declared.policy_names(), "policies");
            let message = format!("there is no policy {}", quote(name));
            context.report(item.error(codes::UNKNOWN_POLICY, message).help(help));
            continue;
        };
        if let Some(kind) = declared.policy_kinds[index]
            && ACTING_ONCE.contains(&kind)
            && let Some(other) = indices
                .iter()
                .find(|at| declared.policy_kinds[**at] == Some(kind))
            && *other != index
        {
            let other = quote(declared.policy_name(*other));
            let message = format!("a route has one `{kind}` policy, and {other} is one");
            let finding = item.error(codes::SAME_KIND, message);
            context.report(finding.help("keep one of the two, or write one that says all of it"));
        }
        places.push((index, item.span()));
        indices.push(index);
        for used in &declared.policy_variables[index] {
            if let Some(path) = matcher.and_then(|matcher| lacking(matcher, used)) {
                let variable = used.variable();
                let message = format!("the policy uses {}, which {path}", quote(&variable));
                let finding = item.error(codes::UNKNOWN_CAPTURE, message);
                context.report(finding.help("list the policy only where the path has the capture"));
            }
        }
    }
    let path = cursor.path.to_string();
    context.report_repeated(places, |_, first| {
        Finding::error(codes::LISTED_TWICE, "this policy is listed twice")
            .help(format!("the first is at {first}"))
            .path(path.clone())
    });
    indices
}

/// Policies and claims about who is calling, where nobody says who that is.
fn report_unknown_callers(
    context: &mut Context<'_>,
    object: &Object<'_>,
    declared: &Declared,
    policies: &[usize],
    (matches_by_claims, uses): (bool, &[VariableUse]),
) {
    let kinds = || {
        policies
            .iter()
            .filter_map(|at| Some((*at, declared.policy_kinds[*at]?)))
    };
    if declared.is_incomplete || kinds().any(|(_, kind)| IDENTIFYING.contains(&kind)) {
        return;
    }
    if matches_by_claims {
        let message = "the route matches by claims, and no policy of it finds out who is calling";
        let finding = Finding::error(codes::CONFLICT, message).help(
            "list a policy that does, such as a `jwt` policy: claims count only of a credential that was found to be good",
        );
        object.report(context, object.key_span("match"), finding);
    }
    for used in uses.iter().filter(|used| used.is_about_caller()) {
        let variable = quote(&used.variable());
        let message = format!(
            "{variable} is about who is calling, and no policy of the route finds that out"
        );
        let finding = Finding::error(codes::CONFLICT, message)
            .at(used.span)
            .path(used.path.clone())
            .help("list a policy that does, such as a `jwt` policy, or write another variable");
        context.report(finding);
    }
    for (policy, kind) in kinds() {
        let asks = declared.policy_variables[policy]
            .iter()
            .any(VariableUse::is_about_caller);
        if !asks && !["require", "identity"].contains(&kind) {
            continue;
        }
        let name = quote(declared.policy_name(policy));
        let message =
            format!("{name} is about who is calling, and no policy of the route finds that out");
        let finding = Finding::error(codes::CONFLICT, message)
            .help("list a policy that does, such as a `jwt` policy, or remove this one");
        object.report(context, object.key_span("policies"), finding);
    }
}

/// What the configuration answers by itself goes through none of these, which somebody could rely on.
fn report_unapplied(
    context: &mut Context<'_>,
    object: &Object<'_>,
    declared: &Declared,
    policies: &[usize],
) {
    for policy in policies {
        let (verb, help) = match declared.policy_kinds[*policy] {
            Some("validate") => (
                "validates",
                "only what is forwarded or aggregated is validated: remove the policy here",
            ),
            Some("transform") => (
                "transforms",
                "only what is forwarded is transformed: remove the policy here",
            ),
            _ => continue,
        };
        let name = quote(declared.policy_name(*policy));
        let message = format!("{name} {verb}, and this route answers by itself");
        let finding = Finding::warning(codes::WITHOUT_EFFECT, message).help(help);
        object.report(context, object.key_span("policies"), finding);
    }
}

/// These take `GET`; where that is not among the route's methods, nothing comes that they would answer.
fn report_untaken_methods(
    context: &mut Context<'_>,
    object: &Object<'_>,
    matcher: &Match,
    key: &'static str,
) {
    if matcher.methods.is_empty() || matcher.methods.contains(&Method::GET) {
        return;
    }
    let message = format!("`{key}` takes `GET`, which `match.methods` leaves out");
    let finding = Finding::warning(codes::WITHOUT_EFFECT, message)
        .help(format!("add `GET` to `match.methods`, or remove `{key}`"));
    object.report(context, object.key_span(key), finding);
}

fn report_unknown_captures(context: &mut Context<'_>, matcher: &Match, uses: &[VariableUse]) {
    for used in uses {
        let Some(path) = lacking(matcher, used) else {
            continue;
        };
        let message = format!("{} is used, which {path}", quote(&used.variable()));
        let captures: Vec<String> = matcher
            .paths
            .iter()
            .flat_map(PathPattern::captures)
            .map(|name| quote(&format!("{{path.{name}}}")))
            .collect();
        let help = if captures.is_empty() {
            "write `{name}` for a segment of the path pattern to capture it".to_owned()
        } else {
            format!("the path pattern captures {}", captures.join(", "))
        };
        let finding = Finding::error(codes::UNKNOWN_CAPTURE, message)
            .at(used.span)
            .path(used.path.clone())
            .help(help);
        context.report(finding);
    }
}

/// Why a request that the route takes may not have the capture: ``the path `/a` lacks``.
fn lacking(matcher: &Match, used: &VariableUse) -> Option<String> {
    let capture = used.capture()?;
    if matcher.paths.is_empty() {
        return Some("no path pattern of this route captures".into());
    }
    let lacks = matcher.paths.iter().find(|path| match capture {
        Some(name) => path.captures().all(|capture| capture != name),
        None => path.tail.is_none(),
    });
    lacks.map(|path| format!("the path {} does not capture", quote(path.as_str())))
}
