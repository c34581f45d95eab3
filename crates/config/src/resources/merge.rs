//! The file's tree with resources beside what it says.

use std::collections::HashSet;

use super::{Placed, ResourceKind};
use crate::codes;
use crate::diagnostic::Finding;
use crate::node::{Entry, Node, Value};
use crate::source::Span;
use crate::suggest::quote;

/// Adds resources to the file's sections. The file wins where both have a name: who runs a node decides
/// by its file, and what others keep elsewhere takes nothing of it away.
pub(crate) fn merge(root: &Node, placed: &[Placed<'_>], findings: &mut Vec<Finding>) -> Node {
    let mut entries = root.entries().to_vec();
    for kind in ResourceKind::ALL {
        let of_kind = placed.iter().filter(|resource| resource.id.kind == kind);
        let at = entries
            .iter()
            .position(|entry| entry.key.as_ref() == kind.section());
        let section = at.map(|at| &entries[at].value);
        let taken: HashSet<&str> = section
            .into_iter()
            .flat_map(|node| names(node, kind))
            .collect();
        let mut added = Vec::new();
        for resource in of_kind {
            let Some(node) = &resource.node else { continue };
            let name = resource.id.name.as_str();
            if taken.contains(name) {
                let message = format!(
                    "the file has {} {}, too: the resource is left out",
                    article(kind),
                    quote(name)
                );
                let finding = Finding::warning(codes::SHADOWED_RESOURCE, message)
                    .at(node.head())
                    .help("remove one of the two, or give one another name");
                findings.push(finding);
            } else {
                added.push((name, node));
            }
        }
        let Some((_, first)) = added.first() else {
            continue;
        };
        let key_span = first.span;
        let merged = extended(section, kind, &added);
        match at {
            Some(at) => entries[at].value = merged,
            None => entries.push(Entry {
                key: kind.section().into(),
                key_span,
                value: merged,
            }),
        }
    }
    Node::mapping(root.span, entries)
}

fn article(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Route => "a route",
        ResourceKind::Upstream => "an upstream",
        ResourceKind::Policy => "a policy",
        ResourceKind::Certificate => "a certificate",
    }
}

/// The names that a section of the file has.
fn names(section: &Node, kind: ResourceKind) -> Vec<&str> {
    match (&section.value, kind) {
        (Value::Sequence(items), ResourceKind::Route) => {
            let names = items.iter().filter_map(|item| item.entry("name"));
            names.filter_map(|entry| scalar(&entry.value)).collect()
        }
        (Value::Mapping(entries), _) => entries.iter().map(|entry| entry.key.as_ref()).collect(),
        _ => Vec::new(),
    }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

fn extended(section: Option<&Node>, kind: ResourceKind, added: &[(&str, &Node)]) -> Node {
    let span = section.map_or_else(Span::default, |node| node.span);
    if kind == ResourceKind::Route {
        let mut items = match section.map(|node| &node.value) {
            Some(Value::Sequence(items)) => items.to_vec(),
            _ => Vec::new(),
        };
        items.extend(added.iter().map(|(_, node)| (*node).clone()));
        return Node {
            span,
            value: Value::Sequence(items.into()),
        };
    }
    let mut entries = section.map_or_else(Vec::new, |node| node.entries().to_vec());
    entries.extend(added.iter().map(|(name, node)| Entry {
        key: (*name).into(),
        key_span: node.span,
        value: (*node).clone(),
    }));
    Node::mapping(span, entries)
}
