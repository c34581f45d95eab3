//! One exchange with a target over HTTP/1.1.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use http::{Method, StatusCode};

use super::decoder::{Decoded, Decoder};
use super::encode::{self, Framing};
use super::head::{HeadScanner, parse_response};
use crate::body::{Body, Frame};
use crate::buffers::{Buffers, LARGE_ROOM, ROOM};
use crate::failure::Failure;
use crate::message::MOST_RESPONSE_HEAD;
use crate::output::Output;
use crate::upstream::{ForwardHead, Pool, Received, Slot};
use crate::websocket::{Handshake, Opening};

mod connection;

pub(crate) use connection::Connection;

/// Milliseconds within which a connection ends that had ended before the request came.
const STALE_WITHIN: u64 = 1_000;
/// Upload bytes that may wait for the target before the client is asked for more.
const UPLOAD_HIGH_WATER: usize = 64 * 1024;

/// Where sending the request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    /// The target has not yet agreed to receive the body (RFC 9110 §10.1.1).
    AwaitingContinue,
    /// Head or body are being sent.
    Sending,
    /// All was handed to the output.
    Flushing,
    /// All was sent.
    Done,
    /// The target takes no more; its response may come all the same.
    Abandoned,
}

/// A request being sent and its response being read; drop it to abandon both.
///
/// All of it runs in the task that polls it. The connection goes back to its pool when the
/// response's body ended cleanly and the request was sent entirely.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// `None` once it went back to the pool.
    connection: Option<Connection>,
    pool: Rc<Pool>,
    input: BytesMut,
    /// Which kind of buffer `input` is, or will be.
    large: bool,
    /// The last read was pending: nothing is buffered underneath, readiness can be awaited bare.
    drained: bool,
    /// Pieces are small: they may be held for long.
    is_frugal: bool,
    output: Output,
    method: Method,
    request_body: Body,
    framing: Framing,
    upload: Upload,
    /// Its place among the uploads, until it is through.
    upload_place: Option<Slot>,
    /// Whether the request body was asked for anything.
    touched: bool,
    scanner: HeadScanner,
    decoder: Decoder,
    keep_alive: bool,
    /// When it began, in milliseconds of the worker's time.
    begun: u64,
    received: bool,
    /// Whether the upload moved on behind the response's head.
    uploaded: bool,
    /// What the target is asked to agree to.
    upgrade: Option<Rc<Handshake>>,
    /// The target agreed, and whether messages may be compressed.
    switched: Option<bool>,
}

impl Exchange {
    /// Starts an exchange: the head is queued, nothing is sent before the first poll. With its place among
    /// the uploads, if it has one.
    pub(crate) fn start(
        connection: Connection,
        pool: Rc<Pool>,
        head: &ForwardHead<'_>,
        request_body: Body,
        upload_place: Option<Slot>,
    ) -> Self {
        // Trailers may follow a body of known length only in HTTP/2, where they are rare enough to
        // be given up here: a length is what more servers understand than chunks.
        let framing = match request_body.length() {
            Some(0) => Framing::None,
            Some(_) => Framing::Length,
            None => Framing::Chunked,
        };
        let content_length = match (framing, request_body.length()) {
            (Framing::Length, length) => length,
            // RFC 9110 §8.6: say so when there is no body but the method suggests one.
            (Framing::None, _) if *head.method == Method::POST || *head.method == Method::PUT => {
                Some(0)
            }
            (Framing::None, _) if head.content_length == Some(0) => Some(0),
            _ => None,
        };
        let awaits = head.expects_continue && framing != Framing::None;
        let mut output = Output::default();
        output.prepare(pool.buffers());
        // Responses of one target are alike: one that filled the buffer promises another.
        let large = head.reads_ahead && pool.answers_large();
        encode::request_head(
            output.gather(),
            head,
            framing == Framing::Chunked,
            content_length,
            awaits,
        );
        Self {
            connection: Some(connection),
            begun: pool.now(),
            pool,
            // Taken with the first read: a client that takes its time to send a body holds none.
            input: BytesMut::new(),
            large,
            drained: false,
            is_frugal: false,
            output,
            method: head.method.clone(),
            request_body,
            framing,
            upload: if awaits {
                Upload::AwaitingContinue
            } else {
                Upload::Sending
            },
            upload_place,
            touched: false,
            scanner: HeadScanner::default(),
            decoder: Decoder::Done,
            keep_alive: false,
            received: false,
            uploaded: false,
            upgrade: head.upgrade.cloned(),
            switched: None,
        }
    }

    /// Whether the target agreed to another protocol.
    pub(crate) fn is_switched(&self) -> bool {
        self.switched.is_some()
    }

    /// The connection, which speaks another protocol now.
    pub(crate) fn into_opening(mut self: Box<Self>) -> Body {
        match (self.connection.take(), self.upgrade.take(), self.switched) {
            (Some(connection), Some(handshake), Some(may_compress)) => {
                let input = std::mem::take(&mut self.input);
                Opening::body(connection.into_end(), input, handshake, may_compress)
            }
            _ => Body::Empty,
        }
    }

    /// Bytes of the response body still to come, if known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.decoder.remaining()
    }

    /// Whether the request is still being sent, so that silence is not yet the target's.
    pub(crate) fn is_uploading(&self) -> bool {
        matches!(self.upload, Upload::Sending | Upload::Flushing)
    }

    /// Whether the upload waits for the target to take what was sent, and not for the client.
    pub(crate) fn is_held_up(&self) -> bool {
        !self.output.is_flushed()
    }

    /// Whether the target was asked to agree to the body and did not answer yet.
    pub(crate) fn awaits_continue(&self) -> bool {
        self.upload == Upload::AwaitingContinue
    }

    /// Sends the body without the target's agreement: many servers never answer an expectation.
    pub(crate) fn stop_awaiting_continue(&mut self) {
        if self.upload == Upload::AwaitingContinue {
            self.upload = Upload::Sending;
        }
    }

    /// Whether the connection had served before and ended soon, without a single byte in answer: the
    /// target closed it while idle, and most likely never saw the request. One that ends later has seen it.
    pub(crate) fn was_stale(&self) -> bool {
        !self.received
            && self.pool.now().saturating_sub(self.begun) <= STALE_WITHIN
            && self
                .connection
                .as_ref()
                .is_some_and(|connection| connection.reused)
    }

    /// Whether the upload moved on behind the response's head, since this was asked last.
    pub(crate) fn take_upload_progress(&mut self) -> bool {
        std::mem::take(&mut self.uploaded)
    }

    /// Says whether the client takes large pieces of the response. It gets them in any case when
    /// connections are scarcer than memory: the sooner a response was read, the sooner its connection is free.
    pub(crate) fn read_large(&mut self, is_large: bool) {
        self.is_frugal = !is_large && !self.pool.is_crowded();
    }

    /// Whether nothing was taken from the request body.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// The request body, if nothing was taken from it. This exchange sends no more of it.
    pub(crate) fn take_untouched_body(&mut self) -> Option<Body> {
        if self.touched {
            return None;
        }
        if self.is_uploading() || self.awaits_continue() {
            self.upload = Upload::Abandoned;
            self.upload_place = None;
        }
        Some(std::mem::replace(&mut self.request_body, Body::Empty))
    }

    /// Whether the connection can be used again after no more than so many bytes of the response.
    pub(crate) fn is_worth_reading(&self, most: u64) -> bool {
        let left = self.decoder.remaining();
        self.keep_alive
            && self.upload == Upload::Done
            && left.is_some_and(|left| (1..=most).contains(&left))
    }

    /// Sends the request and waits for a head. `progress` is set when a byte moved.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<Result<Received, Failure>> {
        loop {
            let upload = self.poll_upload(context, progress)?;
            while let Some(length) = self.scanner.scan_response(&self.input) {
                self.scanner = HeadScanner::default();
                let parsed = parse_response(&mut self.input, length, &self.method)?;
                if parsed.head.status == StatusCode::SWITCHING_PROTOCOLS {
                    let Some(handshake) = &self.upgrade else {
                        return Poll::Ready(Err(Failure::UpstreamMalformed("unasked-for upgrade")));
                    };
                    self.switched = Some(handshake.check_switch(&parsed.head.fields)?);
                    return Poll::Ready(Ok(Received::Final(parsed.head)));
                }
                if parsed.head.status == StatusCode::CONTINUE {
                    self.stop_awaiting_continue();
                } else if parsed.head.status.is_informational() {
                    let head = parsed.head;
                    return Poll::Ready(Ok(Received::Interim(head.status, head.fields)));
                } else {
                    return Poll::Ready(Ok(self.accept(parsed)));
                }
            }
            if self.upload == Upload::Sending && upload.is_ready() {
                // An agreement came with the input: send before waiting.
                continue;
            }
            if self.input.len() > MOST_RESPONSE_HEAD as usize {
                return Poll::Ready(Err(Failure::UpstreamMalformed("response head too large")));
            }
            match ready!(self.poll_fill(context, ROOM)) {
                Ok(0) if self.received => {
                    return Poll::Ready(Err(Failure::UpstreamReset("closed in the head")));
                }
                Ok(0) => return Poll::Ready(Err(Failure::UpstreamReset("closed before the head"))),
                Err(_) => return Poll::Ready(Err(Failure::UpstreamReset("reset before the head"))),
                Ok(_) => {
                    self.received = true;
                    *progress = true;
                }
            }
        }
    }

    fn accept(&mut self, parsed: super::head::ParsedResponse) -> Received {
        let in_sight = parsed
            .body
            .remaining()
            .is_some_and(|length| length <= ROOM as u64 / 2);
        self.pool
            .expect_large(!in_sight && self.input.len() > ROOM / 2);
        self.decoder = parsed.body;
        self.keep_alive = parsed.keep_alive;
        if self.upload == Upload::AwaitingContinue {
            // A final answer instead of an agreement: the body is not wanted, and whether the
            // target still expects it on this connection is not knowable.
            self.upload = Upload::Abandoned;
        }
        if self.decoder.is_done() {
            self.finish();
        }
        Received::Final(parsed.head)
    }

    /// The next piece of the response body; goes on sending the request meanwhile.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        if self.is_uploading() {
            let mut progress = false;
            let upload = self.poll_upload(context, &mut progress);
            self.uploaded |= progress;
            if let Poll::Ready(Err(failure)) = upload {
                return Poll::Ready(Some(Err(failure)));
            }
        }
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Decoded::Frame(frame)) => {
                    if self.decoder.is_done() {
                        self.finish();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(Decoded::End) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Ok(Decoded::More) => {}
                Err(bad) => {
                    return Poll::Ready(Some(Err(Failure::UpstreamMalformed(bad.0))));
                }
            }
            // One byte more than is to come: a read that does not fill its buffer tells the runtime
            // that nothing is left, and spares the next look.
            let room = match self.decoder.remaining() {
                Some(bytes) if !self.is_frugal => {
                    usize::try_from(bytes)
                        .unwrap_or(LARGE_ROOM)
                        .min(LARGE_ROOM - 1)
                        + 1
                }
                Some(_) | None => ROOM,
            };
            match ready!(self.poll_fill(context, room)) {
                Ok(0) if matches!(self.decoder, Decoder::UntilClose) => {
                    self.decoder = Decoder::Done;
                    return Poll::Ready(None);
                }
                Ok(0) => {
                    return Poll::Ready(Some(Err(Failure::UpstreamReset("closed in the body"))));
                }
                Err(_) => {
                    return Poll::Ready(Some(Err(Failure::UpstreamReset("reset in the body"))));
                }
                Ok(_) => {}
            }
        }
    }

    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        room: usize,
    ) -> Poll<std::io::Result<usize>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Ok(0));
        };
        if self.drained {
            let ready = ready!(connection.stream.poll_readable(context));
            self.drained = false;
            ready?;
        }
        let buffers = self.pool.buffers();
        let is_other_wanted = if self.large {
            self.is_frugal
        } else {
            room > ROOM
        };
        if is_other_wanted && self.input.is_empty() {
            give(buffers, &mut self.input, self.large);
            self.large = !self.large;
        }
        if self.input.capacity() == 0 {
            self.input = if self.large {
                buffers.take_large()
            } else {
                buffers.take()
            };
        }
        self.input.reserve(room);
        let read = connection.stream.poll_fill(context, &mut self.input);
        self.drained = read.is_pending();
        if self.drained && self.input.is_empty() {
            give(buffers, &mut self.input, self.large);
        }
        read
    }

    /// Sends what can be sent. An error is the client's; a target that takes no more is not one.
    fn poll_upload(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(Ok(()));
        };
        loop {
            let mut starved = false;
            if self.upload == Upload::Sending {
                self.output.prepare(self.pool.buffers());
            }
            while self.upload == Upload::Sending && self.output.len() < UPLOAD_HIGH_WATER {
                if self.framing == Framing::None {
                    self.upload = Upload::Flushing;
                    break;
                }
                match self.request_body.poll_frame(context) {
                    Poll::Ready(Some(frame)) => {
                        self.touched = true;
                        let frame = frame?;
                        if matches!(frame, Frame::Trailers(_)) {
                            // They carry the body's end with them.
                            self.upload = Upload::Flushing;
                        }
                        encode::frame(&mut self.output, self.framing, frame);
                        *progress = true;
                    }
                    Poll::Ready(None) => {
                        encode::end(&mut self.output, self.framing);
                        self.upload = Upload::Flushing;
                    }
                    Poll::Pending => {
                        starved = true;
                        break;
                    }
                }
            }
            match self
                .output
                .poll_flush(&mut connection.stream, context, progress)
            {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => {
                    self.upload = Upload::Abandoned;
                    self.upload_place = None;
                    self.output = Output::default();
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => return Poll::Pending,
            }
            match self.upload {
                Upload::Flushing => {
                    self.upload = Upload::Done;
                    self.upload_place = None;
                    self.output.release(self.pool.buffers());
                }
                Upload::Sending if starved => {
                    self.output.release(self.pool.buffers());
                    return Poll::Pending;
                }
                Upload::Sending => continue,
                Upload::AwaitingContinue | Upload::Done | Upload::Abandoned => {}
            }
            return Poll::Ready(Ok(()));
        }
    }

    /// The response is complete: keeps the connection if both sides are through with it.
    fn finish(&mut self) {
        let reusable = self.keep_alive && self.upload == Upload::Done && self.input.is_empty();
        self.upload_place = None;
        if let Some(mut connection) = self.connection.take()
            && reusable
        {
            connection.reused = true;
            self.pool.put(connection);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.output.release(self.pool.buffers());
        give(self.pool.buffers(), &mut self.input, self.large);
    }
}

/// Gives a buffer back, if there is one.
fn give(buffers: &Buffers, input: &mut BytesMut, large: bool) {
    if input.capacity() > 0 {
        buffers.give(std::mem::take(input), large);
    }
}
