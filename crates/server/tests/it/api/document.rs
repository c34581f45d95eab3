//! The OpenAPI document.

use std::collections::BTreeSet;

use serde_json::Value;

use super::World;

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "$ref" => drop(found.insert(text)),
                    member => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_whole_in_both_forms() {
    let world = World::begin("sqlite").await;
    for (query, version) in [
        ("", "3.1.0"),
        ("?version=3.1", "3.1.0"),
        ("?version=3.0", "3.0.3"),
    ] {
        let answer = world.owner.get(&format!("/v1/openapi.json{query}"));
        let document = answer.json();
        assert_eq!(document["openapi"], version);
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let what = format!("{method} {path}");
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{what}: {id} twice");
                assert!(operation["summary"].is_string(), "{what}");
                assert!(operation["tags"][0].is_string(), "{what}");
                let responses = operation["responses"].as_object().unwrap();
                assert!(
                    responses.keys().any(|status| status.starts_with('2')),
                    "{what}"
                );
            }
        }
        if version == "3.0.3" {
            let text = answer.text();
            assert!(!text.contains("\"null\""), "{text}");
        }
    }
    world
        .owner
        .get("/v1/openapi.json?version=2.0")
        .assert_problem(422, "invalid");
    world
        .owner
        .get("/v1/openapi.json?versoin=3.0")
        .assert_problem(422, "invalid");
}
