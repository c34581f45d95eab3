//! One connection that many requests wait for.
//!
//! A connection over HTTP/2 is for all of them, so that one is made and not one per request. What a
//! target speaks may be known only when its handshake is over: until then all wait for that one.

use std::cell::Cell;

use tokio::sync::{Mutex, MutexGuard};
use weir_config::model::UpstreamHttp2;

use super::Connector;
use crate::failure::Failure;

/// The turn to make a shared connection, and what came of the last ones.
#[derive(Debug)]
pub(super) struct Opening {
    turn: Mutex<()>,
    /// How many failed so far, and how the last one did.
    failed: Cell<(u64, Option<Failure>)>,
    /// What the target speaks; `None` until a handshake has found out.
    speaks_http2: Cell<Option<bool>>,
}

/// Whoever holds it makes the connection.
pub(super) type Turn<'a> = MutexGuard<'a, ()>;

impl Opening {
    pub(super) fn new(connector: &Connector) -> Self {
        let speaks_http2 = match connector.http2 {
            UpstreamHttp2::Never => Some(false),
            UpstreamHttp2::Always => Some(true),
            // Nothing is negotiated without TLS.
            UpstreamHttp2::Negotiate => connector.tls.is_none().then_some(false),
        };
        Self {
            turn: Mutex::default(),
            failed: Cell::default(),
            speaks_http2: Cell::new(speaks_http2),
        }
    }

    /// Whether requests share a connection, or may turn out to.
    pub(super) fn is_shared(&self) -> bool {
        self.speaks_http2.get() != Some(false)
    }

    /// A handshake that offered both protocols is over.
    pub(super) fn agreed(&self, on_http2: bool) {
        self.speaks_http2.set(Some(on_http2));
    }

    /// Waits for the turn. Who waited while a connection failed shares that outcome: it is the answer to
    /// the same question, and asking it once more for each of them would take longer and longer.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Failure> {
        let (before, _) = self.failed.get();
        let turn = self.turn.lock().await;
        match self.failed.get() {
            (failures, Some(failure)) if failures != before => Err(failure),
            _ => Ok(turn),
        }
    }

    /// The connection of this turn failed.
    pub(super) fn failed(&self, _turn: &Turn<'_>, failure: Failure) {
        let (before, _) = self.failed.get();
        self.failed.set((before + 1, Some(failure)));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    const REFUSED: Failure = Failure::Connect("connection refused");

    fn opening() -> Opening {
        Opening::new(&Connector {
            tls: None,
            http2: UpstreamHttp2::Always,
        })
    }

    #[test]
    fn who_waited_shares_a_failure_and_who_comes_later_tries_again() {
        let opening = opening();
        let context = &mut Context::from_waker(Waker::noop());
        let first = opening.turn.try_lock().expect("nobody has it");
        let mut second = pin!(opening.turn());
        let mut third = pin!(opening.turn());
        assert!(second.as_mut().poll(context).is_pending());
        assert!(third.as_mut().poll(context).is_pending());
        opening.failed(&first, REFUSED);
        drop(first);
        let mut later = pin!(opening.turn());
        assert!(later.as_mut().poll(context).is_pending(), "not its turn");
        for waiting in [second, third] {
            assert!(matches!(waiting.poll(context), Poll::Ready(Err(REFUSED))));
        }
        assert!(matches!(later.poll(context), Poll::Ready(Ok(_))));
    }

    #[test]
    fn who_gives_up_leaves_the_turn_to_the_next() {
        let opening = opening();
        let context = &mut Context::from_waker(Waker::noop());
        let first = opening.turn.try_lock().expect("nobody has it");
        let mut second = pin!(opening.turn());
        assert!(second.as_mut().poll(context).is_pending());
        drop(first);
        assert!(matches!(second.poll(context), Poll::Ready(Ok(_))));
    }
}
