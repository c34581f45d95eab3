//! Hostile input against the real binary: raw sockets in front, strict servers behind.
//!
//! What must hold: a request is forwarded only if every reasonable parser reads it alike, every
//! phase of a connection ends at its deadline, memory stays bounded, and others are served
//! meanwhile. `docs/hardening.md` says the same for operators.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests, too; figures are printed for whoever runs them"
)]

mod differential;
#[path = "../common/ending.rs"]
mod ending;
mod framing;
mod harness;
mod headers;
mod http2;
mod paths;
mod slow;
mod throttled;
