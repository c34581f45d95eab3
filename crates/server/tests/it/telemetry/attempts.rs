//! Spans of attempts that did not just end with an answer.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Receiver, Upstream, Weir, Wire, answer};

const CLIENT: u64 = 3;

fn start(receiver: &Receiver, targets: &[&Upstream], upstream: &str, sample: &str) -> Weir {
    let targets: Vec<String> = targets
        .iter()
        .map(|target| format!("'{}'", target.address))
        .collect();
    Weir::start(&format!(
        "workers: 1\nupstreams:\n  up: {{ targets: [{}], {upstream} }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n\
         tracing: {{ sample: {sample} }}\notlp: {{ endpoint: 'http://{}' }}\n",
        targets.join(", "),
        receiver.address
    ))
}

#[test]
fn the_slower_one_of_two_has_a_span_and_is_no_error() {
    let receiver = Receiver::start("grpc");
    let silent = Upstream::new(|mut wire: Wire| {
        // Until the gateway has lost interest.
        wire.stream.set_read_timeout(None).unwrap();
        while wire.request().is_some() {}
    });
    let quick = Upstream::answering(|_| answer(200, &[], ""));
    let weir = start(
        &receiver,
        &[&silent, &quick],
        "hedge: { after: 200ms }",
        "100%",
    );
    // Round robin: one of the two asks the silent one first.
    for _ in 0..2 {
        assert_eq!(weir.get("/").status(), 200);
    }
    let loser = &receiver.wait_for("span", 1, |span| {
        span["attributes"]["server.port"] == silent.address.port()
    })[0];
    assert_eq!(loser["attributes"]["weir.abandoned"], true);
    assert_eq!(loser["status"], 0);
    let attempts = receiver.wait_for("span", 2, |span| {
        span["kind"] == CLIENT && span["parent"] == loser["parent"]
    });
    assert_eq!(attempts.len(), 2, "{attempts:#?}");
    let is_other = |span: &&Value| span["span_id"] != loser["span_id"];
    let winner = attempts.iter().find(is_other).unwrap();
    assert_eq!(winner["attributes"]["http.response.status_code"], 200);
    assert_eq!(winner["attributes"]["http.request.resend_count"], 1);
    assert_eq!(winner["attributes"]["server.port"], quick.address.port());
}

#[test]
fn attempts_that_nobody_waits_for_any_more_have_spans() {
    let receiver = Receiver::start("grpc");
    let (asked, attempts) = std::sync::mpsc::channel();
    let silent = || {
        let asked = asked.clone();
        Upstream::new(move |mut wire: Wire| {
            wire.stream.set_read_timeout(None).unwrap();
            while wire.request().is_some() {
                asked.send(()).unwrap();
            }
        })
    };
    let (one, other) = (silent(), silent());
    let hedge = "hedge: { after: 50ms }";
    let weir = start(&receiver, &[&one, &other], hedge, "100%");
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..2 {
        attempts.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    drop(wire);
    let spans = receiver.wait_for("span", 2, |span| span["kind"] == CLIENT);
    assert_eq!(spans.len(), 2, "{spans:#?}");
    for span in &spans {
        assert_eq!(span["attributes"]["weir.abandoned"], true, "{span:#}");
        assert_eq!(span["parent"], spans[0]["parent"]);
    }
    let ports = |upstream: &Upstream| {
        let port = upstream.address.port();
        let mut spans = spans.iter();
        spans.any(|span| span["attributes"]["server.port"] == port)
    };
    assert!(ports(&one) && ports(&other), "{spans:#?}");
}

#[test]
fn parts_that_are_let_go_of_have_spans() {
    let receiver = Receiver::start("grpc");
    let (asked, was_asked) = std::sync::mpsc::channel();
    let silent = Upstream::new(move |mut wire: Wire| {
        wire.stream.set_read_timeout(None).unwrap();
        while wire.request().is_some() {
            asked.send(()).unwrap();
        }
    });
    let was_asked = std::sync::Mutex::new(was_asked);
    let failing = Upstream::answering(move |_| {
        // When the other part is under way.
        let _ = was_asked
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_secs(10));
        answer(500, &[], "no")
    });
    let weir = Weir::start(&format!(
        "upstreams:\n  silent: {{ targets: ['{}'] }}\n  failing: {{ targets: ['{}'] }}\n\
         routes:\n  - name: all\n    match: {{ path: /* }}\n    aggregate:\n      parts:\n        \
         one: {{ upstream: silent, path: / }}\n        \
         other: {{ upstream: failing, path: /, required: true }}\n\
         tracing: {{ sample: 100% }}\notlp: {{ endpoint: 'http://{}' }}\n",
        silent.address, failing.address, receiver.address
    ));
    weir.get("/").assert_problem(502, "aggregate_failed");
    let spans = receiver.wait_for("span", 2, |span| span["kind"] == CLIENT);
    assert_eq!(spans.len(), 2, "{spans:#?}");
    let of = |upstream: &Upstream| {
        let port = upstream.address.port();
        let mut spans = spans.iter();
        spans
            .find(|span| span["attributes"]["server.port"] == port)
            .unwrap()
    };
    assert_eq!(of(&silent)["attributes"]["weir.abandoned"], true);
    assert_eq!(of(&failing)["status"], 2, "{spans:#?}");
    assert_eq!(of(&silent)["parent"], of(&failing)["parent"]);
}

#[test]
fn an_answer_that_is_cut_short_is_an_error_of_the_request_and_the_attempt() {
    let receiver = Receiver::start("grpc");
    let upstream = Upstream::new(|mut wire: Wire| {
        wire.request();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    let weir = start(&receiver, &[&upstream], "retry: { attempts: 0 }", "0%");
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!wire.response("GET").complete);
    for kind in [2, CLIENT] {
        let span = &receiver.wait_for("span", 1, |span| span["kind"] == kind)[0];
        assert_eq!(span["status"], 2, "{span:#}");
        let attributes = &span["attributes"];
        assert_eq!(attributes["http.response.status_code"], 200);
        assert_eq!(attributes["error.type"], "upstream_reset");
    }
}
