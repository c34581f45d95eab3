//! Connections that serve more than one request, and their ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Upstream, Weir, Wire, answer, forward};

#[test]
fn a_clients_close_is_not_the_servers() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&format!("workers: 1\n{}", forward(upstream.address)));
    for _ in 0..5 {
        let mut wire = Wire::connect(weir.http());
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = wire.response("GET");
        assert_eq!(answer.get("connection"), Some("close"));
        assert!(wire.is_at_end());
        assert!(!answer.text().contains("connection:"), "{}", answer.text());
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn a_servers_close_is_not_the_clients() {
    let upstream = Upstream::new(|mut wire| {
        wire.request();
        wire.send(answer(200, &[("Connection", "close")], "bye"));
    });
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    for _ in 0..5 {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = wire.response("GET");
        assert_eq!(
            (answer.text().as_str(), answer.get("connection")),
            ("bye", None)
        );
    }
    assert_eq!(upstream.accepted(), 5);
}

#[test]
fn a_server_that_closes_idle_connections_is_never_the_clients_problem() {
    // Says that it keeps the connection, and closes it: right away, so that the next request meets
    // the end at any point of its way.
    let upstream = Upstream::new(|mut wire| {
        wire.request();
        wire.send(answer(200, &[], "fine"));
    });
    let weir = Weir::start(&format!(
        "workers: 1\nupstreams:\n  up:\n    targets: [\"{}\"]\n    retry: {{ attempts: 0 }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    ));
    let mut wire = Wire::connect(weir.http());
    for number in 0..200 {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = wire.response("GET");
        assert_eq!(answer.status(), 200, "request {number}: {}", answer.text());
    }
}

/// Serves a first request, and closes when the next one came in.
fn stale(seen: &Arc<AtomicUsize>) -> Upstream {
    let seen = Arc::clone(seen);
    Upstream::new(move |mut wire| {
        let number = seen.fetch_add(1, Ordering::AcqRel);
        wire.request();
        wire.send(answer(200, &[], format!("connection {number}")));
        if wire.request().is_some() {
            seen.fetch_add(100, Ordering::AcqRel);
        }
    })
}

#[test]
fn a_get_on_a_connection_that_ended_is_sent_again_and_a_post_is_not() {
    for (request, again) in [
        ("GET /next HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            "POST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            false,
        ),
        (
            "POST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            false,
        ),
    ] {
        let seen = Arc::new(AtomicUsize::new(0));
        let upstream = stale(&seen);
        let weir = Weir::start(&format!("workers: 1\n{}", forward(upstream.address)));
        let mut wire = Wire::connect(weir.http());
        wire.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.response("GET").text(), "connection 0");
        wire.send(request);
        let answer = wire.response("GET");
        if again {
            assert_eq!(
                (answer.status(), answer.text().as_str()),
                (200, "connection 101")
            );
            assert_eq!(upstream.accepted(), 2);
        } else {
            answer.assert_problem(502, "upstream_reset");
            assert_eq!(upstream.accepted(), 1, "{request:?} was sent twice");
        }
    }
}

#[test]
fn bytes_behind_a_response_end_its_connection_and_reach_nobody() {
    let upstream = Upstream::new(|mut wire| {
        while wire.request().is_some() {
            let mut bytes = answer(200, &[], "mine");
            bytes.extend(answer(200, &[], "smuggled"));
            wire.send(bytes);
        }
    });
    let weir = Weir::start(&format!("workers: 1\n{}", forward(upstream.address)));
    let mut wire = Wire::connect(weir.http());
    for _ in 0..20 {
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.response("GET").text(), "mine");
    }
}
