use serde_json::{Value as Json, json};

use super::try_load;
use crate::node::{Node, Value};
use crate::shape::{Presence, records};
use crate::{DEFAULT, explanations, schema, yaml};

/// A tree as JSON, plain scalars typed as YAML 1.2's core schema does.
fn to_json(node: &Node) -> Json {
    match &node.value {
        _ if node.is_null() => Json::Null,
        Value::Scalar { text, plain: true } if matches!(text.as_ref(), "true" | "false") => {
            Json::Bool(text.as_ref() == "true")
        }
        Value::Scalar { text, plain: true } => {
            let number = text.parse::<u64>().map(Json::from).ok();
            let number = number.or_else(|| text.parse::<f64>().map(Json::from).ok());
            number.unwrap_or_else(|| Json::from(text.as_ref()))
        }
        Value::Scalar { text, .. } => Json::from(text.as_ref()),
        Value::Sequence(items) => items.iter().map(to_json).collect(),
        Value::Mapping(entries) => {
            let members = entries
                .iter()
                .map(|entry| (entry.key.to_string(), to_json(&entry.value)));
            Json::Object(members.collect())
        }
    }
}

fn errors(text: &str) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let node = yaml::parse(text, &mut Vec::new()).unwrap();
    validator
        .iter_errors(&to_json(&node))
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::draft202012::meta::is_valid(&schema()));
}

#[test]
fn what_loads_is_valid_under_the_schema() {
    assert_eq!(errors(DEFAULT), [""; 0]);
    let complete: String = DEFAULT
        .lines()
        .map(|line| line.strip_prefix("#   ").unwrap_or(line).to_owned() + "\n")
        .collect();
    assert_eq!(errors(&complete), [""; 0]);
    for explanation in explanations() {
        let Some((_, rest)) = explanation.text.split_once("## Loads\n\n```yaml\n") else {
            continue;
        };
        let example = rest.split_once("```").unwrap().0;
        let is_merge = example.contains("<<");
        let found = if is_merge {
            Vec::new()
        } else {
            errors(example)
        };
        assert_eq!(found, [""; 0], "{}", explanation.code);
    }
}

#[test]
fn mistakes_of_form_are_invalid_under_the_schema() {
    let of_form = [
        "WR0101", "WR0102", "WR0103", "WR0104", "WR0105", "WR0106", "WR0107", "WR0108", "WR0109",
        "WR0111", "WR0114", "WR0116", "WR0118", "WR0119", "WR0122", "WR0301", "WR0401",
    ];
    for code in of_form {
        let page = crate::explain(code).unwrap().text;
        let (_, rest) = page.split_once("## Fails\n\n```yaml\n").unwrap();
        let found = errors(rest.split_once("```").unwrap().0);
        assert!(!found.is_empty(), "{code}");
    }
}

#[test]
fn every_key_of_the_tables_is_in_the_schema_with_words() {
    let schema = schema();
    for record in records() {
        let definition = match record.name {
            "configuration" => &schema,
            name => &schema["$defs"][name],
        };
        let properties = definition["properties"].as_object().unwrap();
        assert_eq!(properties.len(), record.fields.len(), "{}", record.name);
        assert_eq!(definition["additionalProperties"], json!(false));
        for field in record.fields {
            let property = &properties[field.key];
            let about = property["description"].as_str().unwrap();
            assert!(
                about.starts_with(field.about) && about.ends_with('.'),
                "{}",
                field.key
            );
            let has_default = matches!(field.presence, Presence::Default(_));
            assert_eq!(
                property.get("default").is_some(),
                has_default,
                "{}",
                field.key
            );
        }
    }
}

#[test]
fn environments_take_parts_and_null() {
    let text = "listeners: [{address: 127.0.0.1:1}]\nenvironments: {a: {workers: null, upstreams: \
        {b: {pool: {max_idle: 1}, http2: null}, c: null}}}\n";
    assert_eq!(errors(text), [""; 0]);
    let nested = "listeners: [{address: 127.0.0.1:1}]\nenvironments: {a: {environments: {}}}\n";
    assert_eq!(errors(nested).len(), 1);
}

#[test]
fn the_schema_never_refuses_what_loads() {
    // Unquoted values that JSON reads as something else than text.
    for text in [
        "listeners: [{address: 127.0.0.1:1}]\nlimits: {head_bytes: 4096, body_bytes: 0}\n",
        "listeners: [{address: 127.0.0.1:1}]\nroutes: [{name: 1, match: {headers: {a: 2}, query: \
         {b: true}, methods: GET}, redirect: {to: /}}]\n",
        "listeners: [{address: 127.0.0.1:1}]\nzone: 1\nlimits: {minimum_rate: {bytes: 1KiB}}\noverload: \
         {delay: false, bans: true}\nupstreams: {a: {targets: ['a:1'], balance: consistent_hash, hash: \
         {cookie: 1}, sticky: {cookie: 2}, health: {active: {path: /, status: [204, 300-399]}, passive: \
         false}, breaker: true}, b: {discovery: {file: targets.yaml}}, c: {discovery: {consul: {service: \
         1, address: 'https://[::1]/'}}}, d: {discovery: {kubernetes: {service: 1, port: 8080}}}}\nroutes: \
         [{name: a, split: {upstreams: {a: 0, b: 1}, pin: [{cookie: 1, value: 2, upstream: a}], sticky: \
         path}, mirror: {upstream: c, share: 0%, body_bytes: 0}}, {name: b, match: {path: /b}, upstream: \
         d}]\n",
        "listeners: [{address: '127.0.0.1:1'}]\nroutes: [{name: a, redirect: {to: /}, headers: \
         {request: {set: {x-a: 1.5}}}}]\n",
    ] {
        assert!(try_load(text).is_ok(), "{text}");
        assert_eq!(errors(text), [""; 0]);
    }
}
