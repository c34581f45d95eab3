//! A body that is compressed while it is read.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::compress::remove_digests;
use super::encoder::{Broken, Encoder, Encoders, Goal};
use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::metrics::WorkerCounters;
use crate::timer::Timer;
use crate::worker::Worker;

/// Bytes that are compressed before others get their turn: about a millisecond at the usual levels.
const MOST_AT_ONCE: usize = 64 * 1024;

/// Bytes that are sent before the source rests.
const PIECE: usize = 8 * 1024;

/// How long what arrived is held back for better compression; only of a body whose end is in sight.
const HELD_BACK: Duration = Duration::from_millis(50);

/// A body that is compressed while it is read.
///
/// What was read is written out whenever the source has nothing more for now: a stream is not held
/// back, and each event leaves when it came. Of a body with a stated length, which is no stream, that
/// waits until a pause, since every time costs a few bytes.
pub(crate) struct Encoded {
    source: Body,
    /// Given back at the end.
    encoder: Option<Encoder>,
    encoders: Rc<Encoders>,
    counters: std::sync::Arc<WorkerCounters>,
    /// What the encoder has yet to take.
    input: Bytes,
    /// What it wrote, until that is worth to be sent.
    output: BytesMut,
    /// Whether the encoder holds what it was given.
    holds: bool,
    /// Whether all that it holds is being written out.
    is_flushing: bool,
    /// Until it passes, what arrived may be held back; `None` of a stream, of which nothing is.
    pause: Option<Timer>,
    stage: Stage,
}

impl std::fmt::Debug for Encoded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Encoded({:?}, {:?})", self.stage, self.source)
    }
}

type Next = Poll<Option<Result<Frame, Failure>>>;

#[derive(Debug)]
enum Stage {
    Reading,
    /// The source has ended, perhaps with trailers.
    Ending(Option<Fields>),
    /// The source broke off; what came before is the client's all the same.
    Failing(Failure),
    /// Only trailers are left, if there are some.
    Ended(Option<Fields>),
}

impl Encoded {
    pub(super) fn new(
        source: Body,
        encoder: Encoder,
        worker: &Worker,
        is_length_known: bool,
    ) -> Self {
        let pause = is_length_known.then(|| worker.timers.register());
        if let Some(pause) = &pause {
            pause.set(HELD_BACK);
        }
        worker.counters.compression[encoder.coding as usize]
            .answers
            .add(1);
        Self {
            source,
            encoder: Some(encoder),
            encoders: Rc::clone(&worker.encoders),
            counters: std::sync::Arc::clone(&worker.counters),
            input: Bytes::new(),
            output: BytesMut::new(),
            holds: false,
            is_flushing: false,
            pause,
            stage: Stage::Reading,
        }
    }

    /// Bytes still to come: nobody knows before the end.
    pub(crate) fn length(&self) -> Option<u64> {
        let is_over = matches!(self.stage, Stage::Ended(None)) && self.output.is_empty();
        is_over.then_some(0)
    }

    /// What is compressed.
    pub(crate) fn source(&mut self) -> &mut Body {
        &mut self.source
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        self.poll_encoded(context).unwrap_or_else(|Broken| {
            self.end(None);
            self.output.clear();
            Poll::Ready(Some(Err(Failure::EncodingFailed)))
        })
    }

    fn poll_encoded(&mut self, context: &mut Context<'_>) -> Result<Next, Broken> {
        let mut left = MOST_AT_ONCE;
        loop {
            if self.output.len() >= PIECE {
                return Ok(self.send());
            }
            // To its end: Brotli takes nothing in the middle of it.
            if self.is_flushing {
                self.flush()?;
                continue;
            }
            if !self.input.is_empty() {
                if left == 0 {
                    context.waker().wake_by_ref();
                    return Ok(Poll::Pending);
                }
                left -= self.take(left)?;
                continue;
            }
            match &mut self.stage {
                Stage::Reading => match self.source.poll_frame(context) {
                    Poll::Ready(Some(Ok(Frame::Data(bytes)))) => self.input = bytes,
                    Poll::Ready(Some(Ok(Frame::Trailers(mut fields)))) => {
                        remove_digests(&mut fields);
                        self.stage = Stage::Ending(Some(fields));
                    }
                    Poll::Ready(None) => self.stage = Stage::Ending(None),
                    Poll::Ready(Some(Err(failure))) => self.stage = Stage::Failing(failure),
                    Poll::Pending if self.is_held_back(context) => return Ok(Poll::Pending),
                    Poll::Pending if self.holds => self.flush()?,
                    Poll::Pending if self.output.is_empty() => return Ok(Poll::Pending),
                    Poll::Pending => return Ok(self.send()),
                },
                Stage::Ending(trailers) => {
                    let trailers = trailers.take();
                    if self.step(0, Goal::Finish)?.1 {
                        self.end(trailers);
                    } else {
                        self.stage = Stage::Ending(trailers);
                    }
                }
                Stage::Failing(_) if self.holds => self.flush()?,
                Stage::Failing(_) | Stage::Ended(_) if !self.output.is_empty() => {
                    return Ok(self.send());
                }
                Stage::Failing(failure) => {
                    let failure = *failure;
                    self.end(None);
                    return Ok(Poll::Ready(Some(Err(failure))));
                }
                Stage::Ended(trailers) => {
                    let trailers = trailers.take();
                    return Ok(Poll::Ready(
                        trailers.map(|fields| Ok(Frame::Trailers(fields))),
                    ));
                }
            }
        }
    }

    /// Whether nothing is sent yet although the source rests; the task is woken when that ends.
    fn is_held_back(&self, context: &Context<'_>) -> bool {
        let pause = self.pause.as_ref();
        pause.is_some_and(|pause| pause.poll(context).is_pending())
    }

    /// Compresses some of the input; tells how much.
    fn take(&mut self, most: usize) -> Result<usize, Broken> {
        let size = self.input.len().min(most);
        let (taken, is_done) = self.step(size, Goal::Take)?;
        self.input.advance(taken);
        self.holds |= taken > 0;
        // Neither taken nor full: it would go on for ever.
        if taken == 0 && is_done {
            return Err(Broken);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> Result<(), Broken> {
        self.is_flushing = !self.step(0, Goal::Flush)?.1;
        self.holds = self.is_flushing;
        Ok(())
    }

    /// How much of the input the encoder took, and whether it reached the goal.
    fn step(&mut self, size: usize, goal: Goal) -> Result<(usize, bool), Broken> {
        let encoder = self.encoder.as_mut().ok_or(Broken)?;
        let counters = &self.counters.compression[encoder.coding as usize];
        let (input, output) = (&self.input[..size], &mut self.output);
        self.encoders.step(encoder, input, goal, |step, written| {
            counters.taken.add(step.taken as u64);
            counters.written.add(written.len() as u64);
            if !written.is_empty() {
                // Copied: the encoders share the room they write to, and this is a fraction of the answer.
                output.reserve(written.len().max(PIECE / 2));
                output.extend_from_slice(written);
            }
            (step.taken, step.is_done)
        })
    }

    fn send(&mut self) -> Next {
        if let Some(pause) = &self.pause {
            pause.set(HELD_BACK);
        }
        Poll::Ready(Some(Ok(Frame::Data(self.output.split().freeze()))))
    }

    /// The encoder is free before the client has taken all.
    fn end(&mut self, trailers: Option<Fields>) {
        self.stage = Stage::Ended(trailers);
        if let Some(encoder) = self.encoder.take() {
            self.encoders.give(encoder);
        }
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        self.end(None);
    }
}
