//! Secrets that must be read again, at rest: AES-256-GCM under the installation's key.
//!
//! A copy of the records alone opens nothing: the key is not in them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use weir_core::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// What the sealed form is; a later one can begin with another byte.
const FORM: u8 = 1;

/// For what the fingerprint is derived, so that it is nothing else.
const FINGERPRINT: &[&[u8]] = &[b"weir.installation.fingerprint"];

/// Seals under one key, and opens what was sealed under it.
pub struct Sealer {
    key: RandomizedNonceKey,
    fingerprint: [u8; 32],
}

impl Sealer {
    /// Under this key.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn new(key: &Secret<[u8; 32]>) -> Result<Self> {
        let mut fingerprint = [0; 32];
        Prk::new_less_safe(HKDF_SHA256, key.expose())
            .expand(FINGERPRINT, HKDF_SHA256)
            .and_then(|derived| derived.fill(&mut fingerprint))
            .map_err(failed)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(failed)?;
        Ok(Self { key, fingerprint })
    }

    /// Tells keys apart, and nothing of the key (HKDF, RFC 5869).
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Seals a text. It opens only as what it is for, so that one cannot be put in another's place.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn seal(&self, purpose: &str, text: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = text.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(purpose), &mut sealed)
            .map_err(failed)?;
        let mut whole = Vec::with_capacity(1 + NONCE_LEN + sealed.len());
        whole.push(FORM);
        whole.extend_from_slice(nonce.as_ref());
        whole.append(&mut sealed);
        Ok(whole)
    }

    /// What was sealed for this purpose.
    ///
    /// # Errors
    /// If it was sealed for another one or under another key, or is damaged.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let damaged = || Error::internal("a sealed secret does not open with this key");
        let Some((&FORM, rest)) = sealed.split_first() else {
            return Err(damaged());
        };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(failed)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(purpose), &mut text)
            .map_err(|_| damaged())?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealer")
    }
}

/// The library says nothing of what went wrong, on purpose.
fn failed(_: aws_lc_rs::error::Unspecified) -> Error {
    Error::internal("a secret cannot be sealed or opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_as_what_it_is_for_only() {
        let sealer = Sealer::new(&Secret::new([1; 32])).unwrap();
        let sealed = sealer.seal("totp usr_1", b"secret").unwrap();
        assert_ne!(sealed, sealer.seal("totp usr_1", b"secret").unwrap());
        assert_eq!(
            sealer.open("totp usr_1", &sealed).unwrap()[..],
            b"secret"[..]
        );
        assert!(sealer.open("totp usr_2", &sealed).is_err());
        let other = Sealer::new(&Secret::new([2; 32])).unwrap();
        assert!(other.open("totp usr_1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open("totp usr_1", &changed).is_err());
            assert!(sealer.open("totp usr_1", &sealed[..at]).is_err());
        }
    }
}
