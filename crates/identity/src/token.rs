//! What people hold to show who they are: 256 random bits, of which records have a hash only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use weir_core::Secret;

use crate::error::{Error, Result};

/// What the text begins with, so that people and scanners of leaked secrets know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    Session,
    Once,
}

impl Prefix {
    const fn text(self) -> &'static str {
        match self {
            Self::Session => "weir_session_",
            Self::Once => "weir_once_",
        }
    }
}

/// A new token, and what records keep of it.
pub(crate) fn generate(prefix: Prefix) -> Result<(Secret<String>, [u8; 32])> {
    Ok(of(prefix, &random::<32>()?))
}

/// The token of these bytes, which nobody can guess, and what records keep of it.
pub(crate) fn of(prefix: Prefix, random: &[u8; 32]) -> (Secret<String>, [u8; 32]) {
    let text = format!("{}{}", prefix.text(), URL_SAFE_NO_PAD.encode(random));
    let hash = hash(&text);
    (Secret::new(text), hash)
}

/// What records keep of a token that somebody shows; none if it is not of the form of one. So much
/// randomness needs no salt and no slow hash, and looking a hash up tells nothing by its time.
pub(crate) fn shown(prefix: Prefix, text: &str) -> Option<[u8; 32]> {
    let random = text.strip_prefix(prefix.text())?;
    let is_form = random.len() == 43
        && random
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    is_form.then(|| hash(text))
}

pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::internal("no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_form() {
        let (token, hash) = generate(Prefix::Session).unwrap();
        let text = token.expose();
        assert_eq!(shown(Prefix::Session, text), Some(hash));
        assert_eq!(shown(Prefix::Once, text), None);
        for bad in [
            "",
            "weir_session_",
            &text[..text.len() - 1],
            &format!("{text}a"),
        ] {
            assert_eq!(shown(Prefix::Session, bad), None);
        }
        assert_ne!(*text, *generate(Prefix::Session).unwrap().0.expose());
    }
}
