//! Which values of documents are secrets, and what stands in their place.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread;
use std::time::SystemTime;

use serde_json::Value as Json;

use super::{ResourceKind, ResourceName};
use crate::decode::{Context, Mode};
use crate::node::{Entry, Node, Value};
use crate::reference::{Materials, Variables};
use crate::section;
use crate::source::{Source, Span};

/// What stands in place of a secret.
pub const HIDDEN: &str = "•••";

/// The member of a document that has its secrets, sealed, by their places. A document that still has it
/// where it is to be used could not be opened.
pub const SEALED: &str = "$sealed";

/// Documents that one thread looks through.
const PART: usize = 1_000;
/// Threads at most: others want to get on, too.
const MOST_THREADS: usize = 4;

/// The places of the secrets in each document, as JSON Pointers (RFC 6901) to single values: those that no
/// diagnostic shows. Where a document would not load, some may be missing. Many are looked through in
/// parallel: what is secret in one does not depend on others.
pub fn secrets(documents: &[(&ResourceName, &Json)]) -> Vec<Vec<String>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = documents
        .len()
        .div_ceil(PART)
        .min(threads.min(MOST_THREADS));
    if threads <= 1 {
        return look_through(documents);
    }
    let mut parts = documents.chunks(documents.len().div_ceil(threads));
    let own = parts.next().unwrap_or_default();
    thread::scope(|scope| {
        let others = parts.map(|part| scope.spawn(move || look_through(part)));
        let others: Vec<_> = others.collect();
        let mut found = look_through(own);
        for other in others {
            match other.join() {
                Ok(part) => found.extend(part),
                Err(panic) => resume_unwind(panic),
            }
        }
        found
    })
}

fn look_through(documents: &[(&ResourceName, &Json)]) -> Vec<Vec<String>> {
    let mut walk = Walk {
        next: Span::BESIDE,
        leaves: Vec::new(),
    };
    let mut sections: [Vec<Entry>; ResourceKind::ALL.len()] = Default::default();
    for (index, (name, document)) in documents.iter().enumerate() {
        let node = walk.node(document, index, "");
        sections[name.kind as usize].push(Entry {
            key: name.name.as_str().into(),
            key_span: node.span,
            value: node,
        });
    }
    let entries = ResourceKind::ALL.into_iter().zip(sections);
    let entries = entries.map(|(kind, entries)| Entry {
        key: kind.section().into(),
        key_span: Span::default(),
        value: section_of(kind, entries),
    });
    let root = Node::mapping(Span::default(), entries.collect());
    let source = Source::new("", "");
    let variables = Variables::Only(Default::default());
    let materials = Materials::new(Path::new(""), &variables, SystemTime::UNIX_EPOCH);
    let mut context = Context::new(&source, Mode::Form, false, materials);
    // What is wrong with them is for the judge of the whole to say.
    section::decode(&mut context, &root, None, None);
    walk.within(&context.hidden, documents.len())
}

fn section_of(kind: ResourceKind, entries: Vec<Entry>) -> Node {
    if kind != ResourceKind::Route {
        return Node::mapping(Span::default(), entries);
    }
    let items = entries.into_iter().map(|entry| entry.value);
    Node {
        span: Span::default(),
        value: Value::Sequence(items.collect()),
    }
}

/// Gives each value a place of its own; a container's has those of its values within it.
struct Walk {
    next: usize,
    /// Place, document and pointer of each single value.
    leaves: Vec<(usize, usize, String)>,
}

impl Walk {
    fn node(&mut self, value: &Json, document: usize, pointer: &str) -> Node {
        let start = self.next;
        self.next += 1;
        let value = match value {
            Json::Array(items) => {
                let items = items.iter().enumerate();
                let items = items
                    .map(|(index, item)| self.node(item, document, &format!("{pointer}/{index}")));
                Value::Sequence(items.collect())
            }
            Json::Object(members) => {
                let entries = members.iter().map(|(key, value)| {
                    let step = key.replace('~', "~0").replace('/', "~1");
                    Entry {
                        key: key.as_str().into(),
                        key_span: Span::new(start, start + 1),
                        value: self.node(value, document, &format!("{pointer}/{step}")),
                    }
                });
                Value::Mapping(entries.collect())
            }
            single => {
                self.leaves.push((start, document, pointer.to_owned()));
                let (text, plain) = match single {
                    Json::String(text) => (text.as_str().into(), false),
                    other => (other.to_string().into(), true),
                };
                Value::Scalar { text, plain }
            }
        };
        Node {
            span: Span::new(start, self.next),
            value,
        }
    }

    /// The values at these places, by document.
    fn within(self, hidden: &[Span], documents: usize) -> Vec<Vec<String>> {
        let mut found = vec![Vec::new(); documents];
        let mut hidden: Vec<_> = hidden.iter().filter(|span| span.is_beside()).collect();
        hidden.sort();
        hidden.dedup();
        for span in hidden {
            let first = self.leaves.partition_point(|leaf| leaf.0 < span.start);
            for (_, document, pointer) in self.leaves[first..]
                .iter()
                .take_while(|leaf| leaf.0 < span.end)
            {
                found[*document].push(pointer.clone());
            }
        }
        for pointers in &mut found {
            // A place may be hidden by itself and with all around it.
            pointers.sort();
            pointers.dedup();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(kind: ResourceKind, document: &Json) -> Vec<String> {
        let name = ResourceName::new(kind, "a").unwrap();
        secrets(&[(&name, document)]).remove(0)
    }

    #[test]
    fn what_diagnostics_hide_is_secret() {
        let policy = json!({"headers": {
            "request": {
                "set": {"authorization": "Bearer x", "x-plain": "y", "Cookie": "a=b"},
                "add": {"x-api-key": ["one", "two"], "x/y~z-token": "three"},
            },
            "response": {"set": {"proxy-authorization": "basic z"}},
        }});
        assert_eq!(
            of(ResourceKind::Policy, &policy),
            [
                "/headers/request/add/x-api-key/0",
                "/headers/request/add/x-api-key/1",
                "/headers/request/add/x~1y~0z-token",
                "/headers/request/set/Cookie",
                "/headers/request/set/authorization",
                "/headers/response/set/proxy-authorization",
            ]
        );
        let route = json!({
            "name": "a",
            "match": {"headers": {"x-api-key": {"exact": "k"}, "accept": "x"}},
            "upstream": "nobody",
        });
        assert_eq!(
            of(ResourceKind::Route, &route),
            ["/match/headers/x-api-key/exact"]
        );
    }

    #[test]
    fn the_key_of_a_certificate_is_secret_and_its_chain_is_not() {
        let document = json!({"certificate": "-----BEGIN CERTIFICATE-----", "key": "anything"});
        assert_eq!(of(ResourceKind::Certificate, &document), ["/key"]);
    }

    #[test]
    fn many_are_looked_through_each_for_itself() {
        let name = ResourceName::new(ResourceKind::Policy, "a").unwrap();
        let of = |number: usize| match number % 3 {
            0 => json!({"headers": {"request": {"set": {"authorization": "x"}}}}),
            _ => json!({"headers": {"request": {"set": {"x-a": "x"}}}}),
        };
        let documents: Vec<_> = (0..4 * PART + 1).map(of).collect();
        let named: Vec<_> = documents.iter().map(|document| (&name, document)).collect();
        let found = secrets(&named);
        assert_eq!(found.len(), documents.len());
        let has_one =
            |(number, found): (usize, &Vec<String>)| (number % 3 == 0) == (found.len() == 1);
        assert!(found.iter().enumerate().all(has_one));
    }

    #[test]
    fn each_document_has_its_own() {
        let name = |name| ResourceName::new(ResourceKind::Policy, name).unwrap();
        let (a, b, c) = (name("a"), name("b"), name("c"));
        let secret = json!({"headers": {"request": {"set": {"authorization": "x"}}}});
        let plain = json!({"headers": {"request": {"set": {"x-a": "x"}}}});
        let found = secrets(&[(&c, &secret), (&a, &plain), (&b, &secret), (&b, &json!(7))]);
        let pointer = vec!["/headers/request/set/authorization".to_owned()];
        assert_eq!(found, [pointer.clone(), vec![], pointer, vec![]]);
    }
}
