//! A client's connection over HTTP/2.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::{Connection, SendResponse};

use super::prefixed::Prefixed;
use super::receive::{read_head, take_body};
use super::send::{InterimSender, send};
use crate::client::Client;
use crate::deny;
use crate::request::{self, Interim, Request};
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
    // It is most of a stream's task: over before the answer's body is sent.
    let response = {
        let mut answer = pin!(answer);
        std::future::poll_fn(|context| {
            if let Poll::Ready(response) = answer.as_mut().poll(context) {
                return Poll::Ready(Some(response));
            }
            sender.borrow_mut().poll_reset(context).map(|_| None)
        })
        .await
    };
    let Some(response) = response else {
        return;
    };
    send(client, &timer, &sender, response, &method).await;
}
