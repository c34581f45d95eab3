//! Routes that differ by who is calling: it must be known how that is found out before one of them is chosen.

use std::collections::HashMap;

use http::Method;

use super::access::IDENTIFYING;
use super::check::Declared;
use super::clash::{below, placed};
use super::matcher::shape_of;
use crate::codes;
use crate::decode::{Context, Cursor};
use crate::diagnostic::Finding;
use crate::model::{Match, Route};
use crate::suggest::quote;

/// Routes of one host and path that match by claims must find out who calls by the same policies. By another
/// route's policies, whoever calls could choose who vouches for them.
pub(super) fn report_other_verifiers(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    routes: &[Route],
    declared: &Declared,
) {
    let mut known: HashMap<String, Vec<&Route>> = HashMap::new();
    for (index, (node, route)) in placed(cursor, routes).enumerate() {
        if route.matcher.claims.is_empty() {
            continue;
        }
        let own = verifiers(declared, route);
        for place in places(&route.matcher) {
            let others = known.entry(place).or_default();
            let differs = |other: &&&Route| {
                meet(&route.matcher, &other.matcher) && verifiers(declared, other) != own
            };
            if let Some(other) = others.iter().find(differs) {
                let message = format!(
                    "{} and {} match by claims here, and find out by different policies who is calling",
                    quote(&other.name),
                    quote(&route.name)
                );
                let place = below(node, &["match", "claims"]).unwrap_or(node);
                let finding = Finding::error(codes::CONFLICT, message)
                    .at(place.span)
                    .path(format!("routes[{index}].match.claims"))
                    .help(help(&verifiers(declared, other)));
                context.report(finding);
                break;
            }
            others.push(route);
        }
    }
}

fn help(policies: &[&str]) -> String {
    let policies: Vec<String> = policies.iter().map(|name| quote(name)).collect();
    format!(
        "list the same in the same order on both: the other one has {}; `any_of` joins several ways",
        policies.join(", ")
    )
}

/// Names of the route's policies that say who is calling.
fn verifiers<'d>(declared: &'d Declared, route: &Route) -> Vec<&'d str> {
    let is_one = |at: &&usize| {
        let kind = declared.policy_kinds[**at];
        kind.is_some_and(|kind| IDENTIFYING.contains(&kind))
    };
    let policies = route.policies.iter().filter(is_one);
    policies.map(|at| declared.policy_name(*at)).collect()
}

/// Each host with each path, without the names of captures.
fn places(matcher: &Match) -> Vec<String> {
    let or_any = |texts: Vec<String>| match texts.is_empty() {
        true => vec![String::new()],
        false => texts,
    };
    let hosts = or_any(matcher.hosts.iter().map(ToString::to_string).collect());
    let paths = or_any(matcher.paths.iter().map(shape_of).collect());
    let pairs = hosts
        .iter()
        .flat_map(|host| paths.iter().map(move |path| format!("{host} {path}")));
    pairs.collect()
}

/// Whether both take requests of one method.
fn meet(one: &Match, other: &Match) -> bool {
    if one.methods.is_empty() || other.methods.is_empty() {
        return true;
    }
    // `GET` takes `HEAD` (RFC 9110 §9.3.2).
    let takes = |matcher: &Match, method: &Method| {
        let is_head = *method == Method::HEAD && matcher.methods.contains(&Method::GET);
        is_head || matcher.methods.contains(method)
    };
    let is_shared = |from: &Match, by: &Match| from.methods.iter().any(|method| takes(by, method));
    is_shared(one, other) || is_shared(other, one)
}
