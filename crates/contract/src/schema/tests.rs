use serde_json::json;

use super::*;

fn compile(schema: Value) -> Result<Schema, Fault> {
    let documents = Documents::gather("order.json", schema, &mut |path| Err(format!("no {path}")))?;
    Schema::compile(&documents, SchemaOptions { formats: true })
}

fn violations(schema: Value, text: &str) -> Vec<(String, String)> {
    let schema = compile(schema).unwrap();
    let json = Json::parse(text.as_bytes()).unwrap();
    let found = schema.check(&json, Place::Body).err().unwrap_or_default();
    found
        .into_iter()
        .map(|violation| (violation.pointer.into(), violation.detail.into()))
        .collect()
}

#[test]
fn violations_have_their_place_and_no_values() {
    let schema = json!({
        "type": "object",
        "required": ["sku"],
        "additionalProperties": false,
        "properties": {
            "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
            "a/b~c": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        },
    });
    assert_eq!(
        violations(schema.clone(), r#"{"sku": "AB-1", "a/b~c": [1, 2]}"#),
        []
    );
    let found = violations(schema, r#"{"a/b~c": [1, 0, "canary"], "extra": 1}"#);
    let expected = [
        ("/a~1b~0c/1", "must be at least 1"),
        ("/a~1b~0c/2", "must be of type integer"),
        ("", r#"must not have the member "extra""#),
        ("", r#"lacks the member "sku""#),
    ];
    for (pointer, detail) in expected {
        assert!(
            found.contains(&(pointer.into(), detail.into())),
            "{detail}: {found:?}"
        );
    }
    assert_eq!(found.len(), 4);
}

#[test]
fn their_number_is_bounded() {
    let text = format!("[{}]", vec!["0"; 1000].join(","));
    let found = violations(json!({"items": {"type": "string"}}), &text);
    assert_eq!(found.len(), MOST);
    // Too many to look at each: the first one.
    let text = format!("[{}]", vec!["0"; 200_000].join(","));
    let found = violations(json!({"items": {"type": "string"}}), &text);
    assert_eq!(found, [("/0".into(), "must be of type string".into())]);
}

#[test]
fn patterns_run_in_linear_time_or_are_refused() {
    let text = format!(r#""{}!""#, "a".repeat(100_000));
    let started = std::time::Instant::now();
    assert_eq!(violations(json!({"pattern": "^(a+)+$"}), &text).len(), 1);
    assert_eq!(violations(json!({"pattern": "^(a|a)*$"}), &text).len(), 1);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());

    for pattern in [
        r"(?=a)b",
        r"(?!a)b",
        r"(?<=a)b",
        r"(a)\1",
        "a{1000}{1000}{1000}",
        "(",
    ] {
        for schema in [
            json!({"properties": {"a": {"pattern": pattern}}}),
            json!({"patternProperties": {pattern: true}}),
            json!({"patternProperties": {pattern: true}, "additionalProperties": false}),
            json!({"patternProperties": {pattern: true}, "unevaluatedProperties": false}),
        ] {
            let fault = compile(schema).expect_err(pattern);
            assert!(fault.message.contains("pattern"), "{pattern}: {fault}");
        }
    }
}

#[test]
fn schemas_that_have_no_end_come_to_one() {
    assert_eq!(violations(json!({"$ref": "#"}), "1").len(), 0);
    let circle = json!({
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "$ref": "#/$defs/a",
    });
    violations(circle, "1");
    // Each level doubles what there is to look at.
    let tree = |leaf: &str| {
        json!({
            "$defs": {"node": {
                "anyOf": [
                    {"properties": {"a": {"$ref": "#/$defs/node"}, "x": {"const": 1}}, "required": ["x"]},
                    {"properties": {"a": {"$ref": "#/$defs/node"}, "x": {"const": 2}}, "required": ["x"]},
                    {"type": leaf},
                ],
            }},
            "$ref": "#/$defs/node",
        })
    };
    let text = format!("{}null{}", r#"{"a":"#.repeat(120), "}".repeat(120));
    let started = std::time::Instant::now();
    assert_eq!(violations(tree("string"), &text).len(), 1);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn looking_without_end_is_a_violation() {
    // No reference, so that nothing is remembered: 3^12 looks at the innermost value.
    let mut schema = json!({"type": "string"});
    for _ in 0..12 {
        schema = json!({"properties": {"a": {"anyOf": [
            {"allOf": [schema.clone(), {"minProperties": 9}]}, schema.clone(),
        ]}}});
    }
    let text = format!("{}1{}", r#"{"a":"#.repeat(12), "}".repeat(12));
    let found = violations(schema, &text);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn what_cannot_be_compiled_is_refused_with_its_place() {
    let fault = compile(json!({"properties": {"a": {"type": "strnig"}}})).unwrap_err();
    assert_eq!(fault.pointer, "/properties/a/type", "{fault}");
    let fault = compile(json!({"$ref": "#/$defs/nowhere"})).unwrap_err();
    assert!(fault.message.contains("nowhere"), "{fault}");
    let fault = compile(json!({"$id": "https://example.com/a", "$ref": "b.json"})).unwrap_err();
    assert!(fault.message.contains("b.json"), "{fault}");
    let fault = compile(json!({"$schema": "https://example.com/own"})).unwrap_err();
    assert!(fault.message.contains("example.com/own"), "{fault}");
}

#[test]
fn deep_values_do_not_overflow_a_small_stack() {
    let schema = json!({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [
        {"items": {"$ref": "#/$defs/n"}, "unevaluatedProperties": false, "type": "array"},
        {"allOf": [{"oneOf": [{"type": "null"}]}]},
    ]}}});
    let schema = compile(schema).unwrap();
    let check = move || {
        let text = format!("{}1{}", "[".repeat(127), "]".repeat(127));
        let json = Json::parse(text.as_bytes()).unwrap();
        assert!(schema.check(&json, Place::Body).is_err());
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(check).unwrap().join().unwrap();
}

#[test]
fn equal_items_are_found_whatever_their_spelling() {
    let unique = json!({"uniqueItems": true});
    for (text, is_unique) in [
        (r#"[1, 1.0]"#, false),
        (r#"[{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]"#, false),
        (r#"[1, true, "1", [1], {"1": 1}, null, false, 0]"#, true),
        (r#"[9007199254740993, 9007199254740992]"#, true),
        (r#"[1.5, 2.5, 1.5]"#, false),
        (r#"[[], [[]], {}]"#, true),
    ] {
        assert_eq!(
            violations(unique.clone(), text).is_empty(),
            is_unique,
            "{text}"
        );
    }
}

#[test]
fn explaining_millions_of_values_ends_early() {
    let schema = json!({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [
        {"items": {"$ref": "#/$defs/n"}, "type": "array", "minItems": 1},
        {"items": {"$ref": "#/$defs/n"}, "type": "array", "maxItems": 9},
        {"type": "string"},
    ]}}});
    let text = format!("[{}1]", "1,".repeat(1 << 20));
    let started = std::time::Instant::now();
    assert_eq!(violations(schema, &text).len(), 1);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
