//! The one reading of a request path.
//!
//! Back ends disagree on dot segments, doubled slashes, escapes and backslashes, and a rule written
//! for one reading is passed by under another. So a path is normalised once, and the same bytes are
//! routed, authorised and forwarded. What has more than one reasonable reading is refused.
//!
//! ```text
//!   /a/./b/../c   →  /a/c         /%7Euser      →  /~user        /a%2fb   refused or /a%2Fb
//!   /a//b         →  /a/b         /%e2%82%ac    →  /%E2%82%AC    /a\b     refused
//!   /€            →  /%E2%82%AC   /a|b          →  /a%7Cb        /..;x/a  refused
//! ```
//!
//! Invariants of a normalised path: it begins with `/`; it holds only `pchar` and `/` (RFC 3986
//! §3.3) with escapes in upper case; no unreserved character is escaped (§6.2.2.2); no segment but
//! the last is empty and none is a dot segment (§6.2.2.3); its escapes at or above 0x80 form UTF-8
//! (RFC 3629) and none is a control character. Normalising it again changes nothing.
//!
//! Escapes of reserved characters (`%21`, `%3B`) stay: RFC 3986 §2.2 gives them a meaning of their own.

use std::borrow::Cow;

/// What a normalisation permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `%2F` stays in its segment instead of refusing the path.
    pub keep_encoded_slash: bool,
    /// Dot segments refuse the path instead of being resolved: for paths that were put together from
    /// parts, where a `..` could only have been smuggled in.
    pub refuse_dot_segments: bool,
}

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("path does not begin with `/`")]
    NotAbsolute,
    /// `%` without two hexadecimal digits.
    #[error("`%` is not followed by two hexadecimal digits")]
    InvalidEscape,
    /// `%2F`.
    #[error("encoded slash")]
    EncodedSlash,
    /// `\` or `%5C`: a separator for some.
    #[error("backslash")]
    Backslash,
    /// A control character or space, raw, or an escaped control character.
    #[error("control character")]
    ControlCharacter,
    /// Escapes that are no UTF-8, overlong forms and surrogates included.
    #[error("escapes are not valid utf-8")]
    InvalidUtf8,
    /// `..` that leads above `/`.
    #[error("`..` leads above the root")]
    AboveRoot,
    /// A dot segment where none is permitted.
    #[error("dot segment")]
    DotSegment,
    /// `.;x` or `..;x`: a dot segment for servers that cut path parameters off.
    #[error("dot segment with a path parameter")]
    DotParameter,
    /// A segment that would become a dot segment, or contain an empty one, if its `%2F` were decoded.
    #[error("encoded slash next to an empty or dot segment")]
    HiddenSegment,
    /// `?` or `#`, which end a path.
    #[error("`?` or `#` inside")]
    Delimiter,
}

impl PathError {
    /// The stable machine-readable word for this cause.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAbsolute => "path_not_absolute",
            Self::InvalidEscape => "path_invalid_escape",
            Self::EncodedSlash => "path_encoded_slash",
            Self::Backslash => "path_backslash",
            Self::ControlCharacter => "path_control_character",
            Self::InvalidUtf8 => "path_invalid_utf8",
            Self::AboveRoot => "path_above_root",
            Self::DotSegment => "path_dot_segment",
            Self::DotParameter => "path_dot_parameter",
            Self::HiddenSegment => "path_hidden_segment",
            Self::Delimiter => "path_delimiter",
        }
    }
}

/// A [`PathError`] and the byte offset that it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFault {
    /// Why.
    pub error: PathError,
    /// Where, counted from the segment's first byte.
    pub at: usize,
}

/// Normalises the path of a request target (without query).
///
/// Borrows when there is nothing to change, which is what well-behaved clients send: then it is one
/// scan and no allocation.
pub fn normalise(path: &str, rules: Rules) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if is_plain(path.as_bytes()) {
        return Ok(Cow::Borrowed(path));
    }
    let normalised = rewrite(path, rules)?;
    if normalised == path {
        return Ok(Cow::Borrowed(path));
    }
    Ok(Cow::Owned(normalised))
}

/// Normalises the escapes of one segment, or of the beginning of one. Does not judge dot segments:
/// see [`judge_segment`].
pub fn normalise_segment(segment: &str, rules: Rules) -> Result<String, SegmentFault> {
    let mut normalised = String::with_capacity(segment.len());
    append_segment(segment, rules, &mut normalised)?;
    Ok(normalised)
}

/// What a segment with normalised escapes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// A name.
    Name,
    /// Nothing between two slashes.
    Empty,
    /// `.`
    Current,
    /// `..`
    Parent,
}

/// Tells what a segment with normalised escapes means; an error if that depends on who reads it.
pub fn judge_segment(segment: &str) -> Result<SegmentKind, PathError> {
    match segment {
        "" => return Ok(SegmentKind::Empty),
        "." => return Ok(SegmentKind::Current),
        ".." => return Ok(SegmentKind::Parent),
        _ => {}
    }
    if !segment.contains("%2F") {
        if has_dot_parameter(segment) {
            return Err(PathError::DotParameter);
        }
        return Ok(SegmentKind::Name);
    }
    let mut pieces = segment.split("%2F");
    let ambiguous = |piece: &str| matches!(piece, "" | "." | "..") || has_dot_parameter(piece);
    if pieces.any(ambiguous) {
        return Err(PathError::HiddenSegment);
    }
    Ok(SegmentKind::Name)
}

/// Checks that a query (without `?`) can be forwarded as it is: nothing that ends a request line or
/// the query, or that a parser would have to guess at.
pub fn check_query(query: &str) -> Result<(), PathError> {
    for byte in query.bytes() {
        match byte {
            b'#' => return Err(PathError::Delimiter),
            0..=0x20 | 0x7f => return Err(PathError::ControlCharacter),
            0x80.. => return Err(PathError::InvalidUtf8),
            _ => {}
        }
    }
    Ok(())
}

/// Brings a query (without `?`) into the form in which it is matched and forwarded: what lies outside
/// of ASCII is escaped, as browsers do (RFC 3987 §3.1) and as [`normalise`] does with a path. All else
/// stays as it is, or is refused: see [`check_query`].
///
/// Borrows when there is nothing to change.
pub fn normalise_query(query: &str) -> Result<Cow<'_, str>, PathError> {
    if query.is_ascii() {
        check_query(query)?;
        return Ok(Cow::Borrowed(query));
    }
    if query.chars().any(char::is_control) {
        return Err(PathError::ControlCharacter);
    }
    let mut escaped = String::with_capacity(query.len() * 2);
    for byte in query.bytes() {
        if byte.is_ascii() {
            escaped.push(char::from(byte));
        } else {
            push_escape(byte, &mut escaped);
        }
    }
    check_query(&escaped)?;
    Ok(Cow::Owned(escaped))
}

/// Bytes that stay as they are wherever they stand: `pchar` without `%` (RFC 3986 §3.3).
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_unreserved(byte as u8)
            || matches!(
                byte as u8,
                b'!' | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
                    | b':'
                    | b'@'
            );
        byte += 1;
    }
    table
};

/// RFC 3986 §2.3.
pub const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Appends `%XX`.
pub fn push_escape(byte: u8, out: &mut String) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Whether normalising surely changes nothing: the scan that almost every request ends with.
fn is_plain(path: &[u8]) -> bool {
    for (index, &byte) in path.iter().enumerate() {
        if PLAIN[usize::from(byte)] {
            continue;
        }
        if byte != b'/' {
            return false;
        }
        match path.get(index + 1) {
            Some(b'/') => return false,
            // `/.well-known` is plain; `/.`, `/./`, `/..` and `/.;x` need a closer look.
            Some(b'.') => match path.get(index + 2) {
                None | Some(b'/' | b'.' | b';' | b'%') => return false,
                Some(_) => {}
            },
            _ => {}
        }
    }
    true
}

fn rewrite(path: &str, rules: Rules) -> Result<String, PathError> {
    // At the worst every byte becomes an escape; paths that need that are rare, so let it grow.
    let mut out = String::with_capacity(path.len() + 8);
    out.push('/');
    let mut rest = &path[1..];
    loop {
        let (segment, following) = match rest.split_once('/') {
            Some((segment, following)) => (segment, Some(following)),
            None => (rest, None),
        };
        // Here `out` ends with `/`.
        let start = out.len();
        append_segment(segment, rules, &mut out).map_err(|fault| fault.error)?;
        match judge_segment(&out[start..])? {
            SegmentKind::Name if following.is_some() => out.push('/'),
            SegmentKind::Name | SegmentKind::Empty => {}
            SegmentKind::Current | SegmentKind::Parent if rules.refuse_dot_segments => {
                return Err(PathError::DotSegment);
            }
            SegmentKind::Current => out.truncate(start),
            SegmentKind::Parent => {
                let Some(parent) = out[..start - 1].rfind('/') else {
                    return Err(PathError::AboveRoot);
                };
                out.truncate(parent + 1);
            }
        }
        match following {
            Some(following) => rest = following,
            None => return Ok(out),
        }
    }
}

fn append_segment(segment: &str, rules: Rules, out: &mut String) -> Result<(), SegmentFault> {
    let bytes = segment.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let fault = |error| SegmentFault { error, at };
        if PLAIN[usize::from(byte)] {
            out.push(char::from(byte));
            at += 1;
            continue;
        }
        match byte {
            b'%' => at += append_escape(&bytes[at..], rules, out).map_err(fault)?,
            b'\\' => return Err(fault(PathError::Backslash)),
            b'?' | b'#' => return Err(fault(PathError::Delimiter)),
            // Space included: it ends a request target.
            0..=0x20 | 0x7f => return Err(fault(PathError::ControlCharacter)),
            0xc2 if matches!(bytes.get(at + 1), Some(0x80..=0x9f)) => {
                return Err(fault(PathError::ControlCharacter));
            }
            _ => {
                push_escape(byte, out);
                at += 1;
            }
        }
    }
    Ok(())
}

/// Appends the character that the escape at the beginning of `bytes` stands for; returns how many
/// bytes were read.
fn append_escape(bytes: &[u8], rules: Rules, out: &mut String) -> Result<usize, PathError> {
    let byte = decode_escape(bytes).ok_or(PathError::InvalidEscape)?;
    match byte {
        b'/' if !rules.keep_encoded_slash => return Err(PathError::EncodedSlash),
        b'\\' => return Err(PathError::Backslash),
        0..=0x1f | 0x7f => return Err(PathError::ControlCharacter),
        0x80.. => return append_multibyte(byte, bytes, out),
        _ if is_unreserved(byte) => out.push(char::from(byte)),
        _ => push_escape(byte, out),
    }
    Ok(3)
}

fn append_multibyte(lead: u8, bytes: &[u8], out: &mut String) -> Result<usize, PathError> {
    let length = match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Err(PathError::InvalidUtf8),
    };
    let mut character = [0; 4];
    for (index, slot) in character[..length].iter_mut().enumerate() {
        let escape = bytes.get(index * 3..).unwrap_or_default();
        if escape.first() != Some(&b'%') {
            return Err(PathError::InvalidUtf8);
        }
        *slot = decode_escape(escape).ok_or(PathError::InvalidEscape)?;
    }
    let text = std::str::from_utf8(&character[..length]).map_err(|_| PathError::InvalidUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(PathError::ControlCharacter);
    }
    for &byte in &character[..length] {
        push_escape(byte, out);
    }
    Ok(length * 3)
}

/// The byte of `%XX` at the beginning of `bytes`.
pub fn decode_escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let high = char::from(*high).to_digit(16)?;
    let low = char::from(*low).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

/// `.;x`, `..;x` and the same with `%3B`.
fn has_dot_parameter(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('.') else {
        return false;
    };
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    rest.starts_with(';') || rest.starts_with("%3B")
}

#[cfg(test)]
mod tests;
