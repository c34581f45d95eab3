//! gRPC-Web (`doc/PROTOCOL-WEB.md` of the gRPC project): calls of clients that cannot read trailers.
//!
//! Messages are framed as in gRPC. The status is a last frame of the answer's body, marked by the highest
//! bit of its flags. `-text` is the same in base64, in pieces that may each be padded.

mod base64;
mod frames;

use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use http::header::{CONTENT_TYPE, TE};

use crate::body::{Body, Frame};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead};

pub(super) use base64::encode as text;

/// Marks the frame that holds the trailers.
const TRAILERS: u8 = 0x80;

/// Makes a call of gRPC out of one of gRPC-Web.
pub(super) fn request(head: &mut RequestHead, body: Body, is_text: bool) -> Body {
    replace_type(&mut head.fields, "application/grpc");
    head.fields.set(TE, HeaderValue::from_static("trailers"));
    if is_text {
        head.content_length = None;
    }
    Body::GrpcWeb(Box::new(Incoming {
        body,
        text: is_text.then(base64::Decoder::default),
        frames: frames::Frames::default(),
    }))
}

/// The head of an answer, for gRPC-Web.
pub(super) fn response(head: &mut ResponseHead, is_text: bool) {
    let content_type = if is_text {
        "application/grpc-web-text"
    } else {
        "application/grpc-web"
    };
    replace_type(&mut head.fields, content_type);
    head.content_length = None;
}

/// Writes another content type with the same suffix: `+proto`, which is also what none means.
fn replace_type(fields: &mut Fields, name: &str) {
    let former = fields.get(&CONTENT_TYPE).map(HeaderValue::as_bytes);
    let former = former.unwrap_or_default();
    let suffix = memchr::memchr(b'+', former).map_or(&b"+proto"[..], |at| &former[at..]);
    let value = [name.as_bytes(), suffix].concat();
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        fields.set(CONTENT_TYPE, value);
    }
}

/// Trailers as the last frame of a body.
pub(super) fn trailers(fields: &Fields) -> Bytes {
    let mut frame = BytesMut::with_capacity(128);
    frame.put_slice(&[TRAILERS, 0, 0, 0, 0]);
    for (name, value) in fields.iter() {
        frame.put_slice(name.as_str().as_bytes());
        frame.put_slice(b": ");
        // No line ends in it: a field value cannot have one.
        frame.put_slice(value.as_bytes());
        frame.put_slice(b"\r\n");
    }
    // Trailers are bounded far below 4 GiB where they are read.
    let length = u32::try_from(frame.len() - frames::HEAD).unwrap_or(u32::MAX);
    frame[1..frames::HEAD].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// The messages of a client. What is not well framed ends the call: a target could wait for the rest for
/// ever, or read another message than was checked here.
#[derive(Debug)]
pub(crate) struct Incoming {
    body: Body,
    text: Option<base64::Decoder>,
    frames: frames::Frames,
}

impl Incoming {
    pub(crate) fn length(&self) -> Option<u64> {
        let length = self.body.length();
        match &self.text {
            _ if length == Some(0) && !self.is_complete() => None,
            Some(_) => length.filter(|length| *length == 0),
            None => length,
        }
    }

    fn is_complete(&self) -> bool {
        let is_decoded = self.text.as_ref().is_none_or(base64::Decoder::is_complete);
        is_decoded && self.frames.is_complete()
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        loop {
            return Poll::Ready(match ready!(self.body.poll_frame(context)) {
                Some(Ok(Frame::Data(bytes))) => match self.decode(bytes) {
                    Ok(bytes) if bytes.is_empty() => continue,
                    Ok(bytes) => Some(Ok(Frame::Data(bytes))),
                    Err(rule) => Some(Err(Failure::Malformed(rule))),
                },
                // They have no place in gRPC-Web's requests.
                Some(Ok(Frame::Trailers(_))) | None if self.is_complete() => None,
                Some(Ok(Frame::Trailers(_))) | None => {
                    Some(Err(Failure::Malformed("A gRPC-Web message is cut short.")))
                }
                Some(Err(failure)) => Some(Err(failure)),
            });
        }
    }

    fn decode(&mut self, bytes: Bytes) -> Result<Bytes, &'static str> {
        let bytes = match &mut self.text {
            Some(text) => text.decode(&bytes)?,
            None => bytes,
        };
        self.frames.follow(&bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
