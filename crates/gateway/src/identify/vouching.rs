//! What an issuer may take back of a token that was good: the key that signed it, and the token itself.

use std::cell::Cell;

use weir_jose::remote::RemoteKeys;
use weir_jose::{KeyId, Revoked, TokenFacts};

/// The key that signed a token.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) keys: RemoteKeys,
    pub(super) key: KeyId,
    /// Of the set in which it was last seen.
    pub(super) generation: Cell<u64>,
}

impl Signed {
    /// Whether the issuer still has it.
    pub(super) fn is_good(&self) -> bool {
        let present = self.keys.still_has(self.key, self.generation.get());
        if let Some(generation) = present {
            self.generation.set(generation);
        }
        present.is_some()
    }
}

/// A token that its issuer may take back.
#[derive(Debug)]
pub(super) struct Revocable {
    pub(super) revoked: Revoked,
    pub(super) facts: TokenFacts,
    /// What was told when it was last known to be good.
    pub(super) generation: Cell<u64>,
}

impl Revocable {
    pub(super) fn is_good(&self) -> bool {
        let latest = self.revoked.generation();
        if self.generation.get() == latest {
            return true;
        }
        let is_good = !self.revoked.refuses(&self.facts);
        if is_good {
            self.generation.set(latest);
        }
        is_good
    }

    /// What its texts take, in bytes.
    pub(super) fn size(&self) -> usize {
        let TokenFacts {
            kid,
            token,
            family,
            subject,
            issued_at: _,
        } = &self.facts;
        let texts = [kid, token, family, subject];
        texts.into_iter().flatten().map(|text| text.len()).sum()
    }
}
