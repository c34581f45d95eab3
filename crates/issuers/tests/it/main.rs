//! Issuers as they are met: real servers on loopback that answer, lie, stall and die.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod following;
mod introspection;
mod server;
