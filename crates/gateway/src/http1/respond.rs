//! Writing an answer to a client.

use std::cell::RefCell;
use std::task::Poll;

use super::encode::{self, Framing, Persistence};
use super::io::Io;
use crate::body::Frame;
use crate::client::Client;
use crate::failure::Failure;
use crate::message::{Version, has_body};
use crate::overload::Pace;
use crate::request::Response;
use crate::timer::Timer;
use crate::worker::Phase;

/// Response bytes that may wait for the client before the target is asked for more. Half of what a large
/// piece has: with one waiting, a client that does not read shall not make a second one wait.
const HIGH_WATER: usize = 32 * 1024;

/// The same for a client that may let it lie.
const LOW_WATER: usize = 4 * 1024;

/// Writes a response; tells whether the connection can take another request.
pub(super) async fn respond(
    client: &Client,
    io: &RefCell<Io>,
    timer: &Timer,
    response: Response,
    method: &http::Method,
    version: Version,
    keep_alive: bool,
) -> Result<bool, Failure> {
    let Response {
        mut head,
        mut body,
        mut record,
        idle,
    } = response;
    let framing = match (has_body(method, head.status), body.length(), version) {
        (false, ..) => Framing::None,
        (true, Some(_), _) => Framing::Length,
        (true, None, Version::Http10) => Framing::Close,
        (true, None, _) => Framing::Chunked,
    };
    if framing == Framing::Length && head.content_length.is_none() {
        // Over HTTP/2 a body can be known to be empty without a stated length.
        head.content_length = body.length();
    }
    let keep_alive = keep_alive
        && framing != Framing::Close
        && client.worker.phase() == Phase::Serving
        && !client.leaves.get()
        && io.borrow().decoder.is_done();
    let persistence = match (keep_alive, version) {
        (false, _) => Persistence::Close,
        (true, Version::Http10) => Persistence::KeepAlive,
        (true, _) => Persistence::Default,
    };
    let buffers = &client.worker.buffers;
    io.borrow_mut().output.prepare(buffers);
    encode::response_head(
        io.borrow_mut().output.gather(),
        &head,
        framing,
        persistence,
        &client.worker.date(),
    );
    // Its fields are slices of what was read from the target, which would stay as long as they do.
    drop(head);
    let snapshot = client.worker.snapshot();
    let write_timeout = snapshot.timeouts.write;
    let mut pace = Pace::new(snapshot.limits.minimum_rate);
    drop(snapshot);
    let timers = &client.worker.timers;
    let mut ended = framing == Framing::None;
    let mut cut = None;
    let mut started = false;
    let result = std::future::poll_fn(|context| {
        let mut progress = !std::mem::replace(&mut started, true);
        loop {
            let mut starved = false;
            while !ended && io.borrow().output.len() < high_water(client) {
                client.appetite.ask(io.borrow().stream.tcp());
                body.read_large(client.appetite.is_large());
                // The body may read this very connection (an upload that is still going on), so it
                // is not borrowed here.
                match body.poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => {
                        progress = true;
                        if let Frame::Data(bytes) = &frame {
                            record.sent(bytes.len());
                        }
                        // Trailers carry the body's end with them; and of a body of known length
                        // nothing more comes: spare the extra question.
                        ended = matches!(frame, Frame::Trailers(_))
                            || (framing == Framing::Length && body.is_end());
                        encode::frame(&mut io.borrow_mut().output, framing, frame);
                    }
                    Poll::Ready(Some(Err(failure))) => {
                        // What came before the failure is the client's all the same.
                        cut = Some(failure);
                        ended = true;
                    }
                    Poll::Ready(None) => {
                        encode::end(&mut io.borrow_mut().output, framing);
                        ended = true;
                    }
                    Poll::Pending => {
                        starved = true;
                        break;
                    }
                }
            }
            // A client that is still sending is alive, however long the target's answer rests.
            progress |= body.take_upload_progress();
            let mut io = io.borrow_mut();
            let waiting = io.output.len();
            let flushed = io.poll_flush(context, &mut progress);
            let written = waiting - io.output.len();
            client.appetite.took(written, io.stream.tcp());
            if written > 0 && !pace.moved(timers.now(), written as u64, 1) {
                return Poll::Ready(Err(Failure::WriteTooSlow));
            }
            match flushed {
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientClosed)),
                Poll::Ready(Ok(())) if ended => return Poll::Ready(cut.map_or(Ok(()), Err)),
                Poll::Ready(Ok(())) if !starved => continue,
                Poll::Ready(Ok(())) => {
                    if io.poll_gone(context).is_ready() {
                        return Poll::Ready(Err(Failure::ClientClosed));
                    }
                }
                Poll::Pending => {
                    client.appetite.had_enough();
                    io.settle();
                    pace.waits(timers.now());
                }
            }
            let (allowed, failure) = if io.output.is_flushed() {
                (idle, Failure::UpstreamStalled)
            } else {
                (write_timeout, Failure::WriteTimeout)
            };
            if progress {
                timer.set(allowed);
            }
            if timer.poll(context).is_pending() {
                return Poll::Pending;
            }
            let failure = timer.blame(failure);
            if !io.output.is_flushed() || !body.end_with(failure) {
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
            if framing == Framing::Close {
                // Only a reset tells this client from the body's proper end.
                let _ = io.borrow().stream.tcp().set_zero_linger();
            }
            record.fail(failure);
            return Err(failure);
        }
    }
    let mut io = io.borrow_mut();
    io.output.release(buffers);
    Ok(keep_alive && io.decoder.is_done())
}

fn high_water(client: &Client) -> usize {
    if client.appetite.is_large() {
        HIGH_WATER
    } else {
        LOW_WATER
    }
}
