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

    /// Reads the text form, in either case; `None` for what is not 32 hexadecimal digits, and for zero.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != Self::TEXT_LENGTH {
            return None;
        }
        let mut value = 0;
        for byte in text {
            let digit = char::from(*byte).to_digit(16)?;
            value = value << 4 | u128::from(digit);
        }
        (value != 0).then_some(Self(value))
    }

    /// The number that the text form writes.
    pub fn number(self) -> u128 {
        self.0
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

    #[test]
    fn only_the_text_form_is_read() {
        let id = RequestId::generate();
        assert_eq!(RequestId::parse(&id.to_text()), Some(id));
        let upper = id.to_string().to_ascii_uppercase();
        assert_eq!(RequestId::parse(upper.as_bytes()), Some(id));
        for text in [
            "",
            "af3",
            "0000000000000000000000000000000",
            "00000000000000000000000000000000",
            "0000000000000000000000000000000g",
            "+0000000000000000000000000000af3",
            "000000000000000000000000000000af3",
            "2e021b01-8efa-ab89-dcac-96b5934d",
        ] {
            assert_eq!(RequestId::parse(text.as_bytes()), None, "{text}");
        }
    }
}
