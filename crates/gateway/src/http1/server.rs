//! A client's connection over HTTP/1.0 or HTTP/1.1.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};

use super::head::{HeadLimits, HeadScanner, ParsedRequest, parse_request};
use super::io::{HEAD_READ, InterimSender, Io, poll_shutdown, take_body};
use super::respond::respond;
use super::switch::switch;
use crate::appetite::poll_room;
use crate::body::Body;
use crate::client::Client;
use crate::deny;
use crate::failure::Failure;
use crate::message::Version;
use crate::overload::Refusal;
use crate::request::{self, Interim, Request, Response};
use crate::stream::Stream;
use crate::timer::{Elapsed, Timer};
use crate::worker::Phase;

/// How long and how much a refused client may go on sending, so that it gets to read the answer.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 * 1024 * 1024;

/// What the wait for a request ended with.
enum Next {
    Request(ParsedRequest),
    Refuse(Failure),
    Close,
}

/// Serves a connection until it ends. `input` holds what was read of it already; `timer` is set to
/// the deadline of the first request's head.
pub(crate) async fn serve(client: Rc<Client>, stream: Stream, input: BytesMut, timer: Timer) {
    let buffers = Rc::clone(&client.worker.buffers);
    let io = Rc::new(RefCell::new(Io::new(stream, input, buffers)));
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
        // Who sends requests but does not read the answers would have one more after the other prepared.
        let is_full = served > 0 && client.appetite.is_full(io.borrow().stream.tcp());
        // Boxed: rare.
        if is_full && Box::pin(room(&client, &io, &timer)).await.is_err() {
            return;
        }
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
        // It is most of a connection's task: not moved once it is there, and over before the answer's
        // body is sent.
        let response = {
            let answer = pin!(request::answer(&client, request, &timer));
            unless_gone(&io, answer).await
        };
        let Some(response) = response else {
            return;
        };
        if matches!(response.body, Body::WebSocket(_)) {
            // Boxed: few connections become one.
            return Box::pin(switch(&client, io, &timer, response)).await;
        }
        let sent = respond(&client, &io, &timer, response, &method, version, keep_alive).await;
        // What bounded the exchange does not bound the next one.
        timer.lift_end();
        match sent {
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

/// Waits until the client has taken most of its former answers.
async fn room(client: &Client, io: &RefCell<Io>, timer: &Timer) -> Result<(), Elapsed> {
    let write_timeout = client.worker.snapshot().timeouts.write;
    let room = std::future::poll_fn(|context| {
        let io = &*io.borrow();
        poll_room(io.stream.tcp(), context)
    });
    timer.limit(write_timeout, room).await
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
    let idle_closings = client.worker.idle_closings.get();
    if served > 0 {
        timer.set(timeouts.idle);
    }
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
                    // A new connection has one deadline for its first byte and its first head.
                    if served > 0 {
                        timer.set(timeouts.head);
                    }
                }
            } else if client.worker.phase() >= Phase::Closing
                || client.worker.idle_closings.get() != idle_closings
            {
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
                return Next::Refuse(Failure::HeadTimeout);
            }
            if served == 0 {
                client.refuse(Refusal::FirstByteTimeout);
            }
            Next::Close
        })
    })
    .await
}

/// Runs the answer's preparation until it is there or the client is gone.
async fn unless_gone(
    io: &RefCell<Io>,
    mut answer: Pin<&mut impl Future<Output = Response>>,
) -> Option<Response> {
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
