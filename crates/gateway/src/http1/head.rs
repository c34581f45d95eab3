//! Reading message heads (RFC 9112 §2–§6).
//!
//! A request is accepted only if every reasonable parser would read it alike: each line ends in
//! CR LF, no line is folded, and at most one of `Content-Length` and `Transfer-Encoding` states the
//! body's length, once. Responses come from servers that the operator chose: bare LF is tolerated
//! there, ambiguous framing is not.

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::decoder::Decoder;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead, Version, has_body};
use crate::websocket::Upgrade;

/// Most fields that are parsed; `limits.headers` may be lower, not higher.
pub(crate) const MOST_HEADERS: usize = 256;

/// Bounds on a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) bytes: usize,
    pub(crate) headers: usize,
}

/// Finds the end of a head in bytes that arrive piece by piece.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    /// Bytes that were looked at before.
    seen: usize,
}

impl HeadScanner {
    /// Length of a request head including its empty line, if it is all there. Every LF must follow
    /// a CR.
    pub(crate) fn scan_request(&mut self, input: &[u8]) -> Result<Option<usize>, Failure> {
        for at in memchr::memchr_iter(b'\n', &input[self.seen..]) {
            let at = self.seen + at;
            if at == 0 || input[at - 1] != b'\r' {
                return Err(Failure::Malformed(
                    "A line of the request does not end in CR LF.",
                ));
            }
            if at >= 3 && &input[at - 3..at] == b"\r\n\r" {
                return Ok(Some(at + 1));
            }
        }
        self.seen = input.len();
        Ok(None)
    }

    /// Length of a response head including its empty line, if it is all there.
    pub(crate) fn scan_response(&mut self, input: &[u8]) -> Option<usize> {
        for at in memchr::memchr_iter(b'\n', &input[self.seen..]) {
            let at = self.seen + at;
            let line_before = input[..at].strip_suffix(b"\r").unwrap_or(&input[..at]);
            if line_before.ends_with(b"\n") {
                return Some(at + 1);
            }
        }
        self.seen = input.len();
        None
    }
}

/// What a request head says beyond [`RequestHead`].
#[derive(Debug)]
pub(crate) struct ParsedRequest {
    pub(crate) head: RequestHead,
    pub(crate) body: Decoder,
    /// Whether the client is willing to use the connection again.
    pub(crate) keep_alive: bool,
}

/// Parses a complete request head, which is taken off `input`.
pub(crate) fn parse_request(
    input: &mut BytesMut,
    length: usize,
    limits: HeadLimits,
) -> Result<ParsedRequest, Failure> {
    // Copied: slices of it live as long as the request, and would keep the connection's buffer, which is
    // many times as large.
    let bytes = Bytes::copy_from_slice(&input[..length]);
    input.advance(length);
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request
        .parse_with_uninit_headers(&bytes, &mut headers[..limits.headers.min(MOST_HEADERS)])
    {
        Ok(httparse::Status::Complete(end)) if end == length => {}
        Ok(_) => return Err(Failure::Malformed("The request head is incomplete.")),
        Err(error) => return Err(request_error(error)),
    }
    let version = match request.version {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    };
    let method = Method::from_bytes(request.method.unwrap_or_default().as_bytes())
        .map_err(|_| Failure::Malformed("The method is not a token."))?;
    let mut reader = FieldReader::new(&bytes, request.headers.len());
    for header in request.headers.iter() {
        reader.read(header)?;
    }
    let body = reader.request_body(version)?;
    let keep_alive = reader.keep_alive(version);
    let (authority, path, query) = target(
        &bytes,
        request.path.unwrap_or_default(),
        &method,
        version,
        reader.host.take(),
        reader.hosts,
    )?;
    let head = RequestHead {
        method,
        version,
        authority,
        path,
        query,
        content_length: reader.content_length,
        expects_continue: reader.expects_continue && version == Version::Http11,
        fields: reader.fields,
        upgrade: Upgrade::None,
    };
    Ok(ParsedRequest {
        head,
        body,
        keep_alive,
    })
}

fn request_error(error: httparse::Error) -> Failure {
    match error {
        httparse::Error::HeaderName => Failure::Malformed("A header field name is not valid."),
        httparse::Error::HeaderValue => Failure::Malformed("A header field value is not valid."),
        httparse::Error::NewLine => Failure::Malformed("A line of the request is not ended well."),
        httparse::Error::TooManyHeaders => Failure::HeadTooLarge,
        httparse::Error::Version => Failure::UnknownVersion,
        httparse::Error::Token | httparse::Error::Status => {
            Failure::Malformed("The request line is not valid.")
        }
    }
}

type Target = (ByteString, ByteString, Option<ByteString>);

/// Splits the request target (RFC 9112 §3.2) and settles the authority (§3.2.2, §3.2.3): that of an
/// absolute target replaces `Host`, which must be there all the same, once.
fn target(
    bytes: &Bytes,
    target: &str,
    method: &Method,
    version: Version,
    host: Option<Bytes>,
    hosts: usize,
) -> Result<Target, Failure> {
    if hosts > 1 || (hosts == 0 && version == Version::Http11) {
        return Err(Failure::Malformed(
            "The request must have exactly one Host field.",
        ));
    }
    let text = |part: &str| text(bytes, part);
    if *method == Method::CONNECT {
        return Err(Failure::MethodNotForwarded);
    }
    let host = match host {
        Some(value) => ByteString::try_from(value)
            .map_err(|_| Failure::Malformed("The Host field is not valid."))?,
        None => ByteString::new(),
    };
    let (authority, origin) = if target.starts_with('/') || target == "*" {
        (host, target)
    } else {
        let rest = strip_scheme(target).ok_or(Failure::Malformed(
            "The request target is neither a path nor a http URI.",
        ))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, origin) = rest.split_at(end);
        if authority.contains('@') || authority.is_empty() {
            return Err(Failure::Malformed(
                "The request target's authority is not valid.",
            ));
        }
        (text(authority)?, origin)
    };
    if target == "*" && *method != Method::OPTIONS {
        return Err(Failure::Malformed("The target * is for OPTIONS only."));
    }
    if !authority.is_empty() && !is_authority(&authority) {
        return Err(Failure::Malformed("The Host field is not valid."));
    }
    if origin.contains('#') {
        return Err(Failure::Malformed("The request target has a fragment."));
    }
    let (path, query) = match origin.split_once('?') {
        Some((path, query)) => (path, Some(text(query)?)),
        None => (origin, None),
    };
    let path = if path.is_empty() {
        ByteString::from_static("/")
    } else {
        text(path)?
    };
    Ok((authority, path, query))
}

fn strip_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    known.then_some(rest)
}

/// A part of the head without copying it.
fn text(bytes: &Bytes, part: &str) -> Result<ByteString, Failure> {
    ByteString::try_from(bytes.slice_ref(part.as_bytes()))
        .map_err(|_| Failure::Malformed("The request target is not valid."))
}

/// `host [ ":" port ]` (RFC 3986 §3.2) without user information, as far as it matters here: only
/// characters of names and addresses, and a port that is a number.
pub(crate) fn is_authority(authority: &str) -> bool {
    let (host, port) = split_authority(authority);
    let host_is_valid = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => is_name(host),
    };
    // `parse` alone would take a sign.
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = |port: &str| port.is_empty() || (is_number(port) && port.parse::<u16>().is_ok());
    host_is_valid && port.is_none_or(is_port)
}

/// A name or an IPv4 address. Servers disagree on names with an empty label.
fn is_name(host: &str) -> bool {
    let mut before = b'.';
    for byte in host.bytes() {
        let is_allowed = match byte {
            b'.' => before != b'.',
            b'-' | b'_' | b'~' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !is_allowed {
            return false;
        }
        before = byte;
    }
    !host.is_empty()
}

/// Host and port of an authority; brackets stay with an IPv6 address.
pub(crate) fn split_authority(authority: &str) -> (&str, Option<&str>) {
    // A loop, not a library search: names are too short for it to pay.
    for (at, byte) in authority.bytes().enumerate().rev() {
        match byte {
            b']' => break,
            b':' => return (&authority[..at], Some(&authority[at + 1..])),
            _ => {}
        }
    }
    (authority, None)
}

/// Collects fields and keeps framing apart from them.
struct FieldReader<'a> {
    bytes: &'a Bytes,
    fields: Fields,
    host: Option<Bytes>,
    hosts: usize,
    content_length: Option<u64>,
    lengths: usize,
    codings: usize,
    chunked: bool,
    close: bool,
    keep: bool,
    expects_continue: bool,
}

impl<'a> FieldReader<'a> {
    fn new(bytes: &'a Bytes, fields: usize) -> Self {
        Self {
            bytes,
            fields: Fields::with_capacity(fields + 4),
            host: None,
            hosts: 0,
            content_length: None,
            lengths: 0,
            codings: 0,
            chunked: false,
            close: false,
            keep: false,
            expects_continue: false,
        }
    }

    fn read(&mut self, header: &httparse::Header<'_>) -> Result<(), Failure> {
        // Told apart by length first: five comparisons for each field of each message add up.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => {
                self.hosts += 1;
                self.host = Some(self.bytes.slice_ref(header.value));
            }
            6 if header.name.eq_ignore_ascii_case("expect") => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Failure::UnknownExpectation);
                }
                self.expects_continue = true;
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for option in header.value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep |= option.eq_ignore_ascii_case(b"keep-alive");
                }
                let value = self.value(header)?;
                self.fields.append(CONNECTION, value);
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                self.lengths += 1;
                self.content_length = Some(content_length(header.value).ok_or(
                    Failure::Malformed("The Content-Length field is not one plain number."),
                )?);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                self.codings += 1;
                self.chunked = header.value.eq_ignore_ascii_case(b"chunked");
            }
            _ => {
                let name = HeaderName::from_bytes(header.name.as_bytes())
                    .map_err(|_| Failure::Malformed("A header field name is not valid."))?;
                let value = self.value(header)?;
                self.fields.append(name, value);
            }
        }
        Ok(())
    }

    fn value(&self, header: &httparse::Header<'_>) -> Result<HeaderValue, Failure> {
        HeaderValue::from_maybe_shared(self.bytes.slice_ref(header.value))
            .map_err(|_| Failure::Malformed("A header field value is not valid."))
    }

    /// RFC 9112 §6.3, with every case that it calls an error or a smuggling attempt refused.
    fn request_body(&self, version: Version) -> Result<Decoder, Failure> {
        if self.codings > 0 {
            if version == Version::Http10 {
                return Err(Failure::Malformed("HTTP/1.0 has no transfer codings."));
            }
            if self.lengths > 0 {
                return Err(Failure::Malformed(
                    "Content-Length and Transfer-Encoding exclude each other.",
                ));
            }
            if self.codings > 1 {
                return Err(Failure::Malformed(
                    "The Transfer-Encoding field occurs twice.",
                ));
            }
            if !self.chunked {
                return Err(Failure::UnknownCoding);
            }
            return Ok(Decoder::chunked());
        }
        if self.lengths > 1 {
            return Err(Failure::Malformed("The Content-Length field occurs twice."));
        }
        Ok(Decoder::length(self.content_length.unwrap_or(0)))
    }

    fn keep_alive(&self, version: Version) -> bool {
        !self.close && (version >= Version::Http11 || self.keep)
    }
}

/// One plain decimal number: no sign, no list, no white space inside (RFC 9110 §8.6).
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// What a response head says.
#[derive(Debug)]
pub(crate) struct ParsedResponse {
    /// May be interim (1xx).
    pub(crate) head: ResponseHead,
    pub(crate) body: Decoder,
    pub(crate) keep_alive: bool,
}

/// Parses a complete response head, which is taken off `input`.
pub(crate) fn parse_response(
    input: &mut BytesMut,
    length: usize,
    method: &Method,
) -> Result<ParsedResponse, Failure> {
    let bytes = input.split_to(length).freeze();
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        &bytes,
        &mut headers,
    );
    if !matches!(parsed, Ok(httparse::Status::Complete(end)) if end == length) {
        return Err(Failure::UpstreamMalformed("response head not valid"));
    }
    let version = if response.version == Some(0) {
        Version::Http10
    } else {
        Version::Http11
    };
    let status = StatusCode::from_u16(response.code.unwrap_or(0))
        .map_err(|_| Failure::UpstreamMalformed("status not valid"))?;
    let mut reader = FieldReader::new(&bytes, response.headers.len());
    for header in response.headers.iter() {
        reader
            .read(header)
            .map_err(|_| Failure::UpstreamMalformed("header field not valid"))?;
    }
    let body = reader.response_body(method, status)?;
    let keep_alive = reader.keep_alive(version) && !matches!(body, Decoder::UntilClose);
    let head = ResponseHead {
        status,
        content_length: reader.content_length,
        fields: reader.fields,
    };
    Ok(ParsedResponse {
        head,
        body,
        keep_alive,
    })
}

impl FieldReader<'_> {
    /// RFC 9112 §6.3 for responses.
    fn response_body(&self, method: &Method, status: StatusCode) -> Result<Decoder, Failure> {
        if self.codings > 0 && self.lengths > 0 {
            return Err(Failure::UpstreamMalformed(
                "both content-length and transfer-encoding",
            ));
        }
        if self.lengths > 1 || self.codings > 1 {
            return Err(Failure::UpstreamMalformed("body length stated twice"));
        }
        if !has_body(method, status) {
            return Ok(Decoder::length(0));
        }
        if self.codings > 0 {
            return if self.chunked {
                Ok(Decoder::chunked())
            } else {
                Err(Failure::UpstreamMalformed("unknown transfer coding"))
            };
        }
        Ok(self
            .content_length
            .map_or(Decoder::UntilClose, Decoder::length))
    }
}
