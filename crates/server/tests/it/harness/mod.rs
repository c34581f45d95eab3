//! What the tests stand on: a running Weir, peers on both sides of it, and clients.

mod curl;
mod http2;
mod load;
mod otlp;
mod pki;
mod process;
mod servers;
mod upstream;
mod weir;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use curl::{Curl, curl, curl_fed};
pub use http2::{H2Client, block_on};
pub use load::Load;
pub use otlp::Receiver;
pub use pki::{Authority, Leaf};
pub use process::{Process, anonymous_memory, memory, send, tool};
pub use servers::{Httpbin, JsonServer, Nginx, NodeScript, peer};
pub use upstream::{Upstream, answer};
pub use weir::{Ran, Setup, Weir, forward};
pub use weir_testkit::{free_port, installed};
pub use wire::{Message, Wire};

/// Longest wait for anything that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until the condition holds; fails with the sentence when it never does.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_within(PATIENCE, what, condition);
}

/// The same within a time of one's own.
#[allow(
    clippy::disallowed_methods,
    reason = "polls from the outside; there is no event to wait for"
)]
pub fn wait_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Keeps measuring tests from running beside each other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that differ from place to place, so that a lost or doubled piece shows.
pub fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut bytes = Vec::with_capacity(length + 4);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
