//! One target that is ten times slower than the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::upstream;
use crate::harness::{Upstream, Weir, Wire, alone, answer};

const CLIENTS: usize = 12;
/// Of each client.
const REQUESTS: usize = 500;
const FAST: Duration = Duration::from_millis(4);
const SLOW: Duration = Duration::from_millis(40);
/// Runs in which a busy machine may spoil the figure.
const TRIES: usize = 3;

/// A server that answers after this time, and counts.
#[allow(
    clippy::disallowed_methods,
    reason = "slowness is what is tested; each connection has a thread of its own"
)]
fn taking(time: Duration) -> (Upstream, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Upstream::answering(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(time);
        answer(200, &[], "done")
    });
    (server, asked)
}

/// What clients wait for at each of two addresses. They ask in turns, so that whatever else the
/// machine does tells on both alike.
fn waits(addresses: [SocketAddr; 2]) -> [Vec<Duration>; 2] {
    let client = move || {
        let mut wires = addresses.map(Wire::connect);
        let mut waits = [Vec::new(), Vec::new()];
        for _ in 0..REQUESTS {
            for (wire, waits) in wires.iter_mut().zip(&mut waits) {
                let began = Instant::now();
                let answer = wire.response_to("GET / HTTP/1.1\r\nHost: weir.test\r\n\r\n");
                assert_eq!(answer.text(), "done");
                waits.push(began.elapsed());
            }
        }
        waits
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| std::thread::spawn(client)).collect();
    let mut all = [Vec::new(), Vec::new()];
    for client in clients {
        for (all, waits) in all.iter_mut().zip(client.join().unwrap()) {
            all.extend(waits);
        }
    }
    all
}

/// The time below which 99 of 100 requests are answered.
fn percentile_99(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

#[test]
fn a_slow_target_does_not_show_in_the_99th_percentile() {
    let _alone = alone();
    let ((a, _), (b, _), (slow, asked)) = (taking(FAST), taking(FAST), taking(SLOW));
    for balance in ["least_request", "peak_ewma"] {
        let keys = format!("balance: {balance}");
        let is_held = (0..TRIES).any(|_| {
            let calm = Weir::start(&upstream(&keys, &[&a, &b]));
            let beside = Weir::start(&upstream(&keys, &[&a, &b, &slow]));
            asked.store(0, Ordering::Relaxed);
            let [calm, beside] = waits([calm.http(), beside.http()]).map(percentile_99);
            let all = CLIENTS * REQUESTS;
            eprintln!(
                "{balance}: p99 {beside:.1?} beside a slow target, {calm:.1?} without: {:.2} times; \
                 {} of {all} requests went to it",
                beside.as_secs_f64() / calm.as_secs_f64(),
                asked.load(Ordering::Relaxed)
            );
            beside * 2 <= calm * 3
        });
        assert!(is_held, "{balance}");
    }
}
