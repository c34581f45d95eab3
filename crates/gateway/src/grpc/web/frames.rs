//! Where messages begin and end.

/// Flags and length in front of each message.
pub(super) const HEAD: usize = 5;

/// Follows the framing of messages that pass in pieces.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// Bytes of the head that were seen.
    seen: usize,
    /// Bytes of the message that are to come.
    left: usize,
}

impl Frames {
    /// Whether the last message is whole.
    pub(super) fn is_complete(&self) -> bool {
        self.seen == 0 && self.left == 0
    }

    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let length = self.left.min(bytes.len());
                self.left -= length;
                bytes = &bytes[length..];
                continue;
            }
            let length = (HEAD - self.seen).min(bytes.len());
            self.head[self.seen..self.seen + length].copy_from_slice(&bytes[..length]);
            self.seen += length;
            bytes = &bytes[length..];
            // Compressed or not; anything else is no message.
            if self.head[0] > 1 {
                return Err("A gRPC-Web message has unknown flags.");
            }
            if self.seen == HEAD {
                let [_, length @ ..] = self.head;
                self.left = u32::from_be_bytes(length) as usize;
                self.seen = 0;
            }
        }
        Ok(())
    }
}
