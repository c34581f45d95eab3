//! One side of a tunnel: what it sends, and what it is sent from here.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};

use super::end::End;
use super::frames::{self, Frames, NO_CODE, Rules, Step, Violation};
use crate::buffers::Buffers;

/// What tells a pong that answers a ping of Weir's from one that is for the other side.
pub(super) type Mark = [u8; 8];

/// What every step needs to know.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) buffers: &'a Buffers,
    /// The worker's time.
    pub(super) now: u64,
    pub(super) mark: &'a Mark,
}

#[derive(Debug)]
pub(super) struct Side {
    end: End,
    frames: Frames,
    input: BytesMut,
    /// Bytes at the input's front that may be passed on.
    cleared: usize,
    /// Frames from here for this side.
    own: BytesMut,
    /// Whether this side takes masked frames: it is the target.
    takes_masked: bool,
    /// When it was heard last.
    pub(super) heard: u64,
    /// When it was last asked whether it is there.
    pub(super) asked: u64,
    /// Since when it takes nothing of what is there for it.
    pub(super) stuck: Option<u64>,
    /// The code of its close frame.
    pub(super) closed: Option<u16>,
    /// It was sent a close frame, or will be with what is written next.
    is_told: bool,
    /// Its connection has ended.
    pub(super) is_gone: bool,
    /// What it sends cannot be followed any more.
    pub(super) is_broken: bool,
    /// Messages and bytes of payload that were passed on.
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// How passing on ended before its time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Broken {
    /// Who sends broke a rule.
    Source(Violation),
    SourceGone,
    SinkGone,
}

impl Side {
    pub(super) fn new(end: End, input: BytesMut, rules: Rules, now: u64) -> Self {
        Self {
            end,
            takes_masked: !rules.are_masked,
            frames: Frames::new(rules),
            input,
            cleared: 0,
            own: BytesMut::new(),
            heard: now,
            asked: now,
            stuck: None,
            closed: None,
            is_told: false,
            is_gone: false,
            is_broken: false,
            messages: 0,
            bytes: 0,
        }
    }

    /// Finds out how much of what is there may be passed on: all of it, or up to the end of a frame.
    fn look(&mut self, is_one: bool, mark: &Mark) -> Result<(), Violation> {
        while self.cleared < self.input.len() && self.closed.is_none() {
            let rest = &self.input[self.cleared..];
            let step = match self.frames.read(rest) {
                Ok(step) => step,
                // What came before goes first; this is found again then.
                Err(_) if self.cleared > 0 => break,
                Err(violation) => return Err(violation),
            };
            match step {
                Step::More => break,
                Step::Data {
                    length,
                    payload,
                    ends_message,
                } => {
                    self.cleared += length;
                    self.bytes += payload;
                    self.messages += u64::from(ends_message);
                }
                Step::Ping { length } => self.cleared += length,
                Step::Pong { length } if *frames::payload(&rest[..length]) == mark[..] => {
                    if self.cleared > 0 {
                        break;
                    }
                    self.input.advance(length);
                }
                Step::Pong { length } => self.cleared += length,
                Step::Close { length, code } => {
                    self.cleared += length;
                    self.closed = Some(code.unwrap_or(NO_CODE));
                }
            }
            if is_one && self.cleared > 0 && self.frames.are_between() {
                break;
            }
        }
        Ok(())
    }

    fn poll_fill(
        &mut self,
        around: Surroundings<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ()>> {
        match ready!(self.end.poll_fill(&mut self.input, around.buffers, context)) {
            Ok(0) | Err(_) => {
                self.is_gone = true;
                Poll::Ready(Err(()))
            }
            Ok(_) => {
                self.heard = around.now;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Asks whether it is there.
    pub(super) fn ask(&mut self, around: Surroundings<'_>) {
        self.asked = around.now;
        // One question at a time: it takes nothing, or a frame for it has no end.
        if self.own.is_empty() && !self.is_told {
            frames::write_ping(&mut self.own, around.mark, self.takes_masked);
        }
    }

    /// Tells it that the WebSocket is closed; `other` is whose frames it was sent so far.
    pub(super) fn tell(&mut self, other: &Self, code: u16) {
        // Within a frame of the other side nothing can be said.
        if !self.is_told && !self.is_gone && other.frames.are_between() {
            frames::write_close(&mut self.own, code, self.takes_masked);
            self.is_told = true;
        }
    }

    /// Discards what it sends until it has closed, too.
    pub(super) fn poll_closed(
        &mut self,
        around: Surroundings<'_>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        // Without a word from here there is no answer to wait for.
        if !self.is_told {
            return Poll::Ready(());
        }
        // What is discarded was not passed on.
        let passed = (self.messages, self.bytes);
        while self.closed.is_none() && !self.is_gone && !self.is_broken {
            self.input.advance(self.cleared);
            self.cleared = 0;
            let looked = self.look(false, around.mark);
            (self.messages, self.bytes) = passed;
            match looked {
                Err(_) => self.is_broken = true,
                Ok(()) if self.cleared > 0 => {}
                Ok(()) => {
                    let _ = ready!(self.poll_fill(around, context));
                }
            }
        }
        // Its answer is for us: the other side got a close frame of ours.
        self.input.clear();
        self.cleared = 0;
        Poll::Ready(())
    }

    /// Discards whatever it sends until its connection ends.
    pub(super) fn poll_end(
        &mut self,
        around: Surroundings<'_>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        while !self.is_gone {
            self.input.clear();
            self.cleared = 0;
            let _ = ready!(self.poll_fill(around, context));
        }
        Poll::Ready(())
    }

    /// Ends the connection: in order if it was told.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_told {
            self.end.abort();
        }
        self.end.poll_shutdown(context)
    }

    pub(super) fn release(&mut self, buffers: &Buffers) {
        if self.input.capacity() > 0 {
            buffers.give(std::mem::take(&mut self.input), false);
        }
    }
}

/// Passes on what `source` sends. Nothing is read that `sink` has no room for: that is the
/// back-pressure.
pub(super) fn pass(
    source: &mut Side,
    sink: &mut Side,
    around: Surroundings<'_>,
    context: &mut Context<'_>,
) -> Result<(), Broken> {
    loop {
        match poll_write(source, sink, around, context) {
            Poll::Ready(Ok(())) => sink.stuck = None,
            Poll::Ready(Err(_)) => {
                sink.is_gone = true;
                return Err(Broken::SinkGone);
            }
            Poll::Pending => {
                sink.stuck.get_or_insert(around.now);
                return Ok(());
            }
        }
        if source.closed.is_some() {
            // What follows a close frame has no meaning; it is read to see the end.
            source.input.clear();
        } else {
            source
                .look(!sink.own.is_empty(), around.mark)
                .map_err(Broken::Source)?;
            sink.is_told |= source.closed.is_some();
            if source.cleared > 0 {
                continue;
            }
        }
        if source.is_gone {
            return Ok(());
        }
        match source.poll_fill(around, context) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(())) if source.closed.is_some() => return Ok(()),
            Poll::Ready(Err(())) => return Err(Broken::SourceGone),
            Poll::Pending => return Ok(()),
        }
    }
}

/// Writes what may be passed on, and frames from here where they have a place. Ready when all of that
/// is out.
pub(super) fn poll_write(
    source: &mut Side,
    sink: &mut Side,
    around: Surroundings<'_>,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while source.cleared > 0 {
        if sink.is_gone {
            source.input.advance(source.cleared);
            source.cleared = 0;
            break;
        }
        let written = ready!(
            sink.end
                .poll_write(&mut source.input, source.cleared, context)
        )?;
        source.cleared -= written;
        sink.stuck = None;
        if !source.frames.are_between() {
            // It cannot be asked within a frame; that it takes it has to do.
            sink.heard = around.now;
        }
    }
    if sink.is_gone {
        return Poll::Ready(Ok(()));
    }
    while !sink.own.is_empty() && source.frames.are_between() {
        let count = sink.own.len();
        ready!(sink.end.poll_write(&mut sink.own, count, context))?;
    }
    if sink.own.is_empty() {
        sink.own = BytesMut::new();
    }
    sink.end.poll_flush(context)
}
