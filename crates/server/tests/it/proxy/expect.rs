//! `Expect: 100-continue` (RFC 9110 §10.1.1).

use std::sync::mpsc;

use crate::harness::{Upstream, Weir, Wire, answer, curl, pattern};

const HEAD: &str =
    "PUT /file HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_large_upload_of_curl_is_agreed_on_and_arrives() {
    let upstream = Upstream::new(|mut wire| {
        while let Some(mut head) = wire.head() {
            wire.send("HTTP/1.1 100 Continue\r\n\r\n");
            head.body = wire.take(head.get("content-length").unwrap().parse().unwrap());
            let same = head.body == pattern(2 * 1024 * 1024);
            wire.send(answer(200, &[], format!("{:?} {same}", head.get("expect"))));
        }
    });
    let weir = Weir::to(upstream.address);
    weir.setup().write("file", pattern(2 * 1024 * 1024));
    let file = weir.setup().path("file");
    let run = curl(&["--http1.1", "-T", file.to_str().unwrap(), &weir.url("/")]);
    assert_eq!(run.answer().text(), "Some(\"100-continue\") true");
    let statuses: Vec<_> = run
        .heads
        .iter()
        .map(crate::harness::Message::status)
        .collect();
    assert_eq!(statuses, [100, 200]);
}

#[test]
fn a_refusal_comes_before_the_body_and_without_an_agreement() {
    for status in [417, 401] {
        let (closed, end) = mpsc::channel();
        let upstream = Upstream::new(move |mut wire| {
            wire.head();
            wire.send(answer(status, &[], "no"));
            // What comes after the refusal: nothing of the body.
            closed.send(wire.rest()).unwrap();
        });
        let weir = Weir::to(upstream.address);
        let mut wire = Wire::connect(weir.http());
        wire.send(HEAD);
        let answer = wire.response("PUT");
        assert_eq!(answer.status(), status);
        assert!(answer.interim.is_empty());
        assert_eq!(answer.text(), "no");
        // The body may come or not: the connection cannot be used for anything else.
        assert_eq!(answer.get("connection"), Some("close"));
        assert!(wire.is_at_end());
        assert_eq!(end.recv_timeout(crate::harness::PATIENCE).unwrap(), b"");
    }
}

#[test]
fn a_server_that_never_agrees_gets_the_body_all_the_same() {
    let upstream = Upstream::answering(|request| answer(200, &[], &request.body));
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    for _ in 0..2 {
        wire.send(HEAD);
        let agreement = wire.head().unwrap();
        assert_eq!(agreement.status(), 100);
        wire.send("hello");
        let answer = wire.response("PUT");
        assert_eq!((answer.status(), answer.text()), (200, "hello".to_owned()));
        assert!(answer.interim.is_empty());
    }
}

#[test]
fn a_client_that_does_not_wait_needs_no_agreement() {
    let upstream = Upstream::new(|mut wire| {
        wire.head();
        wire.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = wire.take(5);
        wire.send(answer(200, &[], body));
    });
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send(format!("{HEAD}hello"));
    assert_eq!(wire.response("PUT").text(), "hello");
}

#[test]
fn another_expectation_is_refused() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n");
    wire.response("GET")
        .assert_problem(417, "unknown_expectation");
    assert_eq!(upstream.accepted(), 0);
}
