//! What nodes must not believe any longer: each change of a credential, or of somebody who has some, in the
//! order in which they were committed.
//!
//! A node that keeps what it knows of credentials reads on from where it was whenever it hears of
//! [`Topic::Credentials`], and from time to time by itself, since notices promise nothing.

use std::time::Duration;

use jiff::Timestamp;
use weir_core::Id;
use weir_store::records::{Changes, Row, Topic, Value, Write};

use crate::Identity;
use crate::error::{Error, Result};
use crate::tables::{CREDENTIAL_CHANGES, CREDENTIAL_FEED};

/// Nobody may believe a credential for longer than this without having looked at changes.
const KEPT: Duration = Duration::from_secs(2 * 86_400);
/// Changes that are read at once.
const MOST: i64 = 1_000;

const FEED: &str = "fed_00000000000000000000000000";

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $text:literal,)+) => {
        /// Of what kind the subject of a [`CredentialChange`] is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CredentialKind {
            $($(#[$doc])* $name,)+
            /// One that a newer program writes: whoever reads it forgets all that they know.
            Unknown,
        }

        impl CredentialKind {
            const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                    Self::Unknown => "unknown",
                }
            }

            fn of_name(name: &str) -> Self {
                match name {
                    $($text => Self::$name,)+
                    _ => Self::Unknown,
                }
            }
        }
    };
}

kinds! {
    /// A key of a program, by its identifier.
    ApiKey "api_key",
    /// A session, by its identifier.
    Session "session",
    /// All that somebody has, by the identifier of the account: they or their rights changed.
    User "user",
    /// All that members and keys of an organization have, by its identifier.
    Organization "organization",
    /// An access token, by its `jti`.
    Token "token",
    /// All refresh tokens of one sign-in, by their family.
    Family "family",
    /// All that was signed with a key, by its `kid`.
    SigningKey "signing_key",
}

/// A credential that does not count as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialChange {
    /// Its place among all changes. Whoever has seen it has seen, or could have, all with lesser ones.
    pub sequence: i64,
    /// Of what kind the subject is.
    pub kind: CredentialKind,
    /// Which one.
    pub subject: String,
    /// When it was changed.
    pub at: Timestamp,
}

impl CredentialChange {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            sequence: row.int("sequence")?,
            kind: CredentialKind::of_name(&row.text("kind")?),
            subject: row.text("subject")?,
            at: row.time("created_at")?,
        })
    }
}

impl Identity {
    /// The number of the latest change. Whoever begins to keep credentials asks for it before they look at
    /// the first one. If it is ever less than what was seen, older records were restored.
    pub async fn latest_change(&self) -> Result<i64> {
        let select = CREDENTIAL_FEED.rows().select().with_id(&feed()?);
        let row = self.records.first(select).await?;
        Ok(row.ok_or(Error::Missing("record"))?.int("version")?)
    }

    /// The first changes behind this number, in their order, up to 1,000 of them: whoever gets any asks again. None that
    /// was committed is ever passed over. Changes of more than two days ago are not told any more.
    pub async fn changes_since(&self, sequence: i64) -> Result<Vec<CredentialChange>> {
        let select = CREDENTIAL_CHANGES
            .rows()
            .select()
            .filter("sequence > ?", [sequence])
            .order(["sequence"])
            .limit(MOST);
        let rows = self.records.all(select).await?;
        rows.iter().map(CredentialChange::of).collect()
    }
}

/// Has all nodes hear that a credential does not count as it did, once this is committed.
///
/// This is the last to be done before the commit: changes are numbered in the order of their commits, for which
/// whoever notes the next one waits for this one's. A transaction that went on to wait for what another one holds, which itself
/// waits here, would wait for ever.
pub(crate) async fn note_change(
    write: &mut Write,
    kind: CredentialKind,
    subject: &str,
) -> Result<()> {
    let sequence = write
        .update(CREDENTIAL_FEED.rows(), &feed()?, None, [])
        .await?;
    let values = [
        ("sequence", Value::from(sequence)),
        ("kind", Value::from(kind.as_str())),
        ("subject", Value::from(subject)),
    ];
    let rows = CREDENTIAL_CHANGES.rows();
    write.insert(rows, &Id::new("crc"), values).await?;
    Ok(write.notify(Topic::Credentials).await?)
}

/// Removes changes that nobody needs any more.
pub(crate) async fn prune(changes: &mut Changes) -> Result<u64> {
    let before = changes.now().checked_sub(KEPT).map_err(Error::internal)?;
    let rows = CREDENTIAL_CHANGES.rows();
    Ok(changes
        .remove_idle(rows, "created_at < ?", [before])
        .await?)
}

fn feed() -> Result<Id> {
    FEED.parse().map_err(Error::internal)
}

#[cfg(test)]
mod tests;
