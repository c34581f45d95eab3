//! More requests than can be answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::{Weir, Wire, alone, wait_within};

use super::ask;

const PATIENCE: Duration = Duration::from_secs(60);

/// Redirects, so that nothing but the worker itself can be slow.
const CONFIG: &str = "
workers: 1
overload: { delay: 20ms }
timeouts: { write: 5m }
routes:
  - { name: low, match: { path: /low }, redirect: { to: /, status: 302 }, priority: low }
  - { name: normal, match: { path: /normal }, redirect: { to: /, status: 302 } }
  - { name: high, match: { path: /high }, redirect: { to: /, status: 302 }, priority: high }
  - { name: critical, match: { path: /critical }, redirect: { to: /, status: 302 }, priority: critical }
";

/// Clients that ask again as soon as they are answered, as many at a time as there are connections.
struct Flood {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    const THREADS: usize = 8;
    const CONNECTIONS: usize = 100;

    fn start(address: SocketAddr, path: &'static str) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let threads = (0..Self::THREADS).map(|_| {
            let ends = Arc::clone(&ends);
            std::thread::spawn(move || Self::run(address, path, &ends))
        });
        Self {
            threads: threads.collect(),
            ends,
        }
    }

    fn run(address: SocketAddr, path: &str, ends: &AtomicBool) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let streams = (0..Self::CONNECTIONS).map(|_| TcpStream::connect(address).unwrap());
        let mut streams: Vec<TcpStream> = streams.collect();
        while !ends.load(Ordering::Relaxed) {
            for stream in &mut streams {
                stream.write_all(request.as_bytes()).unwrap();
            }
            for stream in &mut streams {
                // An answer is small: it comes in one piece, or the rest with the next one.
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            }
        }
    }

    fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn requests_are_refused_by_priority_while_the_worker_cannot_keep_up() {
    let _alone = alone();
    let weir = Weir::start(CONFIG);
    let mut wires = ["low", "high", "critical"].map(|_| Wire::connect(weir.http()));
    let [low, high, critical] = &mut wires;
    for wire in [&mut *low, high, critical] {
        assert_eq!(ask(wire, "/low").unwrap().status(), 302);
    }
    let wait = || weir.metric("weir_turn_wait_seconds", &[]);
    assert_eq!(wait(), 0.0);

    // More at a time than it answers in the time that normal requests may wait.
    let flood = Flood::start(weir.http(), "/normal");
    let refused = || weir.metric("weir_answers_total", &["overloaded"]);
    wait_within(PATIENCE, "normal requests are refused", || {
        refused() > 100.0
    });
    let mut slowest = Duration::ZERO;
    wait_within(PATIENCE, "a low one is refused", || {
        let answer = ask(low, "/low").unwrap();
        if answer.status() == 302 {
            return false;
        }
        answer.assert_problem(503, "overloaded");
        let seconds: u32 = answer.get("retry-after").unwrap().parse().unwrap();
        assert!((1..=3).contains(&seconds), "{seconds}");
        true
    });
    wait_within(PATIENCE, "a high one is served", || {
        ask(high, "/high").unwrap().status() == 302
    });
    for _ in 0..20 {
        assert_eq!(ask(critical, "/critical").unwrap().status(), 302);
        let begun = Instant::now();
        assert_eq!(weir.ask("GET", "/healthz").status(), 200);
        slowest = slowest.max(begun.elapsed());
    }
    eprintln!("/healthz took {slowest:?} at most, a turn {} s", wait());

    flood.end();
    wait_within(PATIENCE, "nobody waits", || wait() == 0.0);
    wait_within(PATIENCE, "low ones are served again", || {
        ask(low, "/low").unwrap().status() == 302
    });
    wait_within(PATIENCE, "the refusals are in the log", || {
        weir.log().contains(r#""weir.reason":"overloaded""#)
    });
}

#[test]
fn it_can_be_turned_off() {
    let _alone = alone();
    let weir = Weir::start(&CONFIG.replace("20ms", "false"));
    let flood = Flood::start(weir.http(), "/low");
    let mut seen = 0;
    wait_within(PATIENCE, "requests waited too long often enough", || {
        seen += u32::from(weir.metric("weir_turn_wait_seconds", &[]) > 0.02);
        seen > 20
    });
    flood.end();
    assert_eq!(weir.metric("weir_answers_total", &["overloaded"]), 0.0);
}
