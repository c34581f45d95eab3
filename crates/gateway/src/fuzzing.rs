//! What the fuzz targets in `fuzz/` see of the HTTP/1 parsers. No part of the interface.

use bytes::BytesMut;
use http::Method;

use crate::body::Frame;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::http1::reading::{
    Decoded, Decoder, HeadLimits, HeadScanner, parse_request, parse_response,
};

/// A request as it was read from pieces.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Bytes of the head, an empty line in front not counted.
    pub head_length: usize,
    /// Bytes of head and body.
    pub consumed: usize,
    /// Method.
    pub method: Method,
    /// Authority.
    pub authority: String,
    /// Path, not normalised.
    pub path: String,
    /// Query.
    pub query: Option<String>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// Whether the body comes in chunks.
    pub chunked: bool,
    /// Whether the connection may be used again.
    pub keep_alive: bool,
    /// Fields without framing.
    pub fields: Fields,
    /// The body as far as it came.
    pub body: ReadBody,
}

/// A response as it was read from pieces.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadResponse {
    /// Status.
    pub status: u16,
    /// Fields without framing.
    pub fields: Fields,
    /// The body as far as it came.
    pub body: ReadBody,
}

/// A body as far as it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ReadBody {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Fields behind it.
    pub trailers: Option<Fields>,
    /// Whether its end came.
    pub ended: bool,
    /// Whether its framing is broken.
    pub broken: bool,
}

/// Reads one request from bytes that arrive in pieces: `Err` if it is refused, `None` if the head is
/// not complete.
pub fn read_request(pieces: &[&[u8]]) -> Result<Option<ReadRequest>, Failure> {
    let limits = HeadLimits {
        bytes: 4096,
        headers: 100,
    };
    let mut input = BytesMut::new();
    let mut scanner = HeadScanner::default();
    let mut pieces = pieces.iter();
    let length = loop {
        let Some(piece) = pieces.next() else {
            return Ok(None);
        };
        input.extend_from_slice(piece);
        match scanner.scan_request(&input) {
            Ok(Some(length)) => break length,
            Ok(None) => {}
            Err(failure) => return Err(failure),
        }
    };
    let parsed = parse_request(&mut input, length, limits)?;
    let chunked = matches!(parsed.body, Decoder::Chunked(_));
    let (body, consumed) = read_body(parsed.body, input, pieces.as_slice());
    Ok(Some(ReadRequest {
        head_length: length,
        consumed: length + consumed,
        method: parsed.head.method,
        authority: parsed.head.authority.to_string(),
        path: parsed.head.path.to_string(),
        query: parsed.head.query.map(|query| query.to_string()),
        length: parsed.head.content_length,
        chunked,
        keep_alive: parsed.keep_alive,
        fields: parsed.head.fields,
        body,
    }))
}

/// Reads one response to a GET from bytes that arrive in pieces.
pub fn read_response(pieces: &[&[u8]]) -> Result<Option<ReadResponse>, Failure> {
    let mut input = BytesMut::new();
    let mut scanner = HeadScanner::default();
    let mut pieces = pieces.iter();
    let length = loop {
        let Some(piece) = pieces.next() else {
            return Ok(None);
        };
        input.extend_from_slice(piece);
        if let Some(length) = scanner.scan_response(&input) {
            break length;
        }
    };
    let parsed = parse_response(&mut input, length, &Method::GET)?;
    let (body, _) = read_body(parsed.body, input, pieces.as_slice());
    Ok(Some(ReadResponse {
        status: parsed.head.status.as_u16(),
        fields: parsed.head.fields,
        body,
    }))
}

/// The body and how many bytes it took.
fn read_body(mut decoder: Decoder, mut input: BytesMut, pieces: &[&[u8]]) -> (ReadBody, usize) {
    let mut body = ReadBody::default();
    let mut pieces = pieces.iter();
    let mut consumed = 0;
    loop {
        let before = input.len();
        let decoded = decoder.decode(&mut input);
        consumed += before - input.len();
        match decoded {
            Ok(Decoded::Frame(Frame::Data(bytes))) => body.data.extend_from_slice(&bytes),
            Ok(Decoded::Frame(Frame::Trailers(fields))) => body.trailers = Some(fields),
            Ok(Decoded::End) => {
                body.ended = true;
                return (body, consumed);
            }
            Ok(Decoded::More) => {
                let Some(piece) = pieces.next() else {
                    return (body, consumed);
                };
                input.extend_from_slice(piece);
            }
            Err(_) => {
                body.broken = true;
                return (body, consumed);
            }
        }
    }
}
