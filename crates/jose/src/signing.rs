//! A key that signs.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::jwk::{Curve, Parts};
use crate::key::Key;
use crate::pem;
use crate::thumbprint::KeyId;

/// Signs tokens by RS256, ES256 or EdDSA. It is called by its thumbprint, so that every verifier knows it apart.
pub struct SigningKey {
    pair: Pair,
    id: KeyId,
    parts: Parts,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Length of a new RSA modulus. Longer ones sign and verify more slowly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaBits {
    /// 2048 bits.
    Bits2048,
    /// 3072 bits, about as strong as P-256.
    #[default]
    Bits3072,
    /// 4096 bits.
    Bits4096,
}

/// A private key at rest, in PKCS#8; overwritten when it is dropped, and never shown.
pub struct Pkcs8(Zeroizing<Vec<u8>>);

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SigningError {
    /// Tokens are not signed by this algorithm here.
    #[error("tokens are signed by RS256, ES256 or EdDSA only")]
    Algorithm,
    /// Not PKCS#8, or the key of another algorithm.
    #[error("the private key is not a PKCS#8 key of its algorithm")]
    Rejected,
    /// The cryptography failed.
    #[error("the cryptography failed")]
    Cryptography,
}

impl SigningKey {
    /// A new key for RS256 (with 3072 bits), ES256 or EdDSA.
    ///
    /// # Errors
    /// For other algorithms, and if the system has no random numbers.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        match algorithm {
            Algorithm::Rs256 => Self::generate_rsa(RsaBits::default()),
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING);
                Self::of(Pair::P256(pair.map_err(failed)?))
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate();
                Self::of(Pair::Ed25519(pair.map_err(failed)?))
            }
            _ => Err(SigningError::Algorithm),
        }
    }

    /// A new key for RS256.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate_rsa(bits: RsaBits) -> Result<Self, SigningError> {
        let size = match bits {
            RsaBits::Bits2048 => KeySize::Rsa2048,
            RsaBits::Bits3072 => KeySize::Rsa3072,
            RsaBits::Bits4096 => KeySize::Rsa4096,
        };
        Self::of(Pair::Rsa(RsaKeyPair::generate(size).map_err(failed)?))
    }

    /// The key that [`SigningKey::to_pkcs8`] gave, or another one of the algorithm.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let rejected = |_| SigningError::Rejected;
        Self::of(match algorithm {
            Algorithm::Rs256 => Pair::Rsa(RsaKeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
            Algorithm::Es256 => {
                let signing = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                Pair::P256(EcdsaKeyPair::from_pkcs8(signing, pkcs8).map_err(rejected)?)
            }
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(rejected)?),
            _ => return Err(SigningError::Algorithm),
        })
    }

    /// The private key in the first section of a PEM file, which is PKCS#8 (RFC 5958): Ed25519 signs by EdDSA, P-256 by
    /// ES256, RSA by RS256.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SigningError> {
        let pkcs8 = Zeroizing::new(pem::pkcs8(pem).ok_or(SigningError::Rejected)?);
        let algorithms = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
        let mut keys = algorithms
            .into_iter()
            .filter_map(|algorithm| Self::from_pkcs8(algorithm, &pkcs8).ok());
        keys.next().ok_or(SigningError::Rejected)
    }

    /// The private key, to be sealed and kept.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn to_pkcs8(&self) -> Result<Pkcs8, SigningError> {
        let bytes = match &self.pair {
            Pair::Rsa(pair) => pair.as_der().map_err(failed)?.as_ref().to_vec(),
            Pair::P256(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Pkcs8(Zeroizing::new(bytes)))
    }

    /// By which it signs.
    pub const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::P256(_) => Algorithm::Es256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Its thumbprint, which its tokens name in `kid`.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What verifies its tokens, as it stands in a published set (RFC 7517 §4): `kid`, `use` and `alg` are there.
    pub fn public_jwk(&self) -> Value {
        let kid = self.id.to_string();
        self.parts.published(self.algorithm(), &kid)
    }

    /// What verifies its tokens.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn public_key(&self) -> Result<Key, SigningError> {
        let kid = self.id.to_string();
        let key = Key::new(&self.parts, Some(self.algorithm()), Some(&kid));
        key.map_err(|_| SigningError::Cryptography)
    }

    /// A token of this `typ`, such as `at+jwt`, with this payload: claims as JSON.
    ///
    /// # Errors
    /// If the cryptography fails.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> Result<String, SigningError> {
        let header = json!({
            "alg": self.algorithm().as_str(),
            "typ": typ,
            "kid": self.id.to_string(),
        });
        let mut token = base64url::encode(header.to_string());
        token.push('.');
        base64url::encode_to(payload, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        base64url::encode_to(signature, &mut token);
        Ok(token)
    }

    /// The public key as X.509 writes it.
    #[cfg(test)]
    pub(crate) fn spki(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        }
    }

    fn of(pair: Pair) -> Result<Self, SigningError> {
        let parts = match &pair {
            Pair::Rsa(pair) => {
                let spki = pair.public_key().as_der().map_err(failed)?;
                pem::spki(spki.as_ref()).map_err(|_| SigningError::Cryptography)?
            }
            Pair::P256(pair) => {
                // Uncompressed (SEC 1 §2.3.3).
                let coordinates = &pair.public_key().as_ref()[1..];
                let (x, y) = coordinates.split_at(Curve::P256.width());
                Parts::Curve {
                    curve: Curve::P256,
                    x: x.to_vec(),
                    y: y.to_vec(),
                }
            }
            Pair::Ed25519(pair) => Parts::Ed25519 {
                x: pair.public_key().as_ref().to_vec(),
            },
        };
        let id = KeyId::of_canonical(&parts.canonical());
        Ok(Self { pair, id, parts })
    }

    pub(crate) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(
                    &signature::RSA_PKCS1_SHA256,
                    &random,
                    message,
                    &mut signature,
                );
                signed.map_err(failed)?;
                Ok(signature)
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => {
                let signature = pair.try_sign(message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({} {})", self.algorithm(), self.id)
    }
}

impl Pkcs8 {
    /// The private key itself; call this only where it is sealed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pkcs8 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

fn failed(_: aws_lc_rs::error::Unspecified) -> SigningError {
    SigningError::Cryptography
}

#[cfg(test)]
mod tests;
