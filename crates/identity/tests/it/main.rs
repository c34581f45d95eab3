//! Organizations and people, on both engines alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod engines;
mod erase;
mod organizations;
mod roles;
mod users;
