//! What of a request no log and no trace may show: credentials, by the names under which they travel,
//! and whatever the configuration adds.

use std::borrow::Cow;

use http::HeaderName;
use weir_config::model::Redaction;
use weir_config::pattern::{PathPattern, Segment};
use weir_core::ApiKeyText;
use weir_gateway::AccessRecord;

/// Stands for what is hidden, as OpenTelemetry's semantic conventions have it.
const HIDDEN: &str = "REDACTED";

/// Rules, ready for use.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    /// In lower case.
    query: Vec<String>,
    headers: Vec<HeaderName>,
    paths: Vec<PathPattern>,
}

impl Redactor {
    pub(crate) fn new(rules: &Redaction) -> Self {
        Self {
            query: rules.query.iter().map(|name| name.to_lowercase()).collect(),
            headers: rules.headers.clone(),
            paths: rules.paths.clone(),
        }
    }

    /// The path of a request.
    pub(crate) fn path<'r>(&self, record: &'r AccessRecord) -> Cow<'r, str> {
        let path = &*record.path;
        if has_key(path) {
            return Cow::Owned(without_keys(path));
        }
        // What could not be normalised cannot be compared with a pattern either.
        if !self.paths.is_empty() && record.reason == Some("bad_path") {
            return Cow::Borrowed(HIDDEN);
        }
        let hide = |pattern: &PathPattern| hide_in_path(path, pattern);
        match self.paths.iter().find_map(hide) {
            Some(shown) => Cow::Owned(shown),
            None => Cow::Borrowed(path),
        }
    }

    /// A query; names stay, and values of those that carry secrets go.
    pub(crate) fn query<'q>(&self, query: &'q str) -> Cow<'q, str> {
        // Some servers separate parameters by `;` as well.
        let is_separator = |character| matches!(character, '&' | ';');
        if query
            .split(is_separator)
            .all(|pair| self.shown_pair(pair).is_none())
        {
            return Cow::Borrowed(query);
        }
        let mut shown = String::with_capacity(query.len());
        for piece in query.split_inclusive(is_separator) {
            let pair = piece.strip_suffix(is_separator).unwrap_or(piece);
            match self.shown_pair(pair) {
                Some(hidden) => {
                    shown.push_str(&hidden);
                    shown.push_str(&piece[pair.len()..]);
                }
                None => shown.push_str(piece),
            }
        }
        Cow::Owned(shown)
    }

    /// A parameter without what of it is to be hidden; none if nothing is.
    fn shown_pair(&self, pair: &str) -> Option<String> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if has_key(name) {
            return Some(HIDDEN.to_owned());
        }
        let decoded = decode(name);
        let is_secret = is_secret_parameter(&decoded)
            || self.query.contains(&decoded)
            || is_token(value.as_bytes())
            || has_key(value);
        (is_secret && !value.is_empty()).then(|| format!("{name}={HIDDEN}"))
    }

    /// A header's value.
    pub(crate) fn header<'v>(&self, name: &HeaderName, value: &'v [u8]) -> Cow<'v, [u8]> {
        if is_secret_header(name.as_str()) || self.headers.contains(name) || is_token(value) {
            return Cow::Borrowed(HIDDEN.as_bytes());
        }
        // Addresses of pages have queries of their own.
        if *name == http::header::REFERER
            && let Some(at) = value.iter().position(|byte| *byte == b'?')
        {
            let mut shown = value[..=at].to_vec();
            let query = String::from_utf8_lossy(&value[at + 1..]);
            shown.extend_from_slice(self.query(&query).as_bytes());
            return Cow::Owned(shown);
        }
        Cow::Borrowed(value)
    }
}

/// The path without segments that have a key in them: somebody put it where it does not belong.
fn without_keys(path: &str) -> String {
    let shown = |segment| match has_key(segment) {
        true => HIDDEN,
        false => segment,
    };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

/// The path with what the pattern captures hidden; `None` if the pattern does not take it.
fn hide_in_path(path: &str, pattern: &PathPattern) -> Option<String> {
    let mut rest = path.strip_prefix('/')?;
    let mut shown = String::with_capacity(path.len());
    for (at, segment) in pattern.segments.iter().enumerate() {
        let is_last = at + 1 == pattern.segments.len() && pattern.tail.is_none();
        let (found, behind) = match rest.split_once('/') {
            Some((found, behind)) if !is_last => (found, behind),
            None if is_last => (rest, ""),
            _ => return None,
        };
        shown.push('/');
        match segment {
            Segment::Literal(literal) if literal == found => shown.push_str(literal),
            Segment::Capture(_) if !found.is_empty() => shown.push_str(HIDDEN),
            _ => return None,
        }
        rest = behind;
    }
    if let Some(prefix) = &pattern.tail {
        let hidden = rest.strip_prefix(prefix.as_str())?;
        shown.push('/');
        shown.push_str(prefix);
        shown.push_str(if hidden.is_empty() { "" } else { HIDDEN });
    }
    Some(shown)
}

/// Names under which credentials travel in a query. Rather too many: who misses a harmless value can
/// do without it.
fn is_secret_parameter(name: &str) -> bool {
    const PARTS: [&str; 16] = [
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "apikey",
        "api_key",
        "api-key",
        "accesskey",
        "access_key",
        "authorization",
        "credential",
        "signature",
        "session",
        "assertion",
        "saml",
    ];
    const WHOLE: [&str; 11] = [
        "auth", "code", "jwt", "key", "otp", "pass", "pin", "pwd", "sid", "sig", "ticket",
    ];
    WHOLE.contains(&name) || PARTS.iter().any(|part| name.contains(part))
}

/// Names of headers that carry credentials.
fn is_secret_header(name: &str) -> bool {
    const PARTS: [&str; 10] = [
        "api-key",
        "apikey",
        "cookie",
        "credential",
        "jwt",
        "password",
        "secret",
        "session",
        "signature",
        "token",
    ];
    name.contains("auth") || PARTS.iter().any(|part| name.contains(part))
}

/// Whether there is an API key in a part of an address, however it is written there.
fn has_key(part: &str) -> bool {
    ApiKeyText::is_within(part) || part.contains('%') && ApiKeyText::is_within(&decode(part))
}

/// Whether it is a JSON Web Token, whatever its name: three parts, of which the first is an object in
/// base64 (RFC 7519 §3). Or whether there is an API key in it.
fn is_token(value: &[u8]) -> bool {
    let is_jwt =
        value.starts_with(b"eyJ") && value.iter().filter(|byte| **byte == b'.').count() >= 2;
    is_jwt || std::str::from_utf8(value).is_ok_and(ApiKeyText::is_within)
}

/// A parameter's name as servers read it, in lower case.
fn decode(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (*first, digit(1), digit(2)) {
            bytes.push((high << 4 | low) as u8);
            rest = &rest[3..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = behind;
        }
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}

#[cfg(test)]
mod tests;
