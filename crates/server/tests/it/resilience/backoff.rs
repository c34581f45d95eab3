//! Repeats: when they are made, and how long they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::gate::{Gate, ask, assert_calm, config};
use crate::harness::{Upstream, Weir, answer, wait_until};

fn to(upstream: &Upstream, keys: &str) -> Weir {
    Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], {keys} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    ))
}

/// Says that it is busy, and when to come back.
fn busy(seen: &Arc<AtomicUsize>, retry_after: &'static str) -> Upstream {
    let seen = Arc::clone(seen);
    Upstream::answering(move |_| {
        seen.fetch_add(1, Ordering::AcqRel);
        answer(503, &[("Retry-After", retry_after)], "later")
    })
}

#[test]
fn nobody_waits_for_a_century() {
    let far = [
        "3153600000",
        "99999999999999999999999",
        "Tue, 01 Jan 2126 00:00:00 GMT",
    ];
    for retry_after in far {
        let seen = Arc::new(AtomicUsize::new(0));
        let upstream = busy(&seen, retry_after);
        let weir = to(&upstream, "retry: { attempts: 2, when: [503] }");
        let answer = weir.get("/");
        assert_eq!((answer.status(), &*answer.text()), (503, "later"));
        assert_eq!(answer.get("retry-after"), Some(retry_after));
        assert_eq!(seen.load(Ordering::Acquire), 1, "{retry_after}");
    }
}

#[test]
fn a_wish_that_can_be_met_is() {
    for (retry_after, least) in [("0", 0), ("soon", 0), ("1", 1_000)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let upstream = busy(&seen, retry_after);
        let weir = to(
            &upstream,
            "retry: { attempts: 1, when: [503], backoff: 100ms }",
        );
        let begun = Instant::now();
        assert_eq!(weir.get("/").status(), 503);
        assert_eq!(seen.load(Ordering::Acquire), 2, "{retry_after}");
        assert!(begun.elapsed() >= Duration::from_millis(least));
    }
}

#[test]
fn another_target_is_asked_at_once_whatever_the_first_one_wishes() {
    let seen = Arc::new(AtomicUsize::new(0));
    let upstream = busy(&seen, "3153600000");
    let other = Gate::answering(200);
    let weir = Weir::start(&format!(
        "upstreams:\n  up:\n    targets: [\"{}\", \"{}\"]\n    \
         retry: {{ attempts: 1, when: [503], backoff: 1h }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address, other.upstream.address
    ));
    for _ in 0..4 {
        assert_eq!(weir.get("/").status(), 200);
    }
    assert!(seen.load(Ordering::Acquire) >= 1);
}

#[test]
fn a_target_that_keeps_silent_is_worth_another_one_if_that_is_asked_for() {
    let (silent, quick) = (Gate::silent(), Gate::answering(200));
    let keys = "timeouts: { first_byte: 700ms }\nretry: { attempts: 1, when: [timeout] }";
    let weir = Weir::start(&config(&[&silent, &quick], keys));
    for _ in 0..4 {
        assert_eq!(weir.get("/").status(), 200);
    }
    assert!(silent.seen() >= 1);
    assert_calm(&weir);
}

#[test]
fn a_client_that_leaves_while_a_repeat_waits_ends_it() {
    let gate = Gate::answering(503);
    let keys = "retry: { attempts: 1, when: [503], backoff: 1h }\n\
                concurrency: { limit: 1, queue: 0 }";
    let weir = Weir::start(&config(&[&gate], keys));
    let asked = ask(&weir);
    gate.wait_seen(1);
    wait_until("the repeat was decided on", || {
        weir.metric("weir_upstream_retries_total", &[]) == 1.0
    });
    weir.get("/").assert_problem(503, "upstream_busy");
    drop(asked);
    wait_until("its place is free", || {
        weir.metric("weir_upstream_concurrency_in_use", &[]) == 0.0
    });
    assert_eq!(gate.seen(), 1);
}

#[test]
fn a_wait_does_not_outlast_the_deadline() {
    let gate = Gate::answering(503);
    let keys = "retry: { attempts: 1, when: [503], backoff: 1h }\ntimeouts: { total: 300ms }";
    let weir = Weir::start(&config(&[&gate], keys));
    let begun = Instant::now();
    weir.get("/").assert_problem(504, "deadline_exceeded");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(gate.seen(), 1);
    wait_until("it is logged", || {
        weir.log().contains("\"weir.cause\":\"backoff\"")
    });
    assert_calm(&weir);
}

/// Answers the first request of each path with 503 and a body of so many bytes, the next with 200.
fn recovering(body: usize) -> Upstream {
    let failed = std::sync::Mutex::new(std::collections::HashSet::new());
    Upstream::answering(move |request| {
        let is_first = failed.lock().unwrap().insert(request.target().to_owned());
        match is_first {
            true => answer(503, &[], vec![b'x'; body]),
            false => answer(200, &[], "fine"),
        }
    })
}

#[test]
fn an_answer_that_is_repeated_leaves_its_connection_if_it_is_small() {
    let keys = "retry: { attempts: 1, when: [503], budget: 100%, backoff: 0s }";
    let connections = |body: usize| {
        let upstream = recovering(body);
        let weir = to(
            &upstream,
            &format!("{keys}, pool: {{ max_connections: 1 }}"),
        );
        let mut wire = crate::harness::Wire::connect(weir.http());
        for number in 0..10 {
            wire.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(wire.response("GET").text(), "fine");
        }
        upstream.accepted()
    };
    assert_eq!(connections(20_000), 1, "what is left is read");
    assert_eq!(connections(5_000_000), 11, "that would take too long");
}

#[test]
fn a_repeat_does_not_wait_for_the_rest_of_an_answer() {
    // Its body never ends.
    let stuck = Upstream::new(|mut wire| {
        wire.request();
        wire.send("HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nbusy");
        // Until the connection is given up.
        wire.is_at_end();
    });
    let well = Upstream::answering(|_| answer(200, &[], "fine"));
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\", \"{}\"], retry: {{ attempts: 1, when: [503] }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        stuck.address, well.address
    ));
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(weir.get("/").text(), "fine");
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "nobody waits");
    assert!(stuck.accepted() >= 2);
    assert_calm(&weir);
}
