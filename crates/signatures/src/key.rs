//! Keys that check signatures.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use aws_lc_rs::{constant_time, hmac};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use thiserror::Error;

use crate::algorithm::Algorithm;
use crate::fault::Fault;

/// Shortest secret, in bytes: 128 bits.
const SHORTEST_SECRET: usize = 16;
/// Bits of an RSA modulus: below is broken, above costs whoever checks too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A public key or shared secret with its one algorithm, parsed once.
pub struct VerifyingKey {
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Public(Box<ParsedPublicKey>),
    Secret(Box<hmac::Key>),
}

impl VerifyingKey {
    /// A public key in PEM (`BEGIN PUBLIC KEY`, RFC 7468 §13).
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self, KeyError> {
        let verification = verification(algorithm).ok_or(KeyError::SecretAsPem)?;
        let information = only_public_key(pem)?;
        let parsed = ParsedPublicKey::new(verification, information.as_ref())
            .map_err(|_| KeyError::WrongKind(algorithm))?;
        if matches!(algorithm, Algorithm::RsaPssSha512 | Algorithm::RsaV15Sha256) {
            check_rsa_size(&parsed)?;
        }
        Ok(Self {
            algorithm,
            material: Material::Public(Box::new(parsed)),
        })
    }

    /// A secret that both sides have, for `hmac-sha256`.
    pub fn from_secret(secret: &[u8]) -> Result<Self, KeyError> {
        check_secret(secret)?;
        Ok(Self {
            algorithm: Algorithm::HmacSha256,
            material: Material::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))),
        })
    }

    /// The one algorithm of the key.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature is the one of this key over these bytes; secrets are compared in constant time.
    pub(crate) fn verify(&self, base: &[u8], signature: &[u8]) -> Result<(), Fault> {
        match &self.material {
            Material::Public(key) => key.verify_sig(base, signature),
            Material::Secret(key) => {
                let expected = hmac::sign(key, base);
                constant_time::verify_slices_are_equal(expected.as_ref(), signature)
            }
        }
        .map_err(|_| Fault::Invalid)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("VerifyingKey");
        debug
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Why a key cannot be used, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// No PEM, or nothing in it.
    #[error("not a public key in PEM (\"-----BEGIN PUBLIC KEY-----\")")]
    NotPem,
    /// A key that must not be here.
    #[error("a private key; give its public key instead: openssl pkey -in key.pem -pubout")]
    Private,
    /// A key in the older form of RSA.
    #[error(
        "an RSA key in the form of PKCS #1; openssl rsa -RSAPublicKey_in -in key.pem -pubout changes it"
    )]
    Pkcs1,
    /// A certificate.
    #[error(
        "a certificate; give its public key instead: openssl x509 -in certificate.pem -noout -pubkey"
    )]
    Certificate,
    /// More than one key.
    #[error("several keys in one PEM document; give each a keyid of its own")]
    Several,
    /// A key of another kind, or a damaged one.
    #[error("not a public key for {0}")]
    WrongKind(Algorithm),
    /// An RSA key that is too small or too large.
    #[error("an RSA key of fewer than 2048 or more than 8192 bits")]
    RsaSize,
    /// A short secret.
    #[error("a secret of fewer than {SHORTEST_SECRET} bytes; openssl rand -base64 32 makes one")]
    ShortSecret,
    /// More secrets than a change of them needs.
    #[error("more than four secrets of one sender; remove those that it does not use any more")]
    ManySecrets,
    /// `hmac-sha256` with a PEM document.
    #[error("hmac-sha256 takes a shared secret, not a public key")]
    SecretAsPem,
}

pub(crate) fn check_secret(secret: &[u8]) -> Result<(), KeyError> {
    if secret.len() < SHORTEST_SECRET {
        return Err(KeyError::ShortSecret);
    }
    Ok(())
}

/// How aws-lc-rs calls it; nothing for a shared secret.
fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::RsaV15Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::Ed25519 => &signature::ED25519,
        Algorithm::HmacSha256 => return None,
    })
}

fn only_public_key(pem: &str) -> Result<SubjectPublicKeyInfoDer<'static>, KeyError> {
    let mut found = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        let (kind, bytes) = section.map_err(|_| KeyError::NotPem)?;
        match kind {
            SectionKind::PublicKey if found.is_some() => return Err(KeyError::Several),
            SectionKind::PublicKey => found = Some(SubjectPublicKeyInfoDer::from(bytes)),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(KeyError::Private);
            }
            SectionKind::Certificate => return Err(KeyError::Certificate),
            _ => return Err(KeyError::NotPem),
        }
    }
    match found {
        Some(key) => Ok(key),
        None if pem.contains("BEGIN RSA PUBLIC KEY") => Err(KeyError::Pkcs1),
        None => Err(KeyError::NotPem),
    }
}

/// It is looked at only when a signature is checked, where the fault would be the signature's.
fn check_rsa_size(key: &ParsedPublicKey) -> Result<(), KeyError> {
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| KeyError::NotPem)?;
    match PublicEncryptingKey::from_der(der.as_ref()) {
        Ok(key) if RSA_BITS.contains(&key.key_size_bits()) => Ok(()),
        _ => Err(KeyError::RsaSize),
    }
}

#[cfg(test)]
mod tests;
