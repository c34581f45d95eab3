//! `grpc-timeout` bounds a call as a whole, and passes on.

use serde_json::{Value, json};

use super::{call, calls, raw_grpc, records, server, to, unary};
use crate::faulty::Faulty;
use crate::harness::{Upstream, Weir, Wire, wait_until};

fn remaining(result: &Value) -> Value {
    let told = result["replies"][0].as_str().expect("a reply");
    serde_json::from_str::<Value>(told).unwrap()["remaining"].clone()
}

fn tell(timeout: f64) -> Value {
    json!({ "kind": "unary", "method": "Tell", "timeout": timeout })
}

#[test]
fn what_is_left_is_passed_on_and_a_route_may_shorten_it() {
    let server = server();
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], http2: true }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n  \
         - name: short\n    match: {{ path: /*, headers: {{ x-short: '1' }} }}\n    upstream: up\n    \
         grpc: {{ max_timeout: 5s }}\n",
        server.address
    ));
    let mut short = tell(100.0);
    short["metadata"] = json!({ "x-short": "1" });
    let mut shorter = tell(2.0);
    shorter["metadata"] = json!({ "x-short": "1" });
    let results = calls(&weir, &[unary("Tell", ""), tell(100.0), short, shorter]);
    let unlimited = remaining(&results[0]).as_f64().expect("a number");
    assert!(unlimited > 1e9, "{unlimited}");
    let seconds: Vec<f64> = results[1..]
        .iter()
        .map(|result| remaining(result).as_f64().expect("a deadline"))
        .collect();
    assert!((90.0..101.5).contains(&seconds[0]), "{seconds:?}");
    assert!((3.0..5.5).contains(&seconds[1]), "{seconds:?}");
    assert!((0.5..3.0).contains(&seconds[2]), "{seconds:?}");
}

#[test]
fn a_call_ends_at_its_deadline_although_the_server_ignores_it() {
    let faulty = Faulty::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], http2: true }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        faulty.address
    ));
    let answer = raw_grpc(&weir, "/fault/no-head", &[("grpc-timeout", "200m")]);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.get("grpc-status"), Some("4"), "{answer:?}");
    let message = answer.get("grpc-message").unwrap();
    assert!(message.starts_with("deadline_exceeded: "), "{message}");
    wait_until("the server knows", || faulty.seen().left == 1);
    wait_until("it is recorded", || records(&weir).len() == 1);
    let record = &records(&weir)[0];
    assert_eq!(record["rpc.response.status_code"], "DEADLINE_EXCEEDED");
    assert_eq!(record["weir.reason"], "deadline_exceeded");
    assert_eq!(record["weir.cause"], "upstream_timeout");
    // It was the client's wish: nobody is to blame.
    for _ in 0..10 {
        raw_grpc(&weir, "/fault/no-head", &[("grpc-timeout", "1m")]);
    }
    assert_eq!(weir.metric("weir_upstream_healthy", &[]), 1.0);
    let none_left = raw_grpc(&weir, "/fault/answer", &[("grpc-timeout", "0n")]);
    assert_eq!(none_left.get("grpc-status"), Some("4"));
    assert_eq!(faulty.seen().all(), 11, "it was not even asked");
}

#[test]
fn the_upstreams_own_deadline_ends_a_stream_with_a_status() {
    let server = server();
    let weir = Weir::start(&to(&server, "timeouts: { total: 500ms }", ""));
    let result = call(
        &weir,
        json!({ "kind": "server", "method": "FirstThenWait" }),
    );
    assert_eq!(result["code"], "DEADLINE_EXCEEDED", "{result}");
    assert_eq!(result["replies"], json!(["first"]));
    let details = result["details"].as_str().unwrap();
    assert!(details.starts_with("deadline_exceeded: "), "{details}");
    wait_until("it is recorded", || records(&weir).len() == 1);
    assert_eq!(records(&weir)[0]["weir.reason"], "deadline_exceeded");
    // It is told whose deadline it is before it passes.
    let result = call(&weir, tell(100.0));
    let seconds = remaining(&result).as_f64().unwrap();
    assert!(seconds < 101.0, "{seconds}");
}

#[test]
fn a_stated_deadline_takes_the_place_of_first_byte() {
    let server = server();
    let weir = Weir::start(&to(&server, "timeouts: { first_byte: 200ms }", ""));
    let mut patient = unary("Slow", "700");
    patient["timeout"] = json!(10);
    let results = calls(&weir, &[patient, unary("Slow", "700")]);
    assert_eq!(results[0]["code"], "OK", "{}", results[0]);
    assert_eq!(results[1]["code"], "DEADLINE_EXCEEDED", "{}", results[1]);
    let details = results[1]["details"].as_str().unwrap();
    assert!(details.starts_with("upstream_timeout: "), "{details}");
}

#[test]
fn silence_is_bounded_by_its_own_limit_on_either_side() {
    let server = server();
    let quiet = "timeouts: { idle: 100ms, stream_idle: 700ms }";
    let config = to(&server, quiet, "") + "timeouts: { body: 100ms }\n";
    let weir = Weir::start(&config);
    let result = call(
        &weir,
        json!({ "kind": "server", "method": "FirstThenWait" }),
    );
    assert_eq!(result["replies"], json!(["first"]));
    assert_eq!(result["code"], "DEADLINE_EXCEEDED", "{result}");
    let details = result["details"].as_str().unwrap();
    assert!(details.starts_with("upstream_stalled: "), "{details}");
    assert!(result["seconds"].as_f64().unwrap() >= 0.7, "{result}");
}

/// Calls that last need HTTP/2, and so does their patience: a content type alone is not to lift the bounds on
/// slow clients.
#[test]
fn who_cannot_stream_is_not_waited_for_as_if_they_did() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&format!(
        "upstreams: {{ up: {{ targets: [\"{}\"] }} }}\n\
         routes: [{{ name: all, upstream: up, grpc: {{ web: true }} }}]\n\
         timeouts: {{ body: 300ms }}\n",
        upstream.address
    ));
    for kind in ["application/grpc", "application/grpc-web"] {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!(
            "POST /test.Echo/Unary HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: 9\r\n\r\n\0"
        ));
        let answer = wire.response("POST");
        let message = answer.get("grpc-message").unwrap_or_default();
        assert!(message.starts_with("body_timeout: "), "{kind} {answer:?}");
    }
}

#[test]
fn what_is_no_timeout_is_refused() {
    let server = server();
    let weir = Weir::start(&to(&server, "", ""));
    for bad in [
        "1",
        "S",
        "1s",
        "-1S",
        "100000000S",
        "1.5S",
        "9999999999999999999999S",
        "S1",
        "1 S",
    ] {
        let answer = raw_grpc(&weir, "/test.Echo/Unary", &[("grpc-timeout", bad)]);
        assert_eq!(answer.get("grpc-status"), Some("13"), "{bad:?}: {answer:?}");
        let message = answer.get("grpc-message").unwrap();
        assert!(message.starts_with("malformed_request: "), "{message}");
    }
    let twice = [("grpc-timeout", "1S"), ("grpc-timeout", "2S")];
    let answer = raw_grpc(&weir, "/test.Echo/Unary", &twice);
    assert_eq!(answer.get("grpc-status"), Some("13"));
    // The longest there is, and one that is longer than it looks.
    for good in ["99999999H", "99999999n"] {
        let answer = raw_grpc(&weir, "/test.Echo/Unary", &[("grpc-timeout", good)]);
        assert_eq!(answer.get("grpc-status"), Some("0"), "{good:?}: {answer:?}");
    }
}
