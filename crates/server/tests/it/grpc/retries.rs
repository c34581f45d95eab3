//! What a status says about a target, and when a call is repeated because of it.

use serde_json::json;

use super::{call, calls, raw_grpc, records, server, to, unary};
use crate::harness::{Weir, wait_until};

const EAGER: &str = "health: { passive: false }, \
    retry: { attempts: 3, budget: 100%, backoff: 1ms, grpc: [unavailable] }";

#[test]
fn a_listed_status_is_repeated_with_the_whole_call() {
    let server = server();
    let weir = Weir::start(&to(&server, EAGER, ""));
    let large = "x".repeat(40_000);
    let results = calls(
        &weir,
        &[
            unary("FailTimes", "a:2:14"),
            unary("FailTimes", &format!("b:1:14;{large}")),
            // Not listed.
            unary("FailTimes", "c:1:13"),
            // More often than attempts are allowed.
            unary("FailTimes", "d:9:14"),
        ],
    );
    assert_eq!(
        results[0]["replies"],
        json!(["attempt 3"]),
        "{}",
        results[0]
    );
    assert_eq!(
        results[1]["replies"],
        json!(["attempt 2"]),
        "{}",
        results[1]
    );
    assert_eq!(results[2]["code"], "INTERNAL");
    assert_eq!(results[3]["code"], "UNAVAILABLE");
    let seen = |key: &str| {
        let start = format!("attempt {key} ");
        let lines = server.lines();
        let lines = lines.into_iter().filter(|line| line.starts_with(&start));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(seen("a").len(), 3);
    assert_eq!(seen("b"), ["attempt b 40007 ", "attempt b 40007 "]);
    assert_eq!(seen("c").len(), 1);
    assert_eq!(seen("d").len(), 4);
    wait_until("all are recorded", || records(&weir).len() == 4);
    let attempts: Vec<_> = records(&weir)
        .iter()
        .map(|record| record["weir.attempts"].clone())
        .collect();
    assert_eq!(attempts, [3, 2, 1, 4]);
}

#[test]
fn a_call_is_not_repeated_if_it_is_too_large_began_to_answer_or_the_server_forbids_it() {
    let server = server();
    let weir = Weir::start(&to(&server, EAGER, ""));
    let large = "x".repeat(100_000);
    let results = calls(
        &weir,
        &[
            unary("FailTimes", &format!("a:1:14;{large}")),
            json!({ "kind": "server", "method": "FailLate", "messages": ["14:late"] }),
            unary("FailTimes", "b:1:14:-1"),
            unary("FailTimes", "c:1:14:60000"),
            unary("FailTimes", "d:1:14:2"),
        ],
    );
    for result in &results[..4] {
        assert_eq!(result["code"], "UNAVAILABLE", "{result}");
    }
    assert_eq!(results[1]["replies"], json!(["one"]));
    assert_eq!(results[4]["replies"], json!(["attempt 2"]));
}

#[test]
fn nothing_is_repeated_for_a_status_unless_it_is_listed() {
    let server = server();
    let settings =
        "health: { passive: false }, retry: { attempts: 3, budget: 100%, when: [connect, 503] }";
    let weir = Weir::start(&to(&server, settings, ""));
    assert_eq!(
        call(&weir, unary("FailTimes", "a:1:14"))["code"],
        "UNAVAILABLE"
    );
}

#[test]
fn a_status_counts_as_the_http_status_that_says_the_same() {
    let server = server();
    let settings = "health: { passive: false }, retry: { attempts: 0 }, \
        breaker: { window: 1s, min_requests: 5, open_for: 60s }";
    let weir = Weir::start(&to(&server, settings, ""));
    // The client's mistakes, and what is not there, are no failures.
    let mut fine: Vec<_> = ["3:", "5:", "12:", "8:"].repeat(3);
    fine.truncate(10);
    let made: Vec<_> = fine.iter().map(|text| unary("Fail", text)).collect();
    calls(&weir, &made);
    let state =
        || weir.ask("GET", "/v1/upstreams").json()["upstreams"][0]["breaker"]["state"].clone();
    assert_eq!(state(), "closed");
    let failing = vec![unary("Fail", "14:"); 40];
    wait_until("the breaker opens", || {
        calls(&weir, &failing);
        state() == "open"
    });
    let answer = raw_grpc(&weir, "/test.Echo/Unary", &[]);
    assert_eq!(answer.get("grpc-status"), Some("14"));
    let message = answer.get("grpc-message").unwrap();
    assert!(message.starts_with("circuit_open: "), "{message}");

    let bad = super::server();
    let passive = "passive: { consecutive_failures: 3, statuses: [503] }";
    let config = format!(
        "upstreams:\n  up: {{ targets: [\"{}\", \"{}\"], http2: true, health: {{ {passive} }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        server.address, bad.address
    );
    let weir = Weir::start(&config);
    calls(&weir, &vec![unary("Fail", "14:"); 12]);
    let ejected = weir.ask("GET", "/v1/upstreams").json().to_string();
    assert!(
        ejected.contains("3 failures in a row, the latest status 503"),
        "{ejected}"
    );
}
