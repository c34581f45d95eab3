//! Schemas of OpenAPI as JSON Schemas.
//!
//! Schema Objects have keywords of their own (`nullable`, `discriminator`, `readOnly`, formats of
//! numbers), and they refer to each other all over the documents. Each that is used becomes one
//! definition of a single schema of 2020-12, in which references lead to definitions: circles stay
//! circles, and nothing is copied twice.

use std::collections::{HashMap, VecDeque};

use jsonschema::{Draft, Registry};
use serde_json::{Map, Value, json};

use super::Version;
use super::pointer::At;
use crate::documents::{Documents, Fault};
use crate::schema::{Schema, SchemaOptions, fault_of, settings};

/// Where the definitions stand.
const BASE: &str = "weir-file:///definitions";

/// Keywords whose value is a schema.
const ONE: [&str; 12] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
];
/// Keywords whose value is a list of schemas.
const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value has schemas under names.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];
/// Keywords that say nothing about values.
const SILENT: [&str; 12] = [
    "nullable",
    "discriminator",
    "readOnly",
    "writeOnly",
    "xml",
    "externalDocs",
    "example",
    "examples",
    "deprecated",
    "default",
    "$comment",
    "description",
];
/// Keywords that give schemas other names than their place.
const NAMING: [&str; 5] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
];

const EXCLUSIVE: [(&str, &str); 2] = [
    ("minimum", "exclusiveMinimum"),
    ("maximum", "exclusiveMaximum"),
];

/// Which way a message goes: it decides about `readOnly` and `writeOnly`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Request,
    Response,
}

/// A definition, to be compiled.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    name: String,
    at: At,
}

pub(super) struct Converter<'d> {
    pub(super) documents: &'d Documents,
    version: Version,
    options: SchemaOptions,
    names: HashMap<(At, Direction), String>,
    waiting: VecDeque<(String, At, Direction)>,
    definitions: Map<String, Value>,
    origins: HashMap<String, At>,
}

impl<'d> Converter<'d> {
    pub(super) fn new(documents: &'d Documents, version: Version, options: SchemaOptions) -> Self {
        Self {
            documents,
            version,
            options,
            names: HashMap::new(),
            waiting: VecDeque::new(),
            definitions: Map::new(),
            origins: HashMap::new(),
        }
    }

    /// The definition of the schema at a place.
    pub(super) fn define(&mut self, at: &At, direction: Direction) -> Definition {
        Definition {
            name: self.name(at, direction),
            at: at.clone(),
        }
    }

    fn name(&mut self, at: &At, direction: Direction) -> String {
        let key = (at.clone(), direction);
        if let Some(known) = self.names.get(&key) {
            return known.clone();
        }
        let name = format!("s{}", self.names.len());
        self.names.insert(key, name.clone());
        self.waiting
            .push_back((name.clone(), at.clone(), direction));
        name
    }

    /// Converts everything that was asked for, and what that refers to.
    pub(super) fn compile(mut self) -> Result<Schemas, Fault> {
        while let Some((name, at, direction)) = self.waiting.pop_front() {
            let schema = at.value(self.documents).unwrap_or(&Value::Null);
            let converted = self.convert(&at, schema, direction)?;
            check_form(&at, &converted)?;
            self.definitions.insert(name.clone(), converted);
            self.origins.insert(name, at);
        }
        let root = json!({ "$defs": self.definitions });
        let added = Registry::new().draft(Draft::Draft202012).add(BASE, root);
        let registry = added.and_then(jsonschema::RegistryBuilder::prepare);
        let registry = registry.map_err(|error| {
            At::root(self.documents).fault(format!("its schemas cannot be used: {error}"))
        })?;
        Ok(Schemas {
            registry,
            options: self.options,
        })
    }

    fn convert(&mut self, at: &At, schema: &Value, direction: Direction) -> Result<Value, Fault> {
        let object = match schema {
            Value::Bool(_) => return Ok(schema.clone()),
            Value::Object(object) => object,
            _ => return Err(at.fault("expected a schema")),
        };
        if let Some(naming) = NAMING
            .iter()
            .find(|key| object.get(**key).is_some_and(Value::is_string))
        {
            let fault = at
                .join(naming)
                .fault(format!("`{naming}` is not understood here"));
            return Err(fault.help("refer to schemas by their place: `#/components/schemas/NAME`"));
        }
        let mut converted = Map::new();
        if let Some(reference) = object.get("$ref") {
            let place = at.join("$ref");
            let Value::String(reference) = reference else {
                return Err(place.fault("`$ref` must be text"));
            };
            let target = place.follow(self.documents, reference)?;
            converted.insert("$ref".into(), self.reference(&target, direction));
            // OpenAPI 3.0 looks at nothing beside a reference.
            if self.version == Version::V30 {
                return Ok(Value::Object(converted));
            }
        }
        for (key, value) in object {
            if key == "$ref"
                || key == "$schema"
                || key.starts_with("x-")
                || SILENT.contains(&key.as_str())
            {
                continue;
            }
            let value = self.keyword(at, object, key, value, direction)?;
            converted.insert(key.clone(), value);
        }
        if self.version == Version::V30 {
            allow_null(object, &mut converted);
            for (bound, marker) in EXCLUSIVE {
                exclude_bound(object, &mut converted, bound, marker);
            }
        }
        bound_number(object, &mut converted);
        Ok(Value::Object(converted))
    }

    fn keyword(
        &mut self,
        at: &At,
        object: &Map<String, Value>,
        key: &str,
        value: &Value,
        direction: Direction,
    ) -> Result<Value, Fault> {
        let place = at.join(key);
        match value {
            Value::Object(members) if NAMED.contains(&key) => {
                let mut converted = Map::new();
                for (name, schema) in members {
                    if key == "patternProperties" {
                        self.check_pattern(&place.join(name), name)?;
                    }
                    let schema = self.convert(&place.join(name), schema, direction)?;
                    converted.insert(name.clone(), schema);
                }
                Ok(Value::Object(converted))
            }
            Value::Array(items) if MANY.contains(&key) || key == "items" => {
                let mut converted = Vec::new();
                for (index, schema) in items.iter().enumerate() {
                    let branch = self.convert(&place.index(index), schema, direction)?;
                    converted.push(match key {
                        "oneOf" | "anyOf" => self.discriminate(at, object, schema, branch)?,
                        _ => branch,
                    });
                }
                Ok(Value::Array(converted))
            }
            Value::Object(_) if ONE.contains(&key) => self.convert(&place, value, direction),
            Value::String(pattern) if key == "pattern" => {
                self.check_pattern(&place, pattern)?;
                Ok(value.clone())
            }
            Value::Array(names) if key == "required" => Ok(names
                .iter()
                .filter(|name| !is_of_other_way(object, name, direction))
                .cloned()
                .collect()),
            _ => Ok(value.clone()),
        }
    }

    /// Patterns are compiled by themselves, so that a mistake has its place.
    fn check_pattern(&self, at: &At, pattern: &str) -> Result<(), Fault> {
        let settings = settings(self.options).with_draft(Draft::Draft202012);
        let built = settings.build(&json!({ "pattern": pattern }));
        built
            .map(drop)
            .map_err(|error| fault_of(&at.document, &at.pointer, &error))
    }

    fn reference(&mut self, target: &At, direction: Direction) -> Value {
        let name = self.name(target, direction);
        Value::from(format!("#/$defs/{name}"))
    }

    /// A branch of a schema with a discriminator (OpenAPI §4.8.25): it is for objects that name it.
    fn discriminate(
        &self,
        at: &At,
        object: &Map<String, Value>,
        schema: &Value,
        branch: Value,
    ) -> Result<Value, Fault> {
        let discriminator = object.get("discriminator");
        let property = discriminator
            .and_then(|of| of.get("propertyName"))
            .and_then(Value::as_str);
        let (Some(property), Some(reference)) =
            (property, schema.get("$ref").and_then(Value::as_str))
        else {
            return Ok(branch);
        };
        let at = at.join("discriminator");
        let target = at.follow(self.documents, reference)?;
        let mut names = Vec::new();
        let mapping = discriminator
            .and_then(|of| of.get("mapping"))
            .and_then(Value::as_object);
        for (name, to) in mapping.into_iter().flatten() {
            let Some(to) = to.as_str() else { continue };
            let by_name = At::root(self.documents)
                .join("components")
                .join("schemas")
                .join(to);
            let to = if by_name.value(self.documents).is_some() {
                by_name
            } else {
                at.join("mapping").join(name).follow(self.documents, to)?
            };
            if to == target {
                names.push(Value::from(name.as_str()));
            }
        }
        if names.is_empty() {
            let last = target.pointer.rsplit('/').next().unwrap_or_default();
            names.push(Value::from(last.replace("~1", "/").replace("~0", "~")));
        }
        let named = json!({
            "type": "object",
            "required": [property],
            "properties": { property: { "enum": names } },
        });
        Ok(json!({ "allOf": [named, branch] }))
    }
}

/// `nullable` (OpenAPI 3.0.3 §4.7.24): only beside a `type` that stands there, too.
fn allow_null(object: &Map<String, Value>, converted: &mut Map<String, Value>) {
    if object.get("nullable") == Some(&Value::Bool(true))
        && let Some(Value::String(name)) = object.get("type")
    {
        converted.insert("type".into(), json!([name, "null"]));
    }
}

/// `exclusiveMinimum: true` beside its `minimum`, as draft 4 has it.
fn exclude_bound(
    object: &Map<String, Value>,
    converted: &mut Map<String, Value>,
    bound: &str,
    marker: &str,
) {
    let Some(Value::Bool(is_exclusive)) = object.get(marker) else {
        return;
    };
    converted.remove(marker);
    if *is_exclusive && let Some(limit) = converted.remove(bound) {
        converted.insert(marker.to_owned(), limit);
    }
}

/// Formats that bound a number (OpenAPI §4.4).
fn bound_number(object: &Map<String, Value>, converted: &mut Map<String, Value>) {
    let bounds = match object.get("format").and_then(Value::as_str) {
        Some("int32") => json!({"minimum": i32::MIN, "maximum": i32::MAX}),
        Some("int64") => json!({"minimum": i64::MIN, "maximum": i64::MAX}),
        _ => return,
    };
    let all = converted.entry("allOf").or_insert_with(|| json!([]));
    if let Value::Array(all) = all {
        all.push(bounds);
    }
}

/// Whether a required property is none of messages that go this way (OpenAPI 3.0.3 §4.7.24.2).
fn is_of_other_way(object: &Map<String, Value>, name: &Value, direction: Direction) -> bool {
    let marker = match direction {
        Direction::Request => "readOnly",
        Direction::Response => "writeOnly",
    };
    let property = name
        .as_str()
        .and_then(|name| object.get("properties")?.get(name));
    property.and_then(|property| property.get(marker)) == Some(&Value::Bool(true))
}

/// What the draft's own schema says of a schema.
fn check_form(at: &At, schema: &Value) -> Result<(), Fault> {
    jsonschema::draft202012::meta::validate(schema).map_err(|error| {
        let pointer = format!("{}{}", at.pointer, error.instance_path().as_str());
        fault_of(&at.document, &pointer, &error)
    })
}

/// All definitions.
pub(super) struct Schemas {
    registry: Registry<'static>,
    options: SchemaOptions,
}

impl Schemas {
    pub(super) fn compile(&self, definition: &Definition) -> Result<Schema, Fault> {
        let place = format!("{BASE}#/$defs/{}", definition.name);
        let built = settings(self.options)
            .with_draft(Draft::Draft202012)
            .with_registry(&self.registry)
            .build(&json!({ "$ref": place }));
        let at = &definition.at;
        built
            .map(Schema::from)
            .map_err(|error| fault_of(&at.document, &at.pointer, &error))
    }
}
