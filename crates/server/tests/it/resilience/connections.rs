//! The bound on connections to a target.

use super::gate::{Gate, ask, assert_calm};
use crate::harness::{Weir, Wire, wait_until};

/// One worker, so that its share of the target's connections is all of them.
fn config(gate: &Gate, pool: &str, connect: &str) -> String {
    format!(
        "workers: 1\nupstreams:\n  up: {{ targets: [\"{}\"], pool: {{ {pool} }}, timeouts: {{ connect: {connect} }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        gate.upstream.address
    )
}

#[test]
fn what_has_no_connection_waits_in_line_for_one() {
    let gate = Gate::silent();
    let weir = Weir::start(&config(&gate, "max_connections: 2", "20s"));
    let mut wires: Vec<_> = (0..8).map(|_| ask(&weir)).collect();
    gate.wait_seen(2);
    // One that leaves holds up nobody.
    drop(wires.pop());
    gate.open(200);
    for wire in &mut wires {
        assert_eq!(wire.response("GET").status(), 200);
    }
    let made = weir.metric("weir_upstream_connections_total", &["made"]);
    assert_eq!(made, 2.0, "never more than two");
    assert_calm(&weir);
}

#[test]
fn a_connection_that_is_not_kept_makes_room_too() {
    let gate = Gate::silent();
    let pool = "max_connections: 1, max_idle: 0";
    let weir = Weir::start(&config(&gate, pool, "20s"));
    let mut wires: Vec<_> = (0..4).map(|_| ask(&weir)).collect();
    gate.wait_seen(1);
    gate.open(200);
    for wire in &mut wires {
        assert_eq!(wire.response("GET").status(), 200);
    }
    let made = weir.metric("weir_upstream_connections_total", &["made"]);
    assert_eq!(made, 4.0, "each had one of its own");
}

/// Clients that send their bodies slowly hold three quarters of the connections at most.
#[test]
fn slow_uploads_leave_connections_to_others() {
    let gate = Gate::answering(200);
    let weir = Weir::start(&format!(
        "limits: {{ minimum_rate: false }}\n{}",
        config(&gate, "max_connections: 4", "60s")
    ));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n";
    let mut uploads: Vec<_> = (0..8)
        .map(|number| {
            let mut wire = Wire::connect(weir.http());
            let (head, end) = match number % 2 {
                0 => (head, ""),
                _ => (chunked, "\r\n0\r\n\r\n"),
            };
            wire.send(format!("{head}h"));
            (wire, end)
        })
        .collect();
    wait_until("all of them have a connection or wait for one", || {
        weir.metric("weir_upstream_in_flight", &[]) == 8.0
    });
    let made = || weir.metric("weir_upstream_connections_total", &["made"]);
    wait_until("they have three connections", || made() == 3.0);
    for _ in 0..5 {
        assert_eq!(weir.get("/").status(), 200);
        let mut short = Wire::connect(weir.http());
        short.send(format!("{head}here"));
        assert_eq!(short.response("POST").status(), 200);
    }
    assert_eq!(made(), 4.0, "one for all others");
    // Those that leave make room for those that wait, and so do those that are through.
    drop(uploads.drain(..2));
    for (wire, end) in &mut uploads {
        wire.send(format!("alf{end}"));
        assert_eq!(wire.response("POST").status(), 200);
    }
    assert!(made() <= 6.0, "two were given up: {}", made());
    assert_calm(&weir);
}

#[test]
fn who_waits_too_long_is_refused_and_the_target_is_not_to_blame() {
    let gate = Gate::silent();
    let weir = Weir::start(&config(&gate, "max_connections: 1", "100ms"));
    let held = ask(&weir);
    gate.wait_seen(1);
    let mut waiting: Vec<_> = (0..6).map(|_| ask(&weir)).collect();
    for wire in &mut waiting {
        wire.response("GET").assert_problem(503, "queue_timeout");
    }
    let failed = weir.metric("weir_upstream_connections_total", &["failed"]);
    assert_eq!(failed, 0.0);
    let shown = weir.ask("GET", "/v1/upstreams").json();
    assert_eq!(
        shown["upstreams"][0]["targets"][0]["health"]["state"],
        "healthy"
    );
    drop(held);
    assert_calm(&weir);
    gate.open(200);
    assert_eq!(weir.get("/").status(), 200);
}

#[test]
fn two_upstreams_with_one_server_have_the_connections_that_each_of_them_says() {
    for (narrow, wide) in [("a", "b"), ("b", "a")] {
        let gate = Gate::silent();
        let weir = Weir::start(&format!(
            "workers: 1\nupstreams:\n  \
             {narrow}: {{ targets: [\"{address}\"], pool: {{ max_connections: 1 }}, timeouts: {{ connect: 200ms }} }}\n  \
             {wide}: {{ targets: [\"{address}\"], pool: {{ max_connections: 3 }} }}\n\
             routes:\n  - {{ name: narrow, match: {{ path: / }}, upstream: {narrow} }}\n  \
             - {{ name: wide, match: {{ path: /wide }}, upstream: {wide} }}\n",
            address = gate.upstream.address
        ));
        let wide: Vec<_> = (0..3)
            .map(|_| {
                let mut wire = Wire::connect(weir.http());
                wire.send("GET /wide HTTP/1.1\r\nHost: a\r\n\r\n");
                wire
            })
            .collect();
        gate.wait_seen(3);
        let first = ask(&weir);
        gate.wait_seen(4);
        ask(&weir)
            .response("GET")
            .assert_problem(503, "queue_timeout");
        // Both upstreams have the same server: its requests under way are those of either.
        wait_until("all of them are shown in both", || {
            let shown = weir.ask("GET", "/v1/upstreams").json();
            let mut upstreams = shown["upstreams"].as_array().unwrap().iter();
            upstreams.all(|upstream| upstream["targets"][0]["in_flight"] == 4)
        });
        drop((wide, first));
        assert_calm(&weir);
    }
}
