//! The identifier that joins a request's log line, error answer and upstream call.

use std::fmt;

/// A 128-bit random identifier, written as 32 lower-case hexadecimal digits.
///
/// It has the shape of a W3C trace id so that one value can serve as both. It identifies, it does
/// not authenticate: a fast generator that is seeded per thread is enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

const HEX: &[u8; 16] = b"0123456789abcdef";

impl RequestId {
    /// Length of the text form in bytes.
    pub const TEXT_LENGTH: usize = 32;

    /// A fresh identifier, never zero (a zero trace id is invalid in W3C Trace Context §3.2.2.3).
    pub fn generate() -> Self {
        Self(fastrand::u128(1..))
    }

    /// The text form without allocating.
    pub fn to_text(self) -> [u8; Self::TEXT_LENGTH] {
        let mut text = [0; Self::TEXT_LENGTH];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        text
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_text_forms_agree_and_keep_leading_zeros() {
        let id = RequestId(0x0a_f3);
        assert_eq!(id.to_string(), "00000000000000000000000000000af3");
        assert_eq!(id.to_text().as_slice(), id.to_string().as_bytes());
    }
}
