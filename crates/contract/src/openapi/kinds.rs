//! Which types a schema lets a text stand for: parameters and forms have texts only.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Number, Value as Document};

use super::pointer::At;
use crate::documents::Documents;
use crate::json::Value;

/// How far references and branches are followed.
const DEPTH: usize = 8;

/// Types of a value that has no inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    string: bool,
    number: bool,
    boolean: bool,
    null: bool,
}

/// Types of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    pub(super) simple: Simple,
    /// Of a list, those of its items.
    pub(super) array: Option<Simple>,
    pub(super) object: Option<Properties>,
}

/// Types of an object's members; members of forms can be lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties {
    pub(super) named: HashMap<String, (Simple, Option<Simple>)>,
    pub(super) others: Simple,
}

impl Simple {
    /// The text as a value of the first type that it can be of.
    pub(super) fn read<'t>(self, text: Cow<'t, str>) -> Value<'t> {
        if self.number
            && let Ok(number) = text.parse::<Number>()
        {
            return Value::Number(number);
        }
        match text.as_ref() {
            "true" if self.boolean => Value::Boolean(true),
            "false" if self.boolean => Value::Boolean(false),
            "null" if self.null && !self.string => Value::Null,
            _ => Value::String(text),
        }
    }

    /// Whether a text that was read as something else may be meant.
    pub(super) fn is_also_text(self) -> bool {
        self.string
    }

    fn add(&mut self, name: &str) {
        match name {
            "string" => self.string = true,
            "number" | "integer" => self.number = true,
            "boolean" => self.boolean = true,
            "null" => self.null = true,
            _ => {}
        }
    }
}

impl Kinds {
    /// Of the schema at a place.
    pub(super) fn of(documents: &Documents, at: &At) -> Self {
        let mut kinds = Self::default();
        collect(documents, at, DEPTH, &mut kinds);
        kinds
    }
}

fn collect(documents: &Documents, at: &At, depth: usize, kinds: &mut Kinds) {
    let Some(Document::Object(schema)) = at.value(documents) else {
        return;
    };
    if depth == 0 {
        return;
    }
    if let Some(Document::String(reference)) = schema.get("$ref")
        && let Ok(target) = at.join("$ref").follow(documents, reference)
    {
        collect(documents, &target, depth - 1, kinds);
    }
    for name in stated(schema) {
        match name {
            "array" => {
                let items = simple(documents, &at.join("items"), depth);
                kinds.array.get_or_insert(items);
            }
            "object" => {
                kinds.object.get_or_insert_default();
            }
            name => kinds.simple.add(name),
        }
    }
    if let Some(Document::Object(properties)) = schema.get("properties") {
        let object = kinds.object.get_or_insert_default();
        for name in properties.keys() {
            let mut inner = Kinds::default();
            collect(
                documents,
                &at.join("properties").join(name),
                depth - 1,
                &mut inner,
            );
            object
                .named
                .insert(name.clone(), (inner.simple, inner.array));
        }
    }
    if let Some(Document::Object(_)) = schema.get("additionalProperties") {
        let others = simple(documents, &at.join("additionalProperties"), depth);
        kinds.object.get_or_insert_default().others = others;
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let branches = schema
            .get(key)
            .and_then(Document::as_array)
            .map_or(0, Vec::len);
        for branch in 0..branches {
            collect(documents, &at.join(key).index(branch), depth - 1, kinds);
        }
    }
}

fn simple(documents: &Documents, at: &At, depth: usize) -> Simple {
    let mut kinds = Kinds::default();
    collect(documents, at, depth - 1, &mut kinds);
    kinds.simple
}

/// The types that a schema states; those of its `enum` where it states none.
fn stated(schema: &Map<String, Document>) -> Vec<&str> {
    match schema.get("type") {
        Some(Document::String(name)) => vec![name],
        Some(Document::Array(names)) => names.iter().filter_map(Document::as_str).collect(),
        _ => {
            let values = schema.get("enum").and_then(Document::as_array);
            let values = values.into_iter().flatten().chain(schema.get("const"));
            values
                .map(|value| match value {
                    Document::Null => "null",
                    Document::Bool(_) => "boolean",
                    Document::Number(_) => "number",
                    _ => "string",
                })
                .collect()
        }
    }
}
