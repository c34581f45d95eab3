//! By what a key is known, whatever it is called.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use crate::base64url;

/// The SHA-256 thumbprint of a key (RFC 7638): the same key has the same one wherever it is published, and another key
/// never has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// Of the canonical form of a key (RFC 7638 §3.2), which must be that: members in order, no spaces.
    pub(crate) fn of_canonical(form: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, form.as_bytes()).as_ref());
        Self(hash)
    }

    /// The hash itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// As it stands in `kid`: base64url.
impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&base64url::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}
