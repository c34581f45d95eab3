//! Secrets that must be read again, at rest: AES-256-GCM under the installation's key.
//!
//! A copy of the records alone opens nothing: the key is not in them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use aws_lc_rs::hmac;
use weir_core::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// What the sealed form is; a later one can begin with another byte.
const FORM: u8 = 1;

/// For what the fingerprint is derived, so that it is nothing else.
const FINGERPRINT: &[&[u8]] = &[b"weir.installation.fingerprint"];
const RECOGNISING: &[&[u8]] = &[b"weir.installation.recognising"];

/// Seals under one key, and opens what was sealed under it.
pub struct Sealer {
    key: RandomizedNonceKey,
    recognising: hmac::Key,
    fingerprint: [u8; 32],
}

impl Sealer {
    /// Under this key.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn new(key: &Secret<[u8; 32]>) -> Result<Self> {
        let fingerprint = derived(key, FINGERPRINT)?;
        let recognising = Zeroizing::new(derived(key, RECOGNISING)?);
        Ok(Self {
            key: RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(failed)?,
            recognising: hmac::Key::new(hmac::HMAC_SHA256, &recognising[..]),
            fingerprint,
        })
    }

    /// Tells keys apart, and nothing of the key (HKDF, RFC 5869).
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// By what something is known again that may have a secret in it, such as a password: without the key nobody can try
    /// which it was. Each part keeps to itself.
    pub fn recognise(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.recognising);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
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

/// A key for one purpose, which tells nothing of the others (HKDF, RFC 5869).
fn derived(key: &Secret<[u8; 32]>, purpose: &[&[u8]]) -> Result<[u8; 32]> {
    let mut derived = [0; 32];
    Prk::new_less_safe(HKDF_SHA256, key.expose())
        .expand(purpose, HKDF_SHA256)
        .and_then(|material| material.fill(&mut derived))
        .map_err(failed)?;
    Ok(derived)
}

/// The library says nothing of what went wrong, on purpose.
fn failed(_: aws_lc_rs::error::Unspecified) -> Error {
    Error::internal("a secret cannot be sealed or opened")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_again_is_so_by_its_key_purpose_and_parts() {
        let sealer = Sealer::new(&Secret::new([1; 32])).unwrap();
        let known = sealer.recognise("request", &[b"ab", b"c"]);
        assert_eq!(known, sealer.recognise("request", &[b"ab", b"c"]));
        assert_ne!(known, sealer.recognise("request", &[b"a", b"bc"]));
        assert_ne!(known, sealer.recognise("other", &[b"ab", b"c"]));
        let other = Sealer::new(&Secret::new([2; 32])).unwrap();
        assert_ne!(known, other.recognise("request", &[b"ab", b"c"]));
        assert_ne!(known, *sealer.fingerprint());
    }

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
