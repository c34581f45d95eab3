//! How an entry is chained to the one before.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::entry::Entry;
use crate::error::{Error, Result};
use crate::records::{Row, Scope, Statement};

pub(super) const HASH: usize = 32;
const SALT: usize = 16;
const DOMAIN: &[u8] = b"weir.audit.v1";

/// The last entry of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its number; 0 before the first.
    pub(crate) sequence: i64,
    pub(crate) hash: [u8; HASH],
    /// Its time, in microseconds since 1970.
    pub(crate) at: i64,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            sequence: 0,
            hash: [0; HASH],
            at: 0,
        }
    }
}

impl Head {
    /// The query for the end of a scope's chain.
    pub(crate) const OF_SCOPE: &str =
        "SELECT audit_sequence, audit_hash, audit_at FROM scopes WHERE id = ?";

    /// From a row of `scopes`.
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            sequence: row.int("audit_sequence")?,
            hash: row
                .bytes("audit_hash")?
                .try_into()
                .map_err(|_| Error::internal("the end of an audit chain is no hash"))?,
            at: row.int("audit_at")?,
        })
    }
}

/// What of an entry is chained.
pub(super) struct Link<'a> {
    pub(super) scope: &'a str,
    pub(super) sequence: i64,
    /// Microseconds since 1970.
    pub(super) at: i64,
    pub(super) actor_kind: &'a str,
    pub(super) actor_id: Option<&'a str>,
    pub(super) action: &'a str,
    pub(super) subject_kind: &'a str,
    pub(super) subject_id: Option<&'a str>,
    pub(super) request_id: Option<&'a str>,
    pub(super) origin_hash: &'a [u8],
    pub(super) change_hash: &'a [u8],
}

impl Link<'_> {
    /// Each part is preceded by its length, so that no two entries are the same bytes.
    pub(super) fn hash(&self, previous: &[u8; HASH]) -> [u8; HASH] {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        hasher.update(previous);
        hasher.update(self.sequence.to_be_bytes());
        hasher.update(self.at.to_be_bytes());
        for part in [
            Some(self.scope),
            Some(self.actor_kind),
            self.actor_id,
            Some(self.action),
            Some(self.subject_kind),
            self.subject_id,
            self.request_id,
        ] {
            // Nothing is not the same as an empty text.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hasher.update(length.to_be_bytes());
            hasher.update(part.unwrap_or_default());
        }
        hasher.update(self.origin_hash);
        hasher.update(self.change_hash);
        hasher.finalize().into()
    }
}

/// What stands in the chain for text that can be erased.
pub(super) fn commitment(salt: &[u8], text: &str) -> [u8; HASH] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(text)
        .finalize()
        .into()
}

/// The statement that adds an entry; moves the head on.
pub(crate) fn append(
    head: &mut Head,
    scope: &Scope,
    now: Timestamp,
    entry: &Entry,
) -> Result<Statement> {
    let origin = to_json(&entry.origin)?;
    let change = to_json(&entry.change)?;
    let (origin_salt, change_salt) = (salt()?, salt()?);
    let origin_hash = commitment(&origin_salt, &origin);
    let change_hash = commitment(&change_salt, &change);
    let link = Link {
        scope: scope.name(),
        sequence: head.sequence + 1,
        // Along a chain time never goes back: a span of time is a span of numbers.
        at: now.as_microsecond().max(head.at),
        actor_kind: entry.actor.kind(),
        actor_id: entry.actor.id().map(weir_core::Id::as_str),
        action: entry.action,
        subject_kind: entry.subject.kind,
        subject_id: entry.subject.id.as_ref().map(weir_core::Id::as_str),
        request_id: entry.request_id.as_deref(),
        origin_hash: &origin_hash,
        change_hash: &change_hash,
    };
    let hash = link.hash(&head.hash);
    let statement = Statement::new(
        "INSERT INTO audit (scope, sequence, at, actor_kind, actor_id, action, subject_kind, \
         subject_id, request_id, origin, origin_salt, origin_hash, change, change_salt, \
         change_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .with(link.scope)
    .with(link.sequence)
    .with(link.at)
    .with(link.actor_kind)
    .with(link.actor_id)
    .with(link.action)
    .with(link.subject_kind)
    .with(link.subject_id)
    .with(link.request_id)
    .with(origin)
    .with(&origin_salt[..])
    .with(&origin_hash[..])
    .with(change)
    .with(&change_salt[..])
    .with(&change_hash[..])
    .with(&hash[..]);
    *head = Head {
        sequence: link.sequence,
        hash,
        at: link.at,
    };
    Ok(statement)
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal(error.into()))
}

/// Without it, a hash of an address or a name could be found by trying them all.
fn salt() -> Result<[u8; SALT]> {
    let mut salt = [0; SALT];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| Error::internal("no random numbers"))?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'a>(actor: Option<&'a str>, action: &'a str) -> Link<'a> {
        Link {
            scope: "platform",
            sequence: 1,
            at: 0,
            actor_kind: "user",
            actor_id: actor,
            action,
            subject_kind: "organization",
            subject_id: None,
            request_id: None,
            origin_hash: &[1; HASH],
            change_hash: &[2; HASH],
        }
    }

    #[test]
    fn no_two_entries_are_the_same_bytes() {
        let none = [0; HASH];
        let hashes = [
            link(Some("ab"), "c").hash(&none),
            link(Some("a"), "bc").hash(&none),
            link(Some(""), "abc").hash(&none),
            link(None, "abc").hash(&none),
            link(None, "abc").hash(&[1; HASH]),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash));
        }
    }
}
