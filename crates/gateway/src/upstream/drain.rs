//! Answers that nobody wants.

use std::future::Future;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::attempt::Attempt;
use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::timer::Timers;

/// Bytes that are read so that a connection can be used again: more cost more than a new one.
const MOST: usize = 64 * 1024;
/// How long they may take.
const WITHIN: Duration = Duration::from_secs(1);

/// Lets go of an answer in whose place another one is asked for. Nobody waits for what is left of it; but
/// if that is little, it is read, and its HTTP/1 connection is kept.
pub(crate) fn let_go(exchange: Attempt, timers: &Rc<Timers>) {
    if !exchange.is_worth_reading(MOST as u64) {
        return;
    }
    let mut rest = Box::pin(discard(exchange.into_body(), MOST));
    // Mostly all of it came with the head, and no task is needed.
    let context = &mut Context::from_waker(Waker::noop());
    if rest.as_mut().poll(context).is_ready() {
        return;
    }
    let timer = timers.register();
    tokio::task::spawn_local(async move {
        let _ = timer.limit(WITHIN, rest).await;
    });
}

/// Reads an answer to its end, so that its connection is free for the next request; one that is longer
/// than `most` loses its connection.
pub(crate) async fn discard(mut body: Body, most: usize) -> Result<(), Failure> {
    let mut read = 0;
    while read <= most {
        match std::future::poll_fn(|context| body.poll_frame(context)).await {
            Some(Ok(Frame::Data(bytes))) => read += bytes.len(),
            Some(Ok(Frame::Trailers(_))) | None => return Ok(()),
            Some(Err(failure)) => return Err(failure),
        }
    }
    Ok(())
}
