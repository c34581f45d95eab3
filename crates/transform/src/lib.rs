//! Programs that change JSON: jq, templates, and the sugar that becomes jq.
//!
//! Programs are the operator's, what they work on is anybody's. Neither can take more than it was
//! given: every run has a [`Budget`] of steps, time, memory and output, and a run that uses it up
//! ends with a [`Stop`], whatever it was doing. No run reads files, the environment or the clock of
//! another run; each is a function of its [`Input`].
//!
//! This crate does no I/O and starts no threads: who runs what where is the caller's business.

mod access;
mod arithmetic;
mod jq;
mod json;
mod meter;
mod natives;
mod normalize;
mod number;
mod order;
mod program;
mod regex;
mod template;
mod value;

#[cfg(test)]
mod tests;

/// Stack that a thread needs whose runs may take all of their steps: the interpreter keeps lists that
/// are dropped by recursion, one call an item. Threads have it at their disposal only; it takes memory
/// when a run goes so deep.
pub const STACK: usize = 256 << 20;

pub use json::{is_json, quote};
pub use meter::{Budget, Stop};
pub use normalize::{Keys, Kind, Moment, Normalize, Path};
pub use program::{Escape, Fault, Input, Program};
