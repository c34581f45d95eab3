//! W3C Trace Context, Level 1: `traceparent` and `tracestate`.
//!
//! Both come from outside. They are read in one pass without an allocation, and what breaks a rule is
//! as if it had not been sent: a trace restarts rather than being joined with another one.

use http::{HeaderName, HeaderValue};

use crate::Fields;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of a `traceparent` of version 00.
pub(crate) const TEXT_LENGTH: usize = 55;
/// The caller's trace is recorded.
const SAMPLED: u8 = 1;
/// The trace id is random (Level 2): passed on as it came.
const RANDOM: u8 = 2;
/// Members that a `tracestate` may have (§3.3.1.1).
const MOST_MEMBERS: usize = 32;
/// Bytes of `tracestate` that are passed on. The standard asks for 512 at least (§3.3.1.5).
const MOST_STATE: usize = 4096;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) trace_id: u128,
    /// The span that what follows belongs to.
    pub(crate) span_id: u64,
    pub(crate) flags: u8,
}

impl Context {
    pub(crate) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(crate) fn decide(&mut self, is_sampled: bool) {
        self.flags = self.flags & !SAMPLED | u8::from(is_sampled);
    }

    /// The span of an attempt, counted from 1: another number for each, and never zero.
    pub(crate) fn attempt(&self, number: u32) -> u64 {
        // SplitMix64's finaliser, which has no collisions.
        let mut mixed = self
            .span_id
            .wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31).max(1)
    }

    /// A `traceparent` that names a span of this trace as the parent.
    pub(crate) fn text(&self, parent: u64) -> [u8; TEXT_LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&mut text[3..35], &self.trace_id.to_be_bytes());
        write_hex(&mut text[36..52], &parent.to_be_bytes());
        write_hex(&mut text[53..], &[self.flags]);
        text
    }
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
}

/// The caller's place in a trace, if it states exactly one and that is valid.
pub(crate) fn parent(fields: &Fields) -> Option<Context> {
    let name = TRACEPARENT;
    let mut values = fields.get_all(&name);
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    parse(value.as_bytes())
}

/// §3.2.2. A later version may have more behind what version 00 has, and is read as version 00.
fn parse(text: &[u8]) -> Option<Context> {
    let version = hex(text.get(..2)?)?;
    let is_whole = match text.len() {
        TEXT_LENGTH => true,
        0..TEXT_LENGTH => false,
        _ => version > 0 && text[TEXT_LENGTH] == b'-',
    };
    if version == 0xff || !is_whole || [2, 35, 52].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let trace_id = hex(&text[3..35])?;
    let span_id = u64::try_from(hex(&text[36..52])?).ok()?;
    let flags = u8::try_from(hex(&text[53..TEXT_LENGTH])?).ok()?;
    (trace_id != 0 && span_id != 0).then_some(Context {
        trace_id,
        span_id,
        // Other flags are not defined, and have to be cleared (§3.2.2.5).
        flags: flags & (SAMPLED | RANDOM),
    })
}

/// Lower case only (§3.2.1).
fn hex(text: &[u8]) -> Option<u128> {
    let mut value = 0;
    for byte in text {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

/// Whether the `tracestate` fields together are one valid list (§3.3.1) that can be passed on.
pub(crate) fn has_valid_state(fields: &Fields) -> bool {
    let mut keys: [&[u8]; MOST_MEMBERS] = [&[]; MOST_MEMBERS];
    let (mut members, mut length) = (0, 0);
    for value in fields.get_all(&TRACESTATE) {
        length += value.len();
        if length > MOST_STATE {
            return false;
        }
        for member in value.as_bytes().split(|byte| *byte == b',') {
            let member = trim(member);
            if member.is_empty() {
                continue;
            }
            let Some(equals) = memchr::memchr(b'=', member) else {
                return false;
            };
            let (key, value) = (&member[..equals], &member[equals + 1..]);
            let is_new = !keys[..members].contains(&key);
            if members == MOST_MEMBERS || !is_new || !is_key(key) || !is_value(value) {
                return false;
            }
            keys[members] = key;
            members += 1;
        }
    }
    members > 0
}

/// A valid list as one value; `None` if there is none.
pub(crate) fn state(fields: &Fields) -> Option<HeaderValue> {
    let name = TRACESTATE;
    let mut values = fields.get_all(&name);
    let first = values.next()?.clone();
    let mut joined = Vec::new();
    for value in values {
        if joined.is_empty() {
            joined.extend_from_slice(first.as_bytes());
        }
        joined.push(b',');
        joined.extend_from_slice(value.as_bytes());
    }
    if joined.is_empty() {
        return Some(first);
    }
    HeaderValue::from_bytes(&joined).ok()
}

/// Optional white space (RFC 9110 §5.6.3).
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// §3.3.1.3.1: `simple` or `tenant@system`.
fn is_key(key: &[u8]) -> bool {
    let is_inner =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
    let begins = |text: &[u8]| text.first().is_some_and(u8::is_ascii_lowercase);
    match memchr::memchr(b'@', key) {
        None => key.len() <= 256 && begins(key) && key.iter().all(is_inner),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            let begins_tenant = tenant
                .first()
                .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            let is_sound = tenant.iter().all(is_inner) && system.iter().all(is_inner);
            begins_tenant && begins(system) && is_sound && tenant.len() <= 241 && system.len() <= 14
        }
    }
}

/// §3.3.1.3.2: printable ASCII without `,` and `=`, not ending in a space.
fn is_value(value: &[u8]) -> bool {
    let is_allowed = |byte: &u8| matches!(byte, 0x20..=0x7e) && !b",=".contains(byte);
    (1..=256).contains(&value.len())
        && value.iter().all(is_allowed)
        && value.last().is_some_and(|last| *last != b' ')
}

#[cfg(test)]
mod tests;
