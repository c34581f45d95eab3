//! Text of messages, which is UTF-8 (RFC 6455 §8.1), looked at while it passes.

/// Bytes that are unmasked and looked at at a time.
const PIECE: usize = 512;
/// Bytes of a character whose rest is still to come.
const LONGEST_BEGINNING: usize = 3;

/// Where one side is in a text message. What it has seen, it does not keep, but for the beginning of a
/// character.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Of the frame under way; nothing but zeros if it has none.
    mask: [u8; 4],
    /// Bytes of the frame's payload that were looked at.
    seen: usize,
    begun: [u8; LONGEST_BEGINNING],
    begun_length: usize,
    is_broken: bool,
}

impl Text {
    pub(super) fn begin_frame(&mut self, mask: [u8; 4]) {
        self.mask = mask;
        self.seen = 0;
    }

    /// Looks at what follows in the payload; tells whether all of the message so far is UTF-8, and whole
    /// characters if that is its end. Once it is not, that is found again.
    pub(super) fn follow(&mut self, payload: &[u8], is_end: bool) -> bool {
        if !self.is_broken {
            let is_valid = payload.chunks(PIECE).all(|piece| self.look(piece));
            self.is_broken = !is_valid || (is_end && self.begun_length > 0);
        }
        !self.is_broken
    }

    fn look(&mut self, piece: &[u8]) -> bool {
        let mut room = [0; LONGEST_BEGINNING + PIECE];
        let begun = self.begun_length;
        room[..begun].copy_from_slice(&self.begun[..begun]);
        let text = &mut room[..begun + piece.len()];
        self.unmask(piece, &mut text[begun..]);
        match std::str::from_utf8(text) {
            Ok(_) => self.begun_length = 0,
            Err(error) if error.error_len().is_none() => {
                let rest = &text[error.valid_up_to()..];
                self.begun_length = rest.len();
                self.begun[..rest.len()].copy_from_slice(rest);
            }
            Err(_) => return false,
        }
        true
    }

    fn unmask(&mut self, piece: &[u8], text: &mut [u8]) {
        let mask: [u8; 8] = std::array::from_fn(|at| self.mask[(self.seen + at) % 4]);
        self.seen += piece.len();
        // Eight at a time: byte by byte this would take as long as everything else.
        let (wide, mut left) = (u64::from_ne_bytes(mask), 0);
        let mut words = text.chunks_exact_mut(8);
        for (to, from) in words.by_ref().zip(piece.chunks_exact(8)) {
            to.copy_from_slice(from);
            let word = to.first_chunk().map_or(0, |word| u64::from_ne_bytes(*word));
            to.copy_from_slice(&(word ^ wide).to_ne_bytes());
            left += 8;
        }
        let rest = words.into_remainder().iter_mut().zip(&piece[left..]);
        for ((to, from), mask) in rest.zip(mask) {
            *to = from ^ mask;
        }
    }
}
