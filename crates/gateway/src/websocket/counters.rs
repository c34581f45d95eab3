//! What is counted for the WebSockets of a route, and how many may be open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use weir_config::model;

use super::frames::{ABNORMAL, NO_CODE};
use crate::metrics::{Counter, per_worker};

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    Received,
    /// To the client.
    Sent,
}

/// How WebSockets ended, in the order of [`WebSocketCounters::closed`]. Codes of applications are counted
/// together: a client must not be able to make up series.
pub const CLOSE_CODES: [&str; 16] = [
    "1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012",
    "1013", "1014", "3xxx", "4xxx",
];

fn place_of(code: u16) -> usize {
    let place = match code {
        1000..=1003 => code - 1000,
        NO_CODE..=1014 => code - 1001,
        3000..=3999 => 14,
        4000..=4999 => 15,
        // No other code gets through.
        _ => ABNORMAL - 1001,
    };
    usize::from(place)
}

/// What is counted for the WebSockets of a route, by one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WebSocketCounters {
    /// Messages by [`Direction`].
    pub messages: [Counter; 2],
    /// Bytes of their payload, as they were sent.
    pub bytes: [Counter; 2],
    /// WebSockets that ended, by [`CLOSE_CODES`].
    pub closed: [Counter; CLOSE_CODES.len()],
}

impl WebSocketCounters {
    pub(super) fn count(&self, direction: Direction, messages: u64, bytes: u64) {
        let at = direction as usize;
        if messages > 0 {
            self.messages[at].add(messages);
        }
        self.bytes[at].add(bytes);
    }

    pub(super) fn closed(&self, code: u16) {
        self.closed[place_of(code)].add(1);
    }
}

/// The WebSockets of a route; outlives revisions.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) counters: Arc<[WebSocketCounters]>,
    /// Those that are open. Workers share it: it is touched once for each of them, not for a message.
    open: AtomicUsize,
}

impl Gate {
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            counters: per_worker(workers),
            open: AtomicUsize::new(0),
        })
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for one more; `None` if so many are open that there is none.
    pub(super) fn enter(self: &Arc<Self>, most: Option<usize>) -> Option<Place> {
        let others = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        most.is_none_or(|most| others < most).then_some(place)
    }
}

/// Counts a WebSocket as open until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Gate>);

impl Place {
    pub(super) fn counters(&self, worker: usize) -> &WebSocketCounters {
        &self.0.counters[worker]
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a route says of WebSockets.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) model: model::WebSocket,
    pub(crate) gate: Arc<Gate>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_name() {
        for (at, name) in CLOSE_CODES.iter().enumerate().take(14) {
            assert_eq!(place_of(name.parse().expect("a number")), at, "{name}");
        }
        assert_eq!(CLOSE_CODES[place_of(3999)], "3xxx");
        assert_eq!(CLOSE_CODES[place_of(4000)], "4xxx");
    }

    #[test]
    fn no_more_get_in_than_may() {
        let gate = Gate::new(1);
        let first = gate.enter(Some(2));
        let second = gate.enter(Some(2));
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(Some(2)).is_none());
        assert_eq!(gate.open(), 2, "who was refused is not counted");
        drop(first);
        assert!(gate.enter(Some(2)).is_some());
    }
}
