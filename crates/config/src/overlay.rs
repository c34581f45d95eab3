//! Environments: an overlay laid over the base. Mappings merge key by key, everything else is
//! replaced, `null` removes. Values keep the place where they were written.

use std::collections::HashMap;

use crate::codes;
use crate::diagnostic::Finding;
use crate::node::{Entry, Node, Value};
use crate::suggest::quote;

/// The base with the overlay laid over it.
pub(crate) fn apply(base: &Node, overlay: &Node, findings: &mut Vec<Finding>) -> Node {
    let (Value::Mapping(base_entries), Value::Mapping(changes)) = (&base.value, &overlay.value)
    else {
        return without_nulls(overlay, findings);
    };
    let mut changes: HashMap<&str, &Entry> = changes
        .iter()
        .map(|entry| (entry.key.as_ref(), entry))
        .collect();
    let mut merged = Vec::with_capacity(base_entries.len() + changes.len());
    for entry in base_entries.iter() {
        match changes.remove(entry.key.as_ref()) {
            None => merged.push(entry.clone()),
            Some(change) if change.value.is_null() => {}
            Some(change) => {
                let value = apply(&entry.value, &change.value, findings);
                merged.push(Entry {
                    value,
                    ..change.clone()
                });
            }
        }
    }
    // In the overlay's order, so that what is said about the result does not vary.
    for added in overlay.entries() {
        if changes.contains_key(added.key.as_ref()) {
            push_added(&mut merged, added, findings);
        }
    }
    Node::mapping(overlay.span, merged)
}

/// A part of the overlay that has no counterpart in the base: there, `null` removes nothing.
fn without_nulls(node: &Node, findings: &mut Vec<Finding>) -> Node {
    let Value::Mapping(entries) = &node.value else {
        return node.clone();
    };
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries.iter() {
        push_added(&mut kept, entry, findings);
    }
    Node::mapping(node.span, kept)
}

fn push_added(entries: &mut Vec<Entry>, added: &Entry, findings: &mut Vec<Finding>) {
    if added.value.is_null() {
        let message = format!("there is no {} that could be removed", quote(&added.key));
        let finding = Finding::error(codes::NOTHING_TO_REMOVE, message)
            .at(added.key_span)
            .help("`null` in an environment removes a key of the configuration below it");
        findings.push(finding);
        return;
    }
    let value = without_nulls(&added.value, findings);
    entries.push(Entry {
        value,
        ..added.clone()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, overlay: &str) -> (String, Vec<&'static str>) {
        let mut findings = Vec::new();
        let base = crate::yaml::parse(base, &mut findings).unwrap();
        let overlay = crate::yaml::parse(overlay, &mut findings).unwrap();
        let node = apply(&base, &overlay, &mut findings);
        (
            flow(&node),
            findings.iter().map(|finding| finding.code).collect(),
        )
    }

    fn flow(node: &Node) -> String {
        match &node.value {
            Value::Scalar { text, .. } => text.to_string(),
            Value::Sequence(items) => {
                format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(","))
            }
            Value::Mapping(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|e| format!("{}:{}", e.key, flow(&e.value)))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }
        }
    }

    #[test]
    fn mappings_merge_and_all_else_is_replaced() {
        let (result, codes) = merged(
            "{a: {x: 1, y: [1, 2]}, b: 1, c: true}",
            "{a: {y: [3], z: 4}, c: {d: 1}}",
        );
        assert_eq!(result, "{a:{x:1,y:[3],z:4},b:1,c:{d:1}}");
        assert!(codes.is_empty());
    }

    #[test]
    fn null_removes_and_removing_nothing_is_a_mistake() {
        assert_eq!(
            merged("{a: {x: 1, y: 2}}", "{a: {x: null}}"),
            ("{a:{y:2}}".into(), vec![])
        );
        let (result, codes) = merged("{a: 1}", "{b: ~, c: {d: null, e: 1}}");
        assert_eq!(result, "{a:1,c:{e:1}}");
        assert_eq!(codes, [codes::NOTHING_TO_REMOVE; 2]);
    }
}
