//! The JSON Schema (draft 2020-12), printed from the tables of [`shape`](crate::shape).

use serde_json::{Map, Value, json};

use crate::node::{self, Node};
use crate::section::ROOT;
use crate::shape::{Choice, Field, Presence, Record, Shape, Text, default_of};
use crate::value::quantity::{DURATION_PATTERN, PERCENTAGE_PATTERN, SIZE_PATTERN};

/// The JSON Schema of the configuration file, for editors and other tools.
///
/// The loader is stricter where a schema cannot say it (names that must exist, captures, numbers
/// with units out of range); it never accepts what the schema refuses. Keys that this version
/// cannot enforce are in it as never valid, with the reason.
pub fn schema() -> Value {
    let mut printer = Printer::default();
    let root = printer.record(&ROOT, Form::Whole);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:weir:schema:configuration",
        "title": "Weir configuration",
    });
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
        schema.insert("$defs".into(), Value::Object(printer.definitions));
    }
    schema
}

/// Whether a value stands for itself or changes another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    /// Inside of an environment: nothing is required and `null` removes.
    Change,
}

#[derive(Default)]
struct Printer {
    definitions: Map<String, Value>,
}

impl Printer {
    fn record(&mut self, record: &'static Record, form: Form) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in record.fields {
            if form == Form::Change
                && matches!(
                    field.shape,
                    Shape::Map {
                        values: Shape::Overlay,
                        ..
                    }
                )
            {
                continue;
            }
            properties.insert(field.key.into(), self.field(record, field, form));
            if field.presence == Presence::Required && form == Form::Whole {
                required.push(field.key);
            }
        }
        let mut schema = json!({
            "description": record.about,
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    fn field(&mut self, record: &'static Record, field: &'static Field, form: Form) -> Value {
        if field.presence == Presence::Refused {
            let reason = "this version cannot enforce it";
            return json!({
                "description": format!("{} Refused: {reason}.", field.about),
                "not": {},
                "errorMessage": reason,
                "doNotSuggest": true,
            });
        }
        let mut schema = self.shape(&field.shape, form);
        if form == Form::Change {
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
        }
        let mut with_words = json!({ "description": field.about });
        if form == Form::Whole
            && let Some(default) = default_of(record, field.key)
        {
            with_words["default"] = default_json(default, &field.shape);
        }
        merge(&mut with_words, schema);
        with_words
    }

    fn shape(&mut self, shape: &'static Shape, form: Form) -> Value {
        match shape {
            Shape::Boolean => json!({ "type": "boolean" }),
            Shape::Integer { least, most } => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Shape::Duration { .. } => json!({
                "type": "string",
                "pattern": DURATION_PATTERN,
                "examples": ["250ms", "15s", "2m", "1h"],
            }),
            Shape::Size { .. } => json!({
                "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    { "type": "string", "pattern": SIZE_PATTERN, "examples": ["32KiB", "10MB"] },
                ],
            }),
            Shape::Percentage { .. } => json!({
                "type": "string",
                "pattern": PERCENTAGE_PATTERN,
                "examples": ["20%"],
            }),
            Shape::Choice(choices) => choices_schema(choices),
            Shape::Number(numbers) => json!({ "enum": numbers }),
            Shape::Text(text) => text_schema(text),
            Shape::Record(record) => self.reference(record, form),
            Shape::Map { names, values } => {
                let values = match values {
                    Shape::Overlay => self.overlay(),
                    values => self.shape(values, form),
                };
                let values = match form {
                    Form::Whole => values,
                    Form::Change => json!({ "anyOf": [values, { "type": "null" }] }),
                };
                let mut schema = json!({ "type": "object", "additionalProperties": values });
                if let Some(pattern) = names.pattern {
                    schema["propertyNames"] = json!({ "pattern": pattern });
                }
                schema
            }
            // A list replaces: its items are whole.
            Shape::List { items, least } => {
                let mut schema =
                    json!({ "type": "array", "items": self.shape(items, Form::Whole) });
                if *least > 0 {
                    schema["minItems"] = json!(least);
                }
                schema
            }
            Shape::OneOrMany(item) => {
                let item = self.shape(item, Form::Whole);
                json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
            }
            Shape::Either(shapes) => {
                let shapes: Vec<Value> =
                    shapes.iter().map(|shape| self.shape(shape, form)).collect();
                json!({ "anyOf": shapes })
            }
            Shape::Overlay => self.overlay(),
            Shape::Anything => json!({}),
        }
    }

    fn overlay(&mut self) -> Value {
        self.reference(&ROOT, Form::Change)
    }

    fn reference(&mut self, record: &'static Record, form: Form) -> Value {
        let name = match form {
            Form::Whole => record.name.to_owned(),
            Form::Change => format!("{}_change", record.name),
        };
        if !self.definitions.contains_key(&name) {
            // Taken before the record is printed, so that one which contains itself ends.
            self.definitions.insert(name.clone(), Value::Null);
            let schema = self.record(record, form);
            self.definitions.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

fn choices_schema(choices: &[Choice]) -> Value {
    let mut options = Vec::new();
    for choice in choices {
        if choice.refused {
            continue;
        }
        options.push(json!({ "const": choice.text, "description": choice.about }));
        // `1.3` without quotes is a number to JSON.
        if let Ok(number) = choice.text.parse::<f64>() {
            options.push(json!({ "const": number, "description": choice.about }));
        }
    }
    json!({ "oneOf": options })
}

fn text_schema(text: &Text) -> Value {
    let mut schema = json!({ "type": "string" });
    if text.loose {
        schema["type"] = json!(["string", "number", "boolean"]);
    }
    if let Some(pattern) = text.pattern {
        schema["pattern"] = json!(pattern);
    }
    if !text.examples.is_empty() {
        schema["examples"] = json!(text.examples);
    }
    schema
}

fn default_json(node: &Node, shape: &Shape) -> Value {
    match &node.value {
        node::Value::Mapping(entries) => {
            let member = |entry: &node::Entry| {
                (
                    entry.key.to_string(),
                    default_json(&entry.value, &Shape::Anything),
                )
            };
            Value::Object(entries.iter().map(member).collect())
        }
        node::Value::Sequence(items) => items
            .iter()
            .map(|item| default_json(item, &Shape::Anything))
            .collect(),
        node::Value::Scalar { text, .. } => {
            let is_text = matches!(shape, Shape::Text(_) | Shape::Choice(_));
            let number = text.parse::<u64>().ok().filter(|_| !is_text);
            match text.as_ref() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => number.map_or_else(|| Value::from(text.as_ref()), Value::from),
            }
        }
    }
}

fn merge(target: &mut Value, from: Value) {
    if let (Value::Object(target), Value::Object(from)) = (target, from) {
        target.extend(from);
    }
}
