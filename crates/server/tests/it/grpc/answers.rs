//! Answers made here are statuses: each row of the table in `docs/grpc.md` that a client can bring about.
//! The mapping itself is held against the table where it is written, in the data plane.

use super::{Raw, Version, raw_grpc, records, server, to, unary};
use crate::faulty::Faulty;
use crate::harness::{Message, Upstream, Weir, wait_until};

/// Asserts that this is a call that was ended here for that reason, with nothing but fields.
#[track_caller]
fn assert_ended(answer: &Message, status: u8, reason: &str) {
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.get("content-type"), Some("application/grpc"));
    let status = status.to_string();
    assert_eq!(
        answer.get("grpc-status"),
        Some(status.as_str()),
        "{answer:?}"
    );
    let message = answer.get("grpc-message").unwrap_or_default();
    assert!(message.starts_with(&format!("{reason}: ")), "{message}");
    assert_eq!(answer.body, b"");
    assert!(answer.get("x-request-id").is_some());
}

#[test]
fn what_finds_no_route_or_cannot_be_read() {
    let server = server();
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], http2: true }}\n\
         limits: {{ body_bytes: 100 }}\n\
         routes:\n  - {{ name: echo, match: {{ path: /test.Echo/* }}, upstream: up }}\n  \
         - {{ name: get, match: {{ path: /get.Only/*, methods: [GET] }}, upstream: up }}\n",
        server.address
    ));
    assert_ended(&raw_grpc(&weir, "/no.Body/Knows", &[]), 12, "no_route");
    assert_ended(
        &raw_grpc(&weir, "/get.Only/This", &[]),
        12,
        "method_not_allowed",
    );
    assert_ended(&raw_grpc(&weir, "/test.Echo/%00", &[]), 13, "bad_path");
    let vias = [("via", "2 weir"); 9];
    assert_ended(
        &raw_grpc(&weir, "/test.Echo/Unary", &vias),
        13,
        "loop_detected",
    );
    let length = ("content-length", "205");
    // Of a length that is not stated, it shows only as it comes.
    for fields in [&[length][..], &[]] {
        let call = Raw {
            version: Version::Http2,
            path: "/test.Echo/Unary",
            content_type: "application/grpc",
            fields,
            body: &super::framed(&[b'x'; 200]),
        };
        assert_ended(&call.send(&weir), 8, "body_too_large");
    }
    wait_until("all are recorded", || records(&weir).len() == 6);
    for record in records(&weir) {
        assert_eq!(record["http.response.status_code"], 200, "{record}");
        assert_ne!(record["rpc.response.status_code"], "OK", "{record}");
    }
    // Everybody else is answered as before.
    weir.get("/no.Body/Knows").assert_problem(404, "no_route");
}

#[test]
fn what_the_library_makes_of_it() {
    let server = server();
    let weir = Weir::start(&to(&server, "", "").replace("path: /*", "path: /test.Echo/*"));
    let result = super::call(&weir, unary("/no.Body/Knows", ""));
    assert_eq!(result["code"], "UNIMPLEMENTED", "{result}");
    assert_eq!(
        result["details"], "no_route: No route takes this request.",
        "{result}"
    );
}

#[test]
fn targets_that_fail() {
    let faulty = Faulty::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = Upstream::new(|mut wire| drop(wire.rest()));
    let weir = Weir::start(&format!(
        "upstreams:\n  faulty:\n    targets: [\"{}\"]\n    http2: true\n    retry: {{ attempts: 0 }}\n    \
         health: {{ passive: false }}\n    timeouts: {{ first_byte: 300ms, stream_idle: 300ms }}\n  \
         gone: {{ targets: [\"127.0.0.1:9\"], http2: true }}\n  \
         unknown: {{ targets: [\"gone.invalid:80\"], http2: true }}\n  \
         plain: {{ targets: [\"{1}\"], tls: true, retry: {{ attempts: 0 }}, timeouts: {{ connect: 300ms }} }}\n  \
         down: {{ targets: [\"127.0.0.1:9\"], http2: true, health: {{ panic_threshold: 0%, \
         active: {{ grpc: true, interval: 50ms, unhealthy_after: 1 }} }} }}\n\
         routes:\n  - {{ name: faulty, match: {{ path: /fault/* }}, upstream: faulty }}\n  \
         - {{ name: gone, match: {{ path: /gone/* }}, upstream: gone }}\n  \
         - {{ name: unknown, match: {{ path: /unknown/* }}, upstream: unknown }}\n  \
         - {{ name: plain, match: {{ path: /plain/* }}, upstream: plain }}\n  \
         - {{ name: down, match: {{ path: /down/* }}, upstream: down }}\n",
        faulty.address, silent.address
    ));
    let of = |path: &str| raw_grpc(&weir, path, &[]);
    assert_ended(&of("/gone/Call"), 14, "upstream_connect_failed");
    assert_ended(&of("/unknown/Call"), 14, "upstream_resolve_failed");
    assert_ended(&of("/plain/Call"), 14, "upstream_connect_timeout");
    wait_until("it takes no traffic", || {
        let answer = of("/down/Call");
        answer
            .get("grpc-message")
            .is_some_and(|text| text.starts_with("no_target: "))
    });
    assert_ended(&of("/down/Call"), 14, "no_target");
    assert_ended(&of("/fault/no-head"), 4, "upstream_timeout");
    assert_ended(&of("/fault/reset-before-head"), 14, "upstream_reset");
    assert_ended(&of("/fault/close-before-head"), 14, "upstream_reset");
    assert_ended(&of("/fault/malformed-head=2"), 13, "upstream_malformed");
    wait_until("it is recorded", || {
        records(&weir)
            .iter()
            .any(|record| record["url.path"] == "/fault/malformed-head=2")
    });
    let record = records(&weir);
    let reset = record
        .iter()
        .find(|record| record["url.path"] == "/fault/reset-before-head");
    let expected = "UNAVAILABLE";
    assert_eq!(reset.unwrap()["rpc.response.status_code"], expected);
}

#[test]
fn what_is_no_word_of_grpc_passes_and_is_recorded_as_clients_read_it() {
    let upstream = Upstream::answering(|_| crate::harness::answer(503, &[], "not now"));
    let weir = Weir::to(upstream.address);
    let answer = raw_grpc(&weir, "/a.B/C", &[]);
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.text(), "not now");
    wait_until("it is recorded", || records(&weir).len() == 1);
    let record = &records(&weir)[0];
    assert_eq!(record["rpc.response.status_code"], "UNAVAILABLE");
}

#[test]
fn limits_of_an_upstream() {
    let server = server();
    let settings = "concurrency: { limit: 1, queue: 1, wait: 100ms }";
    let weir = Weir::start(&to(&server, settings, ""));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| raw_grpc(&weir, "/test.Echo/Wait", &[("grpc-timeout", "3S")]));
        wait_until("it is under way", || !server.lines().is_empty());
        let answer = raw_grpc(&weir, "/test.Echo/Unary", &[]);
        assert_ended(&answer, 8, "queue_timeout");
        assert_eq!(waiting.join().unwrap().get("grpc-status"), Some("4"));
    });
    let settings = "concurrency: { limit: 1, queue: 0 }";
    let other = super::server();
    weir.reload(&to(&other, settings, ""));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| raw_grpc(&weir, "/test.Echo/Wait", &[("grpc-timeout", "3S")]));
        wait_until("it is under way", || !other.lines().is_empty());
        let answer = raw_grpc(&weir, "/test.Echo/Unary", &[]);
        assert_ended(&answer, 8, "upstream_busy");
        assert_eq!(answer.get("grpc-retry-pushback-ms"), Some("1000"));
        assert_eq!(waiting.join().unwrap().get("grpc-status"), Some("4"));
    });
}
