//! Secrets that must be read again, at rest: AES-256-GCM under the installation's key.
//!
//! A copy of the records alone opens nothing: the key is not in them. What is sealed names the key that it is under, so
//! that the key can be replaced while nodes run: all are sealed under the present one, and open under former ones as well.
//!
//! ```text
//! form 2: 2 · name of the key (8 bytes of its fingerprint) · nonce (12) · text and tag
//! form 1: 1 ·                                                nonce (12) · text and tag
//! ```

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use aws_lc_rs::hmac;
use weir_core::Secret;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// What the sealed form is; a later one can begin with another byte.
const FORM: u8 = 2;
/// The form that did not name its key.
const UNNAMED: u8 = 1;
/// Of a key's fingerprint, enough to tell an installation's few keys apart.
const NAME: usize = 8;

/// For what the fingerprint is derived, so that it is nothing else.
const FINGERPRINT: &[&[u8]] = &[b"weir.installation.fingerprint"];
const RECOGNISING: &[&[u8]] = &[b"weir.installation.recognising"];

/// Seals under one key, and opens what was sealed under it or under a former one.
pub struct Sealer {
    present: Key,
    former: Vec<Key>,
}

struct Key {
    sealing: RandomizedNonceKey,
    recognising: hmac::Key,
    fingerprint: [u8; 32],
}

impl Sealer {
    /// Under this key, and no former one.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn new(key: &Secret<[u8; 32]>) -> Result<Self> {
        Self::with_former(key, &[])
    }

    /// Under this key. What is under the former ones opens, and nothing new is sealed under them.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn with_former(key: &Secret<[u8; 32]>, former: &[Secret<[u8; 32]>]) -> Result<Self> {
        Ok(Self {
            present: Key::new(key)?,
            former: former.iter().map(Key::new).collect::<Result<_>>()?,
        })
    }

    /// Tells keys apart, and nothing of the present key (HKDF, RFC 5869).
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.present.fingerprint
    }

    /// Whether what is sealed under the key with this fingerprint opens.
    pub fn knows(&self, fingerprint: &[u8]) -> bool {
        self.keys().any(|key| key.fingerprint == fingerprint)
    }

    /// By what something is known again that may have a secret in it, such as a password: without the key nobody can try
    /// which it was. Each part keeps to itself.
    pub fn recognise(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.present.recognise(purpose, parts)
    }

    /// By what the same was known under each former key.
    pub fn recognised(&self, purpose: &str, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        let former = self.former.iter();
        former.map(|key| key.recognise(purpose, parts)).collect()
    }

    /// Seals a text. It opens only as what it is for, so that one cannot be put in another's place.
    ///
    /// # Errors
    /// Only if the cryptography fails.
    pub fn seal(&self, purpose: &str, text: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = text.to_vec();
        let sealing = &self.present.sealing;
        let nonce = sealing
            .seal_in_place_append_tag(Aad::from(purpose), &mut sealed)
            .map_err(failed)?;
        let mut whole = Vec::with_capacity(1 + NAME + NONCE_LEN + sealed.len());
        whole.push(FORM);
        whole.extend_from_slice(self.present.name());
        whole.extend_from_slice(nonce.as_ref());
        whole.append(&mut sealed);
        Ok(whole)
    }

    /// What was sealed for this purpose.
    ///
    /// # Errors
    /// If it was sealed for another one or under a key that is not known, or is damaged.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let opened = match sealed.split_first() {
            Some((&FORM, rest)) => rest.split_at_checked(NAME).and_then(|(name, rest)| {
                let key = self.keys().find(|key| key.name() == name)?;
                key.open(purpose, rest)
            }),
            Some((&UNNAMED, rest)) => self.keys().find_map(|key| key.open(purpose, rest)),
            _ => None,
        };
        opened.ok_or_else(|| Error::internal("a sealed secret does not open with this key"))
    }

    /// Whether it says that it is under the present key; whether it opens is another question.
    pub fn is_present(&self, sealed: &[u8]) -> bool {
        let name = sealed.strip_prefix(&[FORM]);
        name.is_some_and(|rest| rest.starts_with(self.present.name()))
    }

    /// The same sealed under the present key; none if it is that already.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn reseal(&self, purpose: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.is_present(sealed) {
            return Ok(None);
        }
        let text = self.open(purpose, sealed)?;
        self.seal(purpose, &text).map(Some)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.present).chain(&self.former)
    }
}

impl Key {
    fn new(key: &Secret<[u8; 32]>) -> Result<Self> {
        let fingerprint = derived(key, FINGERPRINT)?;
        let recognising = Zeroizing::new(derived(key, RECOGNISING)?);
        Ok(Self {
            sealing: RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(failed)?,
            recognising: hmac::Key::new(hmac::HMAC_SHA256, &recognising[..]),
            fingerprint,
        })
    }

    fn name(&self) -> &[u8] {
        &self.fingerprint[..NAME]
    }

    fn recognise(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.recognising);
        for part in [purpose.as_bytes()].iter().chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// `sealed`: the nonce, then the text and its tag.
    fn open(&self, purpose: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let opened = self
            .sealing
            .open_in_place(nonce, Aad::from(purpose), &mut text);
        let length = opened.ok()?.len();
        text.truncate(length);
        Some(text)
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

    #[test]
    fn what_is_under_a_former_key_opens_and_is_sealed_anew() {
        let (old, new) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let before = Sealer::new(&old).unwrap();
        let sealed = before.seal("totp usr_1", b"secret").unwrap();
        // As it was before sealed texts named their keys.
        let unnamed = [&[UNNAMED], &sealed[1 + NAME..]].concat();
        let after = Sealer::with_former(&new, std::slice::from_ref(&old)).unwrap();
        let alone = Sealer::new(&new).unwrap();
        for sealed in [&sealed, &unnamed] {
            assert_eq!(after.open("totp usr_1", sealed).unwrap()[..], b"secret"[..]);
            assert!(after.open("totp usr_2", sealed).is_err());
            assert!(alone.open("totp usr_1", sealed).is_err());
            assert!(!after.is_present(sealed));
            let anew = after.reseal("totp usr_1", sealed).unwrap().unwrap();
            assert_eq!(alone.open("totp usr_1", &anew).unwrap()[..], b"secret"[..]);
            assert!(before.open("totp usr_1", &anew).is_err());
            assert_eq!(after.reseal("totp usr_1", &anew).unwrap(), None);
        }
        assert!(after.knows(before.fingerprint()) && !alone.knows(before.fingerprint()));
        let known = before.recognise("request", &[b"a"]);
        assert_eq!(after.recognised("request", &[b"a"]), [known]);
    }
}
