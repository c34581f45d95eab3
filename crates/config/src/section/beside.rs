//! `resources`, and what resources may do beside the file: whoever may change them is not always
//! whom the machine's secrets and its place in the network are for.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;

use super::clash::{below, placed};
use super::headers::is_secret_name;
use super::sent::{HostsOfFile, sent};
use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{
    Action, Bounds, HeaderRules, Policy, PolicyKind, Reach, Rewrite, Route, Upstream,
};
use crate::node::Value;
use crate::shape::{Record, Shape, field};
use crate::suggest::quote;
use crate::template::{Part, Template, Variable};
use crate::value::address::{self, NETWORK};

pub(super) static RESOURCES: Record = Record {
    name: "resources",
    about: "What may be kept beside the file, through the admin API.",
    fields: &[field(
        "networks",
        Shape::List {
            items: &Shape::Text(&NETWORK),
            least: 0,
        },
        "Networks that servers of such upstreams may be in, whatever addresses their names have. Default: every network but where clouds tell a machine its credentials. An empty list is none.",
    )],
};

/// `Some(None)` if nothing is stated.
pub(super) fn decode_networks(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
) -> Option<Option<Vec<IpNet>>> {
    let object = Object::open(context, cursor)?;
    let Some(networks) = object.written("networks") else {
        return Some(None);
    };
    let items = networks.items(context);
    let parsed: Vec<_> = items
        .iter()
        .filter_map(|item| item.parse(context, address::network))
        .collect();
    // Of what has a mistake, an empty list would say something else.
    (parsed.len() == items.len()).then_some(Some(parsed))
}

/// Holds the upstreams of resources within bounds.
pub(super) fn bound(
    context: &mut Context<'_>,
    entries: &[Named<'_>],
    upstreams: &mut [Upstream],
    bounds: Bounds,
) {
    let is_none = bounds.networks.as_ref().is_some_and(Vec::is_empty);
    let reach = Reach::Bounded(Arc::new(bounds));
    let of_resources = entries
        .iter()
        .zip(upstreams)
        .filter(|(entry, _)| entry.value.node.span.is_beside());
    for (entry, upstream) in of_resources {
        if is_none {
            let message = "an upstream of a resource may not reach any network";
            let finding = Finding::error(codes::OUT_OF_REACH, message)
                .at(entry.value.node.head())
                .path(entry.value.path.to_string())
                .help("`resources.networks` of the file is an empty list; without it they reach every network");
            context.report(finding);
        } else {
            report_out_of_reach(context, entry, upstream, &reach);
        }
        upstream.reach = reach.clone();
    }
}

/// What is stated by address is known to be out of reach; a name is looked up with each connection.
fn report_out_of_reach(
    context: &mut Context<'_>,
    entry: &Named<'_>,
    upstream: &Upstream,
    reach: &Reach,
) {
    let Some(Value::Sequence(items)) =
        below(entry.value.node, &["targets"]).map(|node| &node.value)
    else {
        return;
    };
    for (at, (item, target)) in items.iter().zip(&upstream.targets).enumerate() {
        let Ok(ip) = target.host.parse::<IpAddr>() else {
            continue;
        };
        let address = SocketAddr::new(ip, target.port);
        if reach.allows(address) {
            continue;
        }
        let message = format!("an upstream of a resource may not reach {address}");
        let finding = Finding::error(codes::OUT_OF_REACH, message)
            .at(item.head())
            .path(format!("{}.targets[{at}]", entry.value.path))
            .help("`resources.networks` of the file says what it may reach; the admin listener never is");
        context.report(finding);
    }
}

const OF_FILE_ONLY: &str = "name upstreams of the file only, and no header that the policy sets; or write the route into the file";
const OWN_HOST: &str = "write `host: target`, or a host with which a route of the file that names the policy asks the same upstream";

/// Secrets of the file's policies are for its own upstreams: a route of a resource may send them there and
/// nowhere else, to no other host behind the same address, nor show them.
pub(super) fn report_secrets(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    routes: &[Route],
    upstreams: &[Named<'_>],
    policies: &[(&Named<'_>, &Policy)],
) {
    let of_file = placed(cursor, routes).filter(|(node, _)| !node.span.is_beside());
    let hosts = HostsOfFile::of(of_file.map(|(_, route)| route));
    for (index, (node, route)) in placed(cursor, routes).enumerate() {
        if !node.span.is_beside() {
            continue;
        }
        let named = || route.policies.iter().filter_map(|at| policies.get(*at));
        let of_file = || {
            let of_file = named().filter(|(entry, _)| !entry.value.node.span.is_beside());
            of_file.map(|(_, policy)| *policy)
        };
        let Some(policy) = of_file().find(|policy| !secrets(policy).is_empty()) else {
            continue;
        };
        let foreign = sent(route)
            .into_iter()
            .filter_map(|(at, _)| upstreams.get(at))
            .find(|upstream| upstream.value.node.span.is_beside());
        let hidden = of_file().flat_map(secrets).collect();
        let all = || named().map(|(_, policy)| *policy);
        let at = |at: usize| {
            let (entry, policy) = policies.get(at)?;
            (!entry.value.node.span.is_beside()).then_some(*policy)
        };
        let (message, key, help) = if let Some(upstream) = foreign {
            let policy = quote(&policy.name);
            let upstream = quote(upstream.name);
            let message = format!(
                "the policy {policy} has a secret of the file, which is not for {upstream}"
            );
            (message, "policies", OF_FILE_ONLY)
        } else if shows(route, all, hidden) {
            let policy = quote(&policy.name);
            let message = format!(
                "the policy {policy} has a secret of the file, which this route would show"
            );
            (message, "policies", OF_FILE_ONLY)
        } else if let Some(policy) =
            hosts.elsewhere(route, at, |policy| !secrets(policy).is_empty())
        {
            let policy = quote(&policy.name);
            let message = format!(
                "the policy {policy} has a secret of the file, which the file does not send with this `Host`"
            );
            (message, "host", OWN_HOST)
        } else {
            continue;
        };
        let place = below(node, &[key]).unwrap_or(node);
        let finding = Finding::error(codes::SECRET_OF_FILE, message)
            .at(place.head())
            .path(format!("routes[{index}].{key}"))
            .help(help);
        context.report(finding);
    }
}

/// Fields of requests that a policy sets to a secret. Who has a token about somebody can show it to whom it is for.
fn secrets(policy: &Policy) -> Vec<&HeaderName> {
    let headers = match &policy.kind {
        PolicyKind::Headers(headers) => headers,
        PolicyKind::Identity(identity) => {
            let token = identity.token.iter();
            return token.map(|token| &token.header).collect();
        }
        _ => return Vec::new(),
    };
    let is_secret = |(name, value): &&(HeaderName, Template)| {
        let is_literal = value.variables().next().is_none();
        let has_part = value
            .parts
            .iter()
            .any(|part| matches!(part, Part::Secret(_)));
        has_part || (is_literal && is_secret_name(name.as_str()))
    };
    values(&headers.request)
        .filter(is_secret)
        .map(|(name, _)| name)
        .collect()
}

/// Whether a template of a route, or of its policies, writes one of these fields of the request where the
/// client sees it.
fn shows<'p, P: Iterator<Item = &'p Policy>>(
    route: &'p Route,
    policies: impl Fn() -> P,
    mut hidden: HashSet<&'p HeaderName>,
) -> bool {
    let headers = || {
        let of_policies = policies().filter_map(|policy| match &policy.kind {
            PolicyKind::Headers(headers) => Some(headers),
            _ => None,
        });
        of_policies.chain([&route.headers])
    };
    // Rules of requests see what those before them made of it: what is written into another field goes
    // where the secret goes, and is one as well.
    loop {
        let before = hidden.len();
        let rules = headers().flat_map(|headers| values(&headers.request));
        let copies: Vec<_> = rules
            .filter(|(_, template)| writes(template, &hidden))
            .map(|(name, _)| name)
            .collect();
        hidden.extend(copies);
        if hidden.len() == before {
            break;
        }
    }
    let mut shown = headers().flat_map(|headers| values(&headers.response));
    shown.any(|(_, template)| writes(template, &hidden))
        || places(&route.action).any(|template| writes(template, &hidden))
}

/// Templates of where a client is sent, and of paths: servers repeat them in redirects and logs.
fn places(action: &Action) -> impl Iterator<Item = &Template> {
    let (to, rewrite, parts) = match action {
        Action::Redirect { to, .. } => (Some(to), None, &[][..]),
        Action::Forward { rewrite, .. } => (None, rewrite.as_ref(), &[][..]),
        Action::Aggregate(aggregate) => (None, None, aggregate.parts.as_slice()),
        Action::Respond(_) => (None, None, &[][..]),
    };
    let paths = rewrite
        .into_iter()
        .chain(parts.iter().map(|part| &part.path));
    let paths = paths.filter_map(|rewrite| match rewrite {
        Rewrite::Path(template) => Some(template),
        Rewrite::Prefix(_) => None,
    });
    to.into_iter().chain(paths)
}

fn values(rules: &HeaderRules) -> impl Iterator<Item = &(HeaderName, Template)> {
    rules.set.iter().chain(&rules.add)
}

fn writes(template: &Template, hidden: &HashSet<&HeaderName>) -> bool {
    let mut variables = template.variables();
    variables
        .any(|variable| matches!(variable, Variable::RequestHeader(name) if hidden.contains(name)))
}
