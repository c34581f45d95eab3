//! A client's connection over HTTP/1.0 or HTTP/1.1.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::StatusCode;
use tokio::io::AsyncWrite;

use super::decoder::{Decoded, Decoder};
use super::encode::{self, Framing, Persistence};
use super::head::{HeadLimits, HeadScanner, ParsedRequest, parse_request};
use crate::body::{Body, Frame};
use crate::buffers::Buffers;
use crate::client::Client;
use crate::deny;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{Version, has_body};
use crate::output::Output;
use crate::record::Meter;
use crate::request::{self, Interim, Request, Response};
use crate::stream::Stream;
use crate::timer::Timer;
use crate::worker::Phase;

/// Room for a head; more is made as it is needed.
const HEAD_READ: usize = 8 * 1024;
/// Room for a piece of a body.
const BODY_READ: usize = 64 * 1024;
/// Response bytes that may wait for the client before the target is asked for more.
const HIGH_WATER: usize = 64 * 1024;
/// How long and how much a refused client may go on sending, so that it gets to read the answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1024 * 1024;

/// The connection, shared by the loop that answers and the body that is read from it. Both live in
/// one task, so that a borrow never meets another.
#[derive(Debug)]
pub(crate) struct Io {
    stream: Stream,
    buffers: Rc<Buffers>,
    input: BytesMut,
    output: Output,
    /// Of the current request's body.
    decoder: Decoder,
    /// Whether the client waits for `100 Continue` before it sends the body.
    owes_continue: bool,
    /// The last read was pending: nothing is buffered underneath, readiness can be awaited bare.
    drained: bool,
}

impl Io {
    /// Reads more. While nothing is there, the buffer is given back: idle connections hold none.
    fn poll_fill(&mut self, context: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.drained {
            ready!(self.stream.poll_readable(context))?;
        }
        if self.input.capacity() == 0 {
            self.input = self.buffers.take();
        }
        self.input.reserve(room);
        let read = self.stream.poll_fill(context, &mut self.input);
        self.drained = read.is_pending();
        if self.drained && self.input.is_empty() {
            self.buffers.give(std::mem::take(&mut self.input), false);
        }
        read
    }

    fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        self.output.poll_flush(&mut self.stream, context, progress)
    }

    /// Ready when the client is gone while its answer is being prepared. What it sends ahead is
    /// kept, up to a bound: after that it is not read, and its end is noticed when it is written to.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
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
}

impl RequestBody {
    pub(crate) fn length(&self) -> Option<u64> {
        self.io.borrow().decoder.remaining()
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
                    return Poll::Ready(Some(Ok(Frame::Data(bytes))));
                }
                Ok(Decoded::Frame(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(bad) => return Poll::Ready(Some(Err(Failure::Malformed(bad.0)))),
            }
            match ready!(io.poll_fill(context, BODY_READ)) {
                Ok(0) | Err(_) => return Poll::Ready(Some(Err(Failure::ClientClosed))),
                Ok(_) => {}
            }
        }
    }
}

/// Sends interim responses to the client.
#[derive(Debug)]
pub(crate) struct InterimSender(Rc<RefCell<Io>>);

impl InterimSender {
    pub(crate) fn send(&self, status: StatusCode, fields: &Fields) {
        encode::interim(self.0.borrow_mut().output.gather(), status, fields);
    }
}

/// What the wait for a request ended with.
enum Next {
    Request(ParsedRequest),
    Refuse(Failure),
    Close,
}

/// Serves a connection until it ends. `input` holds what was read of it already.
pub(crate) async fn serve(client: Rc<Client>, stream: Stream, input: BytesMut) {
    let timer = client.worker.timers.register();
    let io = Rc::new(RefCell::new(Io {
        stream,
        buffers: Rc::clone(&client.worker.buffers),
        input,
        output: Output::default(),
        decoder: Decoder::Done,
        owes_continue: false,
        drained: false,
    }));
    let mut served = 0_u64;
    loop {
        let parsed = match next_request(&client, &io, &timer, served).await {
            Next::Request(parsed) => parsed,
            Next::Refuse(Failure::ClientClosed) => {
                // Nobody is there to be answered; the record is kept all the same.
                drop(deny::refuse(&client, Failure::ClientClosed));
                break;
            }
            Next::Refuse(failure) => {
                let response = deny::refuse(&client, failure);
                let _ = respond(
                    &client,
                    &io,
                    &timer,
                    response,
                    &http::Method::GET,
                    Version::Http11,
                    false,
                )
                .await;
                return linger(&io, &timer).await;
            }
            Next::Close => break,
        };
        served += 1;
        let keep_alive = parsed.keep_alive;
        let (method, version) = (parsed.head.method.clone(), parsed.head.version);
        let (body, meter) = take_body(&client, &io, parsed.body, parsed.head.expects_continue);
        let interim = match version {
            Version::Http10 => Interim::Nowhere,
            _ => Interim::Http1(InterimSender(Rc::clone(&io))),
        };
        let request = Request {
            head: parsed.head,
            body,
            meter,
            interim,
        };
        let answer = request::answer(&client, request, &timer);
        let Some(response) = unless_gone(&io, answer).await else {
            return;
        };
        match respond(&client, &io, &timer, response, &method, version, keep_alive).await {
            Ok(true) => {}
            Ok(false) => return linger(&io, &timer).await,
            // Without the end of its framing the client knows that the response is not whole.
            Err(_) => return,
        }
    }
    let _ = timer
        .limit(
            LINGER,
            std::future::poll_fn(|context| poll_shutdown(&io, context)),
        )
        .await;
}

fn take_body(
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
    let allowance = client
        .worker
        .snapshot()
        .limits
        .body_bytes
        .unwrap_or(u64::MAX);
    let meter = Meter::default();
    let body = RequestBody {
        io: Rc::clone(io),
        allowance,
        meter: Rc::clone(&meter),
    };
    (Body::Http1Request(body), Some(meter))
}

async fn next_request(client: &Client, io: &RefCell<Io>, timer: &Timer, served: u64) -> Next {
    let snapshot = client.worker.snapshot();
    let limits = HeadLimits {
        bytes: snapshot.limits.head_bytes,
        headers: snapshot.limits.headers,
    };
    let timeouts = snapshot.timeouts;
    // Not held while waiting: an idle connection must not keep an old revision alive.
    drop(snapshot);
    let mut scanner = HeadScanner::default();
    let mut begun = false;
    let mut may_skip_line = true;
    timer.set(if served == 0 {
        timeouts.head
    } else {
        timeouts.idle
    });
    std::future::poll_fn(|context| {
        let io = &mut *io.borrow_mut();
        loop {
            // RFC 9112 §2.2: one empty line in front of a request is forgiven.
            if may_skip_line && io.input.starts_with(b"\r\n") {
                io.input.advance(2);
                may_skip_line = false;
            }
            if !io.input.is_empty() {
                match scanner.scan_request(&io.input) {
                    Ok(Some(length)) if length > limits.bytes => {
                        return Poll::Ready(Next::Refuse(Failure::HeadTooLarge));
                    }
                    Ok(Some(length)) => {
                        return Poll::Ready(match parse_request(&mut io.input, length, limits) {
                            Ok(parsed) => Next::Request(parsed),
                            Err(failure) => Next::Refuse(failure),
                        });
                    }
                    Ok(None) if io.input.len() > limits.bytes => {
                        return Poll::Ready(Next::Refuse(Failure::HeadTooLarge));
                    }
                    Ok(None) => {}
                    Err(failure) => return Poll::Ready(Next::Refuse(failure)),
                }
                if !begun {
                    begun = true;
                    timer.set(timeouts.head);
                }
            } else if client.worker.phase() == Phase::Closing {
                return Poll::Ready(Next::Close);
            }
            match io.poll_fill(context, HEAD_READ) {
                Poll::Ready(Ok(0)) if begun => {
                    return Poll::Ready(Next::Refuse(Failure::ClientClosed));
                }
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Close),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => break,
            }
        }
        timer.poll(context).map(|_| {
            if begun {
                Next::Refuse(Failure::HeadTimeout)
            } else {
                Next::Close
            }
        })
    })
    .await
}

/// Runs the answer's preparation until it is there or the client is gone.
async fn unless_gone(io: &RefCell<Io>, answer: impl Future<Output = Response>) -> Option<Response> {
    let mut answer = pin!(answer);
    std::future::poll_fn(|context| {
        if let Poll::Ready(response) = answer.as_mut().poll(context) {
            return Poll::Ready(Some(response));
        }
        let mut io = io.borrow_mut();
        if !io.output.is_empty()
            && matches!(io.poll_flush(context, &mut false), Poll::Ready(Err(_)))
        {
            return Poll::Ready(None);
        }
        io.poll_gone(context).map(|()| None)
    })
    .await
}

/// Writes a response; tells whether the connection can take another request.
async fn respond(
    client: &Client,
    io: &RefCell<Io>,
    timer: &Timer,
    response: Response,
    method: &http::Method,
    version: Version,
    keep_alive: bool,
) -> Result<bool, Failure> {
    let Response {
        head,
        mut body,
        mut record,
        idle,
    } = response;
    let framing = match (has_body(method, head.status), body.length(), version) {
        (false, ..) => Framing::None,
        (true, Some(_), _) => Framing::Length,
        (true, None, Version::Http10) => Framing::Close,
        (true, None, _) => Framing::Chunked,
    };
    let keep_alive = keep_alive
        && framing != Framing::Close
        && client.worker.phase() == Phase::Serving
        && io.borrow().decoder.is_done();
    let persistence = match (keep_alive, version) {
        (false, _) => Persistence::Close,
        (true, Version::Http10) => Persistence::KeepAlive,
        (true, _) => Persistence::Default,
    };
    let buffers = &client.worker.buffers;
    io.borrow_mut().output.prepare(buffers);
    encode::response_head(
        io.borrow_mut().output.gather(),
        &head,
        framing,
        persistence,
        &client.worker.date(),
    );
    let write_timeout = client.worker.snapshot().timeouts.write;
    let mut ended = framing == Framing::None;
    let mut cut = None;
    let mut started = false;
    let result = std::future::poll_fn(|context| {
        let mut progress = !std::mem::replace(&mut started, true);
        loop {
            let mut starved = false;
            while !ended && io.borrow().output.len() < HIGH_WATER {
                // The body may read this very connection (an upload that is still going on), so it
                // is not borrowed here.
                match body.poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => {
                        progress = true;
                        if let Frame::Data(bytes) = &frame {
                            record.sent(bytes.len());
                        }
                        // Trailers carry the body's end with them; and of a body of known length
                        // nothing more comes: spare the extra question.
                        ended = matches!(frame, Frame::Trailers(_))
                            || (framing == Framing::Length && body.is_end());
                        encode::frame(&mut io.borrow_mut().output, framing, frame);
                    }
                    Poll::Ready(Some(Err(failure))) => {
                        // What came before the failure is the client's all the same.
                        cut = Some(failure);
                        ended = true;
                    }
                    Poll::Ready(None) => {
                        encode::end(&mut io.borrow_mut().output, framing);
                        ended = true;
                    }
                    Poll::Pending => {
                        starved = true;
                        break;
                    }
                }
            }
            let mut io = io.borrow_mut();
            match io.poll_flush(context, &mut progress) {
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientClosed)),
                Poll::Ready(Ok(())) if ended => return Poll::Ready(cut.map_or(Ok(()), Err)),
                Poll::Ready(Ok(())) if !starved => continue,
                Poll::Ready(Ok(())) => {
                    if io.poll_gone(context).is_ready() {
                        return Poll::Ready(Err(Failure::ClientClosed));
                    }
                }
                Poll::Pending => {}
            }
            let (allowed, failure) = if io.output.is_empty() {
                (idle, Failure::UpstreamStalled)
            } else {
                (write_timeout, Failure::WriteTimeout)
            };
            if progress {
                timer.set(allowed);
            }
            return timer.poll(context).map(|_| Err(failure));
        }
    })
    .await;
    match result {
        Ok(()) => record.complete(),
        Err(failure) => {
            if framing == Framing::Close {
                // Only a reset tells this client from the body's proper end.
                let _ = io.borrow().stream.tcp().set_zero_linger();
            }
            record.fail(failure);
            return Err(failure);
        }
    }
    let mut io = io.borrow_mut();
    io.output.release(buffers);
    Ok(keep_alive && io.decoder.is_done())
}

fn poll_shutdown(io: &RefCell<Io>, context: &mut Context<'_>) -> Poll<()> {
    let io = &mut *io.borrow_mut();
    Pin::new(&mut io.stream).poll_shutdown(context).map(|_| ())
}

/// Closes the sending side, then takes what the client still sends for a while: closing at once
/// would reset the connection, and the client might lose the answer (RFC 9112 §9.6).
async fn linger(io: &RefCell<Io>, timer: &Timer) {
    let mut left = LINGER_BYTES;
    let mut closed = false;
    let closing = std::future::poll_fn(|context| {
        if !closed {
            ready!(poll_shutdown(io, context));
            closed = true;
        }
        let io = &mut *io.borrow_mut();
        while left > 0 {
            io.input.clear();
            match ready!(io.poll_fill(context, HEAD_READ)) {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
        Poll::Ready(())
    });
    let _ = timer.limit(LINGER, closing).await;
}
