//! Our answer on a client's stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, Method, StatusCode};

use crate::body::{Body, Frame};
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::has_body;
use crate::overload::Pace;
use crate::request::Response;
use crate::timer::Timer;

/// Sends interim responses to the client.
#[derive(Debug)]
pub(crate) struct InterimSender(pub(super) Rc<RefCell<SendResponse<Bytes>>>);

impl InterimSender {
    pub(crate) fn send(&self, status: StatusCode, fields: &Fields) {
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = fields.into();
        // A stream that is gone is noticed by whoever prepares the answer.
        let _ = self.0.borrow_mut().send_informational(response);
    }
}

/// Sends a response on its stream; an error if it did not get to its end.
pub(super) async fn send(
    client: &Client,
    timer: &Timer,
    sender: &RefCell<SendResponse<Bytes>>,
    response: Response,
    method: &Method,
) -> Result<(), Failure> {
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
        record.fail(Failure::ClientClosed);
        return Err(Failure::ClientClosed);
    };
    if end {
        record.complete();
        return Ok(());
    }
    let snapshot = client.worker.snapshot();
    let write = snapshot.timeouts.write;
    let mut pace = Pace::new(snapshot.limits.minimum_rate);
    drop(snapshot);
    let timers = &client.worker.timers;
    let mut pending = Bytes::new();
    let mut progress = true;
    let mut waited_for_client = false;
    let result = std::future::poll_fn(|context| {
        loop {
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
                        if !pace.moved(timers.now(), bytes as u64, client.streams.get()) {
                            return Poll::Ready(Err(Failure::WriteTooSlow));
                        }
                    }
                    Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                    Poll::Pending => break,
                }
            }
            progress |= body.take_upload_progress();
            if stream.poll_reset(context).is_ready() {
                return Poll::Ready(Err(Failure::ClientClosed));
            }
            let waits_for_client = !pending.is_empty();
            if waits_for_client {
                pace.waits(timers.now());
            }
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
            if timer.poll(context).is_pending() {
                return Poll::Pending;
            }
            let failure = timer.blame(failure);
            if waits_for_client || !body.end_with(failure) {
                return Poll::Ready(Err(failure));
            }
            // What is left to say is said, whatever time it is.
            timer.lift_end();
            progress = true;
        }
    })
    .await;
    match result {
        Ok(()) => record.complete(),
        Err(failure) => {
            let reason = match failure {
                Failure::WriteTimeout | Failure::WriteTooSlow | Failure::ClientClosed => {
                    Reason::CANCEL
                }
                _ => Reason::INTERNAL_ERROR,
            };
            stream.send_reset(reason);
            record.fail(failure);
        }
    }
    result
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
