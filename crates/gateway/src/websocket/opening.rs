//! From a target's agreement to an open WebSocket.

use std::rc::Rc;

use bytes::BytesMut;
use http::StatusCode;
use http::header::SEC_WEBSOCKET_ACCEPT;

use super::end::End;
use super::handshake::Handshake;
use crate::body::Body;
use crate::failure::Failure;
use crate::message::RequestHead;
use crate::request::Answer;

/// A target agreed: its side of a WebSocket.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(super) target: End,
    /// What came behind its answer.
    pub(super) input: BytesMut,
    pub(super) handshake: Rc<Handshake>,
    pub(super) may_compress: bool,
}

impl Opening {
    pub(crate) fn body(
        target: End,
        input: BytesMut,
        handshake: Rc<Handshake>,
        may_compress: bool,
    ) -> Body {
        Body::WebSocket(Box::new(Self {
            target,
            input,
            handshake,
            may_compress,
        }))
    }
}

/// Puts the answer to a handshake into the form that the client's protocol has for it.
pub(crate) fn settle(head: &RequestHead, answer: &mut Answer) -> Result<(), Failure> {
    let Some(handshake) = head.upgrade.handshake() else {
        return Ok(());
    };
    let fields = &mut answer.head.fields;
    if !matches!(answer.body, Body::WebSocket(_)) {
        // To an extended CONNECT any success says that the WebSocket is open.
        if handshake.is_connect && answer.head.status.is_success() {
            return Err(Failure::NoWebSocket);
        }
        return Ok(());
    }
    answer.head.content_length = None;
    if handshake.is_connect {
        answer.head.status = StatusCode::OK;
        fields.remove(&SEC_WEBSOCKET_ACCEPT);
    } else {
        answer.head.status = StatusCode::SWITCHING_PROTOCOLS;
        fields.set(SEC_WEBSOCKET_ACCEPT, handshake.accept.clone());
    }
    Ok(())
}
