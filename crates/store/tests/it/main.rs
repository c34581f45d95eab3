//! What the records promise, held on both engines alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod backup;
mod changes;
mod crash;
mod engines;
mod isolation;
mod migrations;
mod notices;
mod outage;
mod plans;
mod refusals;
