//! Reading bodies (RFC 9112 §6, §7): by length, in chunks, or until the connection ends.

use bytes::{Buf, BytesMut};
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE, HOST,
    SET_COOKIE, TRAILER,
};
use http::{HeaderName, HeaderValue};

use crate::body::Frame;
use crate::fields::Fields;
use crate::hop;

/// Longest line that states a chunk's size, with its extensions.
const SIZE_LINE: usize = 256;

/// Most bytes of chunk extensions in one body: they mean nothing here, so that many of them are an
/// attempt to make work.
const MOST_EXTENSIONS: usize = 16 * 1024;

/// Most bytes of trailers.
const MOST_TRAILERS: usize = 16 * 1024;

/// Where the reading of a body stands.
#[derive(Debug)]
pub(crate) enum Decoder {
    /// This many bytes are left.
    Length(u64),
    /// Chunks follow.
    Chunked(Chunked),
    /// The end of the connection is the end of the body (responses only).
    UntilClose,
    /// Nothing is left.
    Done,
}

/// State between and inside chunks.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: ChunkState,
    extensions: usize,
}

#[derive(Clone, Copy, Debug)]
enum ChunkState {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

/// One step of reading.
#[derive(Debug)]
pub(crate) enum Decoded {
    Frame(Frame),
    /// More input is needed.
    More,
    End,
}

/// The chunked framing is broken; the text says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadFraming(pub(crate) &'static str);

impl Decoder {
    pub(crate) const fn chunked() -> Self {
        Self::Chunked(Chunked {
            state: ChunkState::Size,
            extensions: 0,
        })
    }

    pub(crate) const fn length(bytes: u64) -> Self {
        if bytes == 0 {
            Self::Done
        } else {
            Self::Length(bytes)
        }
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Bytes left, if known.
    pub(crate) const fn remaining(&self) -> Option<u64> {
        match self {
            Self::Length(bytes) => Some(*bytes),
            Self::Done => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }

    /// Takes the next piece off `input`.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, BadFraming> {
        match self {
            Self::Done => Ok(Decoded::End),
            _ if input.is_empty() => Ok(Decoded::More),
            Self::Length(remaining) => {
                let piece = take(input, *remaining);
                *remaining -= piece.len() as u64;
                if *remaining == 0 {
                    *self = Self::Done;
                }
                Ok(Decoded::Frame(Frame::Data(piece)))
            }
            Self::UntilClose => Ok(Decoded::Frame(Frame::Data(input.split().freeze()))),
            Self::Chunked(chunked) => {
                let decoded = chunked.decode(input)?;
                if matches!(decoded, Decoded::End | Decoded::Frame(Frame::Trailers(_))) {
                    *self = Self::Done;
                }
                Ok(decoded)
            }
        }
    }
}

fn take(input: &mut BytesMut, most: u64) -> bytes::Bytes {
    let length = usize::try_from(most).map_or(input.len(), |most| most.min(input.len()));
    input.split_to(length).freeze()
}

impl Chunked {
    fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, BadFraming> {
        loop {
            match self.state {
                ChunkState::Size => {
                    let Some(line) = line_end(input, SIZE_LINE)? else {
                        return Ok(Decoded::More);
                    };
                    let (size, extensions) = chunk_size(&input[..line])?;
                    self.extensions += extensions;
                    if self.extensions > MOST_EXTENSIONS {
                        return Err(BadFraming("too many chunk extensions"));
                    }
                    input.advance(line + 2);
                    self.state = if size == 0 {
                        ChunkState::Trailers
                    } else {
                        ChunkState::Data(size)
                    };
                }
                ChunkState::Data(remaining) => {
                    if input.is_empty() {
                        return Ok(Decoded::More);
                    }
                    let piece = take(input, remaining);
                    let remaining = remaining - piece.len() as u64;
                    self.state = if remaining == 0 {
                        ChunkState::DataEnd
                    } else {
                        ChunkState::Data(remaining)
                    };
                    return Ok(Decoded::Frame(Frame::Data(piece)));
                }
                ChunkState::DataEnd => {
                    if input.len() < 2 {
                        return Ok(Decoded::More);
                    }
                    if &input[..2] != b"\r\n" {
                        return Err(BadFraming("a chunk is longer than its size"));
                    }
                    input.advance(2);
                    self.state = ChunkState::Size;
                }
                ChunkState::Trailers => return trailers(input),
            }
        }
    }
}

/// Length of the first line without its CR LF; every LF must follow a CR.
fn line_end(input: &[u8], most: usize) -> Result<Option<usize>, BadFraming> {
    match memchr::memchr(b'\n', input) {
        Some(at) if at > most => Err(BadFraming("a chunk size line is too long")),
        Some(at) if at == 0 || input[at - 1] != b'\r' => {
            Err(BadFraming("a chunk size line does not end in CR LF"))
        }
        Some(at) => Ok(Some(at - 1)),
        None if input.len() > most => Err(BadFraming("a chunk size line is too long")),
        None => Ok(None),
    }
}

/// Size and length of the extensions of a chunk's first line (RFC 9112 §7.1). White space is not
/// allowed around the size: parsers differ on it.
fn chunk_size(line: &[u8]) -> Result<(u64, usize), BadFraming> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let extensions = &line[digits..];
    if digits == 0 || digits > 16 {
        return Err(BadFraming("a chunk size is not a hexadecimal number"));
    }
    if !extensions.is_empty() && extensions[0] != b';' {
        return Err(BadFraming("a chunk size is not a hexadecimal number"));
    }
    if extensions
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\t')
    {
        return Err(BadFraming("a chunk extension has a control character"));
    }
    let text = std::str::from_utf8(&line[..digits]).unwrap_or_default();
    let size = u64::from_str_radix(text, 16).map_err(|_| BadFraming("a chunk is too large"))?;
    Ok((size, extensions.len()))
}

fn trailers(input: &mut BytesMut) -> Result<Decoded, BadFraming> {
    if input.starts_with(b"\r\n") {
        input.advance(2);
        return Ok(Decoded::End);
    }
    let mut previous_line = 0;
    for at in memchr::memchr_iter(b'\n', input) {
        if at == 0 || input[at - 1] != b'\r' {
            return Err(BadFraming("a trailer line does not end in CR LF"));
        }
        if at >= MOST_TRAILERS {
            return Err(BadFraming("trailers are too large"));
        }
        if at - previous_line == 1 && previous_line > 0 {
            let block = input.split_to(at + 1);
            return parse_trailers(&block).map(|fields| {
                if fields.is_empty() {
                    Decoded::End
                } else {
                    Decoded::Frame(Frame::Trailers(fields))
                }
            });
        }
        previous_line = at + 1;
    }
    if input.len() > MOST_TRAILERS {
        return Err(BadFraming("trailers are too large"));
    }
    Ok(Decoded::More)
}

fn parse_trailers(block: &[u8]) -> Result<Fields, BadFraming> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let Ok(httparse::Status::Complete((_, parsed))) = httparse::parse_headers(block, &mut headers)
    else {
        return Err(BadFraming("trailers are not valid"));
    };
    let mut fields = Fields::new();
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes())
            .map_err(|_| BadFraming("trailers are not valid"))?;
        let value = HeaderValue::from_bytes(header.value)
            .map_err(|_| BadFraming("trailers are not valid"))?;
        if may_be_trailer(&name) {
            fields.append(name, value);
        }
    }
    Ok(fields)
}

/// Whether a field may come behind a body. Those that frame, route or authenticate the message, or
/// say where it comes from, may not (RFC 9110 §6.5.1) and are dropped: some servers put trailers
/// among the header fields.
pub(crate) fn may_be_trailer(name: &HeaderName) -> bool {
    const REFUSED: [HeaderName; 9] = [
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        HOST,
        SET_COOKIE,
        TRAILER,
    ];
    !REFUSED.contains(name) && !hop::is_for_heads_only(name.as_str())
}
