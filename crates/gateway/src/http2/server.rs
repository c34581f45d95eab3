//! A client's connection over HTTP/2.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use weir_config::model::ClientTimeouts;

use super::prefixed::{Prefixed, Writing};
use super::receive::{read_head, take_body};
use super::resets::Resets;
use super::send::{InterimSender, send};
use super::switch::switch;
use crate::body::Body;
use crate::client::Client;
use crate::deny;
use crate::failure::Failure;
use crate::overload::{Refusal, admission};
use crate::request::{self, Interim, Request};
use crate::stream::Stream;
use crate::timer::{Elapsed, Timer};
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

/// Serves a connection until it ends. `input` holds what was read of it already; `timer` is set to
/// the deadline of the preface.
pub(crate) async fn serve(client: Rc<Client>, stream: Stream, input: BytesMut, timer: Timer) {
    let snapshot = client.worker.snapshot();
    let (limits, timeouts) = (snapshot.limits, snapshot.timeouts);
    let has_websockets = snapshot.has_websockets;
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
    if has_websockets {
        builder.enable_connect_protocol();
    }
    let writing = Rc::<Writing>::default();
    let prefixed = Prefixed {
        input,
        stream,
        writing: Rc::clone(&writing),
    };
    let handshake = builder.handshake::<_, Bytes>(prefixed);
    let mut connection = match timer.limit_rest(handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(_)) => return,
        Err(Elapsed) => return client.refuse(Refusal::FirstByteTimeout),
    };
    timer.clear();
    let mut state = State {
        leaving: false,
        waits: None,
        writing,
        idle_closings: client.worker.idle_closings.get(),
        resets: Rc::default(),
    };
    loop {
        let accepted = std::future::poll_fn(|context| {
            poll_accept(
                &client,
                &mut connection,
                &mut state,
                &timer,
                timeouts,
                context,
            )
        })
        .await;
        let Some((request, respond)) = accepted else {
            return;
        };
        let (client, resets) = (Rc::clone(&client), Rc::clone(&state.resets));
        tokio::task::spawn_local(serve_stream(client, resets, request, respond));
    }
}

struct StreamCount(Rc<Client>);

impl StreamCount {
    fn begin(client: &Rc<Client>) -> Self {
        client.streams.set(client.streams.get() + 1);
        Self(Rc::clone(client))
    }
}

impl Drop for StreamCount {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
    }
}

struct State {
    /// GOAWAY was sent.
    leaving: bool,
    /// What the deadline is set for.
    waits: Option<Wait>,
    writing: Rc<Writing>,
    /// The worker's number when nobody had asked to close idle connections.
    idle_closings: u32,
    resets: Rc<ResetCount>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// For the client to take what is written.
    Write,
    /// For a request.
    Request,
    /// For the client to leave.
    Goodbye,
}

/// Shared by a connection and its streams.
#[derive(Default)]
struct ResetCount {
    resets: Cell<Resets>,
    /// There were too many.
    is_over: Cell<bool>,
}

impl ResetCount {
    fn count(&self, now: u64, was_reset: bool) {
        let mut resets = self.resets.get();
        if !was_reset {
            resets.answered(now);
        } else if resets.reset(now) {
            self.is_over.set(true);
        }
        self.resets.set(resets);
    }
}

type Accepted = (http::Request<RecvStream>, SendResponse<Bytes>);

/// The next request; `None` when the connection is over.
fn poll_accept(
    client: &Client,
    connection: &mut Connection<Prefixed, Bytes>,
    state: &mut State,
    timer: &Timer,
    timeouts: ClientTimeouts,
    context: &mut Context<'_>,
) -> Poll<Option<Accepted>> {
    if state.resets.is_over.replace(false) {
        admission::judge_connection(client);
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        state.leaving = true;
    }
    let is_asked_to_leave = client.worker.phase() != Phase::Serving || client.leaves.get();
    if is_asked_to_leave && !state.leaving {
        connection.graceful_shutdown();
        state.leaving = true;
    }
    match connection.poll_accept(context) {
        Poll::Ready(Some(Ok(accepted))) => return Poll::Ready(Some(accepted)),
        Poll::Ready(Some(Err(error))) => {
            // Found here: the client broke the protocol.
            if error.is_library() {
                admission::judge_connection(client);
            }
            return Poll::Ready(None);
        }
        Poll::Ready(None) => return Poll::Ready(None),
        Poll::Pending => {}
    }
    let is_idle = client.streams.get() == 0;
    let waits = if state.writing.is_blocked.get() {
        Some(Wait::Write)
    } else if !is_idle {
        None
    } else if state.leaving {
        Some(Wait::Goodbye)
    } else {
        Some(Wait::Request)
    };
    let moves = state.writing.progress.take() && waits == Some(Wait::Write);
    if waits != state.waits || moves {
        state.waits = waits;
        match waits {
            Some(Wait::Write) => timer.set(timeouts.write),
            Some(Wait::Request) => timer.set(timeouts.idle),
            Some(Wait::Goodbye) => timer.set(GOODBYE),
            None => timer.clear(),
        }
    }
    let idle_closings = client.worker.idle_closings.get();
    let is_to_close =
        std::mem::replace(&mut state.idle_closings, idle_closings) != idle_closings && is_idle;
    if timer.poll(context).is_pending() && (!is_to_close || state.leaving) {
        return Poll::Pending;
    }
    // Nothing can be said to a client that takes nothing.
    if state.leaving || waits == Some(Wait::Write) {
        return Poll::Ready(None);
    }
    connection.graceful_shutdown();
    state.leaving = true;
    // The shutdown only queued a frame: have it written, and wait for the client to leave.
    context.waker().wake_by_ref();
    Poll::Pending
}

/// Answers a request on its stream. What can be done at once is done here: the future is moved to its
/// place on the heap, and there is one for each stream, so that it holds no more than it needs.
fn serve_stream(
    client: Rc<Client>,
    resets: Rc<ResetCount>,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> impl Future<Output = ()> {
    let count = StreamCount::begin(&client);
    let method = request.method().clone();
    let sender = Rc::new(RefCell::new(respond));
    // What an extended CONNECT brings is no body of a request.
    let mut stream = None;
    let most_headers = client.worker.snapshot().limits.headers;
    let request = read_head(request, most_headers).map(|(head, receive)| {
        let (body, meter) = if head.upgrade.is_none() {
            take_body(&client, receive, &head, &sender)
        } else {
            stream = Some(receive);
            (Body::Empty, None)
        };
        Request {
            head,
            body,
            meter,
            interim: Interim::Http2(InterimSender(Rc::clone(&sender))),
        }
    });
    async move {
        let _count = count;
        let timers = &client.worker.timers;
        let timer = timers.register();
        let response = match request {
            Ok(request) => {
                // It is most of a stream's task: over before the answer's body is sent.
                let mut answer = pin!(request::answer(&client, request, &timer));
                let answered = std::future::poll_fn(|context| {
                    if let Poll::Ready(response) = answer.as_mut().poll(context) {
                        return Poll::Ready(Some(response));
                    }
                    sender.borrow_mut().poll_reset(context).map(|_| None)
                });
                answered.await
            }
            Err(failure) => Some(deny::refuse(&client, failure)),
        };
        let Some(response) = response else {
            return resets.count(timers.now(), true);
        };
        if let (Body::WebSocket(_), Some(stream)) = (&response.body, stream) {
            resets.count(timers.now(), false);
            // Boxed: few streams become one.
            return Box::pin(switch(&client, &timer, &sender, stream, response)).await;
        }
        let sent = send(&client, &timer, &sender, response, &method).await;
        resets.count(timers.now(), sent == Err(Failure::ClientClosed));
    }
}
