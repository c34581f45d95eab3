//! What the service promises, held on both engines alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod applying;
mod engines;
mod going_back;
mod scale;
mod sealing;
