//! Answers that are made of several upstreams'.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{JSON, ask, logged};
use crate::harness::{Message, Upstream, Weir, answer, curl, wait_until};

/// A route `all` with these settings of an aggregate; upstreams `a`, `b` and, where nobody listens, `none`.
fn with(aggregate: &str, a: SocketAddr, b: SocketAddr) -> String {
    let nobody = crate::harness::free_port();
    format!(
        "upstreams:\n  a: {{ targets: [{a}] }}\n  b: {{ targets: [{b}] }}\n  none: {{ targets: [127.0.0.1:{nobody}] }}\n\
         policies: {{ sites: {{ cors: {{ origins: any }} }}, small: {{ compress: {{ minimum: 1B }} }} }}\n\
         routes:\n  - name: all\n    match: {{ path: \"/p/{{id}}\" }}\n    policies: [sites, small]\n    \
         headers: {{ request: {{ set: {{ x-route: \"{{route.name}}\" }} }}, response: {{ set: {{ x-out: \"1\" }} }} }}\n    \
         aggregate: {aggregate}\n  - {{ name: unused, match: {{ path: /unused/* }}, upstream: none }}\n  \
         - {{ name: also, match: {{ path: /also/* }}, upstream: b }}\n"
    )
}

/// Tells what it was asked.
fn telling() -> Upstream {
    Upstream::answering(|request| {
        let told: serde_json::Map<String, serde_json::Value> = request
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        answer(
            200,
            &[JSON],
            json!({"start": request.start, "fields": told}).to_string(),
        )
    })
}

/// Answers by path.
fn upstream() -> Upstream {
    Upstream::answering(|request| match request.target() {
        "/text" => answer(200, &[("Content-Type", "text/plain")], "{}"),
        "/broken" => answer(200, &[JSON], "{\"a\":"),
        "/large" => answer(200, &[JSON], format!("\"{}\"", "x".repeat(100_000))),
        "/none" => b"HTTP/1.1 204 None\r\n\r\n".to_vec(),
        "/missing" => answer(404, &[JSON], "{}"),
        "/fails" => answer(503, &[JSON], "{}"),
        "/hangs" => {
            std::thread::park_timeout(Duration::from_secs(5));
            answer(200, &[JSON], "1")
        }
        "/cut" => {
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
                .to_vec()
        }
        "/moved" => answer(302, &[("Location", "/")], ""),
        target => answer(
            200,
            &[JSON, ("Set-Cookie", "a=1")],
            format!("{{\"target\":\"{target}\"}}"),
        ),
    })
}

fn get(weir: &Weir, path: &str) -> Message {
    ask(weir, "GET", path, &[], b"")
}

#[test]
fn parts_become_one_answer() {
    let (a, b) = (upstream(), upstream());
    let weir = Weir::start(&with(
        "{ parts: { user: { upstream: a, path: \"/users/{path.id}\", required: true }, \
                    orders: { upstream: b, path: \"/orders?user={path.id}&q={request.query}\" }, \
                    nothing: { upstream: b, path: /none } } }",
        a.address,
        b.address,
    ));
    let whole = json!({
        "user": {"target": "/users/7"},
        "orders": {"target": "/orders?user=7&q=x=1"},
        "nothing": null
    });
    let answer = get(&weir, "/p/7?x=1");
    assert_eq!(
        (answer.status(), answer.json()),
        (200, whole.clone()),
        "{}",
        answer.text()
    );
    assert_eq!(answer.get("content-type"), Some("application/json"));
    assert_eq!(
        answer.get("content-length"),
        Some(&*answer.body.len().to_string())
    );
    assert_eq!(
        (answer.get("x-out"), answer.get("set-cookie")),
        (Some("1"), None)
    );
    assert_eq!(
        (answer.get("cache-control"), answer.get("vary")),
        (None, Some("Accept-Encoding"))
    );
    // Its keys are in the order of the file.
    assert!(answer.text().starts_with("{\"user\":"), "{}", answer.text());
    let head = ask(&weir, "HEAD", "/p/7?x=1", &[], b"");
    assert_eq!((head.status(), head.body.len()), (200, 0));
    let line = logged(&weir);
    assert_eq!(
        (&line["weir.reason"], &line["weir.attempts"]),
        (&json!("aggregate"), &json!(3))
    );
    assert_eq!(line["weir.decided_by"], "routes.all.aggregate");
    let labels = ["all", "\"orders\"", "\"answered\""];
    assert_eq!(weir.metric("weir_aggregate_parts_total", &labels), 2.0);
    // With curl, over both versions, compressed and from another site.
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let url = weir.url("/p/7?x=1");
        let answer = curl(&[
            version,
            "--compressed",
            "-H",
            "origin: https://a.example",
            &url,
        ])
        .answer();
        assert_eq!(answer.json(), whole);
        assert_eq!(answer.get("access-control-allow-origin"), Some("*"));
        assert!(answer.get("content-encoding").is_some());
    }
    let posted = ask(&weir, "POST", "/p/7", &[JSON], b"{}");
    posted.assert_problem(405, "method_not_allowed");
    assert_eq!(posted.get("allow"), Some("GET, HEAD"));
}

#[test]
fn parts_are_told_what_they_are_to_know_and_no_more() {
    let (a, b) = (telling(), telling());
    let config = with(
        "{ parts: { one: { upstream: a, path: /a, headers: [authorization, x-kept] }, \
                    two: { upstream: b, path: /b, host: target }, \
                    three: { upstream: b, path: \"/{upstream.name}\", host: c.example } } }",
        a.address,
        b.address,
    );
    let weir = Weir::start(&format!("tracing: {{ sample: 100% }}\n{config}"));
    let fields = [
        ("Authorization", "Bearer t"),
        ("X-Kept", "1"),
        ("Cookie", "c=1"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Range", "bytes=0-1"),
        ("If-None-Match", "\"a\""),
        ("Accept-Encoding", "x-none"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let answer = ask(&weir, "GET", "/p/7?secret=1", &fields, b"");
    let told = answer.json();
    assert_eq!(
        answer.all("vary"),
        ["authorization, x-kept", "Accept-Encoding"]
    );
    let one = &told["one"]["fields"];
    assert_eq!(told["one"]["start"], "GET /a HTTP/1.1");
    assert_eq!(
        (&one["authorization"], &one["x-kept"]),
        (&json!("Bearer t"), &json!("1"))
    );
    let two = &told["two"]["fields"];
    assert_eq!(told["three"]["start"], "GET /b HTTP/1.1");
    for name in ["authorization", "x-kept"] {
        assert_eq!(two[name], json!(null), "{name}");
    }
    assert_eq!(one["host"], "a.example");
    assert_eq!(two["host"], b.address.to_string());
    assert_eq!(told["three"]["fields"]["host"], "c.example");
    let mut spans = Vec::new();
    for part in ["one", "two", "three"] {
        let fields = &told[part]["fields"];
        for name in ["cookie", "range", "if-none-match"] {
            assert_eq!(fields[name], json!(null), "{name}");
        }
        assert_eq!(fields["accept"], "application/json");
        assert_eq!(fields["accept-encoding"], "identity");
        assert_eq!(fields["x-route"], "all");
        assert_eq!(fields["x-forwarded-for"], "127.0.0.1");
        let id = fields["x-request-id"].as_str().unwrap();
        assert_eq!(logged(&weir)["weir.request_id"], id);
        let parent = fields["traceparent"].as_str().unwrap().to_owned();
        let (trace, span) = (parent[3..35].to_owned(), parent[36..52].to_owned());
        assert_eq!(logged(&weir)["trace_id"], trace);
        spans.push(span);
    }
    spans.sort();
    spans.dedup();
    assert_eq!(spans.len(), 3, "each part has a span of its own");
}

#[test]
fn what_fails_is_left_at_its_fallback_and_told() {
    let (a, b) = (upstream(), upstream());
    let weir = Weir::start(&with(
        "{ parts: { good: { upstream: a, path: /x }, \
            down: { upstream: none, path: /, fallback: { none: true } }, \
            fails: { upstream: b, path: /fails, fallback: [] }, \
            missing: { upstream: b, path: /missing }, \
            moved: { upstream: b, path: /moved }, \
            text: { upstream: b, path: /text }, \
            broken: { upstream: b, path: /broken }, \
            large: { upstream: b, path: /large }, \
            cut: { upstream: b, path: /cut, timeout: 300ms }, \
            slow: { upstream: b, path: /hangs, timeout: 300ms, fallback: 0 } }, \
            limits: { body: 64KiB }, concurrency: 3 }",
        a.address,
        b.address,
    ));
    let begun = Instant::now();
    let answer = get(&weir, "/p/7");
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(
        answer.json(),
        json!({
            "good": {"target": "/x"}, "down": {"none": true}, "fails": [], "missing": null, "moved": null,
            "text": null, "broken": null, "large": null, "cut": null, "slow": 0,
            "errors": {
                "down": {"reason": "upstream_connect_failed"},
                "fails": {"reason": "status", "status": 503},
                "missing": {"reason": "status", "status": 404},
                "moved": {"reason": "status", "status": 302},
                "text": {"reason": "not_json", "status": 200},
                "broken": {"reason": "not_json", "status": 200},
                "large": {"reason": "too_large", "status": 200},
                "cut": {"reason": "upstream_timeout"},
                "slow": {"reason": "upstream_timeout"}
            }
        })
    );
    assert_eq!(
        (answer.status(), answer.get("cache-control")),
        (200, Some("no-store"))
    );
    assert_eq!(logged(&weir)["weir.reason"], "aggregate_partial");
    for (part, outcome) in [
        ("slow", "timed_out"),
        ("down", "failed"),
        ("good", "answered"),
    ] {
        let labels = [format!("\"{part}\""), format!("\"{outcome}\"")];
        let labels = [&*labels[0], &*labels[1]];
        assert_eq!(
            weir.metric("weir_aggregate_parts_total", &labels),
            1.0,
            "{part}"
        );
    }
    wait_until("the operator's line", || {
        weir.log().contains("a part of an aggregate is missing")
    });
    let config = with(
        "{ parts: { good: { upstream: a, path: /x }, down: { upstream: none, path: / } }, errors: hide }",
        a.address,
        b.address,
    );
    assert_eq!(weir.reload(&config).status(), 200);
    let hidden = get(&weir, "/p/7");
    assert_eq!(
        hidden.json(),
        json!({"good": {"target": "/x"}, "down": null})
    );
    assert_eq!(hidden.get("cache-control"), Some("no-store"));
}

#[test]
fn without_a_required_part_there_is_no_answer() {
    let (a, b) = (upstream(), upstream());
    for (path, upstream, status, cause) in [
        ("/fails", "b", 502, "status"),
        ("/missing", "b", 404, "status"),
        ("/text", "b", 502, "not_json"),
        ("/hangs", "b", 502, "upstream_timeout"),
        ("/", "none", 502, "upstream_connect_failed"),
    ] {
        let weir = Weir::start(&with(
            &format!(
                "{{ parts: {{ good: {{ upstream: a, path: /x }}, \
                   bad: {{ upstream: {upstream}, path: {path}, required: true, timeout: 300ms }} }} }}"
            ),
            a.address,
            b.address,
        ));
        let answer = get(&weir, "/p/7");
        answer.assert_problem(status, "aggregate_failed");
        assert_eq!(logged(&weir)["weir.cause"], cause, "{path}");
    }
    // And none if there is nothing at all.
    let weir = Weir::start(&with(
        "{ parts: { one: { upstream: a, path: /fails }, two: { upstream: none, path: / } } }",
        a.address,
        b.address,
    ));
    get(&weir, "/p/7").assert_problem(502, "aggregate_failed");
}

#[test]
fn a_program_makes_the_answer_of_the_parts() {
    let (a, b) = (upstream(), upstream());
    let weir = Weir::start(&with(
        "{ parts: { one: { upstream: a, path: /x }, two: { upstream: b, path: /fails, fallback: 2 } }, \
           jq: '{one: .one.target, two, id: $request.captures.id, failed: (.errors | keys)}' }",
        a.address,
        b.address,
    ));
    assert_eq!(
        get(&weir, "/p/7").json(),
        json!({"one": "/x", "two": 2, "id": "7", "failed": ["two"]})
    );
    let endless = with(
        "{ parts: { one: { upstream: a, path: /x } }, jq: 'def f: f; f' }",
        a.address,
        b.address,
    );
    assert_eq!(weir.reload(&endless).status(), 200);
    get(&weir, "/p/7").assert_problem(502, "aggregate_failed");
}

/// Each part waits for the others: were they asked for one after the other, none would answer.
#[test]
fn parts_are_asked_for_side_by_side_within_bounds() {
    let together = Barrier::new(4);
    let a = Upstream::answering(move |_| {
        together.wait();
        answer(200, &[JSON], "1")
    });
    let b = upstream();
    let parts = |count: usize| {
        let part = |at| format!("p{at}: {{ upstream: a, path: /, timeout: 400ms }}");
        (0..count).map(part).collect::<Vec<_>>().join(", ")
    };
    let weir = Weir::start(&with(
        &format!("{{ parts: {{ {} }}, concurrency: 4 }}", parts(8)),
        a.address,
        b.address,
    ));
    let whole = get(&weir, "/p/7").json();
    assert!((0..8).all(|at| whole[format!("p{at}")] == 1), "{whole}");
    // Three at a time never are four: the last is asked for when the others were given up.
    let narrow = format!("{{ parts: {{ {} }}, concurrency: 3 }}", parts(4));
    assert_eq!(
        weir.reload(&with(&narrow, a.address, b.address)).status(),
        200
    );
    let whole = get(&weir, "/p/7").json();
    for (part, value) in [
        ("p0", json!(null)),
        ("p1", json!(null)),
        ("p2", json!(null)),
        ("p3", json!(1)),
    ] {
        assert_eq!(whole[part], value, "{whole}");
    }
}

#[test]
fn a_part_is_balanced_and_broken_off_like_any_request() {
    let (a, b) = (upstream(), upstream());
    let nobody = crate::harness::free_port();
    let config = with(
        "{ parts: { one: { upstream: a, path: /x }, two: { upstream: b, path: /fails } } }",
        a.address,
        b.address,
    )
    .replace(
        &format!("a: {{ targets: [{}] }}", a.address),
        &format!("a: {{ targets: [\"127.0.0.1:{nobody}\", {}], retry: {{ attempts: 2 }} }}", a.address),
    )
    .replace(
        &format!("b: {{ targets: [{}] }}", b.address),
        &format!(
            "b: {{ targets: [{}], breaker: {{ error_rate: 50%, min_requests: 3, window: 30s, open_for: 60s }} }}",
            b.address
        ),
    );
    let weir = Weir::start(&config);
    for _ in 0..4 {
        let whole = get(&weir, "/p/7").json();
        assert_eq!(whole["one"]["target"], "/x", "{whole}");
    }
    wait_until("the breaker", || {
        get(&weir, "/p/7").json()["errors"]["two"]["reason"] == "circuit_open"
    });
}

#[test]
fn a_contract_holds_for_aggregates_too() {
    let (a, b) = (upstream(), upstream());
    let config = with(
        "{ parts: { one: { upstream: a, path: /x } } }",
        a.address,
        b.address,
    )
    .replace(
        "policies: { sites:",
        "policies: { strict: { validate: { schema: { type: object, required: [q] } } }, sites:",
    )
    .replace("[sites, small]", "[strict, sites, small]");
    let weir = Weir::start(&config);
    let refused = ask(&weir, "GET", "/p/7", &[JSON], b"{}");
    refused.assert_problem(400, "invalid_request");
    assert_eq!(a.accepted(), 0);
    let taken = ask(&weir, "GET", "/p/7", &[JSON], b"{\"q\":1}");
    assert_eq!(taken.status(), 200, "{}", taken.text());
}
