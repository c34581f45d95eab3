//! Resources beside the file.

use std::sync::Arc;

use super::{BASE, Folder, options, resource};
use crate::model::Reach;
use crate::{
    Diagnostic, Document, LoadOptions, Loaded, Report, ResourceKind, ResourceName, Resources,
    load_text,
};

const ITEMS: &str = r#"{"name": "items", "match": {"path": "/items/*"}, "upstream": "catalog"}"#;
const CATALOG: &str = r#"{"targets": ["127.0.0.1:9001"]}"#;

fn load(text: &str, documents: Vec<Document>) -> Result<Loaded, Report> {
    let options = LoadOptions {
        resources: Some(Arc::new(Resources::new(7, documents))),
        ..options()
    };
    load_text(text, "weir.yaml", Folder::new().path(), &options)
}

fn found(diagnostics: &[Diagnostic]) -> Vec<(&str, &str, &str)> {
    diagnostics
        .iter()
        .map(|one| (one.code, one.file.as_str(), one.path.as_str()))
        .collect()
}

#[test]
fn resources_stand_beside_what_the_file_says() {
    let text = "listeners: [{address: 127.0.0.1:8080}]
upstreams: {orders: {targets: ['127.0.0.1:9002']}}
policies: {stamp: {headers: {request: {set: {x-a: b}}}}}
routes: [{name: orders, match: {path: /orders}, upstream: orders, policies: [stamp]}]
";
    let mixed = r#"{"name": "mixed", "upstream": "orders", "policies": ["stamp", "mark"]}"#;
    let loaded = load(
        text,
        vec![
            resource("route", "mixed", mixed),
            resource("route", "items", ITEMS),
            resource("upstream", "catalog", CATALOG),
            resource(
                "policy",
                "mark",
                r#"{"headers": {"request": {"set": {"x-b": "c"}}}}"#,
            ),
        ],
    )
    .unwrap();
    assert_eq!(loaded.warnings, []);
    let config = &loaded.config;
    let routes: Vec<_> = config.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(routes, ["orders", "items", "mixed"]);
    assert_eq!(config.routes[2].policies.len(), 2);
    // The same as if the file said it all.
    let whole = "listeners: [{address: 127.0.0.1:8080}]
upstreams: {orders: {targets: ['127.0.0.1:9002']}, catalog: {targets: ['127.0.0.1:9001']}}
policies: {stamp: {headers: {request: {set: {x-a: b}}}}, mark: {headers: {request: {set: {x-b: c}}}}}
routes:
- {name: orders, match: {path: /orders}, upstream: orders, policies: [stamp]}
- {name: items, match: {path: /items/*}, upstream: catalog}
- {name: mixed, upstream: orders, policies: [stamp, mark]}
";
    let whole = load(whole, vec![]).unwrap();
    let mut config = config.clone();
    // But for this: what is kept beside the file may not reach everything.
    assert_ne!(config.upstreams[0].reach, Reach::Anywhere);
    config.upstreams[0].reach = Reach::Anywhere;
    assert_eq!(format!("{config:?}"), format!("{:?}", whole.config));
}

#[test]
fn a_file_without_sections_takes_resources_all_the_same() {
    let documents = vec![
        resource("route", "items", ITEMS),
        resource("upstream", "catalog", CATALOG),
    ];
    let loaded = load(BASE, documents.clone()).unwrap();
    assert_eq!(loaded.config.routes.len(), 1);
    let fewer = load(BASE, vec![]).unwrap();
    assert_ne!(loaded.digest, fewer.digest);
    assert_eq!(loaded.digest, load(BASE, documents).unwrap().digest);
}

#[test]
fn the_file_wins_and_does_not_depend_on_resources() {
    let text = "listeners: [{address: 127.0.0.1:8080}]
upstreams: {catalog: {targets: ['127.0.0.1:9009']}}
routes: [{name: items, match: {path: /a}, upstream: catalog}]
";
    let documents = vec![
        resource("route", "items", ITEMS),
        resource("upstream", "catalog", CATALOG),
    ];
    let loaded = load(text, documents).unwrap();
    assert_eq!(
        found(&loaded.warnings),
        [
            ("WR0213", "route `items`", ""),
            ("WR0213", "upstream `catalog`", "")
        ]
    );
    assert_eq!(loaded.config.upstreams[0].targets[0].port, 9009);
    assert_eq!(loaded.config.routes.len(), 1);

    let dependent = "listeners: [{address: 127.0.0.1:8080}]
routes: [{name: orders, upstream: catalog}]
";
    let documents = vec![resource("upstream", "catalog", CATALOG)];
    let report = load(dependent, documents).unwrap_err();
    assert_eq!(
        found(&report.diagnostics),
        [("WR0201", "weir.yaml", "routes[0].upstream")]
    );
}

#[test]
fn mistakes_are_told_of_the_resource_that_has_them() {
    let report = load(
        BASE,
        vec![
            resource(
                "route",
                "a",
                r#"{"name": "a", "match": {"path": 1, "hots": "x"}, "upstream": "b"}"#,
            ),
            resource(
                "upstream",
                "b.c",
                r#"{"targets": ["127.0.0.1"], "pool": {"max_idle": "4"}}"#,
            ),
            resource(
                "policy",
                "p",
                r#"{"headers": {"request": {"set": {"x y": "c"}}}}"#,
            ),
            resource("policy", "q", "[1]"),
            resource("route", "r", r#"{"name": "r", "#),
            resource(
                "route",
                "t",
                r#"{"name": "t", "name": "t", "redirect": {"to": "/"}}"#,
            ),
        ],
    )
    .unwrap_err();
    insta::assert_snapshot!(report.render(false));
}

#[test]
fn mistakes_between_resources_name_both() {
    let twin = r#"{"name": "twin", "match": {"path": "/items/*"}, "upstream": "catalog"}"#;
    let report = load(
        BASE,
        vec![
            resource("route", "items", ITEMS),
            resource("route", "twin", twin),
            resource("upstream", "catalog", CATALOG),
        ],
    )
    .unwrap_err();
    let [diagnostic] = &report.diagnostics[..] else {
        panic!("{report}");
    };
    assert_eq!(diagnostic.code, "WR0208");
    assert_eq!(diagnostic.file, "route `twin`");
    assert!(diagnostic.help.as_ref().unwrap().contains("route `items`"));
    let shown = serde_json::to_value(diagnostic).unwrap();
    assert_eq!(
        shown["resource"],
        serde_json::json!({"kind": "route", "name": "twin"})
    );
}

#[test]
fn a_resource_reads_nothing_of_the_machine() {
    let with = |kind, text| {
        let base = "listeners: [{address: 127.0.0.1:8080}]
upstreams: {u: {targets: ['127.0.0.1:9001']}}
routes: [{name: first, match: {path: /first}, upstream: u}]
";
        let mut documents = vec![resource(kind, "tested", text)];
        match kind {
            "upstream" => documents.push(resource(
                "route",
                "user",
                r#"{"name": "user", "upstream": "tested"}"#,
            )),
            "policy" => documents.push(resource(
                "route",
                "user",
                r#"{"name": "user", "upstream": "u", "policies": ["tested"]}"#,
            )),
            _ => {}
        }
        let report = load(base, documents).unwrap_err();
        report
            .diagnostics
            .iter()
            .map(|one| one.code)
            .collect::<Vec<_>>()
    };
    for (kind, text) in [
        (
            "route",
            r#"{"name": "tested", "respond": {"file": "file:tls.key"}}"#,
        ),
        (
            "upstream",
            r#"{"targets": ["127.0.0.1:9001"], "tls": {"authorities": "file:tls.crt"}}"#,
        ),
        (
            "upstream",
            r#"{"targets": ["127.0.0.1:9001"], "tls": {"certificate": "file:tls.crt", "key": "env:PATH"}}"#,
        ),
        ("upstream", r#"{"discovery": {"file": "targets.yaml"}}"#),
        (
            "upstream",
            r#"{"discovery": {"consul": {"service": "a", "token": "env:TOKEN"}}}"#,
        ),
        (
            "policy",
            r#"{"validate": {"openapi": "file:openapi.yaml"}}"#,
        ),
    ] {
        let codes = with(kind, text);
        assert!(
            !codes.is_empty() && codes.iter().all(|code| *code == "WR0312"),
            "{text}: {codes:?}"
        );
    }
    // Through an inline document as well.
    let inline = r##"{"validate": {"request": {"schema": {"$ref": "other.json"}}}}"##;
    let codes = with("policy", inline);
    assert!(!codes.is_empty(), "{codes:?}");
}

#[test]
fn a_mistake_that_shows_later_has_its_resource() {
    let loaded = load(
        BASE,
        vec![
            resource("route", "items", ITEMS),
            resource("upstream", "catalog", CATALOG),
        ],
    )
    .unwrap();
    let path = ["routes", "0", "match", "path"];
    let diagnostic = loaded.diagnostic("WR0601", "wrong", None, &path);
    assert_eq!(
        found(&[diagnostic]),
        [("WR0601", "route `items`", "match.path")]
    );
}

#[test]
fn hostile_documents_are_refused_and_nothing_more() {
    let deep = format!(
        r#"{{"name": "a", "respond": {{"json": {}{}}}}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    let deeper = format!(
        r#"{{"name": "a", "respond": {{"json": {}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let control = r#"{"name": "a\u0000\u001b[2J", "redirect": {"to": "/"}}"#;
    for text in [
        "",
        "null",
        "\"a\"",
        "{} {}",
        "{\"name\": \"\\ud800\"}",
        &deep,
        &deeper,
        control,
    ] {
        let report = load(BASE, vec![resource("route", "a", text)]).unwrap_err();
        assert!(!report.render(false).contains('\u{1b}'), "{text}");
    }
}

/// How long they take on running nodes is measured by `bench/revisions.py`.
#[test]
fn ten_thousand_resources_load() {
    let mut documents = vec![resource("upstream", "catalog", CATALOG)];
    for index in 0..10_000 {
        let name = format!("route-{index}");
        let text = format!(
            r#"{{"name": "{name}", "match": {{"host": "h{}.example.com", "path": "/shop/{index}/*", "methods": ["GET", "POST"]}}, "upstream": "catalog", "rewrite": {{"prefix": "/"}}, "headers": {{"request": {{"set": {{"x-shop": "{index}"}}}}}}}}"#,
            index % 100
        );
        documents.push(resource("route", &name, &text));
    }
    let loaded = load(BASE, documents).unwrap();
    assert_eq!(loaded.config.routes.len(), 10_000);
}

#[test]
fn what_the_file_says_is_shown_as_documents() {
    let text = "listeners: [{address: 127.0.0.1:8080}]
upstreams: {u: {targets: ['127.0.0.1:9001', '127.0.0.1:9002']}}
policies: {p: {headers: {request: {set: {authorization: Bearer canary-7f3a, x-count: 12}}}}}
routes:
- {name: b, match: {path: /b}, upstream: u, policies: [p]}
- {name: a, upstream: u, websocket: true}
environments: {production: {upstreams: {u: {targets: ['127.0.0.1:9003']}}}}
";
    let loaded = load(
        text,
        vec![
            resource("route", "items", ITEMS),
            resource("upstream", "catalog", CATALOG),
        ],
    )
    .unwrap();
    let file = loaded.file_resources();
    let shown: Vec<_> = file
        .documents()
        .iter()
        .map(|(name, document)| format!("{name} {document}"))
        .collect();
    assert_eq!(
        shown,
        [
            r#"route `a` {"name":"a","upstream":"u","websocket":true}"#,
            r#"route `b` {"name":"b","match":{"path":"/b"},"upstream":"u","policies":["p"]}"#,
            r#"upstream `u` {"targets":["127.0.0.1:9001","127.0.0.1:9002"]}"#,
            r#"policy `p` {"headers":{"request":{"set":{"authorization":"•••","x-count":12}}}}"#,
        ]
    );
    let name = ResourceName::new(ResourceKind::Route, "b").unwrap();
    assert_eq!(file.document(&name).unwrap()["upstream"], "u");
    let options = LoadOptions {
        environment: Some("production".to_owned()),
        ..options()
    };
    let loaded = load_text(text, "weir.yaml", Folder::new().path(), &options).unwrap();
    let name = ResourceName::new(ResourceKind::Upstream, "u").unwrap();
    let file = loaded.file_resources();
    assert_eq!(
        file.document(&name).unwrap()["targets"][0],
        "127.0.0.1:9003"
    );
}
