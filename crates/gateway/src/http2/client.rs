//! Exchanges with a target over HTTP/2; one connection carries many.

use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_KEY, TE};
use http::uri::{self, PathAndQuery, Scheme};
use http::{HeaderValue, Method, StatusCode, Uri};
use weir_config::model::Pings;

use super::alive::{Heard, Signs, watch};
use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::fields::{Fields, unique};
use crate::http1::content_length;
use crate::message::{MOST_RESPONSE_HEAD, ResponseHead};
use crate::stream::Stream;
use crate::timer::Timers;
use crate::trace::TRACEPARENT;
use crate::upstream::{Fate, ForwardHead, Received, Share};
use crate::websocket::{End, Handshake, Opening};

/// Response bytes that a target may have in flight, per stream.
const STREAM_WINDOW: u32 = 128 * 1024;
/// As large as the protocol allows: the streams' windows are the bound. A smaller one would be used up
/// by a few clients that do not read, to the harm of all others behind the same connection.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// Bytes of the longest body that is handed over with its head, whatever room the target has: no more than
/// the piece that would be held until there is some.
const MOST_AT_ONCE: usize = 16 * 1024;

/// A way to start exchanges on a connection; cheap to clone.
pub(crate) type Sender = h2::client::SendRequest<Bytes>;

/// Opens HTTP/2 on a stream. The connection lives in a task of its own until its senders and
/// exchanges are gone.
pub(crate) async fn connect(
    stream: Stream,
    timers: &Rc<Timers>,
    pings: Option<Pings>,
) -> Result<(Sender, Rc<Signs>), Failure> {
    let signs = Signs::new(timers);
    let stream = Heard {
        stream,
        signs: Rc::clone(&signs),
    };
    let (sender, mut connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MOST_RESPONSE_HEAD)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(|_| Failure::Connect("HTTP/2 was not taken up"))?;
    let line = connection.ping_pong();
    let task = tokio::task::spawn_local(async move {
        // Its exchanges see the error; there is nobody else to tell.
        let _ = connection.await;
    });
    if let (Some(line), Some(pings)) = (line, pings) {
        let connection = task.abort_handle();
        tokio::task::spawn_local(watch(connection, line, Rc::clone(&signs), pings));
    }
    Ok((sender, signs))
}

/// A request being sent and its response being read; drop it to reset the stream.
#[derive(Debug)]
pub(crate) struct Exchange {
    response: Option<ResponseFuture>,
    receive: Option<RecvStream>,
    upload: Option<Upload>,
    /// Bytes of the response body still to come, if stated.
    length: Option<u64>,
    data_ended: bool,
    touched: bool,
    /// What the target said about how far the request came.
    fate: Fate,
    /// Whether the upload moved on behind the response's head.
    uploaded: bool,
    /// What the target is asked to agree to, and the way to it then.
    upgrade: Option<(Rc<Handshake>, SendStream<Bytes>)>,
    /// The target agreed, and whether messages may be compressed.
    switched: Option<bool>,
    /// Counts the exchange on its connection.
    share: Share,
}

#[derive(Debug)]
struct Upload {
    stream: SendStream<Bytes>,
    body: Body,
    pending: Bytes,
    /// Whether a piece was read that is sent as the target has room for it.
    is_begun: bool,
    awaits_continue: bool,
}

impl Exchange {
    /// Sends the head.
    pub(crate) fn start(
        mut share: Share,
        head: &ForwardHead<'_>,
        body: Body,
    ) -> Result<Self, (Failure, Body)> {
        let Some(request) = request(head, &body, &share) else {
            return Err((Failure::Malformed("The request target is not valid."), body));
        };
        let end = body.is_end() && head.upgrade.is_none();
        let Ok((response, stream)) = share.sender().send_request(request, end) else {
            return Err((Failure::UpstreamReset("no stream could be opened"), body));
        };
        let (upload, upgrade) = match head.upgrade {
            Some(handshake) => (None, Some((Rc::clone(handshake), stream))),
            None if end => (None, None),
            None => {
                let upload = Upload {
                    stream,
                    body,
                    pending: Bytes::new(),
                    is_begun: false,
                    awaits_continue: head.expects_continue,
                };
                (Some(upload), None)
            }
        };
        Ok(Self {
            response: Some(response),
            receive: None,
            upload,
            length: None,
            data_ended: false,
            touched: false,
            fate: Fate::Unknown,
            uploaded: false,
            upgrade,
            switched: None,
            share,
        })
    }

    /// Whether the target agreed to another protocol.
    pub(crate) fn is_switched(&self) -> bool {
        self.switched.is_some()
    }

    /// The stream, which speaks another protocol now.
    pub(crate) fn into_opening(self) -> Body {
        match (self.upgrade, self.receive, self.switched) {
            (Some((handshake, send)), Some(receive), Some(may_compress)) => {
                let end = End::http2(send, receive, Some(self.share));
                Opening::body(end, BytesMut::new(), handshake, may_compress)
            }
            _ => Body::Empty,
        }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        match &self.receive {
            Some(receive) if receive.is_end_stream() && !self.data_ended => Some(0),
            Some(_) => self.length.filter(|length| *length > 0),
            None => Some(0),
        }
    }

    pub(crate) fn is_uploading(&self) -> bool {
        self.upload
            .as_ref()
            .is_some_and(|upload| !upload.awaits_continue)
    }

    /// Whether the upload waits for the target to take what was sent, and not for the client.
    pub(crate) fn is_held_up(&self) -> bool {
        self.upload
            .as_ref()
            .is_some_and(|upload| !upload.pending.is_empty())
    }

    pub(crate) fn awaits_continue(&self) -> bool {
        self.upload
            .as_ref()
            .is_some_and(|upload| upload.awaits_continue)
    }

    pub(crate) fn stop_awaiting_continue(&mut self) {
        if let Some(upload) = &mut self.upload {
            upload.awaits_continue = false;
        }
    }

    /// How far the request came, if there was no response.
    pub(crate) fn fate(&self) -> Fate {
        self.fate
    }

    /// It was not answered in time; if nothing else was, new requests should not go there.
    pub(crate) fn give_up_connection(&self) {
        self.share.give_up_if_silent();
    }

    /// Whether the upload moved on behind the response's head, since this was asked last.
    pub(crate) fn take_upload_progress(&mut self) -> bool {
        std::mem::take(&mut self.uploaded)
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
        let upload = self.upload.take();
        Some(upload.map_or(Body::Empty, |upload| upload.body))
    }

    /// Sends the request and waits for a head.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<Result<Received, Failure>> {
        if let Poll::Ready(Err(failure)) = self.poll_upload(context, progress) {
            return Poll::Ready(Err(failure));
        }
        let Some(response) = &mut self.response else {
            return Poll::Ready(Err(Failure::UpstreamReset("no stream is open")));
        };
        while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(context) {
            let (parts, ()) = interim.into_parts();
            if parts.status == StatusCode::CONTINUE {
                if let Some(upload) = &mut self.upload {
                    upload.awaits_continue = false;
                    context.waker().wake_by_ref();
                }
                continue;
            }
            return Poll::Ready(Ok(Received::Interim(parts.status, parts.headers.into())));
        }
        let response = match ready!(std::pin::Pin::new(response).poll(context)) {
            Ok(response) => response,
            Err(error) => return Poll::Ready(Err(self.failed(&error))),
        };
        self.response = None;
        self.share.heard();
        let (mut parts, receive) = response.into_parts();
        let length = match parts.headers.remove(CONTENT_LENGTH) {
            Some(value) => Some(
                content_length(value.as_bytes())
                    .ok_or(Failure::UpstreamMalformed("content-length not valid"))?,
            ),
            None => None,
        };
        self.length = length;
        self.receive = Some(receive);
        let fields = Fields::from(parts.headers);
        if let Some((handshake, _)) = self.upgrade.as_ref().filter(|_| parts.status.is_success()) {
            self.switched = Some(handshake.check_terms(&fields)?);
        }
        Poll::Ready(Ok(Received::Final(ResponseHead {
            status: parts.status,
            content_length: length,
            fields,
        })))
    }

    fn failed(&mut self, error: &h2::Error) -> Failure {
        // A GOAWAY of the target surfaces only on streams that it does not cover; whatever it
        // gives as its reason, they were not and will not be processed (§6.8).
        self.fate = match error.reason() {
            _ if !error.is_remote() => Fate::Unknown,
            Some(Reason::NO_ERROR) if error.is_go_away() => Fate::Spared,
            Some(Reason::REFUSED_STREAM) if self.share.came_too_many() => Fate::Spared,
            Some(Reason::REFUSED_STREAM) => Fate::Refused,
            _ if error.is_go_away() => Fate::Refused,
            _ => Fate::Unknown,
        };
        self.ended(error)
    }

    /// Why it ended before it was to.
    fn ended(&self, error: &h2::Error) -> Failure {
        if self.share.is_dead() {
            return Failure::UpstreamReset("PING not answered");
        }
        ended(error)
    }

    /// The next piece of the response body; goes on sending the request meanwhile.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        let mut progress = false;
        let upload = self.poll_upload(context, &mut progress);
        self.uploaded |= progress;
        if let Poll::Ready(Err(failure)) = upload {
            return Poll::Ready(Some(Err(failure)));
        }
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(None);
        };
        while !self.data_ended {
            match ready!(receive.poll_data(context)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    self.length = self
                        .length
                        .map(|left| left.saturating_sub(bytes.len() as u64));
                    let _ = receive.flow_control().release_capacity(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::Data(bytes))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(self.ended(&error)))),
                None if self.length.is_some_and(|left| left > 0) => {
                    let cause = "shorter than its content-length";
                    return Poll::Ready(Some(Err(Failure::UpstreamReset(cause))));
                }
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(receive.poll_trailers(context));
        self.receive = None;
        match trailers {
            Ok(Some(map)) => Poll::Ready(Frame::trailers(super::trailers(map))),
            Ok(None) => Poll::Ready(None),
            Err(error) => Poll::Ready(Some(Err(self.ended(&error)))),
        }
    }

    /// Sends what flow control allows. Errors are the client's; a target that takes no more is
    /// noticed where its response is read.
    fn poll_upload(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        let Some(upload) = &mut self.upload else {
            return Poll::Ready(Ok(()));
        };
        if upload.awaits_continue {
            return Poll::Pending;
        }
        let mut took = false;
        let ended = upload.poll(context, progress, &mut took);
        self.touched |= took;
        let ended = ready!(ended);
        self.upload = None;
        Poll::Ready(ended)
    }
}

impl Upload {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut bool,
        took: &mut bool,
    ) -> Poll<Result<(), Failure>> {
        loop {
            if self.pending.is_empty() {
                let frame = ready!(self.body.poll_frame(context));
                *took |= frame.is_some();
                match frame {
                    Some(Ok(Frame::Data(bytes))) => self.pending = bytes,
                    Some(Ok(Frame::Trailers(fields))) => {
                        let _ = self.stream.send_trailers(fields.into());
                        return Poll::Ready(Ok(()));
                    }
                    Some(Err(failure)) => {
                        self.stream.send_reset(Reason::CANCEL);
                        return Poll::Ready(Err(failure));
                    }
                    None => {
                        let _ = self.stream.send_data(Bytes::new(), true);
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            // A new stream is given no capacity before its head is written. A body that is all here, and
            // short, need not wait for that: both go in one write, and the request's task sleeps once.
            let is_whole = !self.is_begun && self.body.is_end();
            if is_whole && self.pending.len() <= MOST_AT_ONCE {
                *progress = true;
                let _ = self
                    .stream
                    .send_data(std::mem::take(&mut self.pending), true);
                return Poll::Ready(Ok(()));
            }
            self.is_begun = true;
            self.stream.reserve_capacity(self.pending.len());
            let mut capacity = self.stream.capacity();
            while capacity == 0 {
                capacity = match ready!(self.stream.poll_capacity(context)) {
                    Some(Ok(capacity)) => capacity,
                    Some(Err(_)) | None => return Poll::Ready(Ok(())),
                };
            }
            let piece = self.pending.split_to(capacity.min(self.pending.len()));
            *progress = true;
            let last = self.pending.is_empty() && self.body.is_end();
            if self.stream.send_data(piece, last).is_err() || last {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// How an exchange ended that was not to end yet.
fn ended(error: &h2::Error) -> Failure {
    let reason = error.reason();
    if error.is_library() && error.is_reset() {
        // What came on this stream broke a rule; the connection and its other streams live on.
        return Failure::UpstreamMalformed("HTTP/2 message not valid");
    }
    Failure::UpstreamReset(if error.is_library() {
        "HTTP/2 connection ended for a broken rule"
    } else if error.is_go_away() {
        "GOAWAY"
    } else if error.is_reset() {
        match reason {
            Some(Reason::NO_ERROR) => "RST_STREAM NO_ERROR",
            Some(Reason::PROTOCOL_ERROR) => "RST_STREAM PROTOCOL_ERROR",
            Some(Reason::INTERNAL_ERROR) => "RST_STREAM INTERNAL_ERROR",
            Some(Reason::FLOW_CONTROL_ERROR) => "RST_STREAM FLOW_CONTROL_ERROR",
            Some(Reason::REFUSED_STREAM) => "RST_STREAM REFUSED_STREAM",
            Some(Reason::CANCEL) => "RST_STREAM CANCEL",
            Some(Reason::ENHANCE_YOUR_CALM) => "RST_STREAM ENHANCE_YOUR_CALM",
            Some(Reason::HTTP_1_1_REQUIRED) => "RST_STREAM HTTP_1_1_REQUIRED",
            _ => "RST_STREAM",
        }
    } else {
        "HTTP/2 connection ended"
    })
}

fn request(head: &ForwardHead<'_>, body: &Body, share: &Share) -> Option<http::Request<()>> {
    let path_and_query = match head.query {
        Some(query) => format!("{}?{query}", head.path),
        None => head.path.to_owned(),
    };
    let mut parts = uri::Parts::default();
    parts.scheme = Some(Scheme::try_from(head.scheme).ok()?);
    parts.authority = Some(share.authority(head.authority)?);
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    let mut request = http::Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    *request.version_mut() = http::Version::HTTP_2;
    let map = request.headers_mut();
    *map = head.fields.into();
    // §8.2.2: `te` may only say `trailers` here.
    if map.get(TE).is_some_and(|value| value != "trailers") {
        map.remove(TE);
    }
    if let Some(trace) = head.trace
        && let Ok(value) = HeaderValue::from_bytes(&trace.text(trace.attempt(head.attempt)))
    {
        map.insert(TRACEPARENT, unique(value));
    }
    if head.upgrade.is_some() {
        // RFC 8441 §4, §5.
        *request.method_mut() = Method::CONNECT;
        request.headers_mut().remove(SEC_WEBSOCKET_KEY);
        request
            .extensions_mut()
            .insert(Protocol::from_static("websocket"));
        return Some(request);
    }
    let map = request.headers_mut();
    let length = body
        .length()
        .filter(|length| *length > 0)
        .or(head.content_length);
    if let Some(length) = length {
        map.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if head.expects_continue {
        map.insert(
            http::header::EXPECT,
            HeaderValue::from_static("100-continue"),
        );
    }
    Some(request)
}
