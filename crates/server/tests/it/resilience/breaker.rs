//! The circuit breaker.

use std::time::{Duration, Instant};

use super::gate::{Gate, ask, assert_calm, config};
use crate::harness::{Weir, Wire, wait_until};

const QUICK: &str =
    "breaker: { window: 1s, min_requests: 5, open_for: 500ms, probes: 2 }\nretry: { attempts: 0 }";

fn state(weir: &Weir) -> serde_json::Value {
    weir.ask("GET", "/v1/upstreams").json()["upstreams"][0]["breaker"].clone()
}

fn wait_state(weir: &Weir, wanted: &str) {
    wait_until(&format!("the breaker is {wanted}"), || {
        state(weir)["state"] == wanted
    });
}

fn open(weir: &Weir) {
    wait_until("the breaker opens", || {
        weir.get("/");
        state(weir)["state"] == "open"
    });
}

#[test]
fn an_upstream_that_fails_is_left_alone_then_asked_a_little_then_used_again() {
    let gate = Gate::answering(503);
    let weir = Weir::start(&config(&[&gate], QUICK));
    assert_eq!(state(&weir)["state"], "closed");
    open(&weir);
    let seen = gate.seen();
    let refused = weir.get("/");
    refused.assert_problem(503, "circuit_open");
    assert_eq!(refused.get("retry-after"), Some("1"));
    assert_eq!(gate.seen(), seen, "it was asked all the same");
    let reason = state(&weir)["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("attempts failed"), "{reason}");
    assert!(weir.metric("weir_upstream_refused_total", &["circuit_open"]) >= 1.0);
    assert_eq!(weir.metric("weir_upstream_breaker_state", &["open\""]), 1.0);

    // Its first probe fails: open again.
    wait_until("a probe came", || {
        weir.get("/");
        gate.seen() > seen
    });
    wait_until("it is open again", || {
        weir.metric("weir_upstream_breaker_opened_total", &[]) >= 2.0
    });
    assert_eq!(gate.seen(), seen + 1, "one failure is enough");
    assert_eq!(state(&weir)["reason"], "a probe failed");

    gate.open(200);
    wait_state(&weir, "half_open");
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!(state(&weir)["state"], "half_open", "two are needed");
    assert_eq!(weir.get("/").status(), 200);
    wait_state(&weir, "closed");
    for line in ["breaker opened", "breaker half open", "breaker closed"] {
        wait_until("the transition is logged", || weir.log().contains(line));
    }
}

#[test]
fn half_open_lets_exactly_as_many_through_as_it_says() {
    let gate = Gate::answering(503);
    let weir = Weir::start(&config(&[&gate], QUICK));
    open(&weir);
    gate.close();
    wait_state(&weir, "half_open");
    let seen = gate.seen();
    let refused = || weir.metric("weir_upstream_refused_total", &["circuit_open"]);
    let refused_before = refused();
    let wait_refused = |more: f64| {
        wait_until("the others are refused", || {
            refused() == refused_before + more
        });
    };
    let mut asked: Vec<_> = (0..40).map(|_| ask(&weir)).collect();
    gate.wait_seen(seen + 2);
    wait_refused(38.0);
    assert_eq!(gate.seen(), seen + 2);
    // Probes that are abandoned make room for others.
    asked.clear();
    wait_until("the probes are gone", || gate.dropped() == 2);
    let asked: Vec<_> = (0..40).map(|_| ask(&weir)).collect();
    gate.wait_seen(seen + 4);
    wait_refused(76.0);
    gate.open(200);
    wait_state(&weir, "closed");
    assert_eq!(gate.seen(), seen + 4);
    drop(asked);
    assert_calm(&weir);
}

/// Longer than the `slow_call` of these tests.
fn wait_slow() {
    let begun = Instant::now();
    wait_until("they are slow", || {
        begun.elapsed() > Duration::from_millis(150)
    });
}

fn post(weir: &Weir) -> Wire {
    let mut wire = Wire::connect(weir.http());
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhalf");
    wire
}

#[test]
fn answers_that_take_too_long_open_it_even_if_no_client_waits_for_them() {
    let keys = "breaker: { window: 10s, min_requests: 5, slow_call: 100ms, open_for: 30s }";
    for asks in [ask, post] {
        let gate = Gate::silent();
        let weir = Weir::start(&config(&[&gate], keys));
        let asked: Vec<_> = (0..5).map(|_| asks(&weir)).collect();
        gate.wait_seen(5);
        wait_slow();
        drop(asked);
        wait_state(&weir, "open");
        let reason = state(&weir)["reason"].as_str().unwrap().to_owned();
        assert_eq!(reason, "5 of 5 attempts were slow");
        let answer = weir.get("/");
        answer.assert_problem(503, "circuit_open");
        let seconds: u32 = answer.get("retry-after").unwrap().parse().unwrap();
        assert!((20..=30).contains(&seconds), "{seconds}");
    }
}

#[test]
fn a_probe_that_nobody_waited_for_opens_it_again_if_it_was_slow_by_then() {
    let keys =
        "breaker: { window: 10s, min_requests: 5, slow_call: 100ms, open_for: 300ms, probes: 2 }";
    for asks in [ask, post] {
        let gate = Gate::silent();
        let weir = Weir::start(&config(&[&gate], keys));
        let asked: Vec<_> = (0..5).map(|_| asks(&weir)).collect();
        gate.wait_seen(5);
        wait_slow();
        drop(asked);
        let opened = |times: f64| {
            wait_until("it opens", || {
                weir.metric("weir_upstream_breaker_opened_total", &[]) == times
            });
        };
        opened(1.0);
        for (seen, times) in [(5, 2.0), (6, 3.0)] {
            wait_state(&weir, "half_open");
            let probe = asks(&weir);
            gate.wait_seen(seen + 1);
            wait_slow();
            drop(probe);
            opened(times);
        }
        wait_state(&weir, "half_open");
        gate.open(200);
        for _ in 0..2 {
            assert_eq!(weir.get("/").status(), 200);
        }
        wait_state(&weir, "closed");
    }
}

#[test]
fn a_reload_leaves_it_as_it_is() {
    let gate = Gate::answering(500);
    let weir = Weir::start(&config(&[&gate], &QUICK.replace("500ms", "1h")));
    open(&weir);
    let changed = QUICK
        .replace("500ms", "2h")
        .replace("probes: 2", "probes: 4");
    assert_eq!(weir.reload(&config(&[&gate], &changed)).status(), 200);
    weir.get("/").assert_problem(503, "circuit_open");
    let without = "retry: { attempts: 0 }";
    assert_eq!(weir.reload(&config(&[&gate], without)).status(), 200);
    assert_eq!(weir.get("/").status(), 500);
    assert!(state(&weir).is_null());
}

#[test]
fn a_client_that_sends_slowly_does_not_make_its_target_slow() {
    let gate = Gate::answering(200);
    let keys = "breaker: { window: 10s, min_requests: 3, slow_call: 100ms }";
    let weir = Weir::start(&config(&[&gate], keys));
    let slowly = |weir: &Weir| {
        let mut wire = Wire::connect(weir.http());
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha");
        wait_slow();
        wire
    };
    for _ in 0..4 {
        let mut wire = slowly(&weir);
        wire.send("lf");
        assert_eq!(wire.response("POST").status(), 200);
        drop(slowly(&weir));
    }
    assert_calm(&weir);
    assert_eq!(weir.get("/").status(), 200);
    assert_eq!(state(&weir)["state"], "closed");
    // Those whose answer takes long count, with a body, too.
    gate.close();
    let seen = gate.seen();
    let mut waiting: Vec<_> = (0..40).map(|_| post(&weir)).collect();
    gate.wait_seen(seen + 40);
    wait_slow();
    gate.open(200);
    for wire in &mut waiting {
        assert_eq!(wire.response("POST").status(), 200);
    }
    wait_state(&weir, "open");
}

#[test]
fn what_clients_do_wrong_opens_nothing() {
    let gate = Gate::answering(404);
    let weir = Weir::start(&config(&[&gate], QUICK));
    for _ in 0..20 {
        assert_eq!(weir.get("/").status(), 404);
    }
    gate.open(501);
    for _ in 0..20 {
        assert_eq!(weir.get("/").status(), 501);
    }
    assert_eq!(state(&weir)["state"], "closed");
}
