//! A stream that begins with bytes read earlier.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// A stream of which something was read already.
pub(super) struct Prefixed {
    pub(super) input: BytesMut,
    pub(super) stream: Stream,
    pub(super) writing: Rc<Writing>,
}

/// How writing goes on; shared with whoever looks after the connection.
#[derive(Debug, Default)]
pub(super) struct Writing {
    /// Whether the stream took nothing when it was last written to.
    pub(super) is_blocked: Cell<bool>,
    /// Whether it took something since this was last cleared.
    pub(super) progress: Cell<bool>,
}

impl Prefixed {
    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        let is_pending = written.is_pending();
        self.writing.is_blocked.set(is_pending);
        self.writing
            .progress
            .set(self.writing.progress.get() | !is_pending);
        written
    }
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.input.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.input.len().min(buffer.remaining());
        buffer.put_slice(&self.input[..length]);
        self.input.advance(length);
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
