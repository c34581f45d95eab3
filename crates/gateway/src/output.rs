//! Bytes on their way into a stream.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::buffers::Buffers;
use crate::stream::Stream;

/// Pieces smaller than this are copied behind the head: one contiguous write is cheaper than a
/// vector of small ones.
const COPY_BELOW: usize = 4 * 1024;

/// Rests up to this length are worth a copy.
const COMPACT_BELOW: usize = 12 * 1024;

/// Most slices handed to one vectored write.
const SLICES: usize = 16;

/// A queue of bytes to write: small pieces gathered, large ones by reference.
///
/// Order: `gathered` up to its length at the time a large piece was pushed, then that piece, and so
/// on. To keep that simple, a large piece seals what is gathered into the queue.
#[derive(Debug, Default)]
pub(crate) struct Output {
    queue: VecDeque<Bytes>,
    gathered: BytesMut,
    /// Bytes in `queue`.
    queued: usize,
    /// Whether `queue` has memory of its own, of no more than its length.
    is_compact: bool,
    /// The stream holds records (TLS) that its socket did not take yet.
    held: bool,
}

impl Output {
    /// Gets memory for heads and small bodies.
    pub(crate) fn prepare(&mut self, buffers: &Buffers) {
        if self.gathered.capacity() == 0 {
            self.gathered = buffers.take();
        }
    }

    /// Where heads and framing are written.
    pub(crate) fn gather(&mut self) -> &mut BytesMut {
        &mut self.gathered
    }

    /// Adds a piece of body.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW {
            self.gathered.extend_from_slice(&bytes);
            return;
        }
        self.seal();
        self.queued += bytes.len();
        self.queue.push_back(bytes);
        self.is_compact = false;
    }

    fn seal(&mut self) {
        if !self.gathered.is_empty() {
            self.queued += self.gathered.len();
            self.queue.push_back(self.gathered.split().freeze());
            self.is_compact = false;
        }
    }

    /// Bytes that wait to be written.
    pub(crate) fn len(&self) -> usize {
        self.queued + self.gathered.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether everything was handed to the system, not only to the stream.
    pub(crate) fn is_flushed(&self) -> bool {
        self.is_empty() && !self.held
    }

    /// Gives back memory that holds nothing; slices of it may still wait to be written.
    pub(crate) fn release(&mut self, buffers: &Buffers) {
        if self.gathered.is_empty() && self.gathered.capacity() > 0 {
            buffers.give(std::mem::take(&mut self.gathered), false);
        }
    }

    /// Moves a rest out of the buffers that it is a part of, so that they are free while nobody takes it.
    pub(crate) fn compact(&mut self, buffers: &Buffers) {
        if !self.is_compact && !self.is_empty() && self.len() <= COMPACT_BELOW {
            self.seal();
            let mut rest = BytesMut::with_capacity(self.queued);
            for bytes in self.queue.drain(..) {
                rest.extend_from_slice(&bytes);
            }
            self.queue = VecDeque::from([rest.freeze()]);
            self.is_compact = true;
        }
        self.release(buffers);
    }

    /// Writes until nothing is left; ready with an error if the stream fails. `progress` is set
    /// when at least one byte was taken.
    pub(crate) fn poll_flush(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = if self.queue.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(context, &self.gathered))?
            } else {
                self.seal();
                let mut slices = [IoSlice::new(&[]); SLICES];
                for (slice, bytes) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(bytes);
                }
                let count = self.queue.len().min(SLICES);
                ready!(Pin::new(&mut *stream).poll_write_vectored(context, &slices[..count]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress = true;
            self.advance(written);
        }
        // TCP has nothing to flush; TLS may hold records that the socket did not take yet.
        let Stream::Tls(tls) = stream else {
            return Poll::Ready(Ok(()));
        };
        let flushed = Pin::new(&mut **tls).poll_flush(context);
        *progress |= self.held && flushed.is_ready();
        self.held = flushed.is_pending();
        flushed
    }

    /// Takes out everything in order.
    #[cfg(test)]
    pub(crate) fn drain_into(&mut self, wire: &mut Vec<u8>) {
        for bytes in self.queue.drain(..) {
            wire.extend_from_slice(&bytes);
        }
        wire.extend_from_slice(&self.gathered.split());
        self.queued = 0;
    }

    fn advance(&mut self, mut written: usize) {
        while written > 0 {
            let Some(front) = self.queue.front_mut() else {
                self.gathered.advance(written);
                return;
            };
            let step = written.min(front.len());
            front.advance(step);
            self.queued -= step;
            written -= step;
            if front.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}
