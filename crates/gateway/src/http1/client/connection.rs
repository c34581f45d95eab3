//! A connection to a target.

use std::pin::Pin;
use std::task::Context;

use tokio::io::{AsyncRead, ReadBuf};

use crate::stream::Stream;
use crate::upstream::Slot;
use crate::websocket::End;

/// A connection to a target, between or in an exchange.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) stream: Stream,
    /// Whether an exchange was completed on it before.
    pub(super) reused: bool,
    /// Its place among the target's connections.
    slot: Slot,
}

impl Connection {
    pub(crate) fn new(stream: Stream, slot: Slot) -> Self {
        Self {
            stream,
            reused: false,
            slot,
        }
    }

    pub(super) fn into_end(self) -> End {
        End::http1(self.stream, Some(self.slot))
    }

    /// Whether an idle connection is still good: a target that closed it, or that speaks without
    /// being asked, makes it readable. Costs a system call only if the runtime saw an event.
    pub(crate) fn is_fresh(&mut self, context: &mut Context<'_>) -> bool {
        let mut scrap = [0];
        let read = Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut scrap));
        read.is_pending()
    }
}
