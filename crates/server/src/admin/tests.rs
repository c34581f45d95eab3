//! The admin listener as clients see it: real requests over TCP to a running data plane.

mod connections;
mod fixture;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::serve::Reloaded;
pub(super) use fixture::Admin;
use fixture::{Answer, CANARY};

#[tokio::test]
async fn health_and_readiness_follow_the_life_of_the_process() {
    let admin = Admin::start().await;
    assert_eq!(admin.get("/readyz").await.summary(), (503, "starting\n"));
    assert_eq!(admin.get("/healthz").await.summary(), (200, "ok\n"));
    admin.node.enter(Stage::Ready);
    assert_eq!(admin.get("/readyz").await.summary(), (200, "ready\n"));
    admin.node.enter(Stage::Draining);
    assert_eq!(admin.get("/readyz").await.summary(), (503, "draining\n"));
    assert_eq!(admin.get("/healthz").await.summary(), (200, "ok\n"));
}

#[tokio::test]
async fn every_answer_is_kept_from_caches_and_from_guessing() {
    let admin = Admin::start().await;
    for path in ["/", "/healthz", "/metrics", "/v1/routes", "/nothing"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_index_names_every_endpoint() {
    let admin = Admin::start().await;
    let index = admin.get("/").await;
    assert_eq!(index.status, 200);
    for line in index.body.lines().filter(|line| line.contains(" /")) {
        let mut words = line.split_whitespace();
        let (method, path) = (
            words.next().expect("a method"),
            words.next().expect("a path"),
        );
        if path.contains("NAME") {
            // Of an upstream that lists its targets nothing else can be said.
            let problem = admin.get(path).await.body;
            assert!(problem.contains("no_such_upstream"), "{path}: {problem}");
            continue;
        }
        if path.ends_with("/ID") {
            let problem = admin.get(path).await.body;
            assert!(problem.contains("bad_id"), "{path}: {problem}");
            continue;
        }
        let status = match method {
            "POST" if path == "/v1/traffic/ROUTE" => {
                let reset = admin.post("/v1/traffic/canary", r#"{"reset":true}"#);
                reset.await.status
            }
            "POST" if path == "/v1/match" => {
                let question = r#"{"method":"GET","url":"/"}"#;
                admin.post(path, question).await.status
            }
            "POST" => admin.post(path, "").await.status,
            // It names an address to put there.
            "DELETE" => continue,
            _ => admin.get(path).await.status,
        };
        // Public keys are of records, which are not ready here.
        let is_of_records = path == "/.well-known/jwks.json" && status == 503;
        assert!(
            status == 200 || path == "/readyz" || is_of_records,
            "{method} {path}: {status}"
        );
    }
}

#[tokio::test]
async fn no_answer_shows_what_a_reference_led_to() {
    let admin = Admin::start().await;
    admin.node.enter(Stage::Ready);
    let paths = [
        "/",
        "/metrics",
        "/v1/revision",
        "/v1/routes",
        "/v1/upstreams",
        "/v1/version",
        "/v1/nothing",
    ];
    for path in paths {
        let answer = admin.get(path).await;
        assert!(!answer.body.contains(CANARY), "{path}: {}", answer.body);
    }
    let routes = admin.get("/v1/routes").await.json();
    for route in routes["routes"].as_array().expect("routes") {
        let at = route["match"]["path"][0].as_str().unwrap_or("/");
        let question = json!({"method": "GET", "url": at}).to_string();
        let answer = admin.post("/v1/match", &question).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.body.contains(CANARY), "{at}: {}", answer.body);
    }
    let config = &admin.node.gateway.snapshot().config;
    assert!(!format!("{config:?}").contains(CANARY));
}

#[tokio::test]
async fn mistakes_are_answered_with_problems() {
    let admin = Admin::start().await;
    let answer = admin.get("/v1/nothing").await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let id = answer.header("x-request-id").expect("an id").to_owned();
    assert_eq!(
        (answer.status, answer.json()),
        (
            404,
            json!({
                "type": "urn:weir:problem:not_found",
                "title": "Not Found",
                "status": 404,
                "detail": "There is nothing at this path.",
                "reason": "not_found",
                "request_id": id,
            })
        )
    );
    let answer = admin.get("/v1/reload").await;
    assert_eq!(answer.problem(), (405, "method_not_allowed"));
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(
        admin.post("/metrics", "").await.problem(),
        (405, "method_not_allowed")
    );
    let rebound = "GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(
        admin.send(rebound).await.problem(),
        (403, "host_not_allowed")
    );
    let absolute =
        "GET http://evil.example/metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(
        admin.send(absolute).await.problem(),
        (403, "host_not_allowed")
    );
    let form = "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\
        content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n";
    assert_eq!(admin.send(form).await.problem(), (415, "json_required"));
    let untyped = "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
        connection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(admin.send(untyped).await.problem(), (415, "json_required"));
    let forged = "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example\r\n\
        content-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(admin.send(forged).await.problem(), (403, "cross_site"));
    assert_eq!(admin.reloads(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_with_words() {
    let admin = Admin::start().await;
    let long = |length: usize| format!("/v1/status?comment={}", "x".repeat(length));
    let asked = |path: &str, fields: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{fields}connection: close\r\n\r\n")
    };
    let many = |number: usize| {
        (0..number)
            .map(|at| format!("x-{at}: y\r\n"))
            .collect::<String>()
    };
    assert_eq!(admin.send(&asked(&long(15_000), "")).await.status, 200);
    assert_eq!(
        admin.send(&asked("/v1/status", &many(90))).await.status,
        200
    );
    let field = format!("x: {}\r\n", "y".repeat(17_000));
    for request in [
        asked(&long(17_000), ""),
        asked("/v1/status", &field),
        asked("/v1/status", &many(101)),
    ] {
        assert_eq!(
            admin.send(&request).await.problem(),
            (431, "head_too_large")
        );
    }
    // Nobody reads so much, but whoever sent it hears of it.
    let refused = admin.send(&asked("/v1/status", &field.repeat(16))).await;
    assert_eq!(refused.summary(), (431, ""));
}

#[tokio::test]
async fn whoever_is_refused_in_the_middle_of_a_body_hears_of_it() {
    let admin = Admin::start().await;
    let body = "x".repeat(8 << 20);
    let request = format!(
        "POST /v1/revisions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let refused = admin.send_as_is(&request).await;
    assert_eq!(refused.problem(), (401, "unauthenticated"));
}

#[tokio::test]
async fn without_a_body_no_type_is_asked_for() {
    let admin = Admin::start().await;
    for length in ["", "content-length: 0\r\n"] {
        let reload = format!(
            "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\n{length}connection: close\r\n\r\n"
        );
        assert_eq!(admin.send(&reload).await.status, 200);
    }
    assert_eq!(admin.reloads(), 2);
}

#[tokio::test]
async fn nothing_but_health_and_metrics_answers_without_a_credential() {
    let admin = Admin::start().await;
    let token = admin.operator();
    let mut refused = 0;
    for line in INDEX.lines() {
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            continue;
        };
        if !path.starts_with('/') {
            continue;
        }
        let is_open = matches!(
            path,
            "/healthz" | "/readyz" | "/metrics" | "/.well-known/jwks.json"
        );
        for credential in [
            String::new(),
            "authorization: Bearer\r\n".to_owned(),
            "authorization: Bearer x\r\n".to_owned(),
            format!("authorization: Basic {token}\r\n"),
            format!("authorization: Bearer {token}x\r\n"),
            format!("authorization: Bearer {token}\r\nauthorization: Bearer {token}\r\n"),
            format!("x-operator-token: {token}\r\ncookie: token={token}\r\n"),
        ] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                 {credential}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            let answer = admin.send_as_is(&request).await;
            if is_open {
                assert_ne!(answer.status, 401, "{request}");
            } else {
                assert_eq!(answer.status, 401, "{request}");
                assert!(answer.header("www-authenticate").is_some(), "{request}");
                assert!(!answer.body.contains(&token));
                refused += 1;
            }
        }
    }
    assert!(refused > 7 * 15, "{refused}");
    assert_eq!(admin.reloads(), 0);
    // Nor does it say what there is.
    let unknown = "GET /v1/nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(admin.send_as_is(unknown).await.status, 404);
}

#[tokio::test]
async fn what_is_no_request_is_matched_with_nothing() {
    let admin = Admin::start().await;
    for (question, problem) in [
        ("", (400, "bad_body")),
        (r#"{"method":"GET"}"#, (400, "bad_body")),
        (
            r#"{"method":"GET","url":"/","body":"x"}"#,
            (400, "bad_body"),
        ),
        (r#"{"method":"G T","url":"/"}"#, (422, "invalid")),
        (r#"{"method":"GET","url":"items"}"#, (422, "invalid")),
        (
            r#"{"method":"GET","url":"/","headers":[{"name":"x","value":"a\nb"}]}"#,
            (422, "invalid"),
        ),
    ] {
        let answer = admin.post("/v1/match", question).await;
        assert_eq!(answer.problem(), problem, "{question}");
    }
}

#[tokio::test]
async fn json_is_indented_on_request_only() {
    let admin = Admin::start().await;
    let compact = admin.get("/v1/version").await;
    let pretty = admin.get("/v1/version?pretty").await;
    assert_eq!(compact.body.lines().count(), 1);
    assert!(pretty.body.lines().count() > 1);
    assert_eq!(compact.json(), pretty.json());
    assert_eq!(compact.json()["version"], env!("CARGO_PKG_VERSION"));
    let problem = admin.get("/nothing?a=b&pretty=1").await;
    assert!(problem.body.lines().count() > 1);
    assert_eq!(problem.problem(), (404, "not_found"));
}

#[tokio::test]
async fn the_revision_tells_what_was_refused_since() {
    let admin = Admin::start().await;
    let expected = json!({
        "number": 1,
        "digest": "d1",
        "since": "2026-01-02T03:04:05.000006Z",
        "file": "/etc/weir/weir.yaml",
        "environment": "staging",
        "last_good": false,
        "resources": 0,
    });
    assert_eq!(admin.get("/v1/revision").await.json(), expected);
    admin.node.note(&Reloaded::Rejected(fixture::rejection()));
    let with_rejection = admin.get("/v1/revision").await.json();
    assert_eq!(
        with_rejection["rejected"],
        json!({
            "at": "2026-01-02T03:04:05.000006Z",
            "message": "it is broken",
            "diagnostics": [{ "message": "broken" }],
        })
    );
}

#[tokio::test]
async fn a_reload_answers_with_its_outcome() {
    let admin = Admin::start().await;
    let applied = admin.post("/v1/reload", "{}").await;
    assert_eq!(applied.status, 200);
    assert_eq!(applied.json()["outcome"], "applied");
    assert_eq!(applied.json()["revision"]["number"], 2);
    let unchanged = admin.post("/v1/reload", "").await;
    assert_eq!(
        (unchanged.status, &unchanged.json()["outcome"]),
        (200, &json!("unchanged"))
    );
    let rejected = admin.post("/v1/reload", " ").await;
    assert_eq!(rejected.problem(), (422, "configuration_rejected"));
    assert_eq!(
        rejected.json()["diagnostics"],
        json!([{ "message": "broken" }])
    );
    assert_eq!(rejected.json()["message"], "it is broken");
    // The fixture's script is at its end, as if the process was.
    assert_eq!(
        admin.post("/v1/reload", "").await.problem(),
        (503, "ending")
    );
}

#[tokio::test]
async fn a_reload_takes_no_parameters_and_no_large_body() {
    let admin = Admin::start().await;
    for body in ["{\"file\":\"/etc/passwd\"}", "[]", "null", "{", "x"] {
        assert_eq!(
            admin.post("/v1/reload", body).await.problem(),
            (400, "bad_body"),
            "{body}"
        );
    }
    let large = " ".repeat(20_000);
    assert_eq!(
        admin.post("/v1/reload", &large).await.problem(),
        (413, "body_too_large")
    );
    assert_eq!(admin.reloads(), 0);
}

#[tokio::test]
async fn routes_and_upstreams_count_what_was_served() {
    let admin = Admin::start().await;
    assert_eq!(admin.traffic("/items/1").await, 200);
    assert_eq!(admin.traffic("/items/2").await, 200);
    let routes = admin
        .until("/v1/routes", |answer| {
            answer.json()["routes"][0]["requests"]["total"] == 2
        })
        .await
        .json();
    let items = &routes["routes"][0];
    assert_eq!(items["name"], "items");
    assert_eq!(items["match"], json!({ "methods": ["GET"] }));
    assert_eq!(items["policies"], json!(["tidy", "valid"]));
    assert_eq!(items["upstream"], "catalog");
    assert_eq!(items["requests"]["2xx"], 2);
    assert!(items["mean_duration_ms"].as_f64().expect("a number") > 0.0);
    let canary = &routes["routes"][1];
    assert_eq!(
        canary["split"],
        json!([{ "upstream": "catalog", "weight": 1 }])
    );
    assert_eq!(
        canary["mirror"],
        json!({ "upstream": "catalog", "percent": 100.0 })
    );
    assert_eq!(canary["upstream"], Value::Null);
    assert_eq!(routes["unrouted"]["requests"]["total"], 0);
    assert_eq!(routes["unrouted"]["mean_duration_ms"], Value::Null);
    let mut upstreams = admin.get("/v1/upstreams").await.json();
    let target = &mut upstreams["upstreams"][0]["targets"][0];
    let mut health = target["health"].take();
    let since = health["since"].take();
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z')));
    let latency = upstreams["upstreams"][0]["targets"][0]["latency_ms"].take();
    assert!(latency.as_f64().is_some_and(|latency| latency > 0.0));
    assert_eq!(
        health,
        json!({ "state": "healthy", "since": null, "ejections": 0 })
    );
    let expected = json!({
        "upstreams": [{
            "name": "catalog",
            "balance": "round_robin",
            "panic": false,
            "targets": [{
                "address": admin.target.to_string(),
                "zone": "a",
                "weight": 1,
                "in_flight": 0,
                "latency_ms": null,
                "ewma_ms": null,
                "requests": 2,
                "failed": 0,
                "cut": 0,
                "connections": { "made": 2, "reused": 0, "failed": 0 },
                "health": null,
            }],
        }],
    });
    assert_eq!(upstreams, expected);
}

#[tokio::test]
async fn a_mistake_in_one_answer_is_that_answers() {
    async fn mistake() -> &'static str {
        panic!("a test")
    }
    let router = Router::new()
        .route("/mistake", get(mistake))
        .route("/healthz", get(async || "ok\n"))
        .layer(middleware::from_fn(answer_anyway))
        .layer(middleware::from_fn(weir_console::finish));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address"))
        .await
        .expect("connected");
    let (stream, _) = listener.accept().await.expect("a connection");
    let (_stop, stopped) = watch::channel(false);
    let mut serving = JoinSet::new();
    serving.spawn(serve_connection(stream, router, stopped));
    let requests = "GET /mistake HTTP/1.1\r\nhost: a\r\n\r\n\
        GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    client.write_all(requests.as_bytes()).await.expect("sent");
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.expect("answers");
    let (first, second) = answers.split_once("HTTP/1.1 200").expect("two answers");
    let first = Answer::parse(first);
    assert_eq!(first.problem(), (500, "internal"));
    assert!(first.header("x-request-id").is_some());
    assert!(second.ends_with("ok\n"), "{second}");
    serving
        .join_next()
        .await
        .expect("a task")
        .expect("no panic");
}
