//! Bodies that are read to their end before anything else happens.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::body::{Body, Frame};
use crate::client::Client;
use crate::failure::Failure;
use crate::record::Recorder;
use crate::timer::{Elapsed, Timer};
use crate::worker::Worker;

/// Bytes of bodies that a worker holds for being checked, all requests together.
const MOST_HELD: usize = 64 << 20;

/// A share of the bytes that a worker may hold; given back when dropped.
pub(crate) struct Held {
    worker: Rc<Worker>,
    bytes: usize,
}

impl Held {
    pub(super) fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: Rc::clone(worker),
            bytes: 0,
        }
    }

    /// Whether there is room for more.
    pub(super) fn add(&mut self, bytes: usize) -> bool {
        let held = self.worker.held.get() + bytes;
        if held > MOST_HELD {
            return false;
        }
        self.worker.held.set(held);
        self.bytes += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.worker.held.set(self.worker.held.get() - self.bytes);
    }
}

/// A whole body of at most `most` bytes. Trailers behind it are given up: few servers read them.
///
/// Copied: pieces are slices of the connection's buffer, which could not be used again as long as the
/// whole is kept.
pub(super) async fn whole(
    client: &Rc<Client>,
    mut body: Body,
    most: usize,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Bytes, Failure> {
    let stated = body.length().unwrap_or(0);
    if stated > most as u64 {
        return Err(Failure::BodyTooLargeToCheck);
    }
    let silence = record.snapshot.timeouts.body;
    // What is stated is not believed before it comes.
    let mut whole = BytesMut::new();
    let held = record.held.insert(Held::new(&client.worker));
    loop {
        let next = std::future::poll_fn(|context| body.poll_frame(context));
        match timer.limit(silence, next).await {
            Ok(Some(Ok(Frame::Data(bytes)))) => {
                if whole.len() + bytes.len() > most {
                    return Err(Failure::BodyTooLargeToCheck);
                }
                if !held.add(bytes.len()) {
                    return Err(Failure::MemoryPressure);
                }
                whole.extend_from_slice(&bytes);
            }
            Ok(Some(Ok(Frame::Trailers(_))) | None) => break,
            Ok(Some(Err(failure))) => return Err(failure),
            Err(Elapsed) => return Err(timer.blame(Failure::BodyTimeout)),
        }
    }
    timer.clear();
    Ok(whole.freeze())
}
