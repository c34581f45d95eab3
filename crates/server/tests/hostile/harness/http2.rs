//! An HTTP/2 client that writes frames by hand (RFC 9113 §4.1), valid or not.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::http1;

/// What a client with prior knowledge says first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// How a stream or its connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an answer of this status and this body.
    Answered(u16, Vec<u8>),
    /// `RST_STREAM` with this code.
    Reset(u32),
    /// `GOAWAY` with this code.
    GoAway(u32),
    /// Without a word.
    Closed,
}

impl Ended {
    /// Whether the request was refused, in whichever way.
    pub(crate) fn is_refusal(&self) -> bool {
        !matches!(self, Self::Answered(status, _) if *status < 400)
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(status, _) => Some(*status),
            _ => None,
        }
    }
}

/// A field's name and value.
pub(crate) type Field<'a> = (&'a [u8], &'a [u8]);

/// A connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next_stream: u32,
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = Vec::with_capacity(9 + payload.len());
    bytes.extend_from_slice(&length[1..]);
    bytes.push(kind);
    bytes.push(flags);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// One setting.
pub(crate) fn setting(identifier: u16, value: u32) -> Vec<u8> {
    let mut bytes = identifier.to_be_bytes().to_vec();
    bytes.extend_from_slice(&value.to_be_bytes());
    bytes
}

/// A header block of literals without indexing (RFC 7541 §6.2.2): says exactly what it is told.
pub(crate) fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        string(&mut bytes, name);
        string(&mut bytes, value);
    }
    bytes
}

/// A string literal without Huffman coding (RFC 7541 §5.2).
pub(crate) fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        bytes.push(length as u8);
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push((length % 128) as u8 | 128);
            length /= 128;
        }
        bytes.push(length as u8);
    }
    bytes.extend_from_slice(text);
}

/// The fields of an ordinary GET.
pub(crate) fn get(path: &str) -> [Field<'_>; 4] {
    [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"a.test"),
        (b":path", path.as_bytes()),
    ]
}

impl Client {
    /// Connects and says hello. The header table is turned off so that answers can be read without
    /// keeping one.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::with_settings(address, &setting(1, 0))
    }

    /// Connects with these settings.
    pub(crate) fn with_settings(address: SocketAddr, settings: &[u8]) -> Self {
        let mut stream = http1::connect(address);
        stream.write_all(PREFACE).unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, settings)).unwrap();
        Self {
            stream,
            next_stream: 1,
        }
    }

    /// A client for a connection that another one opened.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            next_stream: 1,
        }
    }

    /// Writes bytes; tells whether the connection took them.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next identifier of a stream.
    pub(crate) fn new_stream(&mut self) -> u32 {
        self.next_stream += 2;
        self.next_stream - 2
    }

    /// Sends a whole request without body and waits for its end.
    pub(crate) fn request(&mut self, fields: &[Field<'_>]) -> Ended {
        let id = self.new_stream();
        self.write(&frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            id,
            &block(fields),
        ));
        self.outcome(id)
    }

    /// The next frame; `None` when the connection is closed.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        read_exact(&mut self.stream, &mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        read_exact(&mut self.stream, &mut payload)?;
        let stream = u32::from_be_bytes([head[5] & 127, head[6], head[7], head[8]]);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    /// Reads until a stream or the connection ends. Acknowledges settings and opens windows.
    pub(crate) fn outcome(&mut self, id: u32) -> Ended {
        let mut status = None;
        let mut body = Vec::new();
        loop {
            let Some(frame) = self.read() else {
                return Ended::Closed;
            };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    self.write(&self::frame(SETTINGS, ACK, 0, &[]));
                }
                PING if frame.flags & ACK == 0 => {
                    self.write(&self::frame(PING, ACK, 0, &frame.payload));
                }
                GOAWAY => return Ended::GoAway(code(&frame.payload[4..8])),
                RST_STREAM if frame.stream == id => {
                    return match status {
                        // RFC 9113 §8.1: an answer before the request ended.
                        Some(status) if code(&frame.payload) == 0 => Ended::Answered(status, body),
                        _ => Ended::Reset(code(&frame.payload)),
                    };
                }
                HEADERS if frame.stream == id => {
                    status = status.or(Some(read_status(&frame.payload)));
                }
                DATA => {
                    if frame.stream == id {
                        body.extend_from_slice(&frame.payload);
                    }
                    if !frame.payload.is_empty() {
                        let increment = (frame.payload.len() as u32).to_be_bytes();
                        self.write(&self::frame(WINDOW_UPDATE, 0, 0, &increment));
                        self.write(&self::frame(WINDOW_UPDATE, 0, frame.stream, &increment));
                    }
                }
                _ => {}
            }
            let is_last = frame.stream == id
                && matches!(frame.kind, DATA | HEADERS)
                && frame.flags & END_STREAM != 0;
            if let (Some(status), true) = (status, is_last) {
                return Ended::Answered(status, body);
            }
        }
    }

    /// Reads until the connection ends, or says goodbye with this code.
    pub(crate) fn until_end(&mut self) -> Ended {
        loop {
            match self.read() {
                None => return Ended::Closed,
                Some(frame) if frame.kind == GOAWAY => {
                    return Ended::GoAway(code(&frame.payload[4..8]));
                }
                Some(_) => {}
            }
        }
    }
}

fn read_exact(stream: &mut TcpStream, bytes: &mut [u8]) -> Option<()> {
    match stream.read_exact(bytes) {
        Ok(()) => Some(()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ) =>
        {
            None
        }
        Err(error) => panic!("nothing to read: {error}"),
    }
}

fn code(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

/// The `:status` that a header block begins with (RFC 7541 appendix A), its digits Huffman-coded or
/// not.
fn read_status(block: &[u8]) -> u16 {
    let mut at = 0;
    while block[at] & 0xe0 == 0x20 {
        // A change of the table's size; 0 takes one byte.
        at += 1;
    }
    match block[at] {
        0x88 => return 200,
        0x89 => return 204,
        0x8a => return 206,
        0x8b => return 304,
        0x8c => return 400,
        0x8d => return 404,
        0x8e => return 500,
        _ => {}
    }
    assert!(
        matches!(block[at], 0x08 | 0x18 | 0x48),
        "no :status first: {block:02x?}"
    );
    let length = usize::from(block[at + 1] & 127);
    let text = &block[at + 2..at + 2 + length];
    if block[at + 1] & 128 == 0 {
        return std::str::from_utf8(text).unwrap().parse().unwrap();
    }
    let mut bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut status = 0;
    for _ in 0..3 {
        let five = (0..5).fold(0, |code, _| code << 1 | u16::from(bits.next().unwrap()));
        let digit = if five < 3 {
            five
        } else {
            (five << 1 | u16::from(bits.next().unwrap())) - 0b011_001 + 3
        };
        status = status * 10 + digit;
    }
    status
}
