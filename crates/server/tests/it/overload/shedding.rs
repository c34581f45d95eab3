//! More requests than can be answered.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
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

/// A client that sends requests without end and without waiting for answers.
struct Flood {
    stream: TcpStream,
    threads: [JoinHandle<()>; 2],
}

impl Flood {
    fn start(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let requests = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(1_000);
        let mut reader = stream.try_clone().unwrap();
        let mut writer = stream.try_clone().unwrap();
        let reading = std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
        let writing = std::thread::spawn(
            move || {
                while writer.write_all(requests.as_bytes()).is_ok() {}
            },
        );
        Self {
            stream,
            threads: [reading, writing],
        }
    }

    fn end(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
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
    let pressure = || weir.metric("weir_shedding_pressure", &[]);
    for wire in [&mut *low, high, critical] {
        assert_eq!(ask(wire, "/low").unwrap().status(), 302);
    }
    assert_eq!(pressure(), 0.0);

    // Enough for a turn of the event loop to take far longer than it may.
    let floods: Vec<Flood> = (0..32)
        .map(|_| Flood::start(weir.http(), "/normal"))
        .collect();
    wait_within(PATIENCE, "normal requests are refused", || pressure() > 1.0);
    let refused = || weir.metric("weir_answers_total", &["overloaded"]);
    wait_within(PATIENCE, "they are counted", || refused() > 100.0);
    let mut answered = 0;
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        // Only while all of the lower class are refused does an answer prove anything.
        if pressure() >= 1.0 {
            let answer = ask(low, "/low").unwrap();
            if pressure() >= 1.0 {
                answer.assert_problem(503, "overloaded");
                let seconds: u32 = answer.get("retry-after").unwrap().parse().unwrap();
                assert!((1..=3).contains(&seconds), "{seconds}");
                answered += 1;
            }
        }
        if pressure() < 2.0 {
            let status = ask(high, "/high").unwrap().status();
            assert!(status == 302 || pressure() >= 2.0, "{status}");
        }
        assert_eq!(ask(critical, "/critical").unwrap().status(), 302);
        let begun = Instant::now();
        assert_eq!(weir.ask("GET", "/healthz").status(), 200);
        slowest = slowest.max(begun.elapsed());
    }
    assert!(answered > 0, "the pressure was never there");
    let delay = weir.metric("weir_event_loop_delay_seconds", &[]);
    eprintln!("/healthz took {slowest:?} at most, the event loop is {delay} s late");

    for flood in floods {
        flood.end();
    }
    wait_within(PATIENCE, "the pressure is gone", || pressure() == 0.0);
    assert_eq!(ask(low, "/low").unwrap().status(), 302);
    wait_within(PATIENCE, "the refusals are in the log", || {
        weir.log().contains(r#""weir.reason":"overloaded""#)
    });
}

#[test]
fn it_can_be_turned_off() {
    let _alone = alone();
    let weir = Weir::start(&CONFIG.replace("20ms", "false"));
    let floods: Vec<Flood> = (0..32).map(|_| Flood::start(weir.http(), "/low")).collect();
    let late = || weir.metric("weir_event_loop_delay_seconds", &[]) > 0.05;
    let mut seen = 0;
    wait_within(PATIENCE, "it was late often enough", || {
        seen += u32::from(late());
        seen > 20
    });
    for flood in floods {
        flood.end();
    }
    assert_eq!(weir.metric("weir_answers_total", &["overloaded"]), 0.0);
}
