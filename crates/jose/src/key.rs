//! A key that verifies, parsed once.

use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::jwk::{Curve, Jwk, Parts};
use crate::pem;
use crate::thumbprint::KeyId;

/// Bits of an RSA modulus: less is too weak, more is a burden that only a hostile key puts on us.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What verifies signatures by exactly one algorithm (RFC 8725 §3.1).
///
/// No private part of a key is kept. Whoever holds it may ask from several threads at once.
#[derive(Debug)]
pub struct Key {
    algorithm: Algorithm,
    kid: Option<Arc<str>>,
    id: KeyId,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Public(ParsedPublicKey),
    Shared(Box<hmac::Key>),
}

/// Why something is no key for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// Not a JSON object with the members of a key, each at most once and of its type.
    #[error("the key is not a JSON web key")]
    Json,
    /// `kty` or `crv`, or the kind of key in a PEM file, is not known.
    #[error("the kind of the key is not known: RSA, P-256, P-384 and Ed25519 are")]
    Kind,
    /// `alg` is not known.
    #[error("the algorithm of the key is not known for signatures")]
    Algorithm,
    /// `alg` needs another kind of key.
    #[error("the algorithm of the key does not fit its kind")]
    Mismatch,
    /// `use` or `key_ops` say that it verifies no signatures.
    #[error("the key is not for signatures")]
    Use,
    /// A member that the kind needs is missing, or is not base64url of the right length.
    #[error("{0:?} of the key is missing or malformed")]
    Member(&'static str),
    /// The RSA modulus.
    #[error("the RSA modulus must be odd and have 2048 to 8192 bits")]
    RsaModulus,
    /// The RSA exponent.
    #[error("the RSA exponent must be odd, at least 3 and of at most 32 bits")]
    RsaExponent,
    /// The point of an elliptic curve.
    #[error("the point of the key is not on its curve")]
    Point,
    /// A shared secret without `alg`.
    #[error("a shared secret needs an algorithm: HS256, HS384 or HS512")]
    SecretAlgorithm,
    /// A shared secret that is shorter than what its algorithm makes (RFC 7518 §3.2).
    #[error(
        "a shared secret must be as long as the hash: 32, 48 or 64 bytes for HS256, HS384, HS512"
    )]
    SecretTooShort,
    /// A shared secret where keys are published.
    #[error("a shared secret does not belong into a published set of keys")]
    SecretPublished,
    /// Another key has the same `kid` and algorithm, so that neither is to be used.
    #[error("several keys have the same kid and algorithm")]
    SameKid,
    /// Not PEM, or something else in it.
    #[error("the PEM file has no public key and no certificate in its first section")]
    Pem,
    /// A private key where a public one belongs.
    #[error("the PEM file holds a private key where a public one belongs")]
    PrivatePem,
}

impl Key {
    /// From a JSON web key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
    ///
    /// Its algorithm is its `alg`; without one RSA means RS256, P-256 ES256, P-384 ES384 and Ed25519 EdDSA. Of a private
    /// key the public part is taken.
    ///
    /// # Errors
    /// Why it is no key for us.
    pub fn from_jwk(json: &[u8]) -> Result<Self, KeyFault> {
        let jwk = Jwk::parse(json)?;
        let parts = jwk.parts()?;
        Self::new(&parts, jwk.algorithm()?, jwk.kid.as_deref())
    }

    /// From the first section of a PEM file: a public key (SPKI), or a certificate, of which nothing but the key is
    /// read: neither its dates nor who signed it. Without an algorithm the kind decides, as in [`Key::from_jwk`].
    ///
    /// # Errors
    /// Why it is no key for us.
    pub fn from_pem(
        pem: &[u8],
        algorithm: Option<Algorithm>,
        kid: Option<&str>,
    ) -> Result<Self, KeyFault> {
        Self::new(&pem::parts(pem)?, algorithm, kid)
    }

    /// From a secret that both sides share.
    ///
    /// # Errors
    /// If the algorithm is none for shared secrets, or the secret is too short for it.
    pub fn from_secret(
        secret: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Self, KeyFault> {
        let parts = Parts::Shared(Zeroizing::new(secret.to_vec()));
        Self::new(&parts, Some(algorithm), kid)
    }

    pub(crate) fn new(
        parts: &Parts,
        algorithm: Option<Algorithm>,
        kid: Option<&str>,
    ) -> Result<Self, KeyFault> {
        let algorithm = match (algorithm, parts.default_algorithm()) {
            (Some(stated), _) => stated,
            (None, Some(default)) => default,
            (None, None) => return Err(KeyFault::SecretAlgorithm),
        };
        let material = match parts {
            Parts::Rsa { modulus, exponent } => rsa(algorithm, modulus, exponent)?,
            Parts::Curve { curve, x, y } => point(algorithm, *curve, x, y)?,
            Parts::Ed25519 { x } if algorithm == Algorithm::EdDsa => {
                Material::Public(parsed(&signature::ED25519, x)?)
            }
            Parts::Ed25519 { .. } => return Err(KeyFault::Mismatch),
            Parts::Shared(secret) => shared(algorithm, secret)?,
        };
        Ok(Self {
            algorithm,
            kid: kid.map(Arc::from),
            id: KeyId::of_canonical(&parts.canonical()),
            material,
        })
    }

    /// The only algorithm by which it verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What its publisher calls it.
    pub const fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// Its thumbprint. That of a shared secret is nobody else's to see.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether the signature is that of the message under this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
            Material::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }

    /// The same for a signature in ASN.1 (RFC 3279 §2.2.3), in which ECDSA has it outside of tokens. No other key than
    /// one of ES256 verifies such.
    pub fn verifies_asn1(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Material::Public(key), Algorithm::Es256) = (&self.material, self.algorithm) else {
            return false;
        };
        let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, key);
        key.verify(message, signature).is_ok()
    }
}

fn rsa(algorithm: Algorithm, modulus: &[u8], exponent: &[u8]) -> Result<Material, KeyFault> {
    static RS256: RsaParameters = signature::RSA_PKCS1_2048_8192_SHA256;
    static RS384: RsaParameters = signature::RSA_PKCS1_2048_8192_SHA384;
    static RS512: RsaParameters = signature::RSA_PKCS1_2048_8192_SHA512;
    static PS256: RsaParameters = signature::RSA_PSS_2048_8192_SHA256;
    static PS384: RsaParameters = signature::RSA_PSS_2048_8192_SHA384;
    static PS512: RsaParameters = signature::RSA_PSS_2048_8192_SHA512;
    let parameters = match algorithm {
        Algorithm::Rs256 => &RS256,
        Algorithm::Rs384 => &RS384,
        Algorithm::Rs512 => &RS512,
        Algorithm::Ps256 => &PS256,
        Algorithm::Ps384 => &PS384,
        Algorithm::Ps512 => &PS512,
        _ => return Err(KeyFault::Mismatch),
    };
    // Neither has leading zeros here, so that an exponent of 32 bits has four bytes.
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    if !is_odd(modulus) || !RSA_BITS.contains(&bits(modulus)) {
        return Err(KeyFault::RsaModulus);
    }
    if !is_odd(exponent) || exponent == [1] || exponent.len() > 4 {
        return Err(KeyFault::RsaExponent);
    }
    let components = RsaPublicKeyComponents {
        n: modulus,
        e: exponent,
    };
    let key = components.to_parsed_public_key(parameters);
    key.map(Material::Public).map_err(|_| KeyFault::RsaModulus)
}

/// Significant bits of a number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    let unused = number
        .first()
        .map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - unused
}

fn point(algorithm: Algorithm, curve: Curve, x: &[u8], y: &[u8]) -> Result<Material, KeyFault> {
    let verification: &'static dyn VerificationAlgorithm = match (algorithm, curve) {
        (Algorithm::Es256, Curve::P256) => &signature::ECDSA_P256_SHA256_FIXED,
        (Algorithm::Es384, Curve::P384) => &signature::ECDSA_P384_SHA384_FIXED,
        _ => return Err(KeyFault::Mismatch),
    };
    // Uncompressed (SEC 1 §2.3.3).
    let point = [&[4], x, y].concat();
    parsed(verification, &point).map(Material::Public)
}

fn parsed(
    verification: &'static dyn VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, KeyFault> {
    ParsedPublicKey::new(verification, bytes).map_err(|_| KeyFault::Point)
}

fn shared(algorithm: Algorithm, secret: &[u8]) -> Result<Material, KeyFault> {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => return Err(KeyFault::Mismatch),
    };
    if secret.len() < hash.tag_len() {
        return Err(KeyFault::SecretTooShort);
    }
    Ok(Material::Shared(Box::new(hmac::Key::new(hash, secret))))
}

#[cfg(test)]
mod tests;
