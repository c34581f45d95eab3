//! OpenAPI documents.

use super::{await_counter, config, echo, metrics, post, refusal};
use crate::harness::{Setup, Upstream, Weir, answer, curl, wait_until};

const DOCUMENT: &str = r##"
openapi: 3.0.3
info: { title: Orders, version: "1" }
servers: [{ url: "https://api.example.com/v1" }]
paths:
  /orders:
    get:
      parameters:
        - { name: limit, in: query, schema: { type: integer, maximum: 100 } }
        - { name: tags, in: query, explode: false, schema: { type: array, items: { type: string, maxLength: 3 } } }
        - { name: X-Tenant, in: header, required: true, schema: { type: string, format: uuid } }
        - { name: session, in: cookie, schema: { type: string, minLength: 4 } }
      responses: { "200": { description: Orders. } }
    post:
      requestBody: { $ref: "#/components/requestBodies/Order" }
      responses:
        "201":
          description: The order.
          content: { application/json: { schema: { $ref: "parts/order.yaml#/Order" } } }
  /orders/{id}:
    parameters:
      - { name: id, in: path, required: true, schema: { type: integer, minimum: 1 } }
    get: { responses: { "200": { description: An order. } } }
    delete: { responses: { "204": { description: Gone. } } }
components:
  requestBodies:
    Order:
      required: true
      content: { application/json: { schema: { $ref: "parts/order.yaml#/Order" } } }
"##;

const ORDER: &str = r##"
Order:
  type: object
  required: [sku]
  additionalProperties: false
  properties:
    sku: { type: string }
    note: { type: string, nullable: true }
    parts: { type: array, items: { $ref: "#/Order" } }
"##;

fn start(server: &Upstream, more: &str) -> Weir {
    let setup = Setup::new();
    setup.write("api.yaml", DOCUMENT);
    std::fs::create_dir(setup.path("parts")).unwrap();
    setup.write("parts/order.yaml", ORDER);
    setup.start(&config(
        server,
        &format!("{{ openapi: 'file:api.yaml' {more} }}"),
    ))
}

#[test]
fn requests_that_are_documented_pass() {
    let server = echo();
    let weir = start(&server, "");
    let tenant = "x-tenant: 2f1d0a9c-8d4b-4f0e-9a53-0c6a7f3d2b11";
    for (path, more) in [
        (
            "/v1/orders?limit=10&tags=a,b",
            &["-H", tenant, "-b", "session=abcd"][..],
        ),
        ("/v1/orders?unknown=1", &["-H", tenant]),
        (
            "/v1/orders",
            &[
                "-H",
                tenant,
                "--http2-prior-knowledge",
                "-b",
                "session=abcd",
                "-b",
                "more=1",
            ],
        ),
        ("/v1/orders/17", &[]),
        ("/v1/%6frders/17", &[]),
        ("/v1/orders/17", &["-X", "DELETE"]),
        ("/v1/orders/17", &["-I"]),
    ] {
        let url = weir.url(path);
        let mut arguments = more.to_vec();
        arguments.push(&url);
        assert_eq!(curl(&arguments).answer().status(), 201, "{path} {more:?}");
    }
    let order = r#"{"sku": "a", "note": null, "parts": [{"sku": "b"}]}"#;
    assert_eq!(post(&weir, "/v1/orders", order, &[]).text(), order);
}

#[test]
fn requests_that_are_not_are_refused_with_every_fault() {
    let server = Upstream::answering(|_| panic!("nothing must come here"));
    let weir = start(&server, "");
    let get = |path: &str, more: &[&str]| {
        let url = weir.url(path);
        let mut arguments = more.to_vec();
        arguments.push(&url);
        let answer = curl(&arguments).answer();
        let (status, reason, errors) = refusal(&answer);
        let errors: Vec<String> = errors
            .into_iter()
            .map(|(place, pointer, _)| format!("{place} {pointer}"))
            .collect();
        (status, reason, errors, answer)
    };
    let (status, reason, errors, _) = get(
        "/v1/orders?limit=101&tags=a,long,b&limit=1",
        &["-H", "x-tenant: me", "-b", "session=abc"],
    );
    assert_eq!((status, reason.as_str()), (400, "invalid_request"));
    assert_eq!(
        errors,
        [
            "query limit ",
            "query tags /1",
            "header x-tenant ",
            "cookie session "
        ]
    );
    let (status, _, errors, _) = get("/v1/orders", &[]);
    assert_eq!((status, errors), (400, vec!["header x-tenant ".to_owned()]));
    let (status, _, errors, _) = get("/v1/orders/zero", &[]);
    assert_eq!((status, errors), (400, vec!["path id ".to_owned()]));

    for path in ["/orders", "/v1/order", "/v1/orders/1/items"] {
        let (status, reason, ..) = get(path, &[]);
        assert_eq!(
            (status, reason.as_str()),
            (404, "undocumented_path"),
            "{path}"
        );
    }
    let (status, reason, _, answer) = get("/v1/orders/1", &["-X", "PATCH"]);
    assert_eq!((status, reason.as_str()), (405, "undocumented_method"));
    assert_eq!(answer.get("allow"), Some("GET, DELETE"));
    let (status, reason, ..) = get("/v1/orders", &["-d", "a=b"]);
    assert_eq!((status, reason.as_str()), (415, "unsupported_media_type"));
    let (_, _, errors) = refusal(&post(
        &weir,
        "/v1/orders",
        r#"{"sku": "a", "parts": [{"x/y": 1}]}"#,
        &[],
    ));
    let found: Vec<&str> = errors
        .iter()
        .map(|(_, pointer, _)| pointer.as_str())
        .collect();
    assert_eq!(found, ["/parts/0", "/parts/0"]);
    assert_eq!(
        refusal(&curl(&["-X", "POST", &weir.url("/v1/orders")]).answer()).0,
        400
    );
    await_counter(
        &weir,
        "weir_contract_faults_total",
        "message=\"request\",part=\"path\"",
        4,
    );
    await_counter(
        &weir,
        "weir_contract_faults_total",
        "message=\"request\",part=\"method\"",
        1,
    );
}

#[test]
fn what_the_document_does_not_know_may_pass() {
    let server = echo();
    let weir = start(&server, ", undocumented: pass, prefix: /");
    for more in [&[][..], &["-X", "PATCH"]] {
        for path in ["/elsewhere", "/orders/1"] {
            let url = weir.url(path);
            let mut arguments = more.to_vec();
            arguments.push(&url);
            assert_eq!(curl(&arguments).answer().status(), 201, "{path}");
        }
    }
    assert_eq!(curl(&[&weir.url("/orders/x")]).answer().status(), 400);
}

#[test]
fn responses_are_judged_by_the_operation() {
    let server = Upstream::answering(|request| {
        let json = ("content-type", "application/json");
        match request.start.split(' ').nth(1).unwrap_or_default() {
            "/v1/orders" => answer(201, &[json], &request.body),
            "/v1/orders/1" => answer(200, &[], b""),
            _ => answer(500, &[], b""),
        }
    });
    let weir = start(
        &server,
        ", response: report, request: report, undocumented: pass",
    );
    let get = |path: &str| curl(&[&weir.url(path)]).answer().status();
    assert_eq!(
        post(&weir, "/v1/orders", r#"{"sku": "a"}"#, &[]).status(),
        201
    );
    assert_eq!(
        post(&weir, "/v1/orders", r#"{"canary": "a"}"#, &[]).status(),
        201
    );
    assert_eq!(
        (get("/v1/orders/1"), get("/v1/orders/2"), get("/elsewhere")),
        (200, 500, 500)
    );
    for (outcome, count) in [("valid", 3), ("reported", 2), ("unchecked", 0)] {
        let labels = format!("message=\"response\",outcome=\"{outcome}\"");
        await_counter(&weir, "weir_validated_messages_total", &labels, count);
    }
    await_counter(
        &weir,
        "weir_contract_faults_total",
        "message=\"response\",part=\"status\"",
        1,
    );
    await_counter(
        &weir,
        "weir_validated_messages_total",
        "message=\"request\",outcome=\"reported\"",
        1,
    );
    wait_until("the log tells it", || {
        weir.log().contains("a response breaks its contract")
    });
    assert!(!metrics(&weir).contains("canary"));
}
