//! The form of OpenAPI 3.0, for tools that do not know 3.1, in which schemas are those of JSON Schema.

use serde_json::{Map, Value, json};

/// The same document in OpenAPI 3.0.3.
pub(super) fn of(mut document: Value) -> Value {
    if let Some(schemas) = document.pointer_mut("/components/schemas") {
        for schema in members(schemas) {
            convert(schema);
        }
    }
    for place in ["/components/responses", "/paths"] {
        if let Some(part) = document.pointer_mut(place) {
            find(part);
        }
    }
    if let Some(license) = document.pointer_mut("/info/license") {
        // New in 3.1.
        if let Some(license) = license.as_object_mut() {
            license.remove("identifier");
        }
    }
    document["openapi"] = json!("3.0.3");
    document
}

/// Converts the schemas of parameters, headers and contents.
fn find(part: &mut Value) {
    match part {
        Value::Object(object) => {
            for (name, member) in object {
                match name.as_str() {
                    "schema" => convert(member),
                    "example" | "examples" => {}
                    _ => find(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(find),
        _ => {}
    }
}

fn convert(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    allow_null(object);
    if let Some(Value::Array(examples)) = object.remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        object.insert("example".to_owned(), first);
    }
    if let Some(value) = object.remove("const") {
        object.insert("enum".to_owned(), json!([value]));
    }
    // There is no word for what names of members are.
    object.remove("propertyNames");
    for (bound, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        if let Some(value @ Value::Number(_)) = object.remove(exclusive) {
            object.insert(bound.to_owned(), value);
            object.insert(exclusive.to_owned(), json!(true));
        }
    }
    for (name, member) in object.iter_mut() {
        match name.as_str() {
            "properties" => members(member).for_each(convert),
            "oneOf" | "anyOf" | "allOf" => member
                .as_array_mut()
                .into_iter()
                .flatten()
                .for_each(convert),
            "items" | "additionalProperties" | "not" => convert(member),
            _ => {}
        }
    }
}

/// `"type": ["string", "null"]` and a choice with null become `nullable`.
fn allow_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        let before = types.len();
        types.retain(|one| one != "null");
        let is_nullable = types.len() < before;
        if let Some(only) = types.pop() {
            object.insert("type".to_owned(), only);
        }
        if is_nullable {
            object.insert("nullable".to_owned(), json!(true));
        }
    }
    for choice in ["oneOf", "anyOf"] {
        let Some(Value::Array(choices)) = object.get_mut(choice) else {
            continue;
        };
        let before = choices.len();
        choices.retain(|one| one["type"] != "null");
        if choices.len() < before {
            let choices = std::mem::take(choices);
            object.remove(choice);
            // Beside `$ref` nothing else is read in 3.0.
            object.insert("allOf".to_owned(), Value::Array(choices));
            object.insert("nullable".to_owned(), json!(true));
        }
    }
}

fn members(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    object
        .as_object_mut()
        .into_iter()
        .flat_map(|object| object.values_mut())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_null_is_nullable() {
        let mut schema = json!({
            "type": "object",
            "properties": {
                "a": { "type": ["string", "null"], "examples": ["x", "y"] },
                "b": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/B" }] },
                "c": { "type": "object", "additionalProperties": { "const": 1 }, "propertyNames": {} },
                "type": { "exclusiveMinimum": 0 }
            }
        });
        convert(&mut schema);
        assert_eq!(
            schema["properties"],
            json!({
                "a": { "type": "string", "nullable": true, "example": "x" },
                "b": { "allOf": [{ "$ref": "#/components/schemas/B" }], "nullable": true },
                "c": { "type": "object", "additionalProperties": { "enum": [1] } },
                "type": { "minimum": 0, "exclusiveMinimum": true }
            })
        );
    }
}
