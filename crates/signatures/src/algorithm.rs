//! The algorithms of RFC 9421 §6.2.2.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How a signature is made. It belongs to the key: a message may name it, never choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PSS with SHA-512 (§3.3.1).
    RsaPssSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (§3.3.2).
    RsaV15Sha256,
    /// HMAC with SHA-256 (§3.3.3).
    HmacSha256,
    /// ECDSA over P-256 with SHA-256 (§3.3.4).
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-384 (§3.3.5).
    EcdsaP384Sha384,
    /// Ed25519 (§3.3.6).
    Ed25519,
}

impl Algorithm {
    /// Every algorithm that is understood.
    pub const ALL: [Self; 6] = [
        Self::RsaPssSha512,
        Self::RsaV15Sha256,
        Self::HmacSha256,
        Self::EcdsaP256Sha256,
        Self::EcdsaP384Sha384,
        Self::Ed25519,
    ];

    /// The name in the registry of HTTP signature algorithms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::RsaV15Sha256 => "rsa-v1_5-sha256",
            Self::HmacSha256 => "hmac-sha256",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let mut all = Self::ALL.into_iter();
        all.find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| UnknownAlgorithm(name.into()))
    }
}

/// A name that is none of [`Algorithm::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown signature algorithm {0:?}; known are rsa-pss-sha512, rsa-v1_5-sha256, hmac-sha256, \
     ecdsa-p256-sha256, ecdsa-p384-sha384 and ed25519"
)]
pub struct UnknownAlgorithm(Box<str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_known_by_its_registered_name_only() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            let error = UnknownAlgorithm("none".into()).to_string();
            assert!(error.contains(algorithm.as_str()), "{error}");
        }
        for name in ["none", "ED25519", "rsa-sha1", "hs2019", ""] {
            assert!(name.parse::<Algorithm>().is_err(), "{name}");
        }
    }
}
