//! The body of a call that may have to be sent again.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::fields::Fields;

/// Bytes that are kept; the body of a larger call is sent once.
const MOST: usize = 64 * 1024;

/// A body and what was read of it.
#[derive(Debug)]
struct Kept {
    body: Body,
    pieces: Vec<Bytes>,
    bytes: usize,
    /// `Some` at the end, which may have trailers.
    end: Option<Option<Fields>>,
    /// Whether nothing was let go.
    is_whole: bool,
}

/// Where to get it from.
#[derive(Debug)]
pub(super) struct Shared(Rc<RefCell<Kept>>);

/// Reads it from the beginning.
#[derive(Debug)]
pub(crate) struct Reader {
    kept: Rc<RefCell<Kept>>,
    at: usize,
    has_ended: bool,
}

pub(super) fn keep(body: Body) -> (Shared, Reader) {
    let kept = Rc::new(RefCell::new(Kept {
        body,
        pieces: Vec::new(),
        bytes: 0,
        end: None,
        is_whole: true,
    }));
    let shared = Shared(Rc::clone(&kept));
    (shared, Reader::new(kept))
}

impl Shared {
    pub(super) fn is_whole(&self) -> bool {
        self.0.borrow().is_whole
    }

    pub(super) fn again(&self) -> Option<Reader> {
        self.is_whole().then(|| Reader::new(Rc::clone(&self.0)))
    }
}

impl Reader {
    fn new(kept: Rc<RefCell<Kept>>) -> Self {
        Self {
            kept,
            at: 0,
            has_ended: false,
        }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        let kept = self.kept.borrow();
        if self.has_ended {
            Some(0)
        } else if self.at < kept.pieces.len() || kept.end.is_some() {
            None
        } else {
            kept.body.length()
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let kept = &mut *self.kept.borrow_mut();
        if let Some(piece) = kept.pieces.get(self.at) {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::Data(piece.clone()))));
        }
        if kept.end.is_none() {
            match ready!(kept.body.poll_frame(context)) {
                Some(Ok(Frame::Data(bytes))) => {
                    kept.add(&bytes);
                    self.at = kept.pieces.len();
                    return Poll::Ready(Some(Ok(Frame::Data(bytes))));
                }
                Some(Ok(Frame::Trailers(fields))) => kept.end = Some(Some(fields)),
                Some(Err(failure)) => {
                    kept.is_whole = false;
                    return Poll::Ready(Some(Err(failure)));
                }
                None => kept.end = Some(None),
            }
        }
        self.has_ended = true;
        let trailers = kept.end.clone().flatten();
        Poll::Ready(trailers.map(|fields| Ok(Frame::Trailers(fields))))
    }
}

impl Kept {
    /// Copied: a piece is a slice of the connection's buffer, which could not be used again as long as
    /// it is held.
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        if self.bytes > MOST {
            self.is_whole = false;
            self.pieces = Vec::new();
        }
        if self.is_whole {
            self.pieces.push(Bytes::copy_from_slice(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut Reader) -> Vec<u8> {
        let mut all = Vec::new();
        let mut context = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(Ok(Frame::Data(bytes)))) = reader.poll_frame(&mut context) {
            all.extend_from_slice(&bytes);
        }
        assert_eq!(reader.length(), Some(0));
        all
    }

    #[test]
    fn a_small_body_is_read_again_and_a_large_one_only_once() {
        let (shared, mut first) = keep(Body::Full(Bytes::from_static(b"hello")));
        assert_eq!(first.length(), Some(5));
        assert_eq!(read(&mut first), b"hello");
        let mut second = shared.again().expect("it is small");
        assert_eq!(second.length(), None, "there is something left");
        assert_eq!(read(&mut second), b"hello");
        assert_eq!(read(&mut shared.again().expect("a third time")), b"hello");

        let large = vec![7; MOST + 1];
        let (shared, mut first) = keep(Body::Full(large.clone().into()));
        assert!(shared.is_whole(), "nothing was taken yet");
        assert_eq!(read(&mut first), large);
        assert!(shared.again().is_none());
    }
}
