//! A server whose answers wait until the test says which they are.

use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use crate::harness::{Upstream, Weir, Wire, answer, wait_until};

/// Stands for no answer.
const SILENT: u16 = 0;

#[derive(Default)]
struct State {
    status: AtomicU16,
    seen: AtomicUsize,
    /// Connections that ended while a request waited for its answer.
    dropped: AtomicUsize,
    changed: Condvar,
    lock: Mutex<()>,
}

/// A server that answers with one status, or not at all.
pub struct Gate {
    pub upstream: Upstream,
    state: Arc<State>,
}

impl Gate {
    /// Answers with this status.
    pub fn answering(status: u16) -> Self {
        let state = Arc::new(State::default());
        state.status.store(status, Ordering::Release);
        let served = Arc::clone(&state);
        let upstream = Upstream::new(move |wire| serve(&served, wire));
        Self { upstream, state }
    }

    /// Does not answer until it is opened.
    pub fn silent() -> Self {
        Self::answering(SILENT)
    }

    /// From now on, and for those that wait, this is the answer.
    pub fn open(&self, status: u16) {
        let _lock = self.state.lock.lock().unwrap();
        self.state.status.store(status, Ordering::Release);
        self.state.changed.notify_all();
    }

    /// From now on there is no answer.
    pub fn close(&self) {
        self.open(SILENT);
    }

    /// Requests that have come so far.
    pub fn seen(&self) -> usize {
        self.state.seen.load(Ordering::Acquire)
    }

    pub fn dropped(&self) -> usize {
        self.state.dropped.load(Ordering::Acquire)
    }

    pub fn wait_seen(&self, requests: usize) {
        wait_until("the server has the requests", || self.seen() >= requests);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // Threads that wait end.
        self.open(500);
    }
}

fn serve(state: &State, mut wire: Wire) {
    wire.stream.set_read_timeout(None).unwrap();
    while wire.request().is_some() {
        state.seen.fetch_add(1, Ordering::AcqRel);
        let mut lock = state.lock.lock().unwrap();
        while state.status.load(Ordering::Acquire) == SILENT {
            let waited = state
                .changed
                .wait_timeout(lock, std::time::Duration::from_millis(20));
            lock = waited.unwrap().0;
            if is_gone(&wire) {
                state.dropped.fetch_add(1, Ordering::AcqRel);
                return;
            }
        }
        drop(lock);
        let status = state.status.load(Ordering::Acquire);
        if wire.try_send(answer(status, &[], "gate")).is_err() {
            return;
        }
    }
}

fn is_gone(wire: &Wire) -> bool {
    wire.stream.set_nonblocking(true).unwrap();
    let peeked = wire.stream.peek(&mut [0]);
    wire.stream.set_nonblocking(false).unwrap();
    match peeked {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// One upstream `up` with these targets and further keys, for every path.
pub fn config(targets: &[&Gate], keys: &str) -> String {
    let addresses: Vec<String> = targets
        .iter()
        .map(|gate| format!("\"{}\"", gate.upstream.address))
        .collect();
    format!(
        "upstreams:\n  up:\n    targets: [{}]\n    health: {{ passive: false }}\n    {}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        addresses.join(", "),
        keys.replace('\n', "\n    ")
    )
}

/// Sends a request without waiting for what comes of it.
pub fn ask(weir: &Weir) -> Wire {
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wire
}

/// Waits until nothing is under way, queued or held.
pub fn assert_calm(weir: &Weir) {
    for gauge in [
        "weir_upstream_in_flight",
        "weir_upstream_concurrency_in_use",
        "weir_upstream_concurrency_queued",
    ] {
        wait_until(&format!("{gauge} is 0"), || weir.metric(gauge, &[]) == 0.0);
    }
}
