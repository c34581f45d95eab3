//! WebSockets, frame by frame from either side, and between clients and servers of others.

mod frames;
mod handshake;
mod http2;
mod life;
mod peers;
mod traced;

use std::net::SocketAddr;
use std::sync::mpsc;

use crate::harness::{Message, Upstream, Weir, Wire};

/// That of RFC 6455 §1.3, with what a server answers to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// A frame as it stands on the wire, its payload without a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    /// With the bits for the end of a message and extensions.
    first: u8,
    payload: Vec<u8>,
}

impl Frame {
    fn last(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            first: 0x80 | opcode,
            payload: payload.as_ref().to_vec(),
        }
    }

    fn more(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            first: opcode,
            payload: payload.as_ref().to_vec(),
        }
    }

    fn close(code: u16) -> Self {
        Self::last(CLOSE, code.to_be_bytes())
    }

    /// As a server sends it.
    fn plain(&self) -> Vec<u8> {
        self.bytes(None)
    }

    /// As a client sends it.
    fn masked(&self) -> Vec<u8> {
        self.bytes(Some([0x5A, 0xA5, 0x0F, 0xF0]))
    }

    fn bytes(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut bytes = vec![self.first];
        let bit = if mask.is_some() { 0x80 } else { 0 };
        match self.payload.len() {
            length @ 0..=125 => bytes.push(bit | length as u8),
            length @ 126..=0xFFFF => {
                bytes.push(bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(bit | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        let mask = mask.inspect(|mask| bytes.extend(mask)).unwrap_or_default();
        let masked = self.payload.iter().zip(mask.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// The next one that comes; `None` at the end.
    fn read(wire: &mut Wire) -> Option<Self> {
        let mut take = |length| {
            let bytes = wire.take(length);
            (bytes.len() == length).then_some(bytes)
        };
        let head = take(2)?;
        let length = match head[1] & 0x7F {
            126 => u16::from_be_bytes(take(2)?.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(take(8)?.try_into().unwrap()) as usize,
            short => usize::from(short),
        };
        let mask = match head[1] & 0x80 {
            0 => vec![0; 4],
            _ => take(4)?,
        };
        let masked = take(length)?;
        let bytes = masked.iter().zip(mask.iter().cycle());
        Some(Self {
            first: head[0],
            payload: bytes.map(|(byte, mask)| byte ^ mask).collect(),
        })
    }
}

/// The code of a close frame.
fn code(frame: Option<Frame>) -> u16 {
    let frame = frame.expect("a frame");
    assert_eq!(frame.first, 0x80 | CLOSE, "{frame:?}");
    u16::from_be_bytes(frame.payload[..2].try_into().unwrap())
}

/// A configuration whose only route goes there, with these settings.
fn config(upstream: SocketAddr, settings: &str) -> String {
    format!(
        "drain_timeout: 8s\n\
         upstreams:\n  up: {{ targets: [\"{upstream}\"] }}\n\
         routes:\n  - {{ name: chat, match: {{ path: /* }}, upstream: up, websocket: {settings} }}\n"
    )
}

fn request(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// Asks for a WebSocket; what comes before a 101 is a failure.
fn open(address: SocketAddr, fields: &str) -> (Wire, Message) {
    let mut wire = Wire::connect(address);
    wire.send(request("/", fields));
    let head = wire.head().expect("an answer");
    assert_eq!(head.status(), 101, "{head:?}");
    (wire, head)
}

/// Agrees to every WebSocket and hands its wire to the test.
struct Server {
    upstream: Upstream,
    wires: mpsc::Receiver<(Wire, Message)>,
}

impl Server {
    fn start() -> Self {
        Self::agreeing("")
    }

    /// With these fields in the 101.
    fn agreeing(fields: &'static str) -> Self {
        let (sender, wires) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let upstream = Upstream::new(move |mut wire| {
            if let Some(request) = wire.request() {
                let accept = accept(request.get("sec-websocket-key").unwrap_or_default());
                wire.send(format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n{fields}\r\n"
                ));
                let _ = sender.lock().unwrap().send((wire, request));
            }
        });
        Self { upstream, wires }
    }

    fn next(&self) -> (Wire, Message) {
        let patience = crate::harness::PATIENCE;
        self.wires.recv_timeout(patience).expect("a WebSocket")
    }
}

fn accept(key: &str) -> String {
    use aws_lc_rs::digest;
    use base64::Engine;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hash)
}

/// A Weir, and both ends of a WebSocket through it.
fn pair(settings: &str) -> (Weir, Wire, Wire, Server) {
    let server = Server::start();
    let weir = Weir::start(&config(server.upstream.address, settings));
    let (client, _) = open(weir.http(), "");
    let (target, _) = server.next();
    (weir, client, target, server)
}

/// The access record of the only WebSocket.
fn record(weir: &Weir) -> serde_json::Value {
    let mut record = serde_json::Value::Null;
    crate::harness::wait_until("the WebSocket is recorded", || {
        let log = weir.log();
        let line = log
            .lines()
            .find(|line| line.contains("weir.websocket.close_code"));
        if let Some(line) = line {
            record = serde_json::from_str(line).unwrap();
        }
        line.is_some()
    });
    record
}
