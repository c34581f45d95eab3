//! Contracts of routes.

use super::{BASE, Folder, codes_of, loaded, options, refused};
use crate::load_text;
use crate::model::{PolicyKind, RequestCheck, Validate};

fn text(validate: &str) -> String {
    format!(
        "{BASE}upstreams: {{up: {{targets: ['127.0.0.1:1']}}}}\n\
         policies: {{p: {{validate: {validate}}}}}\n\
         routes: [{{name: all, upstream: up, policies: [p]}}]\n"
    )
}

fn validate(settings: &str) -> std::sync::Arc<Validate> {
    match &loaded(&text(settings)).config.policies[0].kind {
        PolicyKind::Validate(validate) => validate.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn settings_mean_what_they_say() {
    let default = validate("{schema: {type: object}}");
    assert_eq!(default.request, RequestCheck::Enforce);
    assert!(!default.reports_responses && default.body_bytes == 1 << 20);
    assert!(default.contract.judges_requests() && !default.contract.judges_responses());
    let other =
        validate("{response_schema: {}, response: report, request: report, body_bytes: 2KiB}");
    assert_eq!(
        (other.request, other.body_bytes),
        (RequestCheck::Report, 2048)
    );
    assert!(other.reports_responses && !other.contract.judges_requests());
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (settings, code) in [
        ("{}", "WR0206"),
        ("{schema: 3}", "WR0301"),
        ("{schema: [1]}", "WR0101"),
        ("{schema: order.json}", "WR0301"),
        ("{schema: 'env:X'}", "WR0301"),
        ("{schema: 'file:absent.json'}", "WR0320"),
        ("{schema: {type: x}}", "WR0320"),
        ("{schema: {}, request: sometimes}", "WR0114"),
        ("{schema: {}, prefix: /v1}", "WR0205"),
        ("{openapi: {openapi: 3.1.0}}", "WR0101"),
        ("{openapi: 'file:weir.yaml'}", "WR0320"),
        ("{openapi: openapi.yaml}", "WR0301"),
    ] {
        assert_eq!(codes_of(&refused(&text(settings))), [code], "{settings}");
    }
    let report = refused(&text("{schema: {properties: {a/b: {minimum: low}}}}"));
    let message = &report.diagnostics[0].message;
    assert!(
        message.starts_with("here#/properties/a~1b/minimum: "),
        "{message}"
    );
}

#[test]
fn links_that_lead_away_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("away.json"), "{}").unwrap();
    let folder = Folder::new();
    let link = folder.path().join("link.json");
    std::os::unix::fs::symlink(outside.path().join("away.json"), &link).unwrap();
    let load = |settings: &str| load_text(&text(settings), "weir.yaml", folder.path(), &options());
    let report = load("{schema: {$ref: link.json}}").unwrap_err();
    assert!(
        report.diagnostics[0].message.contains("outside"),
        "{report}"
    );
    // The document itself may be anywhere; what it refers to is beside it.
    let elsewhere = format!(
        "{{schema: 'file:{}'}}",
        outside.path().join("away.json").display()
    );
    let loaded = load(&elsewhere).unwrap();
    assert!(
        loaded.files.iter().any(|file| file.ends_with("away.json")),
        "{:?}",
        loaded.files
    );
}

#[test]
fn routes_that_answer_by_themselves_say_what_they_do_not_go_through() {
    for policy in ["validate: {schema: {}}", "transform: {response: {jq: .}}"] {
        for (action, codes) in [
            ("redirect: {to: /c}", &["WR0510"][..]),
            ("respond: {body: x}", &["WR0510"]),
            ("upstream: up", &[]),
        ] {
            let config = format!(
                "{BASE}upstreams: {{up: {{targets: [127.0.0.1:9001]}}}}\n\
                 policies: {{p: {{{policy}}}}}\n\
                 routes: [{{name: a, upstream: up}}, {{name: b, match: {{path: /b}}, policies: [p], {action}}}]\n"
            );
            let warnings = loaded(&config).warnings;
            let found: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
            assert_eq!(found, codes, "{policy} {action}");
        }
    }
    // Aggregates are checked.
    let aggregate = "aggregate: {parts: {a: {upstream: up, path: /}}}";
    let text =
        text("{schema: {}}").replace("upstream: up, policies", &format!("{aggregate}, policies"));
    assert!(loaded(&text).warnings.is_empty());
}

#[test]
fn faults_quote_what_they_name_as_it_stands() {
    let report = refused(&text("{schema: {$ref: '#/nope'}}"));
    let message = &report.diagnostics[0].message;
    assert!(message.contains("'/nope'"), "{message}");
}

#[test]
fn routes_whose_methods_leave_out_the_only_one_that_is_taken_are_told() {
    for (route, codes) in [
        (
            "upstream: up, websocket: true, match: {path: /a, methods: [POST]}",
            &["WR0510"][..],
        ),
        (
            "upstream: up, websocket: false, match: {path: /a, methods: [POST]}",
            &[],
        ),
        (
            "upstream: up, websocket: true, match: {path: /a, methods: [GET]}",
            &[],
        ),
        ("upstream: up, websocket: true", &[]),
        (
            "aggregate: {parts: {a: {upstream: up, path: /}}}, match: {path: /a, methods: [PUT]}",
            &["WR0510"],
        ),
    ] {
        let config = format!(
            "{BASE}upstreams: {{up: {{targets: [127.0.0.1:9001]}}}}\nroutes: [{{name: a, {route}}}]\n"
        );
        let warnings = loaded(&config).warnings;
        let found: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(found, codes, "{route}");
    }
}

#[test]
fn calls_that_cannot_reach_their_upstream_are_told() {
    for (settings, codes) in [
        ("", &["WR0510"][..]),
        (", http2: false", &["WR0510"]),
        (", http2: true", &[]),
        (", tls: true", &[]),
    ] {
        let config = format!(
            "{BASE}upstreams: {{up: {{targets: ['a.example:443']{settings}}}}}\n\
             routes: [{{name: a, upstream: up, grpc: {{web: true}}}}, {{name: b, match: {{path: /b}}, upstream: up}}]\n"
        );
        let warnings = loaded(&config).warnings;
        let found: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(found, codes, "{settings}");
    }
}
