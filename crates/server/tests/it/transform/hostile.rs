//! Programs that do not end, bodies that are made to hurt, and who suffers from that: nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{JSON, ask, with};
use crate::harness::{Upstream, Weir, answer};

fn upstream() -> Upstream {
    Upstream::answering(|_| answer(200, &[JSON], r#"{"n":1000000000,"s":"aaaaaaaaaa"}"#))
}

#[test]
fn programs_without_end_are_stopped_and_the_gateway_goes_on() {
    let upstream = upstream();
    for program in [
        "def f: f; f",
        "def f: 1 + f; f",
        "def f: [f]; f",
        "[range(.n)]",
        "last(range(1e12))",
        ".s * .n",
        "reduce range(.n) as $i (.s; . + .)",
        "reduce range(.n) as $i ([1]; [., .])",
        "reduce range(.n) as $i (1; [.])",
        "path(def f: if .x == 1 then . else .a | f end; f)",
        "try (def f: f; f) catch .",
        "(.s * 100000) | test(\\\"(a{100}){40}b\\\")",
    ] {
        let weir = Weir::start(&with(
            &format!("{{ response: {{ jq: \"{program}\" }} }}"),
            upstream.address,
        ));
        let begun = Instant::now();
        ask(&weir, "GET", "/u/1", &[], b"").assert_problem(502, "response_transform_failed");
        assert!(begun.elapsed() < Duration::from_secs(20), "{program}");
        assert_eq!(
            ask(&weir, "GET", "/plain", &[], b"").status(),
            200,
            "{program}"
        );
        assert!(weir.memory() < 1 << 30, "{program}: {}", weir.memory());
    }
}

#[test]
fn templates_without_end_are_stopped() {
    let upstream = upstream();
    for template in [
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ ([body.s] * 100000000) | join(',') }}",
    ] {
        let weir = Weir::start(&with(
            &format!("{{ response: {{ template: \"{template}\" }} }}"),
            upstream.address,
        ));
        ask(&weir, "GET", "/u/1", &[], b"").assert_problem(502, "response_transform_failed");
        assert_eq!(
            ask(&weir, "GET", "/plain", &[], b"").status(),
            200,
            "{template}"
        );
    }
}

/// One worker, and programs that run for as long as they may: those who ask for nothing of the kind are
/// answered as fast as ever, and those who do are refused when too many wait.
#[test]
fn nobody_else_waits_for_a_program() {
    let upstream = upstream();
    let config = format!(
        "workers: 1\n{}",
        with(
            "{ response: { jq: \"def f: f; f\" }, limits: { time: 300ms } }",
            upstream.address
        )
    );
    let weir = Arc::new(Weir::start(&config));
    let is_over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..50)
        .map(|_| {
            let (weir, is_over) = (Arc::clone(&weir), Arc::clone(&is_over));
            std::thread::spawn(move || {
                let mut refused = 0;
                while !is_over.load(Ordering::Acquire) {
                    let answer = ask(&weir, "GET", "/u/1", &[], b"");
                    assert!(matches!(answer.status(), 502 | 503), "{answer:?}");
                    refused += usize::from(answer.json()["reason"] == "transform_busy");
                }
                refused
            })
        })
        .collect();
    crate::harness::wait_until("programs", || {
        weir.metric("weir_transform_handed_over_total", &["all"]) > 40.0
    });
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let begun = Instant::now();
        assert_eq!(ask(&weir, "GET", "/plain", &[], b"").status(), 200);
        slowest = slowest.max(begun.elapsed());
    }
    crate::harness::wait_until("refusals", || {
        weir.metric("weir_answers_total", &["transform_busy"]) > 0.0
    });
    is_over.store(true, Ordering::Release);
    let refused: usize = busy.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(refused > 0);
    // A program has 300 ms, and a line of them would have seconds.
    assert!(slowest < Duration::from_millis(250), "{slowest:?}");
}

#[test]
fn bodies_that_are_made_to_hurt_are_refused() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&with("{ request: { jq: .a } }", upstream.address));
    let deep = [vec![b'['; 500_000], vec![b']'; 500_000]].concat();
    let keys = (0..60_000)
        .map(|at| format!("\"k{at}\":{at}"))
        .collect::<Vec<_>>();
    let wide = format!("{{{}}}", keys.join(","));
    let digits = format!("{{\"a\":{}}}", "9".repeat(900_000));
    for body in [&deep[..], &deep[..500_000]] {
        ask(&weir, "POST", "/u/1", &[JSON], body).assert_problem(400, "request_transform_failed");
    }
    assert_eq!(
        ask(&weir, "POST", "/u/1", &[JSON], wide.as_bytes()).status(),
        200
    );
    let digits = ask(&weir, "POST", "/u/1", &[JSON], digits.as_bytes());
    assert!(digits.text().ends_with(&"9".repeat(900_000)));
    let large = vec![b'1'; (1 << 20) + 1];
    ask(&weir, "POST", "/u/1", &[JSON], &large).assert_problem(413, "body_too_large_to_change");
    for broken in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"a\":NaN}",
        b"{\"a\":1}{\"a\":2}",
        b"# x\n{}",
    ] {
        ask(&weir, "POST", "/u/1", &[JSON], broken).assert_problem(400, "request_transform_failed");
    }
}
