//! More memory than there should be.

use crate::harness::{Upstream, Weir, Wire, wait_until};

use super::{ask, assert_closed, refused};

fn config(upstream: &Upstream, mark: &str) -> String {
    let route = |priority: &str| {
        format!(
            "  - {{ name: {priority}, match: {{ path: /{priority} }}, upstream: up, priority: {priority} }}\n"
        )
    };
    let routes: String = ["low", "normal", "high", "critical"].map(route).concat();
    format!(
        "workers: 1\noverload: {{ {mark} }}\n\
         upstreams: {{ up: {{ targets: ['{}'] }} }}\nroutes:\n{routes}",
        upstream.address
    )
}

/// A mark of which the process holds this much.
fn mark_at(weir: &Weir, percent: u64) -> String {
    format!("memory: {}KiB", weir.memory() * 100 / percent)
}

#[test]
fn idle_connections_go_first_and_critical_requests_last() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&config(&upstream, ""));
    let open = || Wire::connect(weir.http());
    let status = |wire: &mut Wire, priority: &str| {
        ask(wire, &format!("/{priority}")).map(|answer| answer.status())
    };
    let mut idle = open();
    assert_eq!(status(&mut idle, "low"), Some(200));
    // In the middle of a head: neither idle nor asking.
    let mut waiting = open();
    waiting.send("GET /critical HTTP/1.1\r\n");
    let is_at = |level: f64| weir.metric("weir_memory_pressure", &[]) == level;
    // What the process holds changes by itself: a mark that missed is set anew.
    let press = |percent: u64, level: f64| {
        wait_until("the pressure is noticed", || {
            let text = config(&upstream, &mark_at(&weir, percent));
            assert_eq!(weir.reload(&text).status(), 200);
            (0..100).any(|_| is_at(level))
        });
    };

    press(103, 1.0);
    assert_closed(idle);
    let refused_by_priority = || {
        let each = ["low", "normal", "high", "critical"];
        each.map(|priority| status(&mut open(), priority))
    };
    wait_until("those of low and normal priority are refused", || {
        press(103, 1.0);
        // What it holds may have grown beyond the next mark in between.
        refused_by_priority() == [Some(503), Some(503), Some(200), Some(200)]
    });
    press(103, 1.0);
    let answer = ask(&mut open(), "/normal").unwrap();
    answer.assert_problem(503, "memory_pressure");
    assert!(answer.get("retry-after").is_some());

    let mut high = open();
    high.send("GET /high HTTP/1.1\r\n");
    press(200, 2.0);
    wait_until("connections are refused", || {
        status(&mut open(), "critical").is_none()
    });
    assert!(refused(&weir, "memory_pressure") >= 1.0);
    waiting.send("Host: weir.test\r\n\r\n");
    assert_eq!(waiting.response("GET").status(), 200);
    high.send("Host: weir.test\r\n\r\n");
    assert_eq!(high.response("GET").status(), 503);

    assert_eq!(weir.reload(&config(&upstream, "")).status(), 200);
    wait_until("the pressure is gone", || is_at(0.0));
    wait_until("everybody is served again", || {
        status(&mut open(), "low") == Some(200)
    });
    wait_until("all of it is in the log", || {
        let log = weir.log();
        [
            "above its mark",
            "far above its mark",
            "below its mark again",
        ]
        .iter()
        .all(|text| log.contains(text))
    });
}
