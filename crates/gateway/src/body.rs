//! Message bodies: a closed set of sources behind one polled interface.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::failure::Failure;
use crate::fields::Fields;
use crate::organization::Tied;
use crate::shaping::Encoded;
use crate::sse::Events;
use crate::traffic::Tee;
use crate::validate::Watched;
use crate::websocket::Opening;
use crate::whole::Whole;
use crate::{grpc, http1, http2};

/// A body that is read piece by piece. Nothing is read from its source before it is asked for:
/// that is the back-pressure.
#[derive(Debug)]
pub(crate) enum Body {
    /// No body, or nothing left of it.
    Empty,
    /// A body made here.
    Full(Bytes),
    /// A body that was read to its end.
    Whole(Box<Whole>),
    /// From a client over HTTP/1.
    Http1Request(http1::RequestBody),
    /// From a target over HTTP/1. Boxed: it owns the connection and its buffers.
    Http1Response(Box<http1::Exchange>),
    /// From a client over HTTP/2.
    Http2Request(Box<http2::RequestBody>),
    /// From a target over HTTP/2.
    Http2Response(Box<http2::Exchange>),
    /// From a client, kept for a copy while it is read.
    Teed(Box<Tee>),
    /// Looked at when it is over.
    Watched(Box<Watched>),
    /// From a client, kept in case that it is sent again.
    Kept(Box<grpc::Reader>),
    /// Messages of gRPC-Web from a client.
    GrpcWeb(Box<grpc::Incoming>),
    /// The answer to a gRPC call.
    Call(Box<grpc::Relay>),
    /// An answer that flows as long as its organization may have traffic, and whoever asked for it is known.
    Tied(Box<Tied>),
    /// An event stream that is kept alive.
    Events(Box<Events>),
    /// From a target, compressed while it is read. Boxed: it is rare, and holds another body.
    Encoded(Box<Encoded>),
    /// No body: the target agreed to a WebSocket, to which both connections belong from now on.
    WebSocket(Box<Opening>),
}

/// A piece of a body.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Never empty.
    Data(Bytes),
    /// Fields behind the body (RFC 9110 §6.5); nothing follows.
    Trailers(Fields),
}

impl Frame {
    /// Fields behind a body, if there are any.
    pub(crate) fn trailers(fields: Fields) -> Option<Result<Self, Failure>> {
        (!fields.is_empty()).then_some(Ok(Self::Trailers(fields)))
    }
}

impl Body {
    /// Bytes still to come, if known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty | Self::WebSocket(_) => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Whole(whole) => Some(whole.bytes.len() as u64),
            Self::Http1Request(body) => body.length(),
            Self::Http1Response(exchange) => exchange.length(),
            Self::Http2Request(body) => body.length(),
            Self::Http2Response(exchange) => exchange.length(),
            Self::Teed(tee) => tee.length(),
            Self::Watched(watched) => watched.body.length(),
            Self::Tied(tied) => tied.body.length(),
            Self::Kept(reader) => reader.length(),
            Self::GrpcWeb(messages) => messages.length(),
            Self::Call(relay) => relay.length(),
            Self::Events(_) => None,
            Self::Encoded(encoded) => encoded.length(),
        }
    }

    /// Whether it is known now that nothing is left, not even trailers.
    pub(crate) fn is_end(&self) -> bool {
        self.length() == Some(0)
    }

    /// Whether nothing of a request's body is still to come from the client, as far as can be told without
    /// reading it: where chunks end cannot.
    pub(crate) fn is_all_here(&mut self) -> bool {
        match self {
            Self::Full(_) | Self::Whole(_) => true,
            Self::Http1Request(body) => body.is_all_here(),
            Self::Http2Request(body) => body.is_all_here(),
            Self::Teed(tee) => tee.is_all_here(),
            Self::Watched(watched) => watched.body.is_all_here(),
            _ => self.is_end(),
        }
    }

    /// Whether the request was sent on, while its response was read, since this was asked last.
    pub(crate) fn take_upload_progress(&mut self) -> bool {
        match self {
            Self::Http1Response(exchange) => exchange.take_upload_progress(),
            Self::Http2Response(exchange) => exchange.take_upload_progress(),
            Self::Call(relay) => relay.take_upload_progress(),
            Self::Events(events) => events.take_upload_progress(),
            Self::Watched(watched) => watched.body.take_upload_progress(),
            Self::Tied(tied) => tied.body.take_upload_progress(),
            Self::Encoded(encoded) => encoded.source().take_upload_progress(),
            _ => false,
        }
    }

    /// Whether pieces may be large from now on; of a body whose pieces are held for a client.
    pub(crate) fn read_large(&mut self, is_large: bool) {
        match self {
            Self::Http1Response(exchange) => exchange.read_large(is_large),
            Self::Watched(watched) => watched.body.read_large(is_large),
            Self::Tied(tied) => tied.body.read_large(is_large),
            Self::Encoded(encoded) => encoded.source().read_large(is_large),
            _ => {}
        }
    }

    /// A body from a client that may come as slowly as it likes.
    pub(crate) fn lift_pace(&mut self) {
        match self {
            Self::Http2Request(body) => body.lift_pace(),
            Self::Watched(watched) => watched.body.lift_pace(),
            _ => {}
        }
    }

    /// Ends the body in its own way because of a failure, if it has one; else it is to be cut.
    pub(crate) fn end_with(&mut self, failure: Failure) -> bool {
        match self {
            Self::Call(relay) => relay.end_with(failure),
            Self::Watched(watched) => watched.body.end_with(failure),
            Self::Tied(tied) => tied.body.end_with(failure),
            _ => false,
        }
    }

    /// The next piece; `None` is the proper end.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        match self {
            Self::Empty | Self::WebSocket(_) => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(Frame::Data(bytes))))
            }
            Self::Whole(whole) => {
                let piece = whole.take();
                if whole.bytes.is_empty() {
                    *self = Self::Empty;
                }
                Poll::Ready((!piece.is_empty()).then_some(Ok(Frame::Data(piece))))
            }
            Self::Http1Request(body) => body.poll_frame(context),
            Self::Http1Response(exchange) => exchange.poll_frame(context),
            Self::Http2Request(body) => body.poll_frame(context),
            Self::Http2Response(exchange) => exchange.poll_frame(context),
            Self::Teed(tee) => tee.poll_frame(context),
            Self::Watched(watched) => watched.poll_frame(context),
            Self::Tied(tied) => tied.poll_frame(context),
            Self::Kept(reader) => reader.poll_frame(context),
            Self::GrpcWeb(messages) => messages.poll_frame(context),
            Self::Call(relay) => relay.poll_frame(context),
            Self::Events(events) => events.poll_frame(context),
            Self::Encoded(encoded) => encoded.poll_frame(context),
        }
    }
}
