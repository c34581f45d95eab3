//! What only the whole shows: parts that are valid by themselves and come into each other's way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::codes;
use crate::decode::{Context, Cursor, Named, Object};
use crate::diagnostic::Finding;
use crate::model::{Action, Admin, Destination, Listener, Route, Stickiness, Target, Upstream};
use crate::node::{Node, Value};
use crate::source::Span;
use crate::suggest::quote;

/// The admin listener cannot share an address with traffic, nor take one of those that a listener on
/// every address takes.
pub(super) fn report_shared_admin_address(
    context: &mut Context<'_>,
    object: &Object<'_>,
    listeners: &[(Listener, Span)],
    admin: SocketAddr,
) {
    let clashes = |address: SocketAddr| {
        address.port() == admin.port()
            && (covers(address.ip(), admin.ip()) || covers(admin.ip(), address.ip()))
    };
    let shared = listeners
        .iter()
        .find(|(listener, _)| clashes(listener.address));
    let Some((listener, span)) = shared.filter(|_| admin.port() != 0) else {
        return;
    };
    let message = match listener.address == admin {
        true => format!("the admin listener already has the address {admin}"),
        false => {
            format!("the admin listener's address {admin} and this one are in each other's way")
        }
    };
    let finding = Finding::error(codes::DUPLICATE_ADDRESS, message)
        .help("give the listener or `admin` another port");
    object.report(context, *span, finding);
}

/// Whether who listens on one address gets connections to another. IPv6 listeners take no IPv4.
fn covers(listening: IpAddr, other: IpAddr) -> bool {
    listening == other || (listening.is_unspecified() && listening.is_ipv4() == other.is_ipv4())
}

/// A split and its upstream that use one cookie would overwrite each other's.
pub(super) fn report_shared_cookies(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    routes: &[Route],
    upstreams: &[Upstream],
) {
    for (index, (node, route)) in placed(cursor, routes).enumerate() {
        let Action::Forward {
            to: Destination::Split(split),
            ..
        } = &route.action
        else {
            continue;
        };
        let Some(Stickiness::Cookie(sticky)) = &split.sticky else {
            continue;
        };
        let members = split.backends.iter();
        let mut members = members.filter_map(|backend| upstreams.get(backend.upstream));
        let uses = |upstream: &&Upstream| {
            let own = upstream.sticky.as_ref();
            own.is_some_and(|own| own.name == sticky.name)
        };
        let Some(other) = members.find(uses) else {
            continue;
        };
        let message = format!(
            "the upstream {} has the cookie {}, too",
            quote(&other.name),
            quote(&sticky.name)
        );
        let place = below(node, &["split", "sticky", "cookie"]).unwrap_or(node);
        let finding = Finding::error(codes::CONFLICT, message)
            .at(place.span)
            .path(format!("routes[{index}].split.sticky.cookie"))
            .help("give one of the two another name: each would overwrite the other's");
        context.report(finding);
    }
}

/// A path with an encoded slash, where requests with one are refused.
pub(super) fn report_refused_paths(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    routes: &[Route],
) {
    for (index, (node, route)) in placed(cursor, routes).enumerate() {
        let Some(node) = below(node, &["match", "path"]) else {
            continue;
        };
        for (at, path) in route.matcher.paths.iter().enumerate() {
            if !path.as_str().to_ascii_lowercase().contains("%2f") {
                continue;
            }
            let place = match &node.value {
                Value::Sequence(items) => items.get(at).unwrap_or(node),
                _ => node,
            };
            let message = format!(
                "{} matches nothing: requests with an encoded slash are refused",
                quote(path.as_str())
            );
            let finding = Finding::warning(codes::WITHOUT_EFFECT, message)
                .at(place.span)
                .path(format!("routes[{index}].match.path"))
                .help("write `paths: { encoded_slash: keep }` at the top of the file");
            context.report(finding);
        }
    }
}

/// Targets that are listeners of the same file.
pub(super) fn report_own_targets(
    context: &mut Context<'_>,
    entries: &[Named<'_>],
    upstreams: &[Upstream],
    listeners: &[(Listener, Span)],
) {
    for (entry, upstream) in entries.iter().zip(upstreams) {
        let Some(node) = below(entry.value.node, &["targets"]) else {
            continue;
        };
        let Value::Sequence(items) = &node.value else {
            continue;
        };
        for (at, (item, target)) in items.iter().zip(&upstream.targets).enumerate() {
            if !listeners
                .iter()
                .any(|(listener, _)| reaches(target, listener.address))
            {
                continue;
            }
            let message = format!(
                "the target {} is a listener of this Weir",
                quote(&format!("{}:{}", target.host, target.port))
            );
            let finding = Finding::warning(codes::OWN_TARGET, message)
                .at(item.head())
                .path(format!("{}.targets[{at}]", entry.value.path))
                .help("write where the servers listen: requests would come back until they are refused as a loop");
            context.report(finding);
        }
    }
}

/// Targets that are the admin listener, which does not believe this Weir whom it asks for.
pub(super) fn report_unbelieved_targets(
    context: &mut Context<'_>,
    entries: &[Named<'_>],
    upstreams: &[Upstream],
    admin: &Admin,
) {
    for (entry, upstream) in entries.iter().zip(upstreams) {
        let mut targets = upstream.targets.iter();
        let Some(target) = targets.find(|target| reaches(target, admin.address)) else {
            continue;
        };
        // Who connects to an address of its own machine does so from there.
        let from = match target.host.parse::<IpAddr>() {
            Ok(ip) if !ip.is_unspecified() => ip,
            _ if admin.address.is_ipv4() => IpAddr::from(Ipv4Addr::LOCALHOST),
            _ => IpAddr::from(Ipv6Addr::LOCALHOST),
        };
        let mut believed = admin.trusted_proxies.iter();
        if believed.any(|network| network.contains(&from)) {
            continue;
        }
        let message = format!(
            "{} leads to the admin listener, to which all clients have the address {from}",
            quote(&upstream.name)
        );
        let node = below(entry.value.node, &["targets"]).unwrap_or(entry.value.node);
        let finding = Finding::warning(codes::ALIKE, message)
            .at(node.head())
            .path(format!("{}.targets", entry.value.path))
            .help(format!(
                "write `admin: {{ trusted_proxies: [{from}] }}`: whoever guesses passwords would lock out everybody, and \
                 neither sessions nor the audit would tell where people are"
            ));
        context.report(finding);
    }
}

/// Whether a connection to a target comes to a listener with this address, as far as the file tells.
fn reaches(target: &Target, listening: SocketAddr) -> bool {
    if target.port != listening.port() {
        return false;
    }
    let is_local = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    match target.host.parse::<IpAddr>() {
        Ok(ip) => ip == listening.ip() || (covers(listening.ip(), ip) && is_local(ip)),
        Err(_) => target.host == "localhost" && is_local(listening.ip()),
    }
}

/// Routes with what the file says of them. None if some have mistakes: then they do not stand side by
/// side.
pub(super) fn placed<'a>(
    cursor: &Cursor<'a>,
    routes: &'a [Route],
) -> impl Iterator<Item = (&'a Node, &'a Route)> {
    let items: &[Node] = match &cursor.node.value {
        Value::Sequence(items) if items.len() == routes.len() => items,
        _ => &[],
    };
    items.iter().zip(routes)
}

/// What stands under these keys.
pub(super) fn below<'n>(node: &'n Node, keys: &[&str]) -> Option<&'n Node> {
    keys.iter()
        .try_fold(node, |node, key| Some(&node.entry(key)?.value))
}
