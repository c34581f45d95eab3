//! Who is calling, by signatures of the message.

use std::sync::Arc;

use http::HeaderName;
use weir_core::Secret;
use weir_signatures::{Required, Secrets, SimpleForm, VerifyingKey};

use super::{Credential, Material};

/// Takes requests that are signed by RFC 9421.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Keys; at least one, each `keyid` once.
    pub keys: Vec<SigningParty>,
    /// What a signature must be like.
    pub required: Required,
    /// Longest body whose digest is checked, in bytes.
    pub body_bytes: usize,
    /// Used signatures of one key that are remembered at once.
    pub remembered: usize,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

/// Somebody who signs requests.
#[derive(Clone, Debug)]
pub struct SigningParty {
    /// The signature's `keyid`.
    pub key_id: String,
    /// Who it is.
    pub subject: String,
    /// What the signature is checked with.
    pub key: Arc<VerifyingKey>,
    /// What the key was read from: two are the same if it is, and the algorithm.
    pub source: KeySource,
}

/// What a key was read from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A public key in PEM.
    Public(Material),
    /// What both sides know.
    Secret(Secret<String>),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Public(_) => "Public",
            Self::Secret(_) => "Secret",
        })
    }
}

impl PartialEq for SigningParty {
    fn eq(&self, other: &Self) -> bool {
        self.key_id == other.key_id
            && self.subject == other.subject
            && self.key.algorithm() == other.key.algorithm()
            && self.source == other.source
    }
}

/// Takes requests with an HMAC of their body, as webhooks have one.
#[derive(Clone, Debug)]
pub struct Hmac {
    /// Where it stands, and what it covers.
    pub form: SimpleForm,
    /// The field with the signature.
    pub header: HeaderName,
    /// Secrets of the sender; more than one while it changes them.
    pub secrets: Arc<Secrets>,
    /// What those were read from: two lists are the same if it is.
    pub source: Vec<Secret<String>>,
    /// Who the sender is.
    pub subject: String,
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// What holds for credentials of any kind.
    pub credential: Credential,
}

impl PartialEq for Hmac {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form
            && self.source == other.source
            && self.subject == other.subject
            && self.body_bytes == other.body_bytes
            && self.credential == other.credential
    }
}
