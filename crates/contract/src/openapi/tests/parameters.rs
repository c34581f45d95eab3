//! Parameters: each place and style of OpenAPI's table.

use serde_json::{Value, json};

use super::{compile, document, judge};
use crate::Contract;

fn api(path: &str, parameter: Value) -> Contract {
    let item = json!({"parameters": [parameter], "get": {"responses": {}}});
    let mut document = document("3.0.3", json!({path: item}), json!({}));
    document["servers"] = json!([]);
    compile(document).unwrap()
}

fn list() -> Value {
    json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2})
}

fn color() -> Value {
    json!({
        "type": "object",
        "properties": {"R": {"type": "integer"}, "G": {"type": "integer"}},
        "required": ["R", "G"],
        "additionalProperties": false,
    })
}

#[track_caller]
fn holds(path: &str, parameter: Value, targets: &[(&str, bool)]) {
    let api = api(path, parameter);
    for (target, is_good) in targets {
        let found = judge(&api, "GET", target, &[], "");
        assert_eq!(found.is_empty(), *is_good, "{target}: {found:?}");
    }
}

#[test]
fn styles_of_paths() {
    let with = |style: &str, explode: bool, schema: Value| json!({"name": "x", "in": "path", "required": true, "style": style, "explode": explode, "schema": schema});
    let number = || json!({"type": "integer"});
    holds(
        "/{x}",
        with("simple", false, number()),
        &[("/5", true), ("/a", false), ("/5%2C6", false)],
    );
    holds(
        "/{x}",
        with("simple", false, list()),
        &[("/3,4", true), ("/3", false), ("/3%2C4", false)],
    );
    holds(
        "/{x}",
        with("simple", false, color()),
        &[("/R,1,G,2", true), ("/R,1,G", false), ("/R=1,G=2", false)],
    );
    holds(
        "/{x}",
        with("simple", true, color()),
        &[
            ("/R=1,G=2", true),
            ("/R,1,G,2", false),
            ("/R=1,R=1,G=2", false),
        ],
    );
    holds(
        "/{x}",
        with("label", false, number()),
        &[("/.5", true), ("/5", false)],
    );
    holds(
        "/{x}",
        with("label", false, list()),
        &[("/.3,4", true), ("/.3.4", false)],
    );
    holds("/{x}", with("label", true, list()), &[("/.3.4", true)]);
    holds("/{x}", with("label", true, color()), &[("/.R=1.G=2", true)]);
    holds(
        "/{x}",
        with("matrix", false, number()),
        &[("/;x=5", true), ("/;y=5", false), ("/x=5", false)],
    );
    holds(
        "/{x}",
        with("matrix", false, list()),
        &[("/;x=3,4", true), ("/;x=3;x=4", false)],
    );
    holds(
        "/{x}",
        with("matrix", true, list()),
        &[("/;x=3;x=4", true), ("/;x=3;y=4", false)],
    );
    holds(
        "/{x}",
        with("matrix", false, color()),
        &[("/;x=R,1,G,2", true)],
    );
    holds(
        "/{x}",
        with("matrix", true, color()),
        &[("/;R=1;G=2", true)],
    );
}

#[test]
fn styles_of_queries() {
    let with = |style: &str, explode: bool, schema: Value| json!({"name": "x", "in": "query", "style": style, "explode": explode, "schema": schema});
    holds(
        "/",
        with("form", true, list()),
        &[
            ("/?x=3&x=4", true),
            ("/?x=3", false),
            ("/", true),
            ("/?x=3,4", false),
        ],
    );
    holds(
        "/",
        with("form", false, list()),
        &[
            ("/?x=3,4", true),
            ("/?x=3&x=4", false),
            ("/?x=3%2C4", false),
        ],
    );
    holds(
        "/",
        with("form", true, color()),
        &[
            ("/?R=1&G=2&other=3", true),
            ("/?R=1", false),
            ("/?R=a&G=2", false),
        ],
    );
    holds("/", with("form", false, color()), &[("/?x=R,1,G,2", true)]);
    holds(
        "/",
        with("spaceDelimited", false, list()),
        &[("/?x=3%204", true), ("/?x=3+4", true), ("/?x=3,4", false)],
    );
    holds(
        "/",
        with("pipeDelimited", false, list()),
        &[("/?x=3|4", true), ("/?x=3%7C4", true)],
    );
    holds(
        "/",
        with("deepObject", true, color()),
        &[
            ("/?x[R]=1&x[G]=2", true),
            ("/?x%5BR%5D=1&x%5BG%5D=2", true),
            ("/?x[R]=1", false),
        ],
    );
    // Who is behind may take the other one.
    let plain = json!({"name": "x", "in": "query", "schema": {"type": "string", "maxLength": 3}});
    holds(
        "/",
        plain,
        &[
            ("/?x=a", true),
            ("/?x=a&x=b", false),
            ("/?%78=toolong", false),
            ("/?x=a+b", true),
            ("/?x=%zz", false),
        ],
    );
    let required = json!({"name": "x", "in": "query", "required": true, "schema": {}});
    holds(
        "/",
        required,
        &[
            ("/?x=", true),
            ("/?x", true),
            ("/", false),
            ("/?y=1", false),
        ],
    );
}

#[test]
fn texts_are_what_the_schema_lets_them_be() {
    let with = |schema: Value| json!({"name": "x", "in": "query", "schema": schema});
    holds(
        "/",
        with(json!({"type": "string"})),
        &[("/?x=12", true), ("/?x=true", true)],
    );
    holds(
        "/",
        with(json!({"type": "boolean"})),
        &[("/?x=true", true), ("/?x=1", false), ("/?x=True", false)],
    );
    holds(
        "/",
        with(json!({"type": "number", "maximum": 9})),
        &[
            ("/?x=1.5e0", true),
            ("/?x=10", false),
            ("/?x=0x1", false),
            ("/?x=NaN", false),
        ],
    );
    let either =
        json!({"oneOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]{3}$"}]});
    holds(
        "/",
        with(either),
        &[("/?x=5", true), ("/?x=005", true), ("/?x=a", false)],
    );
    holds(
        "/",
        with(json!({"enum": [1, 2]})),
        &[("/?x=1", true), ("/?x=3", false)],
    );
    holds(
        "/",
        with(json!({"type": "integer", "format": "int32"})),
        &[("/?x=2147483647", true), ("/?x=2147483648", false)],
    );
    holds(
        "/",
        with(json!({"type": "string", "format": "date"})),
        &[("/?x=2024-02-29", true), ("/?x=2023-02-29", false)],
    );
    let json =
        json!({"name": "x", "in": "query", "content": {"application/json": {"schema": color()}}});
    holds(
        "/",
        json,
        &[
            ("/?x=%7B%22R%22:1,%22G%22:2%7D", true),
            ("/?x=%7B%7D", false),
            ("/?x=%7B", false),
        ],
    );
}

#[test]
fn headers_and_cookies() {
    let header = api(
        "/",
        json!({"name": "X-Ids", "in": "header", "required": true, "schema": list()}),
    );
    assert!(judge(&header, "GET", "/", &[("x-ids", "1,2")], "").is_empty());
    assert_eq!(
        judge(&header, "GET", "/", &[("x-ids", "1,x")], ""),
        ["header x-ids /1"]
    );
    assert_eq!(judge(&header, "GET", "/", &[], ""), ["header x-ids "]);
    let ignored = api(
        "/",
        json!({"name": "Authorization", "in": "header", "required": true, "schema": {}}),
    );
    assert!(judge(&ignored, "GET", "/", &[], "").is_empty());
    let cookie = api(
        "/",
        json!({"name": "n", "in": "cookie", "schema": {"type": "integer"}}),
    );
    assert!(judge(&cookie, "GET", "/", &[("cookie", "m=x; n=5")], "").is_empty());
    assert!(judge(&cookie, "GET", "/", &[("cookie", "m=x")], "").is_empty());
    assert_eq!(
        judge(&cookie, "GET", "/", &[("cookie", "n=x")], ""),
        ["cookie n "]
    );
}

#[test]
fn an_operations_own_parameter_takes_the_place_of_its_paths() {
    let parameter = |schema: Value| json!([{"name": "x", "in": "query", "schema": schema}]);
    let item = json!({
        "parameters": parameter(json!({"type": "integer"})),
        "get": {"parameters": parameter(json!({"type": "boolean"}))},
        "put": {},
    });
    let mut document = document("3.1.0", json!({"/": item}), json!({}));
    document["servers"] = json!([{"url": "/"}]);
    let api = compile(document).unwrap();
    assert!(judge(&api, "GET", "/?x=true", &[], "").is_empty());
    assert_eq!(judge(&api, "PUT", "/?x=true", &[], ""), ["query x "]);
}
