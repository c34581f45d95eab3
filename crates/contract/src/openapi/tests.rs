//! Documents as a whole; parameters, conversion and hostile ones in files of their own.

#![expect(
    clippy::needless_pass_by_value,
    reason = "documents are written where they are used"
)]

mod conversion;
mod parameters;

use serde_json::{Value, json};

use super::*;
use crate::{Contract, Documents};

/// A document of 3.0 with these paths and schemas.
fn document(version: &str, paths: Value, schemas: Value) -> Value {
    json!({
        "openapi": version,
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": "https://api.example.com/{stage}/", "variables": {"stage": {"default": "v1"}}}],
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn compile(document: Value) -> Result<Contract, Fault> {
    let documents = Documents::gather("api.json", document, &mut |path| Err(format!("no {path}")))?;
    let options = ApiOptions {
        prefix: None,
        refuses_undocumented: true,
        schemas: SchemaOptions { formats: true },
    };
    Contract::of_openapi(&documents, &options)
}

/// What is wrong with a request, as `place name pointer`.
fn judge(
    contract: &Contract,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Vec<String> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).into())
    };
    let judgement = contract.judge(&Request {
        method,
        path,
        query,
        content_type: field("content-type").as_deref(),
        has_body: !body.is_empty(),
        field: &field,
    });
    let mut violations = judgement.violations;
    if let Some(rule) = judgement.body {
        violations.extend(
            contract
                .check_body(rule, body.as_bytes())
                .err()
                .unwrap_or_default(),
        );
    }
    violations
        .into_iter()
        .map(|violation| {
            let name = violation
                .name
                .map(|name| format!(" {name}"))
                .unwrap_or_default();
            format!("{}{name} {}", violation.place.as_str(), violation.pointer)
        })
        .collect()
}

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

fn orders() -> Contract {
    let order = json!({
        "type": "object",
        "required": ["id", "sku"],
        "properties": {
            "id": {"type": "integer", "readOnly": true},
            "sku": {"type": "string"},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}},
        },
    });
    let paths = json!({
        "/orders": {
            "post": {
                "requestBody": {
                    "required": true,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}},
                        "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Form"}},
                        "image/*": {},
                    },
                },
                "responses": {
                    "201": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
                    "4XX": {"description": ""},
                },
            },
            "get": {"responses": {"default": {"description": ""}}},
        },
        "/orders/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1}}],
            "get": {"responses": {}},
        },
    });
    let form = json!({
        "type": "object",
        "properties": {"n": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "boolean"}}},
        "additionalProperties": false,
    });
    compile(document(
        "3.0.3",
        paths,
        json!({"Order": order, "Form": form}),
    ))
    .unwrap()
}

#[test]
fn requests_are_judged_by_their_operation() {
    let api = orders();
    let ok: Vec<String> = Vec::new();
    assert_eq!(
        judge(
            &api,
            "POST",
            "/v1/orders",
            &[JSON],
            r#"{"sku": "a", "parts": [{"sku": "b"}]}"#
        ),
        ok
    );
    assert_eq!(
        judge(
            &api,
            "POST",
            "/v1/orders",
            &[JSON],
            r#"{"sku": 1, "parts": [{}]}"#
        ),
        ["body /parts/0", "body /sku"]
    );
    assert_eq!(judge(&api, "POST", "/v1/orders", &[JSON], ""), ["body "]);
    assert_eq!(
        judge(
            &api,
            "POST",
            "/v1/orders",
            &[("content-type", "text/plain")],
            "x"
        ),
        ["content_type "]
    );
    assert_eq!(
        judge(&api, "POST", "/v1/orders", &[], "x"),
        ["content_type "]
    );
    assert_eq!(
        judge(
            &api,
            "POST",
            "/v1/orders",
            &[("content-type", "Image/PNG")],
            "x"
        ),
        ok
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(
        judge(
            &api,
            "POST",
            "/v1/orders",
            &form,
            "n=1&tags=true&tags=false"
        ),
        ok
    );
    assert_eq!(
        judge(&api, "POST", "/v1/orders", &form, "n=x&tags=maybe&o=1"),
        ["body ", "body /n", "body /tags/0"]
    );
    assert_eq!(
        judge(&api, "POST", "/v1/orders", &form, "n=1&n=2"),
        ["body "]
    );
    assert_eq!(judge(&api, "GET", "/v1/orders/7", &[], ""), ok);
    assert_eq!(judge(&api, "HEAD", "/v1/orders/7", &[], ""), ok);
    assert_eq!(judge(&api, "GET", "/v1/orders/0", &[], ""), ["path id "]);
    assert_eq!(judge(&api, "GET", "/v1/orders/x", &[], ""), ["path id "]);
    for path in [
        "/orders",
        "/v1/orders/",
        "/v1",
        "/v1orders",
        "/v2/orders",
        "/v1/orders/1/2",
    ] {
        assert_eq!(judge(&api, "GET", path, &[], ""), ["path "], "{path}");
    }
    assert_eq!(judge(&api, "DELETE", "/v1/orders", &[], ""), ["method "]);
}

#[test]
fn responses_are_judged_by_the_operation_of_their_request() {
    let api = orders();
    let operation = |method| {
        let request = Request {
            method,
            path: "/v1/orders",
            query: None,
            content_type: None,
            has_body: false,
            field: &|_| None,
        };
        api.judge(&request).operation
    };
    let judge = |operation, status, content_type, body: &'static str| {
        let response = Response {
            operation,
            status,
            content_type,
            body: Some(body.as_bytes()),
        };
        let violations = api.judge_response(&response).err().unwrap_or_default();
        violations
            .into_iter()
            .map(|found| format!("{} {}", found.place.as_str(), found.pointer))
            .collect::<Vec<_>>()
    };
    let ok: Vec<String> = Vec::new();
    let json = Some("application/json");
    assert_eq!(
        judge(operation("POST"), 201, json, r#"{"id": 1, "sku": "a"}"#),
        ok
    );
    assert_eq!(
        judge(operation("POST"), 201, json, r#"{"sku": "a"}"#),
        ["body "]
    );
    assert_eq!(
        judge(operation("POST"), 201, Some("text/html"), "x"),
        ["content_type "]
    );
    assert_eq!(judge(operation("POST"), 200, json, "{}"), ["status "]);
    assert_eq!(judge(operation("POST"), 404, json, "{}"), ok);
    assert_eq!(judge(operation("GET"), 500, json, "x"), ok);
    assert_eq!(judge(None, 500, json, "x"), ok);
}

#[test]
fn mistakes_have_their_place() {
    let with = |item: Value| compile(document("3.1.0", json!({"/a/{x}": item}), json!({})));
    for (item, pointer, message) in [
        (json!({"$ref": "https://example.com/a"}), "/$ref", "remote"),
        (
            json!({"get": {"parameters": [{"name": "y", "in": "path"}]}}),
            "/get/parameters/0",
            "`{y}`",
        ),
        (
            json!({"get": {"parameters": [{"name": "x", "in": "body"}]}}),
            "/get/parameters/0",
            "`path`",
        ),
        (
            json!({"get": {"parameters": [{"$ref": "#/nowhere"}]}}),
            "/get/parameters/0/$ref",
            "nothing",
        ),
        (
            json!({"get": {"parameters": [{"name": "x", "in": "query", "schema": {"pattern": "(?=a)"}}]}}),
            "/get/parameters/0/schema/pattern",
            "pattern",
        ),
        (
            json!({"get": {"parameters": [{"name": "x", "in": "query", "schema": {"properties": {"a": {"type": "strnig"}}}}]}}),
            "/get/parameters/0/schema/properties/a/type",
            "strnig",
        ),
        (
            json!({"get": {"responses": {"abc": {}}}}),
            "/get/responses/abc",
            "status",
        ),
        (
            json!({"get": {"requestBody": {"content": {"application/json": {"schema": {"$anchor": "a"}}}}}}),
            "/get/requestBody/content/application~1json/schema/$anchor",
            "`$anchor`",
        ),
    ] {
        let fault = with(item).expect_err(message);
        let expected = format!("/paths/~1a~1{{x}}{pointer}");
        assert_eq!(fault.pointer, expected, "{fault}");
        assert!(fault.message.contains(message), "{fault}");
    }
    let circle = json!({"/a": {"get": {"parameters": [{"$ref": "#/paths/~1a/get/parameters/0"}]}}});
    assert!(
        compile(document("3.0.0", circle, json!({})))
            .unwrap_err()
            .message
            .contains("circle")
    );
    assert!(
        compile(json!({"swagger": "2.0"}))
            .unwrap_err()
            .message
            .contains("3.0 or 3.1")
    );
    let twice = json!({"/a/{x}": {}, "/a/{y}": {}});
    assert_eq!(
        compile(document("3.0.0", twice, json!({})))
            .unwrap_err()
            .pointer,
        "/paths/~1a~1{y}"
    );
}

#[test]
fn references_may_lead_to_other_files() {
    let main = document(
        "3.0.1",
        json!({"/a": {"$ref": "paths/a.json"}}),
        json!({"Local": {"type": "integer"}}),
    );
    let documents = Documents::gather("api/main.json", main, &mut |path| match path {
        "api/paths/a.json" => Ok(
            json!({"post": {"requestBody": {"content": {"application/json": {
            "schema": {"properties": {
                "there": {"$ref": "../schemas.json#/deep/Name"},
                "back": {"$ref": "../main.json#/components/schemas/Local"},
            }}}}}}}),
        ),
        "api/schemas.json" => Ok(json!({"deep": {"Name": {"type": "string", "nullable": true}}})),
        other => Err(format!("no {other}")),
    })
    .unwrap();
    let options = ApiOptions {
        prefix: Some(String::new()),
        refuses_undocumented: true,
        schemas: SchemaOptions { formats: true },
    };
    let api = Contract::of_openapi(&documents, &options).unwrap();
    let ok: Vec<String> = Vec::new();
    assert_eq!(
        judge(&api, "POST", "/a", &[JSON], r#"{"there": null, "back": 1}"#),
        ok
    );
    assert_eq!(
        judge(&api, "POST", "/a", &[JSON], r#"{"there": 1, "back": null}"#),
        ["body /back", "body /there"]
    );
}
