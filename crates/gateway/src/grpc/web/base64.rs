//! Base64 (RFC 4648 §4) in pieces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};

/// Four characters that stand for up to three bytes.
const QUANTUM: usize = 4;

const GARBAGE: &str = "The body is not valid base64.";

/// Encodes one piece, which is padded: whoever decodes may do so at once.
pub(in crate::grpc) fn encode(bytes: &[u8]) -> Bytes {
    STANDARD.encode(bytes).into()
}

/// Decodes a text that comes in pieces, and may itself be put together of padded ones.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Fewer than four characters that wait for the others.
    rest: BytesMut,
}

impl Decoder {
    pub(super) fn is_complete(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn decode(&mut self, text: &[u8]) -> Result<Bytes, &'static str> {
        self.rest.extend_from_slice(text);
        let whole = self.rest.len() / QUANTUM * QUANTUM;
        let text = self.rest.split_to(whole);
        let mut decoded = Vec::with_capacity(whole / QUANTUM * 3);
        let mut left = &text[..];
        while !left.is_empty() {
            // A piece ends with the quantum that is padded.
            let padding = memchr::memchr(b'=', left)
                .map_or(left.len(), |at| at / QUANTUM * QUANTUM + QUANTUM);
            let (piece, others) = left.split_at_checked(padding).ok_or(GARBAGE)?;
            STANDARD
                .decode_vec(piece, &mut decoded)
                .map_err(|_| GARBAGE)?;
            left = others;
        }
        Ok(decoded.into())
    }
}
