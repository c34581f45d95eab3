//! Whether a target at the other end of a connection is still there (RFC 9113 §6.7).
//!
//! A host that lost its power, or a path that swallows packets, ends no connection: whoever waits for an
//! answer waits for its deadline, and whoever comes next does the same. So when nothing was heard for a
//! while and something is under way, the target is asked; if it does not answer that either, it is gone.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;
use weir_config::model::Pings;

use crate::stream::Stream;
use crate::timer::Timers;

/// While nothing but answers to PINGs comes, each next one is sent after so many times the wait before the
/// last, up to so long: servers of gRPC forgive two that come sooner, and take more for abuse (gRPC's A8).
const GROWTH: u32 = 8;
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// What is seen of a connection; shared by all who have to do with it.
#[derive(Debug)]
pub(crate) struct Signs {
    timers: Rc<Timers>,
    /// Since when nothing was heard although something could have been, in milliseconds of the worker's
    /// time.
    silent_since: Cell<u64>,
    /// How often something came.
    reads: Cell<u64>,
    /// Exchanges under way.
    open: Cell<usize>,
    /// Exchanges so far.
    begun: Cell<u64>,
    /// It did not answer in time.
    is_dead: Cell<bool>,
}

impl Signs {
    pub(super) fn new(timers: &Rc<Timers>) -> Rc<Self> {
        Rc::new(Self {
            timers: Rc::clone(timers),
            silent_since: Cell::new(timers.now()),
            reads: Cell::new(0),
            open: Cell::new(0),
            begun: Cell::new(0),
            is_dead: Cell::new(false),
        })
    }

    pub(crate) fn begin_exchange(&self) {
        if self.open.get() == 0 {
            self.silent_since.set(self.timers.now());
        }
        self.open.set(self.open.get() + 1);
        self.begun.set(self.begun.get() + 1);
    }

    pub(crate) fn end_exchange(&self) {
        self.open.set(self.open.get() - 1);
    }

    /// Exchanges under way.
    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.get()
    }

    fn hear(&self) {
        self.silent_since.set(self.timers.now());
        self.reads.set(self.reads.get() + 1);
    }

    /// Changes whenever something happens.
    fn activity(&self) -> (u64, u64) {
        (self.begun.get(), self.reads.get())
    }

    fn silence(&self) -> Duration {
        let now = self.timers.now();
        Duration::from_millis(now.saturating_sub(self.silent_since.get()))
    }
}

/// A stream that notes when something comes.
pub(super) struct Heard {
    pub(super) stream: Stream,
    pub(super) signs: Rc<Signs>,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.signs.hear();
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Asks after the target until the connection ends, and ends it if the target is gone. `connection` is
/// the task in which it lives.
pub(super) async fn watch(
    connection: AbortHandle,
    mut line: PingPong,
    signs: Rc<Signs>,
    pings: Pings,
) {
    let timer = signs.timers.register();
    // What had happened when it last answered, and how long it is left alone if nothing else does.
    let mut answered = None;
    while !connection.is_finished() {
        let patience = match answered {
            Some((activity, patience)) if activity == signs.activity() => patience,
            _ => pings.interval,
        };
        let left = patience.saturating_sub(signs.silence());
        if signs.open() == 0 {
            timer.wait(pings.interval).await;
        } else if !left.is_zero() {
            // What is begun meanwhile is seen in time.
            timer.wait(left.min(pings.interval)).await;
        } else if answers(&mut line, &signs, pings.timeout).await {
            let longer = patience.saturating_mul(GROWTH).min(LONGEST);
            answered = Some((signs.activity(), longer.max(pings.interval)));
        } else {
            signs.is_dead.set(true);
            // Its exchanges learn of it as of any end.
            return connection.abort();
        }
    }
}

/// Whether the target answers in time. Whatever it says is an answer.
async fn answers(line: &mut PingPong, signs: &Signs, within: Duration) -> bool {
    if line.send_ping(Ping::opaque()).is_err() {
        // It has ended by itself.
        return true;
    }
    let timer = signs.timers.register();
    loop {
        let reads = signs.reads.get();
        let pong = std::future::poll_fn(|context| line.poll_pong(context));
        if timer.limit(within, pong).await.is_ok() {
            return true;
        }
        if signs.reads.get() == reads {
            return false;
        }
    }
}
