//! What the tests share: the binary, a strict upstream, and clients that can misbehave.

pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod upstream;
pub(crate) mod weir;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for anything that is expected to happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A free address on loopback. Weir shares ports (`SO_REUSEPORT`), so a port that is free by chance
/// is not enough: each process of tests counts through a range of its own, below the ports that the
/// system gives to outgoing connections.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u32::from(std::process::id() as u16 % 97) * 200;
    loop {
        let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 11_000 + (first + offset) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Asks until the answer is yes.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(
            Instant::now() < deadline,
            "not so after {PATIENCE:?}: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
