//! Buffers that connections hand to each other.
//!
//! A connection needs a buffer only while bytes are on their way. Taking it from here instead of
//! from the allocator saves a few hundred instructions per request; giving it back when nothing is
//! left in it keeps idle connections small.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::BytesMut;

/// Room in a buffer for a head and a small body.
pub(crate) const ROOM: usize = 16 * 1024;
/// Room in a buffer for a large piece of a body; 64 KiB with its head fit in.
pub(crate) const LARGE_ROOM: usize = 68 * 1024;
/// Most buffers kept, about 1 MiB of each size.
const MOST_KEPT: usize = 64;
const MOST_LARGE_KEPT: usize = 16;

/// A worker's spare buffers.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    small: RefCell<Vec<BytesMut>>,
    large: RefCell<Vec<BytesMut>>,
}

impl Buffers {
    pub(crate) fn new() -> Rc<Self> {
        Rc::default()
    }

    /// An empty buffer with [`ROOM`] in it.
    pub(crate) fn take(&self) -> BytesMut {
        take(&self.small, ROOM)
    }

    /// An empty buffer with [`LARGE_ROOM`] in it.
    pub(crate) fn take_large(&self) -> BytesMut {
        take(&self.large, LARGE_ROOM)
    }

    /// Takes a buffer back. What is left in it is forgotten.
    pub(crate) fn give(&self, buffer: BytesMut, large: bool) {
        let (kept, most) = if large {
            (&self.large, MOST_LARGE_KEPT)
        } else {
            (&self.small, MOST_KEPT)
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < most {
            kept.push(buffer);
        }
    }
}

fn take(kept: &RefCell<Vec<BytesMut>>, room: usize) -> BytesMut {
    while let Some(mut buffer) = kept.borrow_mut().pop() {
        buffer.clear();
        // Whoever gave it back may have left slices of it elsewhere (a header value in a record,
        // say); only when the last is gone does its memory come free.
        if buffer.try_reclaim(room) {
            return buffer;
        }
    }
    BytesMut::with_capacity(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_only_when_nobody_looks_at_it_any_more() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"head");
        let place = buffer.as_ptr();
        let head = buffer.split().freeze();
        buffers.give(buffer, false);
        let mut other = buffers.take();
        other.extend_from_slice(b"DEAD");
        assert_eq!((&head[..], head.as_ptr()), (&b"head"[..], place));
        assert_ne!(other.as_ptr(), place);

        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"head");
        let place = buffer.as_ptr();
        drop(buffer.split().freeze());
        buffers.give(buffer, false);
        assert_eq!(buffers.take().as_ptr(), place);
    }
}
