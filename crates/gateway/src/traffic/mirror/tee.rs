//! A request body that is kept for a copy while it is read for the original.

use std::fmt;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use super::Copy;
use crate::body::{Body, Frame};
use crate::failure::Failure;

/// The body of an original. Its copy starts when the body was read to its end, and is given up if
/// that does not come or the body is too large.
///
/// What is kept is copied, not shared: pieces of a body are slices of the connection's buffer, which
/// could not be used again as long as a copy held one.
pub(crate) struct Tee {
    body: Body,
    /// `None` once it was started or given up.
    copy: Option<Box<Copy>>,
    kept: BytesMut,
    most: u64,
}

impl Tee {
    pub(super) fn new(body: Body, copy: Box<Copy>, most: u64) -> Self {
        Self {
            body,
            copy: Some(copy),
            kept: BytesMut::new(),
            most,
        }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        self.body.length()
    }

    pub(crate) fn is_all_here(&mut self) -> bool {
        self.body.is_all_here()
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        let frame = ready!(self.body.poll_frame(context));
        if self.copy.is_some() {
            match &frame {
                Some(Ok(Frame::Data(bytes))) => self.keep(bytes),
                // Trailers are not copied: the copy's length is known, so that it has none.
                Some(Ok(Frame::Trailers(_))) | None => self.start(),
                Some(Err(_)) => {}
            }
        }
        Poll::Ready(frame)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if (self.kept.len() + bytes.len()) as u64 > self.most {
            if let Some(copy) = self.copy.take() {
                copy.place.counters().body_too_large.add(1);
            }
            self.kept = BytesMut::new();
            return;
        }
        self.kept.extend_from_slice(bytes);
        // Whoever knows the length does not ask again behind the last byte.
        if self.body.is_end() {
            self.start();
        }
    }

    fn start(&mut self) {
        if let Some(copy) = self.copy.take() {
            copy.start(std::mem::take(&mut self.kept).freeze());
        }
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        if let Some(copy) = self.copy.take() {
            copy.place.counters().body_incomplete.add(1);
        }
    }
}

impl fmt::Debug for Tee {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Tee({:?})", self.body)
    }
}
