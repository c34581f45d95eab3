//! The encoders of one worker.

use std::cell::{Cell, RefCell};

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderDestroyInstance, BrotliEncoderOperation, BrotliEncoderParameter,
    BrotliEncoderStateStruct,
};
use flate2::{Compress, Compression, FlushCompress, Status};
use weir_config::model::Coding;
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

/// Spare encoders kept of a kind.
const MOST_KEPT: usize = 8;
/// Answers that one worker compresses at the same time. More are sent as they are: an encoder takes up
/// to 3 MiB, and clients that read slowly must not be able to take thousands.
const MOST_AT_ONCE: usize = 256;
/// Room for what one step writes.
const ROOM: usize = 16 * 1024;
/// Window of deflate (RFC 1951).
const GZIP_WINDOW: u8 = 15;
/// Windows of Brotli and Zstandard, as exponents of two: what an answer's encoder may look back on.
/// Their own defaults of several MiB would cost as much memory for each answer.
const LARGEST_WINDOW: u32 = 18;
/// Tables of Zstandard, likewise: its higher levels would take 40 MiB.
const ZSTD_TABLES: u32 = 17;
const SMALLEST_BROTLI_WINDOW: u32 = 14;
/// From level 5 on, smaller windows need tables that the crate lacks; it takes the largest for them.
const SMALLEST_WINDOW_OF_GOOD_BROTLI: u32 = 17;
/// Above this length it takes tables of 4 MiB and more.
const LARGEST_BROTLI_HINT: u32 = (1 << 20) - 1;

/// Encoders in use and kept, and room to write into.
///
/// Making an encoder means to allocate and clear some hundred KiB, which takes longer than to compress a
/// small answer. So those of gzip and Zstandard are used again; Brotli's cannot be reset.
pub(crate) struct Encoders {
    gzip: RefCell<Vec<Gzip>>,
    zstd: RefCell<Vec<CCtx<'static>>>,
    in_use: Cell<usize>,
    /// Shared by all: a step is over before another one begins.
    room: RefCell<Box<[u8]>>,
}

struct Gzip {
    compress: Compress,
    level: u32,
}

/// Compresses one answer.
pub(super) struct Encoder {
    pub(super) coding: Coding,
    state: State,
}

enum State {
    Gzip(Gzip),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Zstd(CCtx<'static>),
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Take the input; write what is due.
    Take,
    /// Write all that was taken, so that it can be decoded.
    Flush,
    /// Write the end.
    Finish,
}

/// What a step did.
pub(super) struct Step {
    /// Bytes of the input that were taken.
    pub(super) taken: usize,
    /// Bytes that were written.
    pub(super) written: usize,
    /// Whether the goal is reached; otherwise another step is needed.
    pub(super) is_done: bool,
}

/// The encoder failed; it should not.
#[derive(Debug)]
pub(super) struct Broken;

impl Default for Encoders {
    fn default() -> Self {
        Self {
            gzip: RefCell::default(),
            zstd: RefCell::default(),
            in_use: Cell::new(0),
            room: RefCell::new(Box::from([0; ROOM])),
        }
    }
}

impl Encoders {
    /// An encoder for an answer of this length, if known; `None` if too many are in use.
    pub(super) fn take(&self, coding: Coding, level: u32, length: Option<u64>) -> Option<Encoder> {
        if self.in_use.get() >= MOST_AT_ONCE {
            return None;
        }
        let state = match coding {
            Coding::Gzip => State::Gzip(self.take_gzip(level)?),
            Coding::Brotli => State::Brotli(new_brotli(level, length)),
            Coding::Zstd => State::Zstd(self.take_zstd(level, length)?),
        };
        self.in_use.set(self.in_use.get() + 1);
        Some(Encoder { coding, state })
    }

    fn take_gzip(&self, level: u32) -> Option<Gzip> {
        let kept = self.gzip.borrow_mut().pop();
        let Some(mut gzip) = kept else {
            let compress = Compress::new_gzip(Compression::new(level), GZIP_WINDOW);
            return Some(Gzip { compress, level });
        };
        gzip.compress.reset();
        if gzip.level != level {
            gzip.compress.set_level(Compression::new(level)).ok()?;
            gzip.level = level;
        }
        Some(gzip)
    }

    fn take_zstd(&self, level: u32, length: Option<u64>) -> Option<CCtx<'static>> {
        let kept = self.zstd.borrow_mut().pop();
        let mut zstd = kept.or_else(CCtx::try_create)?;
        zstd.reset(ResetDirective::SessionAndParameters).ok()?;
        let level = i32::try_from(level).unwrap_or_default();
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(window(length, 10)),
            CParameter::HashLog(ZSTD_TABLES),
            CParameter::ChainLog(ZSTD_TABLES),
        ] {
            zstd.set_parameter(parameter).ok()?;
        }
        // Written into the frame, and its tables are made no larger than needed. What the upstream
        // stated is what comes: the body is cut to it.
        zstd.set_pledged_src_size(length).ok()?;
        Some(zstd)
    }

    /// Takes an encoder back, used up or not.
    pub(super) fn give(&self, encoder: Encoder) {
        self.in_use.set(self.in_use.get() - 1);
        match encoder.state {
            State::Gzip(gzip) => keep(&self.gzip, gzip),
            State::Zstd(zstd) => keep(&self.zstd, zstd),
            State::Brotli(mut brotli) => BrotliEncoderDestroyInstance(&mut brotli),
        }
    }

    /// Runs a step and hands over what was written.
    pub(super) fn step<T>(
        &self,
        encoder: &mut Encoder,
        input: &[u8],
        goal: Goal,
        read: impl FnOnce(&Step, &[u8]) -> T,
    ) -> Result<T, Broken> {
        let room = &mut *self.room.borrow_mut();
        let step = encoder.step(input, room, goal)?;
        Ok(read(&step, &room[..step.written]))
    }
}

fn keep<T>(kept: &RefCell<Vec<T>>, encoder: T) {
    let mut kept = kept.borrow_mut();
    if kept.len() < MOST_KEPT {
        kept.push(encoder);
    }
}

/// The exponent of a window that holds the whole answer, within bounds.
fn window(length: Option<u64>, smallest: u32) -> u32 {
    let needed = length.map_or(LARGEST_WINDOW, |length| {
        length.max(1).next_power_of_two().ilog2()
    });
    needed.clamp(smallest, LARGEST_WINDOW)
}

fn new_brotli(level: u32, length: Option<u64>) -> Box<BrotliEncoderStateStruct<StandardAlloc>> {
    use BrotliEncoderParameter::{
        BROTLI_PARAM_LGWIN, BROTLI_PARAM_QUALITY, BROTLI_PARAM_SIZE_HINT,
    };
    let mut brotli = BrotliEncoderStateStruct::new(StandardAlloc::default());
    let hint = length.map_or(0, |length| {
        u32::try_from(length).map_or(LARGEST_BROTLI_HINT, |length| {
            length.min(LARGEST_BROTLI_HINT)
        })
    });
    let smallest = if level < 5 {
        SMALLEST_BROTLI_WINDOW
    } else {
        SMALLEST_WINDOW_OF_GOOD_BROTLI
    };
    brotli.set_parameter(BROTLI_PARAM_QUALITY, level);
    brotli.set_parameter(BROTLI_PARAM_LGWIN, window(length, smallest));
    brotli.set_parameter(BROTLI_PARAM_SIZE_HINT, hint);
    Box::new(brotli)
}

impl Encoder {
    fn step(&mut self, input: &[u8], room: &mut [u8], goal: Goal) -> Result<Step, Broken> {
        match &mut self.state {
            State::Gzip(gzip) => step_gzip(&mut gzip.compress, input, room, goal),
            State::Brotli(brotli) => step_brotli(brotli, input, room, goal),
            State::Zstd(zstd) => step_zstd(zstd, input, room, goal),
        }
    }
}

fn step_gzip(
    compress: &mut Compress,
    input: &[u8],
    room: &mut [u8],
    goal: Goal,
) -> Result<Step, Broken> {
    let flush = match goal {
        Goal::Take => FlushCompress::None,
        Goal::Flush => FlushCompress::Sync,
        Goal::Finish => FlushCompress::Finish,
    };
    let (before_in, before_out) = (compress.total_in(), compress.total_out());
    let status = compress.compress(input, room, flush).map_err(|_| Broken)?;
    let taken = (compress.total_in() - before_in) as usize;
    let written = (compress.total_out() - before_out) as usize;
    Ok(Step {
        taken,
        written,
        is_done: match goal {
            Goal::Finish => status == Status::StreamEnd,
            // With room left there was nothing more to write.
            Goal::Take | Goal::Flush => taken == input.len() && written < room.len(),
        },
    })
}

fn step_zstd(
    zstd: &mut CCtx<'static>,
    input: &[u8],
    room: &mut [u8],
    goal: Goal,
) -> Result<Step, Broken> {
    let directive = match goal {
        Goal::Take => ZSTD_EndDirective::ZSTD_e_continue,
        Goal::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        Goal::Finish => ZSTD_EndDirective::ZSTD_e_end,
    };
    let size = room.len();
    let mut input = InBuffer::around(input);
    let mut output = OutBuffer::around(room);
    let left = zstd
        .compress_stream2(&mut output, &mut input, directive)
        .map_err(|_| Broken)?;
    let written = output.pos();
    Ok(Step {
        taken: input.pos,
        written,
        is_done: match goal {
            Goal::Take => input.pos == input.src.len() && written < size,
            Goal::Flush | Goal::Finish => left == 0,
        },
    })
}

fn step_brotli(
    brotli: &mut BrotliEncoderStateStruct<StandardAlloc>,
    input: &[u8],
    room: &mut [u8],
    goal: Goal,
) -> Result<Step, Broken> {
    let operation = match goal {
        Goal::Take => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        Goal::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
        Goal::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
    };
    let (mut left_in, mut taken) = (input.len(), 0);
    let (mut left_out, mut written) = (room.len(), 0);
    let is_fine = brotli.compress_stream(
        operation,
        &mut left_in,
        input,
        &mut taken,
        &mut left_out,
        room,
        &mut written,
        &mut None,
        &mut |_, _, _, _| (),
    );
    if !is_fine {
        return Err(Broken);
    }
    Ok(Step {
        taken,
        written,
        is_done: match goal {
            Goal::Finish => brotli.is_finished(),
            Goal::Take | Goal::Flush => left_in == 0 && !brotli.has_more_output(),
        },
    })
}

#[cfg(test)]
mod tests;
