//! What can be wrong with TLS settings, said so that the operator can put it right.

use thiserror::Error;
use weir_config::model::Source;

/// Why TLS settings cannot be used. None of these passes by trying again.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A certificate, key or bundle cannot be used.
    #[error("{origin} {problem}")]
    Material {
        /// Where the bytes came from.
        origin: Source,
        /// What is wrong with them.
        #[source]
        problem: MaterialError,
    },
    /// Certificate and key were not made for each other.
    #[error("the private key in {key} does not belong to the certificate in {chain}")]
    KeyMismatch {
        /// The key's origin.
        key: Source,
        /// The chain's origin.
        chain: Source,
    },
    /// The key belongs to a later certificate of the chain.
    #[error(
        "the private key in {key} belongs to certificate {position} of {chain}: \
         put the server's own certificate first, then the one that signed it"
    )]
    ChainOrder {
        /// The key's origin.
        key: Source,
        /// The chain's origin.
        chain: Source,
        /// Place of the key's certificate, counted from one.
        position: usize,
    },
    /// The system's store of authorities is empty or unreadable.
    #[error(
        "the system's certificate store holds no usable authority ({detail}): \
         install the system's CA certificates or set `authorities`"
    )]
    SystemStore {
        /// What was found instead.
        detail: String,
    },
    /// A name that is neither a DNS name nor an IP address.
    #[error("{name:?} is neither a host name nor an IP address")]
    ServerName {
        /// The name.
        name: String,
    },
    /// rustls refused what passed all our checks.
    #[error("the TLS library refused the settings")]
    Library(#[from] rustls::Error),
}

/// What is wrong with PEM material. Each text continues a sentence that begins with its origin.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MaterialError {
    /// Nothing there.
    #[error("is empty where {expected} is expected")]
    Empty {
        /// What should be there.
        expected: Expected,
    },
    /// DER, PKCS #12 or no certificate material at all.
    #[error("is binary, not PEM: convert it with `{}`", .expected.conversion())]
    Binary {
        /// What should be there.
        expected: Expected,
    },
    /// Certificate and key are in each other's place.
    #[error(
        "holds a {found} where {expected} is expected: `certificate` and `key` seem to be swapped"
    )]
    Swapped {
        /// What should be there.
        expected: Expected,
        /// What is there.
        found: &'static str,
    },
    /// PEM, but of something else.
    #[error("holds no {} (PEM sections found: {found})", .expected.noun())]
    Missing {
        /// What should be there.
        expected: Expected,
        /// The labels of the sections that are there, or `none`.
        found: String,
    },
    /// Broken PEM.
    #[error("holds damaged PEM: {0}")]
    Damaged(String),
    /// A key under a passphrase.
    #[error(
        "holds an encrypted private key: decrypt it with \
         `openssl pkey -in ENCRYPTED -out KEY` and let the file's permissions protect it"
    )]
    Encrypted,
    /// More than one key.
    #[error("holds {0} private keys where one is expected")]
    SeveralKeys(usize),
    /// A key of a kind or size that is not supported.
    #[error(
        "holds a private key that cannot be used: RSA from 2048 bits, ECDSA on P-256, P-384 or \
         P-521, and Ed25519 are supported"
    )]
    UnsupportedKey,
    /// A certificate that cannot be read.
    #[error("holds an invalid certificate (number {position}): {detail}")]
    InvalidCertificate {
        /// Its place, counted from one.
        position: usize,
        /// What is wrong.
        detail: &'static str,
    },
}

/// What a setting's material should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A certificate chain or a bundle of authorities.
    Certificate,
    /// A private key.
    PrivateKey,
}

impl Expected {
    fn noun(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::PrivateKey => "private key",
        }
    }

    fn conversion(self) -> &'static str {
        match self {
            Self::Certificate => "openssl x509 -inform DER -in BINARY -out PEM",
            Self::PrivateKey => "openssl pkey -inform DER -in BINARY -out PEM",
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "a {}", self.noun())
    }
}
