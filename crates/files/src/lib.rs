//! Small files that outlive the process: replaced whole or not at all, durable before anybody is told
//! so, and readable by their owner only.
//!
//! [`replace`] is for who may wait for a disk; a [`Writer`] takes files from those who may not. What is
//! in the files is their owners' business.

mod atomic;
mod writer;

pub use atomic::{read, remove, replace};
pub use writer::{Writer, Written};
