//! The end of the process: what is under way ends first.

use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

use rustix::process::Signal;

use crate::harness::{PATIENCE, Upstream, Weir, Wire, answer, forward, wait_until};

/// A server that answers when it is told to, and tells when it was asked.
struct Held {
    upstream: Upstream,
    asked: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

fn held() -> Held {
    let (ask, asked) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let (ask, released) = (Mutex::new(ask), Mutex::new(released));
    let upstream = Upstream::new(move |mut wire| {
        while let Some(request) = wire.request() {
            if request.target() == "/held" {
                ask.lock().unwrap().send(()).unwrap();
                let _ = released.lock().unwrap().recv_timeout(PATIENCE);
            }
            wire.send(answer(200, &[], "done"));
        }
    });
    Held {
        upstream,
        asked,
        release,
    }
}

fn wait_until_refused(weir: &Weir) {
    let address = weir.http();
    wait_until("new connections are refused", || {
        TcpStream::connect(address).is_err()
    });
}

#[test]
fn a_request_under_way_ends_and_the_process_after_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let held = held();
        let mut weir = Weir::to(held.upstream.address);
        let mut wire = Wire::connect(weir.http());
        wire.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        held.asked.recv_timeout(PATIENCE).unwrap();
        weir.signal(signal);
        wait_until_refused(&weir);
        assert!(weir.ended().is_none());
        assert_eq!(weir.ask("GET", "/readyz").status(), 503);
        held.release.send(()).unwrap();
        let answer = wire.response("GET");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "done"));
        assert_eq!(answer.get("connection"), Some("close"));
        assert!(wire.is_at_end());
        assert_eq!(weir.wait_exit().code(), Some(0));
        assert!(!weir.directory().join("data/weir.pid").exists());
    }
}

#[test]
fn a_kept_connection_is_served_once_more_and_asked_to_leave() {
    let held = held();
    let mut weir = Weir::to(held.upstream.address);
    let mut kept = Wire::connect(weir.http());
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(kept.response("GET").get("connection"), None);
    weir.signal(Signal::TERM);
    wait_until_refused(&weir);
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let last = kept.response("GET");
    assert_eq!(
        (last.status(), last.get("connection")),
        (200, Some("close"))
    );
    assert!(kept.is_at_end());
    assert_eq!(weir.wait_exit().code(), Some(0));
}

#[test]
fn a_silent_connection_does_not_hold_up_the_end_for_long() {
    let held = held();
    let mut weir = Weir::start(&format!(
        "drain_timeout: 1s\n{}",
        forward(held.upstream.address)
    ));
    let mut kept = Wire::connect(weir.http());
    kept.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    kept.response("GET");
    let mut fresh = Wire::connect(weir.http());
    weir.signal(Signal::TERM);
    assert_eq!(weir.wait_exit().code(), Some(0));
    assert!(kept.is_at_end());
    assert!(fresh.is_at_end());
    assert!(weir.log().contains("drained"), "{}", weir.log());
    assert!(!weir.log().contains("cutting"), "{}", weir.log());
}

#[test]
fn a_request_that_takes_longer_than_the_drain_is_cut_and_the_log_says_so() {
    let held = held();
    let mut weir = Weir::start(&format!(
        "drain_timeout: 500ms\n{}",
        forward(held.upstream.address)
    ));
    let mut wire = Wire::connect(weir.http());
    wire.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    held.asked.recv_timeout(PATIENCE).unwrap();
    weir.signal(Signal::TERM);
    weir.wait_exit();
    assert!(wire.is_at_end());
    let log = weir.log();
    let line = log
        .lines()
        .find(|line| line.contains("drained by cutting connections"));
    assert!(
        line.is_some_and(|line| line.contains("connections")),
        "{log}"
    );
}

#[test]
fn a_second_signal_cuts_at_once() {
    let held = held();
    let mut weir = Weir::to(held.upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    held.asked.recv_timeout(PATIENCE).unwrap();
    weir.signal(Signal::TERM);
    wait_until_refused(&weir);
    weir.signal(Signal::TERM);
    // Far less than the drain's thirty seconds: the wait has a deadline of twenty.
    weir.wait_exit();
    assert!(wire.is_at_end());
}

#[test]
fn an_upload_under_way_ends() {
    let held = held();
    let mut weir = Weir::to(held.upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    let upstream = &held.upstream;
    wait_until("the upload arrived", || upstream.accepted() == 1);
    weir.signal(Signal::TERM);
    wait_until_refused(&weir);
    wire.send("world");
    assert_eq!(wire.response("POST").status(), 200);
    assert_eq!(weir.wait_exit().code(), Some(0));
}
