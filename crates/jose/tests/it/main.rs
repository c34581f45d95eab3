//! What others wrote to find the mistakes of libraries like this one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod wycheproof;
