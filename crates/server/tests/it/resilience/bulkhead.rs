//! The bulkhead.

use super::gate::{Gate, ask, assert_calm, config};
use crate::harness::{Upstream, Weir, wait_until};

fn queued(weir: &Weir, requests: f64) {
    wait_until("they wait", || {
        weir.metric("weir_upstream_concurrency_queued", &[]) == requests
    });
}

#[test]
fn what_is_too_much_waits_and_what_cannot_wait_is_refused() {
    let gate = Gate::silent();
    let keys = "concurrency: { limit: 2, queue: 2, wait: 20s }";
    let weir = Weir::start(&config(&[&gate], keys));
    let mut first = [ask(&weir), ask(&weir)];
    gate.wait_seen(2);
    let mut waiting = [ask(&weir), ask(&weir)];
    queued(&weir, 2.0);
    let refused = weir.get("/");
    refused.assert_problem(503, "upstream_busy");
    assert_eq!(refused.get("retry-after"), Some("1"));
    assert_eq!(gate.seen(), 2);
    let shown = weir.ask("GET", "/v1/upstreams").json();
    assert_eq!(
        shown["upstreams"][0]["concurrency"],
        serde_json::json!({ "limit": 2, "in_use": 2, "queued": 2 })
    );

    // A client that goes away leaves the queue, and makes room there.
    let [gone, mut waits] = waiting;
    drop(gone);
    queued(&weir, 1.0);
    waiting = [ask(&weir), ask(&weir)];
    wait_until("one of them is refused", || {
        weir.metric("weir_upstream_refused_total", &["upstream_busy"]) == 2.0
    });
    gate.open(200);
    for wire in first.iter_mut().chain([&mut waits]) {
        assert_eq!(wire.response("GET").status(), 200);
    }
    let mut statuses = waiting.map(|mut wire| wire.response("GET").status());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    assert_calm(&weir);
}

#[test]
fn nobody_waits_for_longer_than_allowed() {
    let gate = Gate::silent();
    let keys = "concurrency: { limit: 1, queue: 10, wait: 100ms }";
    let weir = Weir::start(&config(&[&gate], keys));
    let held = ask(&weir);
    gate.wait_seen(1);
    let mut waiting: Vec<_> = (0..5).map(|_| ask(&weir)).collect();
    for wire in &mut waiting {
        wire.response("GET").assert_problem(503, "queue_timeout");
    }
    assert_eq!(gate.seen(), 1);
    drop(held);
    assert_calm(&weir);
    gate.open(200);
    assert_eq!(weir.get("/").status(), 200);
}

#[test]
fn who_waits_when_the_breaker_opens_is_told_so_at_once() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let upstream = Upstream::new(move |mut wire| {
        if wire.request().is_some() {
            // All begin at once, when the test lets go of its end, and none ends before Weir does.
            let _ = told.lock().unwrap().recv();
            wire.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nha");
            wire.is_at_end();
        }
    });
    let weir = Weir::start(&format!(
        "upstreams:\n  up:\n    targets: [\"{}\"]\n    health: {{ passive: false }}\n    \
         concurrency: {{ limit: 5, queue: 5, wait: 10m }}\n    \
         breaker: {{ window: 10s, min_requests: 5, open_for: 10m }}\n    retry: {{ attempts: 0 }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    ));
    let mut failing: Vec<_> = (0..5).map(|_| ask(&weir)).collect();
    wait_until("all places are taken", || {
        weir.metric("weir_upstream_concurrency_in_use", &[]) == 5.0
    });
    let mut waiting: Vec<_> = (0..5).map(|_| ask(&weir)).collect();
    queued(&weir, 5.0);
    drop(tell);
    for wire in &mut failing {
        assert_eq!(wire.head().unwrap().status(), 503);
    }
    for wire in &mut waiting {
        let refused = wire.response("GET");
        refused.assert_problem(503, "circuit_open");
        let seconds: u32 = refused.get("retry-after").unwrap().parse().unwrap();
        assert!((1..=600).contains(&seconds), "{seconds}");
    }
    queued(&weir, 0.0);
    assert_eq!(weir.metric("weir_upstream_concurrency_in_use", &[]), 5.0);
    drop(failing);
    assert_calm(&weir);
}

#[test]
fn a_place_is_held_to_the_end_of_the_answer() {
    let upstream = Upstream::new(|mut wire| {
        if wire.request().is_some() {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha");
            // Until Weir, whose client left, closes.
            wire.is_at_end();
        }
    });
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], concurrency: {{ limit: 1, queue: 0 }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    ));
    let mut held = ask(&weir);
    assert_eq!(held.head().unwrap().status(), 200);
    weir.get("/").assert_problem(503, "upstream_busy");
    drop(held);
    assert_calm(&weir);
    let mut next = ask(&weir);
    assert_eq!(next.head().unwrap().status(), 200);
}
