//! Bodies that are read to their end before anything else happens: to be judged, changed or put together.
//!
//! That takes memory, which is bounded for each body and for all of a worker's, and what is compressed
//! takes time to undo, which no worker has: see [`Pool`].

mod coding;
mod pool;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::timer::{Elapsed, Timer};
use crate::worker::Worker;

pub(crate) use coding::{Codings, Undecodable};
pub(crate) use pool::Pool;

/// Longer bodies, and compressed ones, are looked through on a thread of the [`Pool`].
pub(crate) const SHORT: usize = 16 * 1024;
/// Bytes of a whole that are sent at a time.
const PIECE: usize = 64 * 1024;
/// Bytes of bodies that a worker holds, all requests together.
const MOST_HELD: usize = 256 << 20;

/// A whole body, and the room that it takes.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) room: Room,
}

impl Whole {
    /// What is sent next. In pieces, so that room is given back when all of it is nearly gone.
    pub(crate) fn take(&mut self) -> Bytes {
        self.bytes.split_to(self.bytes.len().min(PIECE))
    }
}

impl From<Whole> for Body {
    fn from(whole: Whole) -> Self {
        if whole.bytes.is_empty() {
            return Self::Empty;
        }
        Self::Whole(Box::new(whole))
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Whole({} bytes)", self.bytes.len())
    }
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

impl Unread {
    /// What it means for a request whose body it is, with the word for one that is too large.
    pub(crate) fn of_request(self, too_large: Failure) -> Failure {
        match self {
            Self::TooLarge => too_large,
            Self::NoRoom => Failure::MemoryPressure,
            Self::Silent => Failure::BodyTimeout,
            Self::Failed(failure) => failure,
        }
    }
}

/// A share of the bytes that a worker may hold; given back when dropped.
pub(crate) struct Room {
    worker: Rc<Worker>,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: Rc::clone(worker),
            bytes: 0,
        }
    }

    /// Whether there is room for more.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let held = self.worker.held.get() + bytes;
        if held > MOST_HELD {
            return false;
        }
        self.worker.held.set(held);
        self.bytes += bytes;
        true
    }

    /// For what was made of a body, in its place: that is there already.
    pub(crate) fn resize(&mut self, bytes: usize) {
        let others = self.worker.held.get() - self.bytes;
        self.worker.held.set(others + bytes);
        self.bytes = bytes;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.worker.held.set(self.worker.held.get() - self.bytes);
    }
}

/// A body of at most `most` bytes. Trailers behind it are given up: what they tell is about bytes that may
/// not be sent, and few servers read them.
///
/// Copied: pieces are slices of the connection's buffer, which could not be used again as long as the
/// whole is kept.
pub(crate) async fn gather(
    worker: &Rc<Worker>,
    mut body: Body,
    most: usize,
    silence: Duration,
    timer: &Timer,
) -> Result<Whole, Unread> {
    if body.length().is_some_and(|length| length > most as u64) {
        return Err(Unread::TooLarge);
    }
    if let Body::Whole(whole) = body {
        return Ok(*whole);
    }
    let mut room = Room::new(worker);
    // What is stated is not believed before it comes.
    let mut whole = BytesMut::new();
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
    Ok(Whole {
        bytes: whole.freeze(),
        room,
    })
}
