//! How the installation's own tokens are issued.

use std::time::Duration;

/// Access and refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// By which access tokens are signed.
    pub algorithm: SigningAlgorithm,
    /// How long one is good for, an hour at most.
    pub access_lifetime: Duration,
    /// When refresh tokens end at the latest that do not end with their session.
    pub refresh_lifetime: Duration,
    /// For how long one key signs, an hour at least.
    pub rotate_every: Duration,
}

/// RFC 7518 §3.1, RFC 8037 §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// RSA with 3072 bits and SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}
