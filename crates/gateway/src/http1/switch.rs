//! A client's connection that becomes a WebSocket.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;

use super::encode::{self, Framing, Persistence};
use super::io::Io;
use crate::body::Body;
use crate::client::Client;
use crate::failure::Failure;
use crate::request::Response;
use crate::timer::Timer;
use crate::websocket::{End, Tunnel};

/// Writes the 101, then serves the WebSocket until it ends.
pub(super) async fn switch(
    client: &Client,
    io: Rc<RefCell<Io>>,
    timer: &Timer,
    response: Response,
) {
    let Response {
        head, body, record, ..
    } = response;
    let worker = &client.worker;
    io.borrow_mut().output.prepare(&worker.buffers);
    encode::response_head(
        io.borrow_mut().output.gather(),
        &head,
        Framing::None,
        Persistence::Switch,
        &worker.date(),
    );
    drop(head);
    let write = worker.snapshot().timeouts.write;
    let flushed = poll_fn(|context| io.borrow_mut().poll_flush(context, &mut false));
    match timer.limit(write, flushed).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return record.fail(Failure::ClientClosed),
        Err(_) => return record.fail(Failure::WriteTimeout),
    }
    io.borrow_mut().output.release(&worker.buffers);
    // Nothing of the request is left that could hold it.
    let (Some(io), Body::WebSocket(opening)) = (Rc::into_inner(io), body) else {
        return record.fail(Failure::ClientClosed);
    };
    let (stream, input) = io.into_inner().into_parts();
    let end = End::http1(stream, None);
    Tunnel::new(*opening, end, input, worker, record)
        .run(timer)
        .await;
}
