//! Clients that open requests and abandon them, as fast as they can; targets that stop answering.

use std::time::{Duration, Instant};

use super::gate::{Gate, ask, assert_calm, config};
use crate::harness::{H2Client, Weir, alone, block_on, wait_until};

const KEYS: &str = "concurrency: { limit: 20, queue: 20, wait: 1s }\n\
     breaker: { window: 1s, min_requests: 20, slow_call: 10s, open_for: 1s }\n\
     hedge: { after: 5ms, attempts: 2 }\n\
     timeouts: { total: 5s }";

#[test]
fn what_is_abandoned_leaves_nothing_behind() {
    let _alone = alone();
    let gates = [Gate::silent(), Gate::silent()];
    let weir = Weir::start(&config(&[&gates[0], &gates[1]], KEYS));
    let round = || {
        for _ in 0..500 {
            drop(ask(&weir));
        }
        block_on(async {
            for _ in 0..10 {
                let client = H2Client::connect(weir.http()).await;
                for _ in 0..50 {
                    let Ok(mut sender) = client.sender.clone().ready().await else {
                        break;
                    };
                    let request = http::Request::get("http://a/").body(()).unwrap();
                    // Dropped: the stream is reset.
                    drop(sender.send_request(request, true));
                }
            }
        });
        assert_calm(&weir);
    };
    round();
    round();
    let before = weir.memory();
    for _ in 0..4 {
        round();
    }
    let grown = weir.memory().saturating_sub(before);
    eprintln!("{grown} KiB more after 4,000 abandoned requests more");
    // What is under way costs more than ten KiB; less than three of each are the allocator's slack.
    assert!(grown < 12 * 1024, "{grown} KiB");
    gates.iter().for_each(|gate| gate.open(200));
    wait_until("it is in use as before", || weir.get("/").status() == 200);
}

#[test]
fn targets_that_stop_answering_hold_up_nobody_beyond_the_deadline() {
    let _alone = alone();
    const TOTAL: Duration = Duration::from_millis(500);
    let gate = Gate::answering(200);
    let keys = "concurrency: { limit: 50, queue: 50, wait: 200ms }\n\
         breaker: { window: 1s, min_requests: 10, open_for: 1s }\n\
         timeouts: { total: 500ms }";
    // Requests that are kept to be looked at take memory by intent, ten thousand of them.
    let weir = Weir::start(&format!(
        "{}admin: {{ address: $ADMIN, requests: {{ recent: 0, noted: 0 }} }}\n",
        config(&[&gate], keys)
    ));
    for _ in 0..200 {
        assert_eq!(weir.get("/").status(), 200);
    }
    let before = weir.memory();
    gate.close();
    let begun = Instant::now();
    let (mut most_queued, mut slowest) = (0.0_f64, Duration::ZERO);
    let mut halfway = None;
    let counts = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let weir = &weir;
                scope.spawn(move || {
                    let mut answers = Vec::new();
                    while begun.elapsed() < Duration::from_secs(4) {
                        let asked = Instant::now();
                        let status = weir.get("/").status();
                        answers.push((status, asked.elapsed()));
                    }
                    answers
                })
            })
            .collect();
        while begun.elapsed() < Duration::from_secs(4) {
            let queued = weir.metric("weir_upstream_concurrency_queued", &[]);
            most_queued = most_queued.max(queued);
            if halfway.is_none() && begun.elapsed() > Duration::from_secs(2) {
                halfway = Some(weir.memory());
            }
        }
        let mut counts = std::collections::BTreeMap::new();
        for client in clients {
            for (status, took) in client.join().unwrap() {
                *counts.entry(status).or_insert(0) += 1;
                slowest = slowest.max(took);
            }
        }
        counts
    });
    let after = weir.memory();
    let grown = after.saturating_sub(before);
    let grown_late = after.saturating_sub(halfway.unwrap());
    eprintln!(
        "answers by status: {counts:?}; slowest {slowest:?} with a deadline of {TOTAL:?}; at most \
         {most_queued} queued; asked {} times; {grown} KiB more memory, {grown_late} of them in the \
         second half",
        gate.seen() - 200
    );
    assert!(slowest < TOTAL + Duration::from_millis(500));
    assert!(most_queued <= 50.0);
    assert!(
        counts[&503] > counts[&504],
        "the breaker spares most the wait"
    );
    // What a hundred clients take, and buffers of fixed size that are used for the first time: those are
    // not full yet halfway, and it stays as it is after some twenty thousand requests.
    assert!(grown < 16 * 1024, "{grown} KiB");
    assert_calm(&weir);
    gate.open(200);
    wait_until("it is used again", || weir.get("/").status() == 200);
}
