//! Bodies that are read to their end before anything else happens.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::timer::{Elapsed, Timer};
use crate::worker::Worker;

/// Bytes of bodies that a worker holds for being changed, all requests together.
const MOST_HELD: usize = 256 << 20;

/// A whole body, and the room that it takes.
pub(crate) struct Gathered {
    pub(crate) bytes: Bytes,
    _room: Room,
}

/// Why a body is not there as a whole.
pub(crate) enum Unread {
    TooLarge,
    /// The worker holds too much already.
    NoRoom,
    /// It stopped arriving.
    Silent,
    Failed(Failure),
}

/// A share of the bytes that a worker may hold; given back when dropped.
struct Room {
    worker: Rc<Worker>,
    bytes: usize,
}

impl Room {
    fn add(&mut self, bytes: usize) -> bool {
        let gathered = self.worker.gathered.get() + bytes;
        if gathered > MOST_HELD {
            return false;
        }
        self.worker.gathered.set(gathered);
        self.bytes += bytes;
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let gathered = self.worker.gathered.get();
        self.worker.gathered.set(gathered - self.bytes);
    }
}

/// A body of at most `most` bytes. Trailers behind it are given up: what they tell is about bytes that are
/// not sent.
///
/// Copied: pieces are slices of the connection's buffer, which could not be used again as long as the
/// whole is kept.
pub(crate) async fn gather(
    worker: &Rc<Worker>,
    mut body: Body,
    most: usize,
    silence: Duration,
    timer: &Timer,
) -> Result<Gathered, Unread> {
    if body.length().is_some_and(|length| length > most as u64) {
        return Err(Unread::TooLarge);
    }
    // What is stated is not believed before it comes.
    let mut whole = BytesMut::new();
    let mut room = Room {
        worker: Rc::clone(worker),
        bytes: 0,
    };
    loop {
        let next = std::future::poll_fn(|context| body.poll_frame(context));
        match timer.limit(silence, next).await {
            Ok(Some(Ok(Frame::Data(bytes)))) => {
                if whole.len() + bytes.len() > most {
                    return Err(Unread::TooLarge);
                }
                if !room.add(bytes.len()) {
                    return Err(Unread::NoRoom);
                }
                whole.extend_from_slice(&bytes);
            }
            Ok(Some(Ok(Frame::Trailers(_))) | None) => break,
            Ok(Some(Err(failure))) => return Err(Unread::Failed(failure)),
            Err(Elapsed) if timer.is_ended() => {
                return Err(Unread::Failed(timer.blame(Failure::BodyTimeout)));
            }
            Err(Elapsed) => return Err(Unread::Silent),
        }
    }
    timer.clear();
    Ok(Gathered {
        bytes: whole.freeze(),
        _room: room,
    })
}
