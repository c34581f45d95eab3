//! The two directions of a client's connection, and the request body in one of them.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::StatusCode;
use tokio::io::AsyncWrite;

use super::decoder::{Decoded, Decoder};
use super::encode;
use crate::body::{Body, Frame};
use crate::buffers::Buffers;
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::output::Output;
use crate::overload::Pace;
use crate::record::Meter;
use crate::stream::Stream;
use crate::worker::Worker;

/// Room for a head; more is made as it is needed.
pub(super) const HEAD_READ: usize = 8 * 1024;
/// Bytes that are moved out of a buffer when the client pauses behind them.
const KEPT_SMALL: usize = 2 * 1024;
/// Room for a piece of a body.
const BODY_READ: usize = 64 * 1024;

/// The connection, shared by the loop that answers and the body that is read from it. Both live in
/// one task, so that a borrow never meets another.
#[derive(Debug)]
pub(crate) struct Io {
    pub(super) stream: Stream,
    buffers: Rc<Buffers>,
    pub(super) input: BytesMut,
    pub(super) output: Output,
    /// Of the current request's body.
    pub(super) decoder: Decoder,
    /// Whether the client waits for `100 Continue` before it sends the body.
    owes_continue: bool,
    /// The last read was pending: nothing is buffered underneath, readiness can be awaited bare.
    drained: bool,
}

impl Io {
    /// A connection of which `input` was read already.
    pub(super) fn new(stream: Stream, input: BytesMut, buffers: Rc<Buffers>) -> Self {
        Self {
            stream,
            buffers,
            input,
            output: Output::default(),
            decoder: Decoder::Done,
            owes_continue: false,
            drained: false,
        }
    }

    /// Reads more. While nothing is there, the buffer is given back: idle connections hold none.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        if self.drained {
            ready!(self.stream.poll_readable(context))?;
        }
        if self.input.capacity() == 0 {
            self.input = self.buffers.take();
        }
        // Not for each read: with pieces of a body still on their way, every call would take another
        // buffer and leave the rest of the last one unused.
        if self.input.capacity() - self.input.len() < room.min(HEAD_READ) {
            if self.input.capacity() <= KEPT_SMALL && !self.input.is_empty() {
                // Into a buffer such as [`Io::shrink`] gave back.
                let mut buffer = self.buffers.take();
                buffer.extend_from_slice(&self.input);
                self.input = buffer;
            }
            self.input.reserve(room);
        }
        let read = self.stream.poll_fill(context, &mut self.input);
        self.drained = read.is_pending();
        if self.drained {
            self.shrink();
        }
        read
    }

    /// Gives the buffer back while nothing moves. A few bytes, the beginning of a head mostly, are kept
    /// in as much memory as they need: whoever sends them slowly should not hold more.
    fn shrink(&mut self) {
        if self.input.is_empty() {
            self.buffers.give(std::mem::take(&mut self.input), false);
        } else if self.input.len() <= KEPT_SMALL && self.input.capacity() > KEPT_SMALL {
            let kept = BytesMut::from(&self.input[..]);
            self.buffers
                .give(std::mem::replace(&mut self.input, kept), false);
        }
    }

    /// Gives back what is not needed while the client does not take what is there for it.
    pub(super) fn settle(&mut self) {
        self.shrink();
        self.output.compact(&self.buffers);
    }

    /// What becomes of a connection that speaks another protocol: the stream, and what was read of it.
    pub(super) fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }

    pub(super) fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        self.output.poll_flush(&mut self.stream, context, progress)
    }

    /// Ready when the client is gone while its answer is being prepared. What it sends ahead is
    /// kept, up to a bound: after that it is not read, and its end is noticed when it is written to.
    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.decoder.is_done() {
            return Poll::Pending;
        }
        while self.input.len() < HEAD_READ {
            match ready!(self.poll_fill(context, HEAD_READ)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }
}

/// A request's body on its connection.
#[derive(Debug)]
pub(crate) struct RequestBody {
    io: Rc<RefCell<Io>>,
    /// Bytes that may still come.
    allowance: u64,
    meter: Meter,
    worker: Rc<Worker>,
    pace: Pace,
}

impl RequestBody {
    pub(crate) fn length(&self) -> Option<u64> {
        self.io.borrow().decoder.remaining()
    }

    /// Whether what is still to come was read from the connection already.
    pub(crate) fn is_all_here(&self) -> bool {
        let io = self.io.borrow();
        let left = io.decoder.remaining();
        left.is_some_and(|left| left <= io.input.len() as u64)
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        let io = &mut *self.io.borrow_mut();
        if std::mem::take(&mut io.owes_continue) && io.input.is_empty() {
            encode::interim(io.output.gather(), StatusCode::CONTINUE, &Fields::new());
        }
        if !io.output.is_empty()
            && matches!(io.poll_flush(context, &mut false), Poll::Ready(Err(_)))
        {
            return Poll::Ready(Some(Err(Failure::ClientClosed)));
        }
        loop {
            match io.decoder.decode(&mut io.input) {
                Ok(Decoded::Frame(Frame::Data(bytes))) => {
                    let length = bytes.len() as u64;
                    if length > self.allowance {
                        return Poll::Ready(Some(Err(Failure::BodyTooLarge)));
                    }
                    self.allowance -= length;
                    self.meter.set(self.meter.get() + length);
                    if !self.pace.moved(self.worker.timers.now(), length, 1) {
                        return Poll::Ready(Some(Err(Failure::BodyTooSlow)));
                    }
                    return Poll::Ready(Some(Ok(Frame::Data(bytes))));
                }
                Ok(Decoded::Frame(Frame::Trailers(fields))) => {
                    return Poll::Ready(self.worker.snapshot().forbidden.trailers(fields));
                }
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(bad) => return Poll::Ready(Some(Err(Failure::Malformed(bad.0)))),
            }
            match io.poll_fill(context, BODY_READ) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Some(Err(Failure::ClientClosed)));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    self.pace.waits(self.worker.timers.now());
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Sends interim responses to the client.
#[derive(Debug)]
pub(crate) struct InterimSender(pub(super) Rc<RefCell<Io>>);

impl InterimSender {
    pub(crate) fn send(&self, status: StatusCode, fields: &Fields) {
        encode::interim(self.0.borrow_mut().output.gather(), status, fields);
    }
}

/// The body of the request whose head was just read, if it has one, and what counts it.
pub(super) fn take_body(
    client: &Client,
    io: &Rc<RefCell<Io>>,
    decoder: Decoder,
    expects_continue: bool,
) -> (Body, Option<Meter>) {
    let mut shared = io.borrow_mut();
    let has_body = !decoder.is_done();
    shared.decoder = decoder;
    shared.owes_continue = has_body && expects_continue;
    if !has_body {
        return (Body::Empty, None);
    }
    let snapshot = client.worker.snapshot();
    let meter = Meter::default();
    let body = RequestBody {
        io: Rc::clone(io),
        allowance: snapshot.most_body_bytes(),
        meter: Rc::clone(&meter),
        worker: Rc::clone(&client.worker),
        pace: Pace::new(snapshot.limits.minimum_rate),
    };
    (Body::Http1Request(body), Some(meter))
}

/// Ends the sending side.
pub(super) fn poll_shutdown(io: &RefCell<Io>, context: &mut Context<'_>) -> Poll<()> {
    let io = &mut *io.borrow_mut();
    Pin::new(&mut io.stream).poll_shutdown(context).map(|_| ())
}
