//! Whose secrets routes of resources send on, and where: for whoever has to know who may have that done.

use std::collections::{BTreeSet, HashSet};

use super::clash::placed;
use super::sent::sent;
use crate::decode::{Context, Cursor, Named};
use crate::model::Route;
use crate::resources::ResourceName;

/// A route beside the file that sends on secrets of resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lending {
    /// Whose secrets: of policies, or of the route itself.
    pub lenders: BTreeSet<ResourceName>,
    /// What decides where they go and who sees them: the route, its policies, and the upstreams that get
    /// requests of it, as far as they are resources.
    pub through: BTreeSet<ResourceName>,
}

/// Notes them. Call it once everything is decoded: what is secret is known by then.
pub(super) fn note(
    context: &mut Context<'_>,
    cursor: &Cursor<'_>,
    routes: &[Route],
    upstreams: &[Named<'_>],
    policies: &[Named<'_>],
) {
    let source = context.source;
    let hidden = context.hidden.iter();
    let with_secrets: HashSet<_> = hidden.filter_map(|span| source.resource(*span)).collect();
    if with_secrets.is_empty() {
        return;
    }
    let resource = |entry: &Named<'_>| source.resource(entry.value.node.span);
    for (node, route) in placed(cursor, routes) {
        let Some(name) = source.resource(node.span) else {
            continue;
        };
        let named = route.policies.iter().filter_map(|at| policies.get(*at));
        let deciding: BTreeSet<_> = named.filter_map(resource).chain([name]).cloned().collect();
        let lenders = deciding.iter().filter(|one| with_secrets.contains(one));
        let lenders: BTreeSet<_> = lenders.cloned().collect();
        if lenders.is_empty() {
            continue;
        }
        let reached = sent(route).into_iter();
        let reached = reached.filter_map(|(at, _)| resource(upstreams.get(at)?));
        let through = deciding.into_iter().chain(reached.cloned()).collect();
        context.lendings.push(Lending { lenders, through });
    }
}
