//! Following frames (RFC 6455 §5.2) without keeping them.

use bytes::BufMut;
use smallvec::SmallVec;

use text::Text;

mod text;

/// Longest payload of a control frame (RFC 6455 §5.5).
const LONGEST_CONTROL: usize = 125;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Why a WebSocket is closed from here (RFC 6455 §7.4.1).
pub(super) const GOING_AWAY: u16 = 1001;
pub(super) const PROTOCOL_ERROR: u16 = 1002;
/// Stands for a close frame without a code; never sent.
pub(super) const NO_CODE: u16 = 1005;
/// Stands for an end without a close frame; never sent.
pub(super) const ABNORMAL: u16 = 1006;
pub(super) const NOT_TEXT: u16 = 1007;
pub(super) const POLICY_VIOLATION: u16 = 1008;
pub(super) const TOO_BIG: u16 = 1009;
/// Registered with IANA for gateways.
pub(super) const BAD_GATEWAY: u16 = 1014;

/// What frames of one side must be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Frames of a client are masked, those of a server are not (§5.1).
    pub(crate) are_masked: bool,
    /// permessage-deflate was agreed on: the first frame of a message may say that it is compressed
    /// (RFC 7692 §6).
    pub(crate) may_compress: bool,
    /// Whether text is looked at. What is compressed is not.
    pub(crate) checks_text: bool,
    pub(crate) max_frame: u64,
    pub(crate) max_message: u64,
}

/// Frames that may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// 1002, 1007 or 1009.
    pub(crate) code: u16,
    /// For the operator.
    pub(crate) rule: &'static str,
}

const fn broken(rule: &'static str) -> Violation {
    Violation {
        code: PROTOCOL_ERROR,
        rule,
    }
}

const fn not_text(rule: &'static str) -> Violation {
    Violation {
        code: NOT_TEXT,
        rule,
    }
}

const fn too_big(rule: &'static str) -> Violation {
    Violation {
        code: TOO_BIG,
        rule,
    }
}

/// What comes next. Control frames count only when they are there as a whole; they may be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More bytes are needed.
    More,
    /// So many bytes of a data frame, so many of them payload.
    Data {
        length: usize,
        payload: u64,
        ends_message: bool,
    },
    /// Its code, if it has one.
    Close {
        length: usize,
        code: Option<u16>,
    },
    Ping {
        length: usize,
    },
    Pong {
        length: usize,
    },
}

/// Where one side is in what it sends.
#[derive(Debug)]
pub(crate) struct Frames {
    rules: Rules,
    /// Payload of the frame under way that is still to come.
    left: u64,
    /// Whether the frame under way ends its message.
    is_last: bool,
    /// Whether a message has begun, and its last frame has not.
    is_fragmented: bool,
    /// Payload of the message under way, as far as its frames announced it.
    message: u64,
    /// If the message under way is text that is looked at.
    text: Option<Text>,
}

impl Frames {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            left: 0,
            is_last: false,
            is_fragmented: false,
            message: 0,
            text: None,
        }
    }

    /// Whether another frame may be put in between here.
    pub(crate) fn are_between(&self) -> bool {
        self.left == 0
    }

    /// Looks at bytes that follow those of the last step.
    pub(crate) fn read(&mut self, input: &[u8]) -> Result<Step, Violation> {
        if self.left > 0 {
            let payload = self.left.min(input.len() as u64);
            if payload == 0 {
                return Ok(Step::More);
            }
            let ends_message = self.is_last && self.left == payload;
            if let Some(text) = &mut self.text
                && !text.follow(&input[..payload as usize], ends_message)
            {
                return Err(not_text("text that is not UTF-8"));
            }
            self.left -= payload;
            return Ok(self.data(payload as usize, payload));
        }
        let Some(header) = Header::read(input, self.rules.are_masked)? else {
            return Ok(Step::More);
        };
        if header.is_control() {
            return self.control(&header, input);
        }
        let is_first = !self.is_fragmented;
        if (header.opcode == CONTINUATION) == is_first {
            return Err(broken(if is_first {
                "a continuation without a message"
            } else {
                "a message within a message"
            }));
        }
        let may_be_reserved = if is_first && self.rules.may_compress {
            0x40
        } else {
            0
        };
        if header.reserved & !may_be_reserved != 0 {
            return Err(broken("a reserved bit that was not agreed on"));
        }
        let so_far = if is_first { 0 } else { self.message };
        let message = so_far.saturating_add(header.payload);
        if header.payload > self.rules.max_frame {
            return Err(too_big("a frame is too large"));
        }
        if message > self.rules.max_message {
            return Err(too_big("a message is too large"));
        }
        if is_first {
            let is_text = header.opcode == TEXT && header.reserved == 0;
            self.text = (is_text && self.rules.checks_text).then(Text::default);
        }
        if let Some(text) = &mut self.text {
            text.begin_frame(header.mask);
            let is_over = header.is_final && header.payload == 0;
            if !text.follow(&[], is_over) {
                return Err(not_text("text that ends within a character"));
            }
        }
        self.message = message;
        self.is_fragmented = !header.is_final;
        self.is_last = header.is_final;
        self.left = header.payload;
        Ok(self.data(header.length, 0))
    }

    fn data(&self, length: usize, payload: u64) -> Step {
        Step::Data {
            length,
            payload,
            ends_message: self.left == 0 && self.is_last,
        }
    }

    fn control(&self, header: &Header, input: &[u8]) -> Result<Step, Violation> {
        if header.reserved != 0 {
            return Err(broken("a reserved bit in a control frame"));
        }
        if !header.is_final {
            return Err(broken("a control frame in fragments"));
        }
        if header.payload > LONGEST_CONTROL as u64 {
            return Err(broken("a control frame that is too long"));
        }
        let length = header.length + header.payload as usize;
        let Some(frame) = input.get(..length) else {
            return Ok(Step::More);
        };
        Ok(match header.opcode {
            PING => Step::Ping { length },
            PONG => Step::Pong { length },
            _ => Step::Close {
                length,
                code: close_code(&payload(frame))?,
            },
        })
    }
}

/// The beginning of a frame.
struct Header {
    length: usize,
    payload: u64,
    opcode: u8,
    reserved: u8,
    is_final: bool,
    /// Zeros if there is none.
    mask: [u8; 4],
}

impl Header {
    fn read(input: &[u8], are_masked: bool) -> Result<Option<Self>, Violation> {
        let &[first, second, ..] = input else {
            return Ok(None);
        };
        let opcode = first & 0x0F;
        if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(broken("an unknown opcode"));
        }
        if (second & 0x80 != 0) != are_masked {
            return Err(broken(if are_masked {
                "a client's frame without a mask"
            } else {
                "a server's frame with a mask"
            }));
        }
        let (length, payload) = match second & 0x7F {
            126 => match input.get(2..4) {
                Some(&[high, low]) => (4, u64::from(u16::from_be_bytes([high, low]))),
                _ => return Ok(None),
            },
            127 => match input.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => (10, u64::from_be_bytes(bytes)),
                None => return Ok(None),
            },
            short => (2, u64::from(short)),
        };
        let shortest = match payload {
            0..=125 => 2,
            126..=0xFFFF => 4,
            _ => 10,
        };
        if length != shortest || payload > u64::MAX >> 1 {
            return Err(broken("a length that is not written as it must be"));
        }
        let mask = input.get(length..).and_then(<[u8]>::first_chunk);
        let mask = mask.copied().filter(|_| are_masked).unwrap_or_default();
        let length = length + if are_masked { 4 } else { 0 };
        let header = Self {
            length,
            mask,
            payload,
            opcode,
            reserved: first & 0x70,
            is_final: first & 0x80 != 0,
        };
        // A control frame that is none is refused before the rest of it comes.
        let is_whole = input.len() >= length || (header.is_control() && header.is_wrong());
        Ok(is_whole.then_some(header))
    }

    fn is_control(&self) -> bool {
        self.opcode & 0x08 != 0
    }

    fn is_wrong(&self) -> bool {
        self.reserved != 0 || !self.is_final || self.payload > LONGEST_CONTROL as u64
    }
}

/// The code of a close frame (§5.5.1, §7.4).
fn close_code(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match *payload {
        [] => Ok(None),
        [_] => Err(broken("half a close code")),
        [high, low, ref reason @ ..] => match u16::from_be_bytes([high, low]) {
            // 1004 is reserved, and 1005, 1006 and 1015 are never sent.
            1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(reason).is_err() => {
                Err(not_text("a reason to close that is not UTF-8"))
            }
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some(code)),
            _ => Err(broken("a close code that is not allowed")),
        },
    }
}

/// The payload of a whole control frame, without its mask.
pub(super) fn payload(frame: &[u8]) -> SmallVec<[u8; LONGEST_CONTROL]> {
    let Some((&[_, second], rest)) = frame.split_first_chunk() else {
        return SmallVec::new();
    };
    if second & 0x80 == 0 {
        return SmallVec::from_slice(rest);
    }
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
        return SmallVec::new();
    };
    let mask = mask.iter().cycle();
    rest.iter()
        .zip(mask)
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

/// Writes a close frame.
pub(super) fn write_close(out: &mut impl BufMut, code: u16, is_masked: bool) {
    write_control(out, CLOSE, &code.to_be_bytes(), is_masked);
}

/// Writes a ping.
pub(super) fn write_ping(out: &mut impl BufMut, payload: &[u8], is_masked: bool) {
    write_control(out, PING, payload, is_masked);
}

fn write_control(out: &mut impl BufMut, opcode: u8, payload: &[u8], is_masked: bool) {
    debug_assert!(payload.len() <= LONGEST_CONTROL);
    out.put_u8(0x80 | opcode);
    let length = payload.len() as u8;
    if !is_masked {
        out.put_u8(length);
        out.put_slice(payload);
        return;
    }
    // Masks keep scripts from choosing what goes over the wire (§10.3). Nobody chooses this payload, so
    // that the mask need not be hard to guess.
    let mask = fastrand::u32(..).to_ne_bytes();
    out.put_u8(0x80 | length);
    out.put_slice(&mask);
    for (byte, mask) in payload.iter().zip(mask.iter().cycle()) {
        out.put_u8(byte ^ mask);
    }
}

#[cfg(test)]
#[path = "frames/tests.rs"]
mod tests;
