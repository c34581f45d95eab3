//! Content codings, undone within bounds (RFC 9110 §8.4.1).

use std::io::{self, Read};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::fields::Fields;

/// Bytes that are decoded at a time.
const PIECE: usize = 32 * 1024;
/// Zstandard's window, as a power of two: what RFC 8878 §3.1.1.1.2 asks decoders to take.
const ZSTD_WINDOW: u32 = 23;

/// What was done to a body's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body's coding was not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// It becomes too large: a bomb, or a body that is.
    TooLarge,
    Broken,
}

impl Coding {
    /// `None` if it is not known here, or if there are several: nobody but an attacker has those.
    pub(crate) fn of(fields: &Fields) -> Option<Self> {
        let mut coding = Self::Identity;
        for value in fields.get_all(&CONTENT_ENCODING) {
            for name in value.as_bytes().split(|byte| *byte == b',') {
                let found = match name.trim_ascii().to_ascii_lowercase().as_slice() {
                    b"" | b"identity" => continue,
                    b"gzip" | b"x-gzip" => Self::Gzip,
                    b"deflate" => Self::Deflate,
                    b"br" => Self::Brotli,
                    b"zstd" => Self::Zstd,
                    _ => return None,
                };
                if coding != Self::Identity {
                    return None;
                }
                coding = found;
            }
        }
        Some(coding)
    }
}

/// The body itself, of at most `most` bytes.
pub(crate) fn decode(coding: Coding, body: Bytes, most: usize) -> Result<Bytes, Undecodable> {
    match coding {
        Coding::Identity => Ok(body),
        Coding::Gzip => read(flate2::read::MultiGzDecoder::new(&*body), most),
        Coding::Deflate => read(flate2::read::ZlibDecoder::new(&*body), most),
        Coding::Brotli => read(brotli::Decompressor::new(&*body, PIECE), most),
        Coding::Zstd => zstd(&body, most),
    }
}

fn read(decoder: impl Read, most: usize) -> Result<Bytes, Undecodable> {
    let mut decoded = Vec::new();
    let limited = decoder.take(most as u64 + 1).read_to_end(&mut decoded);
    limited.map_err(|_: io::Error| Undecodable::Broken)?;
    if decoded.len() > most {
        return Err(Undecodable::TooLarge);
    }
    Ok(Bytes::from(decoded))
}

fn zstd(body: &[u8], most: usize) -> Result<Bytes, Undecodable> {
    let mut context = DCtx::try_create().ok_or(Undecodable::Broken)?;
    let window = DParameter::WindowLogMax(ZSTD_WINDOW);
    context
        .set_parameter(window)
        .map_err(|_| Undecodable::Broken)?;
    let mut decoded = Vec::new();
    let mut piece = vec![0; PIECE];
    let mut input = InBuffer::around(body);
    loop {
        let mut output = OutBuffer::around(piece.as_mut_slice());
        let hint = context
            .decompress_stream(&mut output, &mut input)
            .map_err(|_| Undecodable::Broken)?;
        let written = output.pos();
        if decoded.len() + written > most {
            return Err(Undecodable::TooLarge);
        }
        decoded.extend_from_slice(&piece[..written]);
        if input.pos() == body.len() && written < PIECE {
            // Nothing is left, and a frame that has begun is over.
            let is_whole = hint == 0;
            return is_whole
                .then(|| Bytes::from(decoded))
                .ok_or(Undecodable::Broken);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::HeaderValue;

    use super::*;

    fn encoded(coding: Coding, body: &[u8]) -> Bytes {
        let mut out = Vec::new();
        match coding {
            Coding::Identity => out.extend_from_slice(body),
            Coding::Gzip => {
                let level = flate2::Compression::new(6);
                let mut encoder = flate2::write::GzEncoder::new(&mut out, level);
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap();
            }
            Coding::Deflate => {
                let level = flate2::Compression::new(6);
                let mut encoder = flate2::write::ZlibEncoder::new(&mut out, level);
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap();
            }
            Coding::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
                encoder.write_all(body).unwrap();
                drop(encoder);
            }
            Coding::Zstd => {
                out.resize(zstd_safe::compress_bound(body.len()), 0);
                let length = zstd_safe::compress(out.as_mut_slice(), body, 3).unwrap();
                out.truncate(length);
            }
        }
        Bytes::from(out)
    }

    const CODINGS: [Coding; 5] = [
        Coding::Identity,
        Coding::Gzip,
        Coding::Deflate,
        Coding::Brotli,
        Coding::Zstd,
    ];

    #[test]
    fn bodies_come_back() {
        for coding in CODINGS {
            for body in [&b""[..], b"x", &[7; 100_000]] {
                let decoded = decode(coding, encoded(coding, body), 100_000);
                assert_eq!(decoded.as_deref(), Ok(body), "{coding:?} {}", body.len());
            }
        }
    }

    #[test]
    fn bombs_are_refused_before_they_burst() {
        let bomb = vec![0; 200 << 20];
        for coding in &CODINGS[1..] {
            let encoded = encoded(*coding, &bomb);
            assert_eq!(
                decode(*coding, encoded, 1 << 20),
                Err(Undecodable::TooLarge),
                "{coding:?}"
            );
        }
    }

    #[test]
    fn what_is_cut_or_broken_is_not_taken_for_the_whole() {
        let body: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for coding in &CODINGS[1..] {
            let whole = encoded(*coding, &body);
            for length in [1, 5, whole.len() / 2, whole.len() - 1] {
                let cut = decode(*coding, whole.slice(..length), 1 << 20);
                assert_eq!(cut, Err(Undecodable::Broken), "{coding:?} {length}");
            }
            let mut broken = whole.to_vec();
            let middle = broken.len() / 2;
            broken[middle..middle + 8].fill(0xff);
            let broken = decode(*coding, broken.into(), 1 << 20);
            assert_ne!(broken.as_deref(), Ok(body.as_slice()), "{coding:?}");
        }
    }

    #[test]
    fn codings_are_named_once() {
        let of = |values: &[&'static str]| {
            let mut fields = Fields::new();
            for value in values {
                fields.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Coding::of(&fields)
        };
        assert_eq!(of(&[]), Some(Coding::Identity));
        assert_eq!(of(&["GZIP"]), Some(Coding::Gzip));
        assert_eq!(of(&["identity, br"]), Some(Coding::Brotli));
        for refused in [
            &["gzip, gzip"][..],
            &["gzip", "br"],
            &["compress"],
            &["aes128gcm"],
        ] {
            assert_eq!(of(refused), None, "{refused:?}");
        }
    }
}
