//! What OpenAPI's schemas have that JSON Schema lacks.

use serde_json::{Value, json};

use super::{JSON, compile, document, judge};

#[track_caller]
fn check(version: &str, schemas: Value, bodies: &[(Value, bool)]) {
    let body =
        json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}});
    let paths = json!({"/": {"post": {"requestBody": body}}});
    let mut document = document(version, paths, schemas);
    document["servers"] = json!([{"url": "/"}]);
    let api = compile(document).unwrap_or_else(|fault| panic!("{fault}"));
    for (body, is_good) in bodies {
        let found = judge(&api, "POST", "/", &[JSON], &body.to_string());
        assert_eq!(found.is_empty(), *is_good, "{body}: {found:?}");
    }
}

#[test]
fn null_is_allowed_where_it_is_said() {
    let schema = json!({"S": {"properties": {
        "a": {"type": "string", "nullable": true},
        "b": {"type": "string", "nullable": false},
        "nullable": {"type": "string"},
        "c": {"nullable": true, "allOf": [{"type": "string"}]},
    }}});
    let bodies = [
        (json!({"a": null}), true),
        (json!({"a": 1}), false),
        (json!({"b": null}), false),
        (json!({"nullable": 1}), false),
        (json!({"c": null}), false),
    ];
    check("3.0.3", schema, &bodies);
    let schema = json!({"S": {"properties": {"a": {"type": ["string", "null"]}, "b": {"type": "string", "nullable": true}}}});
    check(
        "3.1.0",
        schema,
        &[(json!({"a": null}), true), (json!({"b": null}), false)],
    );
}

#[test]
fn exclusive_bounds_are_those_of_their_version() {
    let old = json!({"S": {"minimum": 1, "exclusiveMinimum": true}});
    check("3.0.0", old, &[(json!(1), false), (json!(2), true)]);
    check(
        "3.1.0",
        json!({"S": {"exclusiveMinimum": 1}}),
        &[(json!(1), false), (json!(2), true)],
    );
}

#[test]
fn discriminators_choose_the_branch() {
    let pets = |key: &str| {
        json!({
            "S": {
                key: [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
                "discriminator": {"propertyName": "kind", "mapping": {"hound": "#/components/schemas/Dog", "dog": "Dog"}},
            },
            "Cat": {"type": "object", "properties": {"kind": {"type": "string"}, "name": {"type": "string"}}},
            "Dog": {"type": "object", "required": ["bark"], "properties": {"kind": {"type": "string"}, "bark": {"type": "boolean"}}},
        })
    };
    for key in ["oneOf", "anyOf"] {
        check(
            "3.0.3",
            pets(key),
            &[
                (json!({"kind": "Cat"}), true),
                (json!({"kind": "dog", "bark": true}), true),
                (json!({"kind": "hound", "bark": true}), true),
                (json!({"kind": "dog"}), false),
                (json!({"kind": "Dog", "bark": true}), false),
                (json!({"kind": "cow"}), false),
                (json!({"name": "x"}), false),
            ],
        );
    }
}

#[test]
fn numbers_have_the_bounds_of_their_format() {
    let schema = json!({"S": {"type": "integer", "format": "int32", "allOf": [{"maximum": 5}]}});
    check(
        "3.0.3",
        schema,
        &[
            (json!(5), true),
            (json!(6), false),
            (json!(-2_147_483_649_i64), false),
        ],
    );
    let schema = json!({"S": {"type": "integer", "format": "int64"}});
    check(
        "3.1.0",
        schema,
        &[(json!(i64::MAX), true), (json!(u64::MAX), false)],
    );
}

#[test]
fn only_a_reference_counts_in_3_0() {
    let schemas =
        json!({"S": {"$ref": "#/components/schemas/T", "minLength": 5}, "T": {"type": "string"}});
    check(
        "3.0.3",
        schemas.clone(),
        &[(json!("a"), true), (json!(1), false)],
    );
    check(
        "3.1.0",
        schemas,
        &[(json!("a"), false), (json!("abcde"), true)],
    );
}

#[test]
fn circles_are_walked_only_as_far_as_the_value_goes() {
    let schemas = json!({
        "S": {"properties": {"next": {"$ref": "#/components/schemas/T"}}, "additionalProperties": false},
        "T": {"allOf": [{"$ref": "#/components/schemas/S"}]},
    });
    check(
        "3.0.3",
        schemas,
        &[
            (json!({"next": {"next": {"next": {}}}}), true),
            (json!({"next": {"next": {"other": {}}}}), false),
        ],
    );
    let endless =
        json!({"S": {"$ref": "#/components/schemas/T"}, "T": {"$ref": "#/components/schemas/S"}});
    check("3.1.0", endless.clone(), &[(json!(1), true)]);
    check("3.0.3", endless, &[(json!(1), true)]);
}

#[test]
fn names_are_no_keywords() {
    let schema = json!({"S": {"properties": {
        "$ref": {"type": "string"}, "default": {"type": "string"}, "example": {"type": "string"},
        "properties": {"type": "string"}, "id": {"type": "string"}, "x-y": {"type": "string"},
    }, "enum": [{"nullable": true}, {"default": 1}]}});
    check(
        "3.0.3",
        schema,
        &[
            (json!({"nullable": true}), true),
            (json!({"default": 1}), false),
        ],
    );
}
