//! What a file is made of: frames, each with a digest of itself and of all before it.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use super::error::{Error, Result};

pub(super) const MAGIC: &[u8; 12] = b"weir-backup\n";
const FORMAT: u32 = 1;
const HEAD: usize = 1 + 4 + 4 + DIGEST;
const DIGEST: usize = 32;

/// Neither engine keeps a larger row.
const MOST: usize = 1 << 30;

/// Identifiers and hashes, of which records are full, do not shrink further with more work.
const LEVEL: zstd_safe::CompressionLevel = 1;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Header,
    Rows,
    End,
}

impl FrameKind {
    const fn letter(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Rows => b'R',
            Self::End => b'E',
        }
    }

    const fn of(letter: u8) -> Option<Self> {
        match letter {
            b'H' => Some(Self::Header),
            b'R' => Some(Self::Rows),
            b'E' => Some(Self::End),
            _ => None,
        }
    }
}

/// The digest of what stands before the first frame.
fn first_digest() -> [u8; DIGEST] {
    Sha256::new()
        .chain_update(MAGIC)
        .chain_update(FORMAT.to_be_bytes())
        .finalize()
        .into()
}

fn next_digest(before: &[u8; DIGEST], head: &[u8], payload: &[u8]) -> [u8; DIGEST] {
    Sha256::new()
        .chain_update(before)
        .chain_update(head)
        .chain_update(payload)
        .finalize()
        .into()
}

/// Writes frames.
pub(super) struct FrameWriter<W> {
    writer: W,
    packed: Vec<u8>,
    digest: [u8; DIGEST],
    written: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(mut writer: W) -> io::Result<Self> {
        writer.write_all(MAGIC)?;
        writer.write_all(&FORMAT.to_be_bytes())?;
        Ok(Self {
            writer,
            packed: Vec::new(),
            digest: first_digest(),
            written: (MAGIC.len() + 4) as u64,
        })
    }

    pub(super) fn write(&mut self, kind: FrameKind, content: &[u8]) -> io::Result<()> {
        if content.len() > MOST {
            return Err(io::Error::other("a row is larger than a backup can hold"));
        }
        self.packed.clear();
        self.packed
            .reserve(zstd_safe::compress_bound(content.len()));
        zstd_safe::compress(&mut self.packed, content, LEVEL)
            .map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
        let mut head = [0; HEAD];
        head[0] = kind.letter();
        head[1..5].copy_from_slice(&(content.len() as u32).to_be_bytes());
        head[5..9].copy_from_slice(&(self.packed.len() as u32).to_be_bytes());
        self.digest = next_digest(&self.digest, &head[..9], &self.packed);
        head[9..].copy_from_slice(&self.digest);
        self.writer.write_all(&head)?;
        self.writer.write_all(&self.packed)?;
        self.written += (HEAD + self.packed.len()) as u64;
        Ok(())
    }

    /// Bytes so far.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// The digest of everything, and what was written to.
    pub(super) fn finish(mut self) -> io::Result<([u8; DIGEST], W)> {
        self.writer.flush()?;
        Ok((self.digest, self.writer))
    }
}

/// Reads frames; believes nothing before its digest was seen.
pub(super) struct FrameReader<R> {
    reader: R,
    digest: [u8; DIGEST],
    read: u64,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(mut reader: R) -> Result<Self> {
        let mut head = Vec::with_capacity(MAGIC.len() + 4);
        reader
            .by_ref()
            .take((MAGIC.len() + 4) as u64)
            .read_to_end(&mut head)?;
        let format = head.strip_prefix(MAGIC).ok_or(Error::Foreign)?;
        let format = format.try_into().map_err(|_| Error::CutOff(0))?;
        let format = u32::from_be_bytes(format);
        if format != FORMAT {
            return Err(Error::Format(format));
        }
        Ok(Self {
            reader,
            digest: first_digest(),
            read: head.len() as u64,
        })
    }

    /// The next frame. Its content is what was written, or there is an error.
    pub(super) fn read(&mut self) -> Result<(FrameKind, Vec<u8>)> {
        let from = self.read;
        let mut head = [0; HEAD];
        self.fill(&mut head)?;
        let length = number(&head[1..5]);
        let stored = number(&head[5..9]);
        let mut packed = Vec::new();
        // No room is made that the file does not fill.
        let got = self
            .reader
            .by_ref()
            .take(stored as u64)
            .read_to_end(&mut packed)?;
        self.read += got as u64;
        if got < stored {
            return Err(Error::CutOff(from));
        }
        let damaged = Error::Damaged {
            from,
            to: self.read,
        };
        let digest = next_digest(&self.digest, &head[..9], &packed);
        let (Some(kind), true) = (FrameKind::of(head[0]), digest[..] == head[9..]) else {
            return Err(damaged);
        };
        if length > MOST {
            return Err(damaged);
        }
        let mut content = Vec::with_capacity(length);
        match zstd_safe::decompress(&mut content, &packed) {
            Ok(unpacked) if unpacked == length => {}
            _ => return Err(damaged),
        }
        self.digest = digest;
        Ok((kind, content))
    }

    fn fill(&mut self, head: &mut [u8]) -> Result<()> {
        match self.reader.read_exact(head) {
            Ok(()) => self.read += head.len() as u64,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Error::CutOff(self.read));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Nothing may follow the last frame.
    pub(super) fn end(&mut self) -> Result<[u8; DIGEST]> {
        let mut behind = [0];
        loop {
            match self.reader.read(&mut behind) {
                Ok(0) => return Ok(self.digest),
                Ok(_) => return Err(Error::GoesOn(self.read)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Bytes so far.
    pub(super) const fn read_bytes(&self) -> u64 {
        self.read
    }

    pub(super) fn into_inner(self) -> R {
        self.reader
    }

    /// An error of what the last frame says, which is what was written.
    pub(super) const fn damaged(&self) -> Error {
        Error::Damaged {
            from: 0,
            to: self.read,
        }
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}
