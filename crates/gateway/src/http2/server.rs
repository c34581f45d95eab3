//! A client's connection over HTTP/2.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, COOKIE, DATE, EXPECT, HOST};
use http::{HeaderValue, Method, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::body::{Body, Frame};
use crate::client::Client;
use crate::deny;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::http1::{content_length, is_authority};
use crate::message::{RequestHead, Version, has_body};
use crate::record::Meter;
use crate::request::{self, Interim, Request, Response};
use crate::stream::Stream;
use crate::timer::Timer;
use crate::worker::Phase;

/// Request bytes a client may have in flight: per stream and per connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Response bytes of one stream that may wait for the client.
const SEND_BUFFER: usize = 128 * 1024;
/// Resets after which a client is sent away (CVE-2023-44487 and CVE-2025-8671: both directions).
const MOST_PENDING_RESETS: usize = 20;
const MOST_CAUSED_RESETS: usize = 100;
/// How long a client may take to close after it was asked to.
const GOODBYE: Duration = Duration::from_secs(5);

/// Serves a connection until it ends. `input` holds what was read of it already.
pub(crate) async fn serve(client: Rc<Client>, stream: Stream, input: BytesMut) {
    let timer = client.worker.timers.register();
    let snapshot = client.worker.snapshot();
    let (limits, timeouts) = (snapshot.limits, snapshot.timeouts);
    drop(snapshot);
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MOST_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MOST_CAUSED_RESETS));
    let handshake = builder.handshake::<_, Bytes>(Prefixed { input, stream });
    let Ok(Ok(mut connection)) = timer.limit(timeouts.head, handshake).await else {
        return;
    };
    let streams = Rc::new(Cell::new(0_usize));
    let mut state = State {
        leaving: false,
        idle: false,
    };
    loop {
        let accepted = std::future::poll_fn(|context| {
            poll_accept(
                &client,
                &mut connection,
                &mut state,
                &streams,
                &timer,
                timeouts.idle,
                context,
            )
        })
        .await;
        let Some((request, respond)) = accepted else {
            return;
        };
        streams.set(streams.get() + 1);
        let count = StreamCount(Rc::clone(&streams));
        let client = Rc::clone(&client);
        tokio::task::spawn_local(async move {
            let _count = count;
            serve_stream(&client, request, respond).await;
        });
    }
}

struct StreamCount(Rc<Cell<usize>>);

impl Drop for StreamCount {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

struct State {
    /// GOAWAY was sent.
    leaving: bool,
    /// No stream is open, and the deadline for that is set.
    idle: bool,
}

type Accepted = (http::Request<RecvStream>, SendResponse<Bytes>);

/// The next request; `None` when the connection is over.
fn poll_accept(
    client: &Client,
    connection: &mut Connection<Prefixed, Bytes>,
    state: &mut State,
    streams: &Cell<usize>,
    timer: &Timer,
    idle: Duration,
    context: &mut Context<'_>,
) -> Poll<Option<Accepted>> {
    if client.worker.phase() != Phase::Serving && !state.leaving {
        connection.graceful_shutdown();
        state.leaving = true;
        state.idle = false;
    }
    match connection.poll_accept(context) {
        Poll::Ready(Some(Ok(accepted))) => return Poll::Ready(Some(accepted)),
        Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(None),
        Poll::Pending => {}
    }
    if streams.get() > 0 {
        timer.clear();
        state.idle = false;
    } else if !state.idle {
        timer.set(if state.leaving { GOODBYE } else { idle });
        state.idle = true;
    }
    if timer.poll(context).is_pending() {
        return Poll::Pending;
    }
    if state.leaving {
        return Poll::Ready(None);
    }
    connection.graceful_shutdown();
    state.leaving = true;
    timer.set(GOODBYE);
    // The shutdown only queued a frame: have it written.
    context.waker().wake_by_ref();
    Poll::Pending
}

async fn serve_stream(
    client: &Rc<Client>,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let timer = client.worker.timers.register();
    let method = request.method().clone();
    let sender = Rc::new(RefCell::new(respond));
    let answer = async {
        match read_head(request, client.worker.snapshot().limits.headers) {
            Ok((head, receive)) => {
                let (body, meter) = take_body(client, receive, &head, &sender);
                let interim = Interim::Http2(InterimSender(Rc::clone(&sender)));
                request::answer(
                    client,
                    Request {
                        head,
                        body,
                        meter,
                        interim,
                    },
                    &timer,
                )
                .await
            }
            Err(failure) => deny::refuse(client, failure),
        }
    };
    let mut answer = pin!(answer);
    let response = std::future::poll_fn(|context| {
        if let Poll::Ready(response) = answer.as_mut().poll(context) {
            return Poll::Ready(Some(response));
        }
        sender.borrow_mut().poll_reset(context).map(|_| None)
    })
    .await;
    let Some(response) = response else {
        return;
    };
    send(client, &timer, &sender, response, &method).await;
}

fn take_body(
    client: &Client,
    receive: RecvStream,
    head: &RequestHead,
    sender: &Rc<RefCell<SendResponse<Bytes>>>,
) -> (Body, Option<Meter>) {
    if receive.is_end_stream() {
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
        receive,
        length: head.content_length,
        allowance,
        data_ended: false,
        meter: Rc::clone(&meter),
        owes_continue: head
            .expects_continue
            .then(|| InterimSender(Rc::clone(sender))),
    };
    (Body::Http2Request(Box::new(body)), Some(meter))
}

/// Maps a request (RFC 9113 §8.3.1) onto our head.
fn read_head(
    request: http::Request<RecvStream>,
    most_headers: usize,
) -> Result<(RequestHead, RecvStream), Failure> {
    let (parts, receive) = request.into_parts();
    if parts.method == Method::CONNECT {
        return Err(Failure::MethodNotForwarded);
    }
    let mut map = parts.headers;
    if map.len() > most_headers {
        return Err(Failure::HeadTooLarge);
    }
    let hosts = map.get_all(HOST).iter().count();
    let host = map.remove(HOST);
    let host = host
        .as_ref()
        .map(|value| value.to_str().unwrap_or_default());
    let authority = match (parts.uri.authority(), host) {
        // §8.3.1: if both are there they must agree.
        (Some(authority), Some(host)) if !authority.as_str().eq_ignore_ascii_case(host) => {
            return Err(Failure::Malformed("Host and :authority differ."));
        }
        (Some(authority), _) => ByteString::from(authority.as_str()),
        (None, Some(host)) => ByteString::from(host),
        (None, None) => return Err(Failure::Malformed("The request names no host.")),
    };
    if hosts > 1 || !is_authority(&authority) {
        return Err(Failure::Malformed("The :authority field is not valid."));
    }
    let mut lengths = map.get_all(CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(value), None) => Some(content_length(value.as_bytes()).ok_or(Failure::Malformed(
            "The Content-Length field is not one plain number.",
        ))?),
        (Some(_), Some(_)) => {
            return Err(Failure::Malformed("The Content-Length field occurs twice."));
        }
    };
    map.remove(CONTENT_LENGTH);
    let expects_continue = match map.remove(EXPECT) {
        None => false,
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => true,
        Some(_) => return Err(Failure::UnknownExpectation),
    };
    join_cookies(&mut map)?;
    let path = match parts.uri.path() {
        "" => "/",
        path => path,
    };
    // The only request target that is no path (RFC 9113 §8.3.1).
    if path == "*" && parts.method != Method::OPTIONS {
        return Err(Failure::Malformed("The target * is for OPTIONS only."));
    }
    let head = RequestHead {
        method: parts.method,
        version: Version::Http2,
        authority,
        path: ByteString::from(path),
        query: parts.uri.query().map(ByteString::from),
        content_length: length,
        expects_continue,
        fields: Fields::from(map),
    };
    Ok((head, receive))
}

/// HTTP/2 may split the cookies over several fields; elsewhere there is one (RFC 9113 §8.2.3).
fn join_cookies(map: &mut http::HeaderMap) -> Result<(), Failure> {
    let mut crumbs = map.get_all(COOKIE).iter();
    let Some(first) = crumbs.next() else {
        return Ok(());
    };
    let mut joined = None;
    for crumb in crumbs {
        let joined = joined.get_or_insert_with(|| BytesMut::from(first.as_bytes()));
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    if let Some(joined) = joined {
        let value = HeaderValue::from_maybe_shared(joined.freeze())
            .map_err(|_| Failure::Malformed("A header field value is not valid."))?;
        map.insert(COOKIE, value);
    }
    Ok(())
}

/// A request's body on its stream.
#[derive(Debug)]
pub(crate) struct RequestBody {
    receive: RecvStream,
    /// Bytes still to come, if the client stated a length.
    length: Option<u64>,
    allowance: u64,
    data_ended: bool,
    meter: Meter,
    /// Whether the client waits for `100 Continue` before it sends the body.
    owes_continue: Option<InterimSender>,
}

impl RequestBody {
    pub(crate) fn length(&self) -> Option<u64> {
        if self.data_ended && self.receive.is_end_stream() {
            Some(0)
        } else {
            self.length
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        if let Some(sender) = self.owes_continue.take() {
            sender.send(StatusCode::CONTINUE, &Fields::new());
        }
        while !self.data_ended {
            match ready!(self.receive.poll_data(context)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let length = bytes.len() as u64;
                    if length > self.allowance {
                        return Poll::Ready(Some(Err(Failure::BodyTooLarge)));
                    }
                    self.allowance -= length;
                    self.meter.set(self.meter.get() + length);
                    self.length = self.length.map(|left| left.saturating_sub(length));
                    // Whoever asks has room for the piece, so the client may send the next.
                    let _ = self.receive.flow_control().release_capacity(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::Data(bytes))));
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(Failure::ClientClosed))),
                None => self.data_ended = true,
            }
        }
        match ready!(self.receive.poll_trailers(context)) {
            Ok(Some(map)) => Poll::Ready(super::trailers(map)),
            Ok(None) => Poll::Ready(None),
            Err(_) => Poll::Ready(Some(Err(Failure::ClientClosed))),
        }
    }
}

/// Sends interim responses to the client.
#[derive(Debug)]
pub(crate) struct InterimSender(Rc<RefCell<SendResponse<Bytes>>>);

impl InterimSender {
    pub(crate) fn send(&self, status: StatusCode, fields: &Fields) {
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = fields.clone().into();
        // A stream that is gone is noticed by whoever prepares the answer.
        let _ = self.0.borrow_mut().send_informational(response);
    }
}

/// Sends a response on its stream.
async fn send(
    client: &Client,
    timer: &Timer,
    sender: &RefCell<SendResponse<Bytes>>,
    response: Response,
    method: &Method,
) {
    let Response {
        head,
        mut body,
        mut record,
        idle,
    } = response;
    let mut message = http::Response::new(());
    *message.status_mut() = head.status;
    let mut map = http::HeaderMap::from(head.fields);
    if let Some(length) = head.content_length
        && head.status != StatusCode::NO_CONTENT
    {
        map.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !map.contains_key(DATE)
        && let Ok(date) = HeaderValue::from_bytes(&client.worker.date())
    {
        map.insert(DATE, date);
    }
    *message.headers_mut() = map;
    let end = !has_body(method, head.status) || body.is_end();
    let Ok(mut stream) = sender.borrow_mut().send_response(message, end) else {
        return record.fail(Failure::ClientClosed);
    };
    if end {
        return record.complete();
    }
    let write = client.worker.snapshot().timeouts.write;
    let mut pending = Bytes::new();
    let mut progress = true;
    let mut waited_for_client = false;
    let result = std::future::poll_fn(|context| {
        loop {
            match poll_send(&mut stream, &mut body, &mut pending, context) {
                Poll::Ready(Ok(Sent::All)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(Sent::Last(bytes))) => {
                    record.sent(bytes);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(Sent::Some(bytes))) => {
                    record.sent(bytes);
                    progress = true;
                }
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => break,
            }
        }
        if stream.poll_reset(context).is_ready() {
            return Poll::Ready(Err(Failure::ClientClosed));
        }
        let waits_for_client = !pending.is_empty();
        let (allowed, failure) = if waits_for_client {
            (write, Failure::WriteTimeout)
        } else {
            (idle, Failure::UpstreamStalled)
        };
        // A piece that came from the target turns the wait into one for the client, and no byte
        // moved towards it yet.
        if std::mem::take(&mut progress) || waits_for_client != waited_for_client {
            timer.set(allowed);
        }
        waited_for_client = waits_for_client;
        timer.poll(context).map(|_| Err(failure))
    })
    .await;
    match result {
        Ok(()) => record.complete(),
        Err(failure) => {
            let reason = match failure {
                Failure::WriteTimeout | Failure::ClientClosed => Reason::CANCEL,
                _ => Reason::INTERNAL_ERROR,
            };
            stream.send_reset(reason);
            record.fail(failure);
        }
    }
}

enum Sent {
    /// This many bytes, and there is more.
    Some(usize),
    /// This many bytes, and with them the end.
    Last(usize),
    /// The end, without further bytes.
    All,
}

fn poll_send(
    stream: &mut SendStream<Bytes>,
    body: &mut Body,
    pending: &mut Bytes,
    context: &mut Context<'_>,
) -> Poll<Result<Sent, Failure>> {
    if pending.is_empty() {
        match ready!(body.poll_frame(context)) {
            Some(Ok(Frame::Data(bytes))) => *pending = bytes,
            Some(Ok(Frame::Trailers(fields))) => {
                let sent = stream.send_trailers(fields.into());
                return Poll::Ready(sent.map(|()| Sent::All).map_err(|_| Failure::ClientClosed));
            }
            Some(Err(failure)) => return Poll::Ready(Err(failure)),
            None => {
                let sent = stream.send_data(Bytes::new(), true);
                return Poll::Ready(sent.map(|()| Sent::All).map_err(|_| Failure::ClientClosed));
            }
        }
    }
    stream.reserve_capacity(pending.len());
    let mut capacity = stream.capacity();
    while capacity == 0 {
        capacity = match ready!(stream.poll_capacity(context)) {
            Some(Ok(capacity)) => capacity,
            Some(Err(_)) | None => return Poll::Ready(Err(Failure::ClientClosed)),
        };
    }
    let piece = pending.split_to(capacity.min(pending.len()));
    let length = piece.len();
    let last = pending.is_empty() && body.is_end();
    if stream.send_data(piece, last).is_err() {
        return Poll::Ready(Err(Failure::ClientClosed));
    }
    Poll::Ready(Ok(if last {
        Sent::Last(length)
    } else {
        Sent::Some(length)
    }))
}

/// A stream of which something was read already.
struct Prefixed {
    input: BytesMut,
    stream: Stream,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.input.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.input.len().min(buffer.remaining());
        buffer.put_slice(&self.input[..length]);
        self.input.advance(length);
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
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
