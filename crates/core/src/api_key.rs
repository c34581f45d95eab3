//! The text of API keys: known at sight, by scanners of leaked secrets as well as by a gateway.
//!
//! ```text
//! weir_key_ 0Lq3vYx8RtA GbT…33 characters…x2 1a2B3c
//! prefix    public part  secret part          checksum
//! ```
//!
//! All behind the prefix are digits and letters of ASCII, 50 in number, so that one regular expression finds each
//! key there is: `\bweir_key_[0-9A-Za-z]{50}\b`.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;

/// Tells scanners and readers what it is.
const PREFIX: &str = "weir_key_";
/// 64 random bits find the record of a key.
const PUBLIC: usize = DIGITS;
/// 192 random bits, three numbers of 64, are what nobody guesses.
const SECRET: usize = 3 * DIGITS;
const CHECKSUM: usize = 6;
const LENGTH: usize = PREFIX.len() + PUBLIC + SECRET + CHECKSUM;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// As many digits of base 62 as any number of 64 bits needs.
const DIGITS: usize = 11;
/// Of the public part, in lists.
const SHOWN: usize = 4;

/// A text that has the form of an API key. It is not known whose, or whether it is anybody's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApiKeyText<'a>(&'a str);

impl<'a> ApiKeyText<'a> {
    /// A new key, of random numbers.
    pub fn compose(public: u64, secret: [u64; 3]) -> Secret<String> {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        push_number(&mut text, public, DIGITS);
        for number in secret {
            push_number(&mut text, number, DIGITS);
        }
        let checksum = crc32fast::hash(text.as_bytes());
        push_number(&mut text, u64::from(checksum), CHECKSUM);
        Secret::new(text)
    }

    /// Reads a key; none if it is not of the form of one, or mistyped: that needs no look at records. What is made up
    /// passes only if it has the right checksum.
    pub fn parse(text: &'a str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX)?;
        let is_form =
            text.len() == LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_form {
            return None;
        }
        let (before, checksum) = text.split_at(LENGTH - CHECKSUM);
        let expected = digits::<CHECKSUM>(u64::from(crc32fast::hash(before.as_bytes())));
        (checksum.as_bytes() == expected).then_some(Self(text))
    }

    /// Whether somebody who wrote this meant a key, right or not.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Whether there is something in a text that may be a key, right or not.
    pub fn is_within(text: &str) -> bool {
        text.contains(PREFIX)
    }

    /// What finds the record of the key. It opens nothing.
    pub fn public_part(self) -> &'a str {
        &self.0[PREFIX.len()..PREFIX.len() + PUBLIC]
    }

    /// What records keep: SHA-256 of the whole. So much randomness needs no salt and no slow hash.
    pub fn hash(self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Whether this is the key that records have this hash of. The time it takes tells nothing.
    pub fn is_of(self, hash: &[u8; 32]) -> bool {
        self.hash().ct_eq(hash).into()
    }

    /// As a key of this public part is shown to those who have many: `weir_key_0Lq3…`.
    pub fn shown(public_part: &str) -> String {
        let begin = public_part.get(..SHOWN).unwrap_or(public_part);
        format!("{PREFIX}{begin}…")
    }
}

/// Never the whole of it.
impl fmt::Debug for ApiKeyText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&Self::shown(self.public_part()))
    }
}

fn push_number(text: &mut String, number: u64, many: usize) {
    let all = digits::<DIGITS>(number);
    text.extend(all[DIGITS - many..].iter().copied().map(char::from));
}

/// The last digits of a number in base 62, the most significant first.
fn digits<const MANY: usize>(mut number: u64) -> [u8; MANY] {
    let mut digits = [0; MANY];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: (u64, [u64; 3]) = (0x0123_4567_89ab_cdef, [1, u64::MAX, 0x1234_5678_9abc]);

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = ApiKeyText::compose(NUMBERS.0, NUMBERS.1);
        // What is out there once must be read for ever.
        assert_eq!(
            key.expose(),
            "weir_key_063UfDVRKBz00000000001LygHa16AHYF0005gOMDDhc1pgR8X"
        );
        let read = ApiKeyText::parse(key.expose()).unwrap();
        assert_eq!(read.public_part(), "063UfDVRKBz");
        assert!(read.is_of(&read.hash()));
        let other = ApiKeyText::compose(NUMBERS.0, [1, u64::MAX, 0]);
        let other = ApiKeyText::parse(other.expose()).unwrap();
        assert_eq!(read.public_part(), other.public_part());
        assert!(!read.is_of(&other.hash()));
    }

    #[test]
    fn each_number_has_a_text_of_its_own_and_one_length() {
        for numbers in [(0, [0; 3]), NUMBERS, (u64::MAX, [u64::MAX; 3])] {
            let key = ApiKeyText::compose(numbers.0, numbers.1);
            assert_eq!(key.expose().len(), LENGTH);
            assert!(ApiKeyText::parse(key.expose()).is_some());
        }
        assert_eq!(&digits::<DIGITS>(u64::MAX), b"LygHa16AHYF");
    }

    #[test]
    fn each_mistyped_character_is_noticed() {
        let key = ApiKeyText::compose(NUMBERS.0, NUMBERS.1);
        let key = key.expose();
        for at in 0..key.len() {
            for with in [b'0', b'z', b'_', b' ', b'\0'] {
                let mut bytes = key.clone().into_bytes();
                if std::mem::replace(&mut bytes[at], with) == with {
                    continue;
                }
                let text = String::from_utf8(bytes).unwrap();
                assert_eq!(ApiKeyText::parse(&text), None, "{text}");
            }
        }
        for bad in [
            String::new(),
            PREFIX.to_owned(),
            key[1..].to_owned(),
            key[..key.len() - 1].to_owned(),
            format!("{key}0"),
            format!(" {key}"),
            key.to_uppercase(),
            // As long, but cut within a character.
            format!("{PREFIX}{}", "é".repeat(25)),
            "weir_key_".repeat(100_000),
        ] {
            assert_eq!(ApiKeyText::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let key = ApiKeyText::compose(NUMBERS.0, NUMBERS.1);
        let read = ApiKeyText::parse(key.expose()).unwrap();
        assert_eq!(format!("{read:?}"), "weir_key_063U…");
        assert_eq!(ApiKeyText::shown(read.public_part()), "weir_key_063U…");
        assert_eq!(ApiKeyText::shown(""), "weir_key_…");
        assert!(ApiKeyText::is_within(&format!("a={}&b", key.expose())));
    }
}
