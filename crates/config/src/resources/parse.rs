//! JSON to nodes, within the bounds that hold for the file.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Placed, Resources, SEALED};
use crate::codes;
use crate::diagnostic::Finding;
use crate::node::{Entry, Node, Value};
use crate::source::Span;

/// Deepest nesting of containers, as in the file.
const DEPTH: usize = 64;

/// Reads all documents; what is no JSON object is reported and left out.
pub(crate) fn place<'r>(resources: &'r Resources, findings: &mut Vec<Finding>) -> Vec<Placed<'r>> {
    let mut next = Span::BESIDE;
    let mut placed = Vec::with_capacity(resources.documents().len());
    for document in resources.documents() {
        let start = next;
        let mut reader = serde_json::Deserializer::from_str(&document.text);
        let seed = Seed {
            next: &mut next,
            depth: 0,
        };
        let read = seed.deserialize(&mut reader);
        let read = read.and_then(|node| reader.end().map(|()| node));
        // What could not be read has a place as well: its own.
        next += 1;
        let fault = match &read {
            Ok(node) if node.entry(SEALED).is_some() => Some(unopened()),
            Ok(node) if matches!(node.value, Value::Mapping(_)) => None,
            Ok(_) => Some(Finding::error(codes::SYNTAX, "a resource is a JSON object")),
            Err(error) => {
                let message = format!("invalid JSON: {error}");
                Some(Finding::error(codes::SYNTAX, message))
            }
        };
        let node = match fault {
            None => read.ok(),
            Some(fault) => {
                findings.push(fault.at(Span::new(start, start)));
                None
            }
        };
        placed.push(Placed {
            id: &document.id,
            span: Span::new(start, next),
            node,
        });
    }
    placed
}

fn unopened() -> Finding {
    Finding::error(
        codes::UNOPENED_RESOURCE,
        "its secrets do not open with the installation's key that this node has",
    )
    .help(
        "give the node the key with which they were sealed (`records.key`, or `installation.key` in \
         its data directory), or write the resource anew",
    )
}

/// Gives each value and each key a place of its own.
struct Seed<'n> {
    next: &'n mut usize,
    depth: usize,
}

impl Seed<'_> {
    fn place(&mut self) -> Span {
        let start = *self.next;
        *self.next += 1;
        Span::new(start, start + 1)
    }

    fn scalar<E>(mut self, text: &str, plain: bool) -> Result<Node, E> {
        Ok(Node {
            span: self.place(),
            value: Value::Scalar {
                text: text.into(),
                plain,
            },
        })
    }

    /// For what is inside of this value.
    fn inner<E: serde::de::Error>(&mut self) -> Result<Seed<'_>, E> {
        if self.depth == DEPTH {
            return Err(E::custom(format_args!(
                "nested more than {DEPTH} levels deep"
            )));
        }
        Ok(Seed {
            depth: self.depth + 1,
            next: self.next,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        self.scalar("null", true)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        self.scalar(if value { "true" } else { "false" }, true)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        self.scalar(&value.to_string(), true)
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        self.scalar(&value.to_string(), true)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        self.scalar(&value.to_string(), true)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        self.scalar(value, false)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Node, A::Error> {
        let span = self.place();
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(self.inner()?)? {
            nodes.push(node);
        }
        Ok(Node {
            span,
            value: Value::Sequence(nodes.into()),
        })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Node, A::Error> {
        let span = self.place();
        let mut seen: HashSet<Arc<str>> = HashSet::new();
        let mut entries = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            let key: Arc<str> = key.into();
            let key_span = self.place();
            let value = members.next_value_seed(self.inner()?)?;
            if !seen.insert(Arc::clone(&key)) {
                return Err(A::Error::custom(format_args!("`{key}` is written twice")));
            }
            entries.push(Entry {
                key,
                key_span,
                value,
            });
        }
        Ok(Node::mapping(span, entries))
    }
}
