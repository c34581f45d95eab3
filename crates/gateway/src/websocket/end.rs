//! One end of a tunnel: a connection that was upgraded, or a stream of an HTTP/2 connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::AsyncWrite;

use crate::buffers::{Buffers, ROOM};
use crate::stream::Stream;
use crate::upstream::{Share, Slot};

/// What is kept without a buffer of its own while nothing moves: the beginning of a frame.
const KEPT_SMALL: usize = 256;

/// The closed set of what carries a WebSocket.
#[derive(Debug)]
pub(crate) enum End {
    Http1 {
        stream: Stream,
        /// The last read was pending: nothing is buffered underneath, readiness can be awaited bare.
        drained: bool,
        /// Its place among the target's connections.
        _slot: Option<Slot>,
    },
    Http2 {
        send: SendStream<Bytes>,
        receive: RecvStream,
        /// Counts it on its connection to the target.
        _share: Option<Share>,
    },
}

impl End {
    pub(crate) fn http1(stream: Stream, slot: Option<Slot>) -> Self {
        Self::Http1 {
            stream,
            drained: false,
            _slot: slot,
        }
    }

    pub(crate) fn http2(
        send: SendStream<Bytes>,
        receive: RecvStream,
        share: Option<Share>,
    ) -> Self {
        Self::Http2 {
            send,
            receive,
            _share: share,
        }
    }

    /// Reads more behind what is there; 0 is the end. While nothing comes, no buffer is held.
    pub(super) fn poll_fill(
        &mut self,
        input: &mut BytesMut,
        buffers: &Buffers,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Http1 {
                stream, drained, ..
            } => {
                if *drained {
                    ready!(stream.poll_readable(context))?;
                }
                if input.capacity() <= KEPT_SMALL {
                    let kept = std::mem::replace(input, buffers.take());
                    input.extend_from_slice(&kept);
                }
                // All of it: what was written is of no use any more.
                input.reserve(ROOM - KEPT_SMALL);
                let read = stream.poll_fill(context, input);
                *drained = read.is_pending();
                if *drained {
                    shrink(input, buffers);
                }
                read
            }
            Self::Http2 { receive, .. } => loop {
                let Poll::Ready(data) = receive.poll_data(context) else {
                    shrink(input, buffers);
                    return Poll::Pending;
                };
                return match data {
                    Some(Ok(bytes)) if bytes.is_empty() => continue,
                    Some(Ok(bytes)) => {
                        if input.capacity() - input.len() < bytes.len() {
                            let kept = std::mem::replace(input, buffers.take());
                            input.extend_from_slice(&kept);
                        }
                        input.extend_from_slice(&bytes);
                        // What came before was passed on: there is room for the next piece.
                        let _ = receive.flow_control().release_capacity(bytes.len());
                        Poll::Ready(Ok(bytes.len()))
                    }
                    Some(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
                    None => Poll::Ready(Ok(0)),
                };
            },
        }
    }

    /// Writes from the front of `bytes`, at most `count`; takes off what was written.
    pub(super) fn poll_write(
        &mut self,
        bytes: &mut BytesMut,
        count: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Http1 { stream, .. } => {
                let front = &bytes[..count];
                let written = ready!(Pin::new(stream).poll_write(context, front))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                bytes::Buf::advance(bytes, written);
                Poll::Ready(Ok(written))
            }
            Self::Http2 { send, .. } => {
                if let Poll::Ready(reset) = send.poll_reset(context) {
                    return Poll::Ready(Err(match reset {
                        Ok(_) => io::ErrorKind::ConnectionReset.into(),
                        Err(error) => io::Error::other(error),
                    }));
                }
                send.reserve_capacity(count);
                let mut capacity = send.capacity();
                while capacity == 0 {
                    capacity = match ready!(send.poll_capacity(context)) {
                        Some(Ok(capacity)) => capacity,
                        Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                        None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                    };
                }
                let piece = bytes.split_to(count.min(capacity)).freeze();
                let written = piece.len();
                send.send_data(piece, false).map_err(io::Error::other)?;
                Poll::Ready(Ok(written))
            }
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1 { stream, .. } => Pin::new(stream).poll_flush(context),
            Self::Http2 { .. } => Poll::Ready(Ok(())),
        }
    }

    /// Says that nothing more is sent.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1 { stream, .. } => Pin::new(stream).poll_shutdown(context).map(|_| ()),
            Self::Http2 { send, .. } => {
                // Done already, or there is nobody to say it to.
                let _ = send.send_data(Bytes::new(), true);
                Poll::Ready(())
            }
        }
    }

    /// Ends it so that the other side knows that it was not in order (RFC 8441 §5).
    pub(super) fn abort(&mut self) {
        if let Self::Http2 { send, .. } = self {
            send.send_reset(Reason::CANCEL);
        }
    }
}

/// Gives the buffer back while nothing moves; a few bytes are kept in as much memory as they need.
pub(super) fn shrink(input: &mut BytesMut, buffers: &Buffers) {
    if input.capacity() <= KEPT_SMALL || input.len() > KEPT_SMALL {
        return;
    }
    let kept = if input.is_empty() {
        BytesMut::new()
    } else {
        BytesMut::from(&input[..])
    };
    buffers.give(std::mem::replace(input, kept), false);
}
