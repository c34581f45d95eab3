//! Bodies that are read to their end before anything else happens: to be judged, changed or put together.
//!
//! That takes memory, which is bounded for each body and for all of a worker's, and what is compressed
//! takes time to undo, which no worker has: see [`Pool`].

mod coding;
mod pool;
mod room;

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::timer::{Elapsed, Timer};
use crate::worker::Worker;

pub(crate) use coding::{Codings, Undecodable};
pub(crate) use pool::Pool;
pub(crate) use room::{Room, Strangers};

/// Longer bodies, and compressed ones, are looked through on a thread of the [`Pool`].
pub(crate) const SHORT: usize = 16 * 1024;
/// Bytes of a whole that are sent at a time.
const PIECE: usize = 64 * 1024;

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

/// A body of at most `most` bytes. Trailers behind it are given up: what they tell is about bytes that may
/// not be sent, and few servers read them.
pub(crate) async fn gather(
    worker: &Rc<Worker>,
    body: Body,
    most: usize,
    silence: Duration,
    timer: &Timer,
) -> Result<Whole, Unread> {
    fill(Room::new(worker), body, most, silence, timer).await
}

/// The same for a body that says itself whether this client may send it. Of such bodies fewer are held, until
/// [`Room::vouch`].
pub(crate) async fn gather_of_stranger(
    worker: &Rc<Worker>,
    client: IpAddr,
    body: Body,
    most: usize,
    silence: Duration,
    timer: &Timer,
) -> Result<Whole, Unread> {
    let room = Room::of_stranger(worker, client, most);
    fill(room, body, most, silence, timer).await
}

/// Copied: pieces are slices of the connection's buffer, which could not be used again as long as the
/// whole is kept.
async fn fill(
    mut room: Room,
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
