//! Writing heads and bodies (RFC 9112): always one way of framing, always our own.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONNECTION, TE, TRANSFER_ENCODING};

use crate::body::Frame;
use crate::fields::Fields;
use crate::message::ResponseHead;
use crate::output::Output;
use crate::upstream::ForwardHead;

const UPGRADE: &[u8] = b"connection: upgrade\r\nupgrade: websocket\r\n";

/// How a body is framed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body.
    None,
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The connection's end.
    Close,
}

/// Writes a request's head.
pub(crate) fn request_head(
    out: &mut BytesMut,
    head: &ForwardHead<'_>,
    chunked: bool,
    content_length: Option<u64>,
    expects_continue: bool,
) {
    out.reserve(512);
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(head.path.as_bytes());
    if let Some(query) = head.query {
        out.extend_from_slice(b"?");
        out.extend_from_slice(query.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(head.authority.as_bytes());
    out.extend_from_slice(b"\r\n");
    write_fields(out, head.fields);
    if let Some(trace) = head.trace {
        out.extend_from_slice(b"traceparent: ");
        out.extend_from_slice(&trace.text(trace.attempt(head.attempt)));
        out.extend_from_slice(b"\r\n");
    }
    if chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    } else if let Some(length) = content_length {
        write_length(out, length);
    }
    if head.upgrade.is_some() {
        out.extend_from_slice(UPGRADE);
    }
    if expects_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// What a response's head says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// The version's default: nothing to say.
    Default,
    /// To an HTTP/1.0 client that asked for it.
    KeepAlive,
    /// This is the last response.
    Close,
    /// What follows is a WebSocket.
    Switch,
}

/// Writes a response's head. `date` is added if the response states none.
pub(crate) fn response_head(
    out: &mut BytesMut,
    head: &ResponseHead,
    framing: Framing,
    persistence: Persistence,
    date: &[u8],
) {
    out.reserve(512);
    write_status(out, head.status);
    write_fields(out, &head.fields);
    if !head.fields.contains(&http::header::DATE) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    match (framing, head.content_length) {
        (Framing::Chunked, _) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // RFC 9110 §8.6: none with 204.
        (_, Some(length)) if head.status != StatusCode::NO_CONTENT => write_length(out, length),
        _ => {}
    }
    if head.status == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110 §15.5.22. A target's own is of its connection, and did not get here.
        out.extend_from_slice(UPGRADE);
    }
    match persistence {
        Persistence::Default => {}
        Persistence::Switch => out.extend_from_slice(UPGRADE),
        Persistence::KeepAlive => out.extend_from_slice(b"connection: keep-alive\r\n"),
        Persistence::Close => out.extend_from_slice(b"connection: close\r\n"),
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes an interim response (1xx).
pub(crate) fn interim(out: &mut BytesMut, status: StatusCode, fields: &Fields) {
    write_status(out, status);
    write_fields(out, fields);
    out.extend_from_slice(b"\r\n");
}

fn write_status(out: &mut BytesMut, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut BytesMut, fields: &Fields) {
    for (name, value) in fields.iter() {
        // Connection management is this hop's own: callers have removed it from forwarded heads,
        // this is the last line of defence. `TE` may stand in an HTTP/1 head only if `Connection`
        // names it (RFC 9110 §10.1.4), and trailers are forwarded without having been asked for.
        if *name == CONNECTION || *name == TRANSFER_ENCODING || *name == TE {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(out: &mut BytesMut, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes a piece of a body.
pub(crate) fn frame(out: &mut Output, framing: Framing, frame: Frame) {
    match (framing, frame) {
        (Framing::None, _) => {}
        (Framing::Length | Framing::Close, Frame::Data(bytes)) => out.push(bytes),
        (Framing::Length | Framing::Close, Frame::Trailers(_)) => {}
        (Framing::Chunked, Frame::Data(bytes)) => chunk(out, bytes),
        (Framing::Chunked, Frame::Trailers(fields)) => {
            out.gather().extend_from_slice(b"0\r\n");
            write_fields(out.gather(), &fields);
            out.gather().extend_from_slice(b"\r\n");
        }
    }
}

fn chunk(out: &mut Output, bytes: Bytes) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut length = bytes.len();
    while length > 0 {
        at -= 1;
        digits[at] = HEX[length & 15];
        length >>= 4;
    }
    out.gather().extend_from_slice(&digits[at..]);
    out.gather().extend_from_slice(b"\r\n");
    out.push(bytes);
    out.gather().extend_from_slice(b"\r\n");
}

/// Writes the end of a body that had no trailers.
pub(crate) fn end(out: &mut Output, framing: Framing) {
    if framing == Framing::Chunked {
        out.gather().extend_from_slice(b"0\r\n\r\n");
    }
}
