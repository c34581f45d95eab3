//! The deadline of a whole exchange.

use std::time::{Duration, Instant};

use super::gate::{Gate, ask, assert_calm, config};
use crate::harness::{H2Client, Upstream, Weir, Wire, block_on, wait_until};

/// Deadlines pass up to 60 ms late, and machines are busy.
const SLACK: Duration = Duration::from_millis(1_500);

fn logged(weir: &Weir, words: &[&str]) {
    wait_until("it is logged", || {
        let log = weir.log();
        log.lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
    });
}

fn assert_within(begun: Instant, total: Duration) {
    let took = begun.elapsed();
    assert!(took >= total && took < total + SLACK, "{took:?}");
}

#[test]
fn no_answer_in_all_that_time_is_a_gateway_timeout_over_either_protocol() {
    let gate = Gate::silent();
    let keys = "timeouts: { total: 300ms }\nretry: { attempts: 2, when: [timeout, reset] }";
    let weir = Weir::start(&config(&[&gate], keys));
    let total = Duration::from_millis(300);
    let begun = Instant::now();
    weir.get("/").assert_problem(504, "deadline_exceeded");
    assert_within(begun, total);
    logged(
        &weir,
        &["deadline_exceeded", "\"weir.cause\":\"upstream_timeout\""],
    );
    let begun = Instant::now();
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let answer = client.get("http://a/").await.unwrap();
        assert_eq!(answer.status, 504);
        assert!(answer.text().contains("deadline_exceeded"));
    });
    assert_within(begun, total);
    assert_eq!(gate.seen(), 2, "nothing is repeated behind the end");
    assert_calm(&weir);
}

#[test]
fn a_body_that_drips_is_cut_over_either_protocol() {
    let upstream = Upstream::new(|mut wire| {
        if wire.request().is_none() {
            return;
        }
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        // Never silent for long, and never done.
        while wire.try_send("x").is_ok() {
            wire.stream
                .set_read_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            let _ = wire.stream.peek(&mut [0]);
        }
    });
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], timeouts: {{ total: 400ms }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    ));
    let total = Duration::from_millis(400);
    let begun = Instant::now();
    let mut wire = ask(&weir);
    let answer = wire.response("GET");
    assert_eq!(answer.status(), 200);
    assert!(!answer.complete && !answer.body.is_empty());
    assert!(wire.is_at_end());
    assert_within(begun, total);
    logged(
        &weir,
        &["deadline_exceeded", "\"weir.cause\":\"upstream_stalled\""],
    );
    let begun = Instant::now();
    let error = block_on(async {
        let client = H2Client::connect(weir.http()).await;
        client.get("http://a/").await.expect_err("a cut response")
    });
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_within(begun, total);
    assert_calm(&weir);
}

#[test]
fn it_spans_the_queue_and_the_next_request_has_its_own() {
    let gate = Gate::silent();
    let keys = "timeouts: { total: 400ms }\nconcurrency: { limit: 1, queue: 5, wait: 300ms }";
    let weir = Weir::start(&config(&[&gate], keys));
    let mut first = ask(&weir);
    gate.wait_seen(1);
    let mut second = ask(&weir);
    first
        .response("GET")
        .assert_problem(504, "deadline_exceeded");
    second.response("GET");
    // On the same connection, after more than the deadline in all.
    gate.open(200);
    for _ in 0..2 {
        let begun = Instant::now();
        let answer = first.response_to("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer.status(), 200);
        // Nor does it bound how long the connection may be idle.
        wait_until("more than the deadline passes", || {
            begun.elapsed() > Duration::from_millis(600)
        });
    }
    assert_calm(&weir);
}

#[test]
fn a_client_that_sends_slowly_is_bounded_and_opens_no_breaker() {
    let gate = Gate::answering(200);
    let keys = "timeouts: { total: 200ms }\nbreaker: { min_requests: 3, window: 10s }";
    let weir = Weir::start(&config(&[&gate], keys));
    for _ in 0..6 {
        let mut wire = Wire::connect(weir.http());
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow");
        wire.response("POST")
            .assert_problem(504, "deadline_exceeded");
    }
    logged(
        &weir,
        &["deadline_exceeded", "\"weir.cause\":\"body_timeout\""],
    );
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!(weir.metric("weir_upstream_breaker_opened_total", &[]), 0.0);
}
