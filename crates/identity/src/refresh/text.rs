//! The text of a refresh token.
//!
//! ```text
//! weir_refresh_ + base64url( mark: 16 bytes · secret: 32 bytes )
//! ```
//!
//! All tokens of a family have its mark, so that one of any generation is known again; the secret is another one each
//! time. Records have hashes of the mark and of the whole.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_core::Secret;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::token;

/// Tells scanners of leaked secrets what it is.
const PREFIX: &str = "weir_refresh_";
/// Enough that nobody makes one up who has never seen a token of the family.
const MARK: usize = 16;
const SECRET: usize = 32;

/// What all tokens of a family have in common.
pub(super) struct Mark([u8; MARK]);

/// What records keep of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashes {
    /// Of the family's mark.
    pub(super) mark: [u8; 32],
    /// Of the whole token.
    pub(super) token: [u8; 32],
}

/// A token that somebody shows.
pub(super) struct Shown {
    pub(super) mark: Mark,
    pub(super) hashes: Hashes,
}

impl Mark {
    /// That of a new family.
    pub(super) fn generate() -> Result<Self> {
        Ok(Self(token::random()?))
    }

    /// A new token of the family.
    pub(super) fn token(&self) -> Result<(Secret<String>, Hashes)> {
        let secret = Zeroizing::new(token::random::<SECRET>()?);
        let mut bytes = Zeroizing::new([0; MARK + SECRET]);
        bytes[..MARK].copy_from_slice(&self.0);
        bytes[MARK..].copy_from_slice(&secret[..]);
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes[..]));
        let hashes = self.hashes(&text);
        Ok((Secret::new(text), hashes))
    }

    fn hashes(&self, text: &str) -> Hashes {
        Hashes {
            mark: token::hash(&URL_SAFE_NO_PAD.encode(self.0)),
            token: token::hash(text),
        }
    }
}

/// Reads a token; none if it has not the form of one.
pub(super) fn parse(text: &str) -> Option<Shown> {
    let encoded = text.strip_prefix(PREFIX)?;
    let mut bytes = Zeroizing::new([0; MARK + SECRET]);
    let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes[..]).ok()?;
    if length != bytes.len() {
        return None;
    }
    let mut mark = [0; MARK];
    mark.copy_from_slice(&bytes[..MARK]);
    let mark = Mark(mark);
    let hashes = mark.hashes(text);
    Some(Shown { mark, hashes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_a_family_are_known_by_its_mark_and_apart_by_their_secrets() {
        let mark = Mark::generate().unwrap();
        let ((one, first), (two, second)) = (mark.token().unwrap(), mark.token().unwrap());
        assert_eq!(first.mark, second.mark);
        assert!(first.token != second.token && one.expose() != two.expose());
        let shown = parse(one.expose()).unwrap();
        assert!(shown.hashes == first);
        let (other, of_another) = Mark::generate().unwrap().token().unwrap();
        assert_ne!(of_another.mark, first.mark);
        assert!(parse(other.expose()).is_some());
    }

    #[test]
    fn what_has_not_the_form_of_one_is_none() {
        let (token, _) = Mark::generate().unwrap().token().unwrap();
        let text = token.expose();
        for bad in [
            "",
            PREFIX,
            &text[..text.len() - 1],
            &format!("{text}A"),
            &format!("{text}="),
            &text.replace(PREFIX, "weir_session_"),
            &format!("{PREFIX}{}", "!".repeat(64)),
            &format!("{PREFIX}{}", "A".repeat(100_000)),
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
