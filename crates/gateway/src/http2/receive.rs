//! A client's request on its stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST};
use http::{HeaderValue, Method, StatusCode};

use super::send::InterimSender;
use super::trailers;
use crate::body::{Body, Frame};
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::http1::{content_length, is_authority};
use crate::message::{RequestHead, Version};
use crate::overload::Pace;
use crate::record::Meter;
use crate::websocket::Upgrade;

/// The body of a request, if it has one, and what counts it.
pub(super) fn take_body(
    client: &Rc<Client>,
    receive: RecvStream,
    head: &RequestHead,
    sender: &Rc<RefCell<SendResponse<Bytes>>>,
) -> (Body, Option<Meter>) {
    if receive.is_end_stream() {
        return (Body::Empty, None);
    }
    let snapshot = client.worker.snapshot();
    let meter = Meter::default();
    let body = RequestBody {
        receive,
        length: head.content_length,
        allowance: snapshot.most_body_bytes(),
        data_ended: false,
        meter: Rc::clone(&meter),
        owes_continue: head
            .expects_continue
            .then(|| InterimSender(Rc::clone(sender))),
        client: Rc::clone(client),
        pace: Pace::new(snapshot.limits.minimum_rate),
    };
    (Body::Http2Request(Box::new(body)), Some(meter))
}

/// Maps a request (RFC 9113 §8.3.1) onto our head.
pub(super) fn read_head(
    request: http::Request<RecvStream>,
    most_headers: usize,
) -> Result<(RequestHead, RecvStream), Failure> {
    let (mut parts, receive) = request.into_parts();
    let mut upgrade = Upgrade::None;
    if parts.method == Method::CONNECT {
        let protocol = parts.extensions.get::<Protocol>();
        if protocol.is_none_or(|protocol| protocol.as_str() != "websocket") {
            return Err(Failure::MethodNotForwarded);
        }
        // What the same request is over HTTP/1.1, and is routed as (RFC 8441 §5).
        parts.method = Method::GET;
        upgrade = Upgrade::Connect;
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
        upgrade,
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
    client: Rc<Client>,
    pace: Pace,
}

impl RequestBody {
    pub(crate) fn length(&self) -> Option<u64> {
        match self.length {
            Some(left) if left > 0 => Some(left),
            // The last piece may have said that it is: then whoever forwards it can say so, too. Until
            // that is said, trailers may follow.
            _ => self.receive.is_end_stream().then_some(0),
        }
    }

    /// Whether what is still to come was read from the connection already.
    pub(crate) fn is_all_here(&mut self) -> bool {
        // What was taken has been given back: what is used lies here.
        let here = self.receive.flow_control().used_capacity() as u64;
        self.receive.is_end_stream() || self.length.is_some_and(|left| left <= here)
    }

    pub(crate) fn lift_pace(&mut self) {
        self.pace = Pace::new(None);
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        if let Some(sender) = self.owes_continue.take() {
            sender.send(StatusCode::CONTINUE, &Fields::new());
        }
        while !self.data_ended {
            let now = self.client.worker.timers.now();
            let Poll::Ready(data) = self.receive.poll_data(context) else {
                self.pace.waits(now);
                return Poll::Pending;
            };
            match data {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    let length = bytes.len() as u64;
                    if length > self.allowance {
                        return Poll::Ready(Some(Err(Failure::BodyTooLarge)));
                    }
                    self.allowance -= length;
                    self.meter.set(self.meter.get() + length);
                    if !self.pace.moved(now, length, self.client.streams.get()) {
                        return Poll::Ready(Some(Err(Failure::BodyTooSlow)));
                    }
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
            Ok(Some(map)) => {
                let snapshot = self.client.worker.snapshot();
                Poll::Ready(snapshot.forbidden.trailers(trailers(map)))
            }
            Ok(None) => Poll::Ready(None),
            Err(_) => Poll::Ready(Some(Err(Failure::ClientClosed))),
        }
    }
}
