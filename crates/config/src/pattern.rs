//! Patterns that select requests: hosts and paths.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use weir_core::path::{self, Rules, SegmentKind};

/// Which hosts a route takes. Hosts are compared in lower case and without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// Exactly this host.
    Exact(String),
    /// `*.example.com`: one or more labels in front of this suffix (kept without `*.`).
    Wildcard(String),
}

/// Which paths a route takes: literal segments, `{name}` for one segment, and a trailing `*` for
/// whatever follows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    /// The segments after the leading `/`, split at `/`; `/` alone is one empty literal.
    pub segments: Vec<Segment>,
    /// `Some(prefix)` if the pattern ends in `*`: the text in front of `*` in the last segment.
    pub tail: Option<String>,
    text: String,
}

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text, normalised. Only the last of a pattern can be empty.
    Literal(String),
    /// Any one non-empty segment, captured under this name.
    Capture(String),
}

/// What is wrong with a pattern, in one line with the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// Byte offset of the fault in the pattern's text.
    pub at: usize,
    message: Cow<'static, str>,
}

impl PatternError {
    fn new(at: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            at,
            message: message.into(),
        }
    }
}

impl HostPattern {
    /// Longest name that DNS can carry (RFC 1035 §2.3.4).
    pub const MAX_LENGTH: usize = 253;

    /// Reads `example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::new(
                0,
                "the host is empty; leave it out to take every host",
            ));
        }
        if text == "*" {
            let message = "`*` is not a host; leave `host` out to take every host";
            return Err(PatternError::new(0, message));
        }
        if let Some(at) = text.find(|character: char| !character.is_ascii()) {
            let message = "host is not ASCII; write it in punycode (`xn--…`)";
            return Err(PatternError::new(at, message));
        }
        if let Some(at) = text.find('/') {
            return Err(PatternError::new(at, "a host has no scheme and no path"));
        }
        if text.len() > Self::MAX_LENGTH {
            let message = "host is longer than 253 characters";
            return Err(PatternError::new(Self::MAX_LENGTH, message));
        }
        if let Some(rest) = text.strip_prefix('[') {
            return parse_ipv6(rest).map(Self::Exact);
        }
        if let Some(at) = text.find(':') {
            let message = match text.parse::<Ipv6Addr>() {
                Ok(_) => "an IPv6 address stands in brackets, as in `[::1]`",
                Err(_) => "a host has no port; routes take requests of every listener",
            };
            return Err(PatternError::new(at, message));
        }
        let lower = text.to_ascii_lowercase();
        let Some(suffix) = lower.strip_prefix("*.") else {
            check_labels(&lower, 0)?;
            if ends_in_number(&lower) && lower.parse::<Ipv4Addr>().is_err() {
                return Err(PatternError::new(
                    0,
                    "not an IPv4 address, though it ends in a number",
                ));
            }
            return Ok(Self::Exact(lower));
        };
        check_labels(suffix, 2)?;
        if ends_in_number(suffix) {
            return Err(PatternError::new(0, "addresses have no wildcard"));
        }
        Ok(Self::Wildcard(suffix.to_owned()))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Wildcard(suffix) => write!(formatter, "*.{suffix}"),
        }
    }
}

/// `rest` follows the opening bracket. The result is in the one form of RFC 5952, with brackets.
fn parse_ipv6(rest: &str) -> Result<String, PatternError> {
    let Some((address, behind)) = rest.split_once(']') else {
        return Err(PatternError::new(0, "`[` is not closed"));
    };
    let Ok(address_value) = address.parse::<Ipv6Addr>() else {
        return Err(PatternError::new(1, "not an IPv6 address"));
    };
    if !behind.is_empty() {
        let message = "a host has no port; routes take requests of every listener";
        return Err(PatternError::new(address.len() + 2, message));
    }
    Ok(format!("[{address_value}]"))
}

/// Letters, digits, `-` and `_`: the underscore is no host name of RFC 1123, but it is in use.
fn check_labels(host: &str, offset: usize) -> Result<(), PatternError> {
    let mut at = offset;
    for label in host.split('.') {
        if label.is_empty() {
            let message = if at == offset + host.len() {
                "the host ends in a dot; hosts are compared without it"
            } else {
                "empty label"
            };
            return Err(PatternError::new(at, message));
        }
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if let Some(wrong) = label.bytes().position(|byte| !is_allowed(byte)) {
            let message = if label.as_bytes()[wrong] == b'*' {
                "`*` stands only in front, as in `*.example.com`"
            } else {
                "a host is made of letters, digits, `-`, `_` and dots"
            };
            return Err(PatternError::new(at + wrong, message));
        }
        if label.len() > 63 {
            return Err(PatternError::new(at, "label is longer than 63 characters"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(PatternError::new(at, "label begins or ends with `-`"));
        }
        at += label.len() + 1;
    }
    Ok(())
}

/// Such a host is an address to whoever follows the URL standard, never a name.
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

impl PathPattern {
    /// Longest text of a pattern in bytes: bounds the depth of what is built from it.
    pub const MAX_LENGTH: usize = 2048;

    /// Reads `/items`, `/items/{id}`, `/items/*` or `/img-*`.
    ///
    /// `/a/*` takes `/a/` and all below it, not `/a`. Literal text is normalised as request paths
    /// are; text that no normalised path contains is an error.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(relative) = text.strip_prefix('/') else {
            return Err(PatternError::new(0, "a path begins with `/`"));
        };
        if text.len() > Self::MAX_LENGTH {
            let message = "path pattern is longer than 2048 bytes";
            return Err(PatternError::new(Self::MAX_LENGTH, message));
        }
        let mut pattern = Self {
            segments: Vec::new(),
            tail: None,
            text: text.to_owned(),
        };
        let mut at = 1;
        for segment in relative.split('/') {
            let end = at + segment.len();
            let is_last = end == text.len();
            if let Some(name) = captured_name(segment) {
                pattern.push_capture(name, at + 1)?;
            } else if let (true, Some(prefix)) = (is_last, segment.strip_suffix('*')) {
                pattern.tail = Some(literal(prefix, at)?);
            } else {
                pattern.push_literal(segment, at, is_last)?;
            }
            at = end + 1;
        }
        Ok(pattern)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of the captures, from left to right.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Capture(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    fn push_capture(&mut self, name: &str, at: usize) -> Result<(), PatternError> {
        let starts_well =
            name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !starts_well || !name.bytes().all(is_allowed) {
            let message = "a capture's name is made of `a`-`z`, `0`-`9` and `_`, and does not begin with a digit";
            return Err(PatternError::new(at, message));
        }
        if self.captures().any(|other| other == name) {
            let message = format!("capture `{name}` occurs twice");
            return Err(PatternError::new(at, message));
        }
        self.segments.push(Segment::Capture(name.to_owned()));
        Ok(())
    }

    fn push_literal(
        &mut self,
        segment: &str,
        at: usize,
        is_last: bool,
    ) -> Result<(), PatternError> {
        let literal = literal(segment, at)?;
        let message = match path::judge_segment(&literal) {
            Ok(SegmentKind::Name) => None,
            Ok(SegmentKind::Empty) if is_last => None,
            Ok(SegmentKind::Empty) => Some("`//` never occurs in a normalised path".into()),
            Ok(SegmentKind::Current | SegmentKind::Parent) => {
                Some("dot segments never occur in a normalised path".into())
            }
            Err(error) => Some(format!("no request path can contain this: {error}")),
        };
        if let Some(message) = message {
            return Err(PatternError::new(at, message));
        }
        self.segments.push(Segment::Literal(literal));
        Ok(())
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PathPattern({:?})", self.text)
    }
}

fn captured_name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Literal text of a pattern, normalised. Encoded slashes are let through: whether requests may
/// have them is decided elsewhere.
fn literal(text: &str, at: usize) -> Result<String, PatternError> {
    if let Some(wrong) = text.find(['{', '}']) {
        let message = "a capture is a whole segment, as in `/items/{id}`; write a literal brace as `%7B` or `%7D`";
        return Err(PatternError::new(at + wrong, message));
    }
    if let Some(wrong) = text.find('*') {
        let message = "`*` stands only at the very end; for one segment write a capture, as in `/items/{id}/tags`";
        return Err(PatternError::new(at + wrong, message));
    }
    let rules = Rules {
        keep_encoded_slash: true,
        refuse_dot_segments: false,
    };
    path::normalise_segment(text, rules).map_err(|fault| {
        let message = format!("no request path can contain this: {}", fault.error);
        PatternError::new(at + fault.at, message)
    })
}

#[cfg(test)]
mod tests;
