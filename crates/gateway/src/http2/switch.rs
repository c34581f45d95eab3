//! A client's stream that becomes a WebSocket (RFC 8441).

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;

use crate::body::Body;
use crate::client::Client;
use crate::failure::Failure;
use crate::request::Response;
use crate::timer::Timer;
use crate::websocket::{End, Tunnel};

/// Sends the answer's head, then serves the WebSocket until it ends.
pub(super) async fn switch(
    client: &Client,
    timer: &Timer,
    sender: &RefCell<SendResponse<Bytes>>,
    receive: RecvStream,
    response: Response,
) {
    let Response {
        head, body, record, ..
    } = response;
    let mut message = http::Response::new(());
    *message.status_mut() = head.status;
    *message.headers_mut() = head.fields.into();
    let sent = sender.borrow_mut().send_response(message, false);
    let (Ok(send), Body::WebSocket(opening)) = (sent, body) else {
        return record.fail(Failure::ClientClosed);
    };
    let end = End::http2(send, receive, None);
    Tunnel::new(*opening, end, BytesMut::new(), &client.worker, record)
        .run(timer)
        .await;
}
