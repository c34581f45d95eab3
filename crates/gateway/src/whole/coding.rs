//! Content codings, undone within bounds (RFC 9110 §8.4.1).

use std::io::{self, Read};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use smallvec::SmallVec;
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::fields::Fields;

/// Bytes that are decoded at a time.
const PIECE: usize = 32 * 1024;
/// Zstandard's window, as a power of two: what RFC 8878 §3.1.1.1.2 asks decoders to take.
const ZSTD_WINDOW: u32 = 23;

/// Most codings on top of each other. One is usual, and two are a mistake that happens.
const MOST: usize = 3;

/// What was done to a body's bytes, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Codings(SmallVec<[Coding; MOST]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body's codings were not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// It becomes too large: a bomb, or a body that is.
    TooLarge,
    Broken,
}

impl Codings {
    /// `None` if one is not known here, or if there are too many.
    pub(crate) fn of(fields: &Fields) -> Option<Self> {
        let mut codings = SmallVec::new();
        for value in fields.get_all(&CONTENT_ENCODING) {
            for name in value.as_bytes().split(|byte| *byte == b',') {
                let coding = match name.trim_ascii().to_ascii_lowercase().as_slice() {
                    b"" | b"identity" => continue,
                    b"gzip" | b"x-gzip" => Coding::Gzip,
                    b"deflate" => Coding::Deflate,
                    b"br" => Coding::Brotli,
                    b"zstd" => Coding::Zstd,
                    _ => return None,
                };
                if codings.len() == MOST {
                    return None;
                }
                codings.push(coding);
            }
        }
        Some(Self(codings))
    }

    /// Whether the bytes are the body itself.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body itself. Neither it nor what is between two codings has more than `most` bytes.
    pub(crate) fn undo(&self, body: Bytes, most: usize) -> Result<Bytes, Undecodable> {
        let mut codings = self.0.iter().rev();
        codings.try_fold(body, |body, coding| coding.undo(&body, most))
    }
}

impl Coding {
    fn undo(self, body: &[u8], most: usize) -> Result<Bytes, Undecodable> {
        match self {
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(body), most),
            Self::Deflate => read(flate2::read::ZlibDecoder::new(body), most),
            Self::Brotli => read(brotli::Decompressor::new(body, PIECE), most),
            Self::Zstd => zstd(body, most),
        }
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

    const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    #[test]
    fn bodies_come_back() {
        for coding in CODINGS {
            for body in [&b""[..], b"x", &[7; 100_000]] {
                let decoded = coding.undo(&encoded(coding, body), 100_000);
                assert_eq!(decoded.as_deref(), Ok(body), "{coding:?} {}", body.len());
            }
        }
    }

    #[test]
    fn bombs_are_refused_before_they_burst() {
        let bomb = vec![0; 200 << 20];
        for coding in &CODINGS {
            let encoded = encoded(*coding, &bomb);
            assert_eq!(
                coding.undo(&encoded, 1 << 20),
                Err(Undecodable::TooLarge),
                "{coding:?}"
            );
        }
    }

    #[test]
    fn what_is_cut_or_broken_is_not_taken_for_the_whole() {
        let body: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        for coding in &CODINGS {
            let whole = encoded(*coding, &body);
            for length in [1, 5, whole.len() / 2, whole.len() - 1] {
                let cut = coding.undo(&whole[..length], 1 << 20);
                assert_eq!(cut, Err(Undecodable::Broken), "{coding:?} {length}");
            }
            let mut broken = whole.to_vec();
            let middle = broken.len() / 2;
            broken[middle..middle + 8].fill(0xff);
            let broken = coding.undo(&broken, 1 << 20);
            assert_ne!(broken.as_deref(), Ok(body.as_slice()), "{coding:?}");
        }
    }

    #[test]
    fn codings_are_undone_from_the_last_one_on() {
        let body = b"the body ".repeat(100);
        let twice = encoded(Coding::Zstd, &encoded(Coding::Gzip, &body));
        let codings = Codings(SmallVec::from_slice(&[Coding::Gzip, Coding::Zstd]));
        assert_eq!(codings.undo(twice.clone(), 1000).as_deref(), Ok(&*body));
        assert_eq!(codings.undo(twice.clone(), 899), Err(Undecodable::TooLarge));
        let wrong = Codings(SmallVec::from_slice(&[Coding::Zstd, Coding::Gzip]));
        assert_eq!(wrong.undo(twice, 1000), Err(Undecodable::Broken));
        // A bomb in a bomb: what is between them is bounded as well.
        let bomb = encoded(Coding::Gzip, &encoded(Coding::Gzip, &vec![0; 200 << 20]));
        let codings = Codings(SmallVec::from_slice(&[Coding::Gzip, Coding::Gzip]));
        assert!(bomb.len() < 2_000);
        assert_eq!(codings.undo(bomb, 100_000), Err(Undecodable::TooLarge));
    }

    #[test]
    fn codings_have_names() {
        let of = |values: &[&'static str]| {
            let mut fields = Fields::new();
            for value in values {
                fields.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Codings::of(&fields).map(|codings| codings.0.to_vec())
        };
        assert_eq!(of(&[]), Some(vec![]));
        assert_eq!(of(&["GZIP"]), Some(vec![Coding::Gzip]));
        assert_eq!(of(&["identity, br"]), Some(vec![Coding::Brotli]));
        let several = [Coding::Gzip, Coding::Brotli, Coding::Zstd];
        assert_eq!(of(&["gzip, br", "zstd"]), Some(several.to_vec()));
        for refused in [
            &["gzip, gzip, gzip, gzip"][..],
            &["gzip", "compress"],
            &["aes128gcm"],
        ] {
            assert_eq!(of(refused), None, "{refused:?}");
        }
    }
}
