//! Going through a chain from its beginning.

use std::fmt;

use super::chain::{HASH, Head, Link, commitment};
use crate::error::{Error, Result};
use crate::records::{Read, Records, Row, Scope, Statement};

/// Rows at once.
const PAGE: i64 = 1_000;

/// The action of the entries that tell of an erasure.
pub const ERASURE: &str = "person.erase";

/// A chain without a broken link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many entries it has.
    pub entries: i64,
    /// Its end. Kept elsewhere, it shows later whether entries were taken off the end or the whole
    /// chain was written anew.
    pub hash: [u8; HASH],
}

/// The first broken link of a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {sequence} {fault}")]
pub struct Broken {
    /// Which entry.
    pub sequence: i64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It, or one before it, is not what it was.
    Altered,
    /// Its origin or change is not what it was.
    TextAltered,
    /// Its origin or change is gone, and no erasure tells of it.
    TextMissing,
    /// It stands behind what is known as the end.
    BeyondEnd,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "is missing",
            Self::Altered => "is not what was recorded",
            Self::TextAltered => "has an origin or change that is not what was recorded",
            Self::TextMissing => "lost its origin or change without an erasure",
            Self::BeyondEnd => "stands behind the end of the chain",
        })
    }
}

impl Records {
    /// Goes through the audit of a scope; `progress` hears of each entry's number now and then.
    ///
    /// # Errors
    /// The outer one if records cannot be read, [`Error::Missing`] if there is no such scope.
    pub async fn verify_audit(
        &self,
        scope: &Scope,
        mut progress: impl FnMut(i64),
    ) -> Result<std::result::Result<Verified, Broken>> {
        let mut read = self.read().await?;
        verify(&mut read, scope, &mut progress).await
    }
}

/// Goes through the audit of a scope as a transaction sees it.
pub(crate) async fn verify(
    read: &mut Read,
    scope: &Scope,
    progress: &mut impl FnMut(i64),
) -> Result<std::result::Result<Verified, Broken>> {
    let end = end(read, scope).await?;
    let mut head = Head::default();
    loop {
        let rows = page(read, scope, head.sequence).await?;
        for row in &rows {
            match check(read, scope, &head, row).await? {
                Ok(next) => head = next,
                Err(broken) => return Ok(Err(broken)),
            }
        }
        progress(head.sequence);
        if rows.is_empty() {
            break;
        }
    }
    Ok(compare(&head, &end))
}

fn compare(head: &Head, end: &Head) -> std::result::Result<Verified, Broken> {
    let broken = |sequence, fault| Err(Broken { sequence, fault });
    if head.sequence < end.sequence {
        broken(head.sequence + 1, Fault::Missing)
    } else if head.sequence > end.sequence {
        broken(end.sequence + 1, Fault::BeyondEnd)
    } else if head.hash == end.hash {
        Ok(Verified {
            entries: head.sequence,
            hash: head.hash,
        })
    } else {
        broken(head.sequence, Fault::Altered)
    }
}

async fn end(read: &mut Read, scope: &Scope) -> Result<Head> {
    let statement = Statement::new(Head::OF_SCOPE).with(scope.name());
    let rows = read.fetch(statement).await?;
    Head::of(rows.first().ok_or(Error::Missing("scopes"))?)
}

async fn page(read: &mut Read, scope: &Scope, after: i64) -> Result<Vec<Row>> {
    let statement = Statement::new(
        "SELECT sequence, at, actor_kind, actor_id, action, subject_kind, subject_id, request_id, \
             origin, origin_salt, origin_hash, change, change_salt, change_hash, erased_by, hash \
         FROM audit WHERE scope = ? AND sequence > ? ORDER BY sequence LIMIT ?",
    )
    .with(scope.name())
    .with(after)
    .with(PAGE);
    read.fetch(statement).await
}

async fn check(
    read: &mut Read,
    scope: &Scope,
    previous: &Head,
    row: &Row,
) -> Result<std::result::Result<Head, Broken>> {
    let sequence = previous.sequence + 1;
    let broken = |fault| Ok(Err(Broken { sequence, fault }));
    if row.int("sequence")? != sequence {
        return broken(Fault::Missing);
    }
    let (actor_kind, action) = (row.text("actor_kind")?, row.text("action")?);
    let subject_kind = row.text("subject_kind")?;
    let actor_id = row.optional_text("actor_id")?;
    let subject_id = row.optional_text("subject_id")?;
    let request_id = row.optional_text("request_id")?;
    let (origin_hash, change_hash) = (row.bytes("origin_hash")?, row.bytes("change_hash")?);
    let hash = Link {
        scope: scope.name(),
        sequence,
        at: row.int("at")?,
        actor_kind: &actor_kind,
        actor_id: actor_id.as_deref(),
        action: &action,
        subject_kind: &subject_kind,
        subject_id: subject_id.as_deref(),
        request_id: request_id.as_deref(),
        origin_hash: &origin_hash,
        change_hash: &change_hash,
    }
    .hash(&previous.hash);
    if hash[..] != row.bytes("hash")?[..] {
        return broken(Fault::Altered);
    }
    for (text, salt, recorded) in [
        ("origin", "origin_salt", &origin_hash),
        ("change", "change_salt", &change_hash),
    ] {
        match (row.optional_text(text)?, row.optional_bytes(salt)?) {
            (Some(text), Some(salt)) if commitment(&salt, &text)[..] == recorded[..] => {}
            (None, None) if tells_of_erasure(read, scope, row).await? => {}
            (None, _) => return broken(Fault::TextMissing),
            _ => return broken(Fault::TextAltered),
        }
    }
    Ok(Ok(Head {
        sequence,
        hash,
        at: row.int("at")?,
    }))
}

/// Whether the entry that is said to tell of this one's erasure does: it names its number.
async fn tells_of_erasure(read: &mut Read, scope: &Scope, row: &Row) -> Result<bool> {
    let Some(by) = row.optional_int("erased_by")? else {
        return Ok(false);
    };
    let statement =
        Statement::new("SELECT change FROM audit WHERE scope = ? AND sequence = ? AND action = ?")
            .with(scope.name())
            .with(by)
            .with(ERASURE);
    let rows = read.fetch(statement).await?;
    let Some(change) = rows
        .first()
        .map(|row| row.optional_text("change"))
        .transpose()?
        .flatten()
    else {
        return Ok(false);
    };
    let change: serde_json::Value =
        serde_json::from_str(&change).map_err(|error| Error::Internal(error.into()))?;
    let sequence = row.int("sequence")?;
    let erased = change
        .pointer("/after/entries")
        .and_then(|entries| entries.as_array());
    Ok(erased.is_some_and(|entries| entries.iter().any(|entry| entry.as_i64() == Some(sequence))))
}
