//! Targets that fail, or never answer, do not draw requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{named, upstream};
use crate::harness::{Upstream, Weir, Wire, answer, wait_until};

const REQUESTS: usize = 400;

/// A server and how often it was asked.
fn counted(serve: impl Fn(&mut Wire) + Send + Sync + 'static) -> (Upstream, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Upstream::new(move |mut wire| {
        wire.stream.set_read_timeout(None).unwrap();
        while wire.request().is_some() {
            count.fetch_add(1, Ordering::Relaxed);
            serve(&mut wire);
        }
    });
    (server, asked)
}

/// Nothing but what the algorithm learns, on one worker.
fn config(balance: &str, targets: &[&Upstream]) -> String {
    let keys =
        format!("balance: {balance}, retry: {{ attempts: 0 }}, health: {{ passive: false }}");
    format!("workers: 1\n{}", upstream(&keys, targets))
}

/// Errors come sooner than answers.
#[test]
fn a_target_that_answers_with_errors_at_once_is_no_black_hole() {
    let (bad, asked) = counted(|wire| wire.send(answer(503, &[], "no")));
    let (a, b) = (named("a"), named("b"));
    for balance in ["least_request", "peak_ewma"] {
        asked.store(0, Ordering::Relaxed);
        let weir = Weir::start(&config(balance, &[&a, &b, &bad]));
        let mut wire = Wire::connect(weir.http());
        for _ in 0..REQUESTS {
            wire.response_to("GET / HTTP/1.1\r\nHost: weir.test\r\n\r\n");
        }
        let asked = asked.load(Ordering::Relaxed);
        eprintln!("{balance}: {asked} of {REQUESTS} requests went to the one that fails");
        assert!((1..REQUESTS / 10).contains(&asked), "{balance}: {asked}");
    }
}

/// Clients do not wait until a deadline passes, and the target has nothing in flight once they left.
#[test]
fn a_target_that_clients_give_up_on_is_learnt_to_be_slow() {
    let (silent, asked) = counted(|_| {});
    let (a, b) = (named("a"), named("b"));
    for balance in ["least_request", "peak_ewma"] {
        asked.store(0, Ordering::Relaxed);
        let weir = Weir::start(&config(balance, &[&a, &b, &silent]));
        for _ in 0..REQUESTS {
            let mut client = TcpStream::connect(weir.http()).unwrap();
            let patience = Duration::from_millis(100);
            client.set_read_timeout(Some(patience)).unwrap();
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: weir.test\r\n\r\n")
                .unwrap();
            // Whether an answer comes or not.
            let _ = client.read(&mut [0; 1024]);
        }
        let asked = asked.load(Ordering::Relaxed);
        eprintln!("{balance}: {asked} of {REQUESTS} requests went to the one that is silent");
        assert!((1..REQUESTS / 10).contains(&asked), "{balance}: {asked}");
    }
}

#[test]
fn what_a_target_cuts_short_is_shown_and_so_is_what_balancing_makes_of_its_errors() {
    let target = Upstream::new(|mut wire| {
        while let Some(request) = wire.request() {
            match request.target() {
                "/cut" => return wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"),
                "/bad" => wire.send(answer(503, &[], "no")),
                _ => wire.send(answer(200, &[], "yes")),
            }
        }
    });
    for (balance, decides) in [
        ("round_robin", false),
        ("least_request", true),
        ("peak_ewma", true),
    ] {
        let weir = Weir::start(&config(balance, &[&target]));
        for (path, times) in [("/", 5), ("/bad", 40)] {
            for _ in 0..times {
                super::ask(&weir, path, "");
            }
        }
        let mut cut = Wire::connect(weir.http());
        cut.send("GET /cut HTTP/1.1\r\nHost: weir.test\r\n\r\n");
        assert_eq!(cut.head().unwrap().status(), 200);
        let shown =
            || weir.ask("GET", "/v1/upstreams").json()["upstreams"][0]["targets"][0].clone();
        wait_until("the cut answer is counted", || shown()["cut"] == 1);
        let counted = weir.metric("weir_upstream_answers_cut_total", &[]);
        assert_eq!(counted, 1.0);
        let shown = shown();
        let mean = shown["latency_ms"].as_f64().unwrap();
        let metric = |average: &str| weir.metric("weir_upstream_latency_seconds{", &[average]);
        assert_eq!(metric("mean"), mean / 1e3);
        // Errors come as soon as answers, and count as long waits.
        match shown["ewma_ms"].as_f64() {
            None => assert!(!decides, "{balance}"),
            Some(ewma) => {
                assert!(decides && ewma > 5.0 * mean, "{balance}: {ewma} of {mean}");
                assert_eq!(metric("ewma"), ewma / 1e3);
            }
        }
    }
}
