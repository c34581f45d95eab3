//! Between a client and a DNS server: hands questions on, and drops those that it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// The type of records with IPv6 addresses (RFC 3596 §2.1).
pub const AAAA: u16 = 28;

/// Over UDP only. It ends with this value.
pub struct Relay {
    pub address: SocketAddr,
    dropped: Arc<AtomicU16>,
    _task: JoinSet<()>,
}

impl Relay {
    pub async fn start(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let dropped = Arc::new(AtomicU16::new(0));
        let is_dropped = Arc::clone(&dropped);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let question = &buffer[..length];
                if kind(question) == Some(is_dropped.load(Ordering::Relaxed)) {
                    continue;
                }
                // The server answers each question, so that one after the other will do.
                other.send_to(question, server).await.unwrap();
                let length = other.recv(&mut buffer).await.unwrap();
                socket.send_to(&buffer[..length], client).await.unwrap();
            }
        });
        Self {
            address,
            dropped,
            _task: task,
        }
    }

    /// Questions for this type of records get no answer from now on.
    pub fn drop(&self, kind: u16) {
        self.dropped.store(kind, Ordering::Relaxed);
    }
}

/// The type of record that a question is for (RFC 1035 §4.1.2).
fn kind(question: &[u8]) -> Option<u16> {
    let mut at = 12;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1 + length;
        if length == 0 {
            let kind = question.get(at..at + 2)?;
            return Some(u16::from_be_bytes([kind[0], kind[1]]));
        }
    }
}
