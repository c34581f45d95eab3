//! What a run may use up, and how far it is.
//!
//! The interpreter of jq has no bounds of its own. It does ask for the program before each step,
//! however deep it is in a loop, and it makes values with our operations only. Both come here: once
//! something is used up, the program that it is handed is one that halts at every step, and no value
//! grows any more. The meter is the thread's because a value's operations cannot be handed one.

use std::cell::Cell;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u64 = 128;

/// Nesting of values: what any recursion over them costs is bounded by it.
pub(crate) const MOST_DEPTH: u32 = 200;

/// What a run may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Steps of the program.
    pub steps: u64,
    /// Time that it computes, as the processor has it: nobody pays for a busy machine.
    pub time: Duration,
    /// Bytes of all values that it makes, whether it keeps them or not.
    pub memory: u64,
    /// Bytes of its result.
    pub output: usize,
    /// Bytes of the stack below the caller.
    pub stack: usize,
}

/// Why a run ended without a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// The input is no JSON (RFC 8259).
    #[error("the body is not JSON")]
    NotJson,
    /// Too many steps, or too long.
    #[error("the program took too long")]
    Time,
    /// Values became too large, or too many.
    #[error("the program made too much")]
    Memory,
    /// Values or calls are nested too deeply.
    #[error("the program, or a value, is nested too deeply")]
    Depth,
    /// The result is too large.
    #[error("the result is too large")]
    Output,
    /// The program says so: an error that it does not catch.
    #[error("the program failed: {0}")]
    Failed(String),
}

impl Stop {
    /// The program's own words, shortened: it may quote all of its input.
    pub(crate) fn failed(message: &str) -> Self {
        let plain = message.chars().filter(|character| !character.is_control());
        Self::Failed(plain.take(120).collect())
    }

    /// Whether a larger budget could make a difference.
    pub fn is_exhaustion(&self) -> bool {
        matches!(self, Self::Time | Self::Memory | Self::Depth)
    }
}

struct Meter {
    steps: Cell<u64>,
    memory: Cell<u64>,
    /// What a single value may weigh.
    weight: Cell<u64>,
    ends: Cell<Duration>,
    /// Address that the stack must not grow below.
    floor: Cell<usize>,
    stop: Cell<Option<Exhausted>>,
}

#[derive(Clone, Copy)]
enum Exhausted {
    Time,
    Memory,
    Depth,
}

thread_local! {
    static METER: Meter = const {
        Meter {
            steps: Cell::new(0),
            memory: Cell::new(0),
            weight: Cell::new(0),
            ends: Cell::new(Duration::MAX),
            floor: Cell::new(0),
            stop: Cell::new(None),
        }
    };
}

/// Runs something with this budget; what it used up too much of outranks what it says.
pub(crate) fn run<T>(budget: &Budget, work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
    METER.with(|meter| {
        meter.steps.set(budget.steps);
        meter.memory.set(budget.memory);
        meter.weight.set(budget.memory);
        meter.ends.set(computed().saturating_add(budget.time));
        meter.floor.set(stack().saturating_sub(budget.stack));
        meter.stop.set(None);
    });
    let outcome = work();
    match stopped() {
        Some(stop) => Err(stop),
        None => outcome,
    }
}

/// Why the run has to end, if it has.
pub(crate) fn stopped() -> Option<Stop> {
    METER.with(|meter| match meter.stop.get()? {
        Exhausted::Time => Some(Stop::Time),
        Exhausted::Memory => Some(Stop::Memory),
        Exhausted::Depth => Some(Stop::Depth),
    })
}

/// A step; `false` if the run is over.
pub(crate) fn step() -> bool {
    METER.with(|meter| {
        if meter.stop.get().is_some() {
            return false;
        }
        let left = meter.steps.get();
        if left == 0 || (left.is_multiple_of(STEPS_PER_LOOK) && computed() > meter.ends.get()) {
            meter.stop.set(Some(Exhausted::Time));
            return false;
        }
        meter.steps.set(left - 1);
        if stack() < meter.floor.get() {
            meter.stop.set(Some(Exhausted::Depth));
            return false;
        }
        true
    })
}

/// Work that is known before it is done, a step for every 64 bytes; `false` if there is not that much
/// left.
pub(crate) fn work(bytes: u64) -> bool {
    METER.with(|meter| {
        let left = meter.steps.get().checked_sub(bytes / 64);
        if left.is_none() {
            meter.stop.set(Some(Exhausted::Time));
        }
        meter.steps.set(left.unwrap_or(0));
        left.is_some() && meter.stop.get().is_none()
    })
}

/// Takes memory; `false` if there is none left.
pub(crate) fn take(bytes: u64) -> bool {
    METER.with(|meter| {
        if meter.stop.get().is_some() {
            return false;
        }
        let left = meter.memory.get().checked_sub(bytes);
        if left.is_none() {
            meter.stop.set(Some(Exhausted::Memory));
        }
        meter.memory.set(left.unwrap_or(0));
        left.is_some()
    })
}

/// Whether a value of this weight is not too much; if it is, the run is over.
pub(crate) fn holds(weight: u64) -> bool {
    METER.with(|meter| {
        let is_held = weight <= meter.weight.get();
        if !is_held {
            meter.stop.set(Some(Exhausted::Memory));
        }
        is_held && meter.stop.get().is_none()
    })
}

/// A value is nested too deeply.
pub(crate) fn too_deep() {
    METER.with(|meter| meter.stop.set(Some(Exhausted::Depth)));
}

/// Processor time of this thread.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// About where the stack ends now.
#[inline(never)]
fn stack() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}
