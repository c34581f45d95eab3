//! The crate as its callers see it, against what others wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod node;
mod vectors;
