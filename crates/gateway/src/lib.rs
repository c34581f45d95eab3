//! The data plane: accepts connections, reads requests, routes and forwards them.
//!
//! Thread per core; nothing is shared on the hot path but one immutable snapshot of the compiled
//! configuration. This crate does not read files, does not know the command line and never waits
//! for anything but the client and the upstream.

pub mod fields;

pub use fields::Fields;
