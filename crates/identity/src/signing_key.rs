//! Keys that sign access tokens: published before they sign, and for as long as something that they signed is good.
//!
//! ```text
//!            published          signs                       published
//!   created ────────── active from ────── retired ─────────────────── removed
//!                                            └ the next one is active from here on
//! ```
//!
//! Which keys sign and which are published follows from these times alone ([`SigningKey::stage`]), so that all nodes
//! agree without talking to each other.

mod ring;
mod rotation;

pub use ring::Published;
pub(crate) use ring::Ring;
pub use rotation::Rotation;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use weir_core::Id;
use weir_store::records::Row;

use crate::Identity;
use crate::error::{Error, Result};
use crate::tables::SIGNING_KEYS;

/// For how long whoever verifies tokens may go on with a set of keys that they have read.
pub const SET_LIFETIME: Duration = Duration::from_secs(300);
/// How long a key is published before it signs: whoever reads the set as often as they should knows it by then, also if
/// they failed once.
pub(crate) const AHEAD: Duration = Duration::from_secs(900);
/// The longest that an access token can be good for, however nodes are set up.
pub(crate) const LONGEST_ACCESS: Duration = Duration::from_secs(3_600);
/// Clocks of verifiers may be behind by this.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);
/// Keys that are looked at: those before them are long out of the set.
const MOST: i64 = 64;

/// A key, without what is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SigningKey {
    /// Its identifier.
    pub id: Id,
    /// How tokens name it in their header (RFC 7638).
    pub kid: String,
    /// `RS256`, `ES256` or `EdDSA`.
    pub algorithm: String,
    /// What it does now.
    pub stage: Stage,
    /// When it was made and published.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub active_from: Timestamp,
    /// From when on it signs no more.
    pub retired_at: Option<Timestamp>,
    /// From when on it is in the published set no more.
    pub removed_at: Option<Timestamp>,
    /// When it was taken out at once.
    pub revoked_at: Option<Timestamp>,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is published, and signs later.
    Next,
    /// It signs.
    Active,
    /// It signs no more; what it has signed may still be good.
    Retired,
    /// It is in the published set no more.
    Removed,
    /// It was taken out at once: nothing that it has signed is good.
    Revoked,
}

impl SigningKey {
    /// What it does at this time.
    pub fn stage_at(&self, now: Timestamp) -> Stage {
        let is_over = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        match self {
            key if key.revoked_at.is_some() => Stage::Revoked,
            key if is_over(key.removed_at) => Stage::Removed,
            key if is_over(key.retired_at) => Stage::Retired,
            key if key.active_from <= now => Stage::Active,
            _ => Stage::Next,
        }
    }

    fn of(row: &Row, now: Timestamp) -> Result<Self> {
        let mut key = Self {
            id: row.id("id")?,
            kid: row.text("kid")?,
            algorithm: row.text("algorithm")?,
            stage: Stage::Next,
            created_at: row.time("created_at")?,
            active_from: row.time("active_from")?,
            retired_at: row.optional_time("retired_at")?,
            removed_at: row.optional_time("removed_at")?,
            revoked_at: row.optional_time("revoked_at")?,
        };
        key.stage = key.stage_at(now);
        Ok(key)
    }
}

impl Stage {
    /// Whether verifiers are to know the key.
    pub const fn is_published(self) -> bool {
        matches!(self, Self::Next | Self::Active | Self::Retired)
    }
}

impl Identity {
    /// The keys of the installation, the latest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        let now = Timestamp::now();
        let rows = self.records.all(latest()).await?;
        rows.iter().map(|row| SigningKey::of(row, now)).collect()
    }
}

fn latest() -> weir_store::records::Select {
    let select = SIGNING_KEYS.rows().select();
    let select = select.order(["created_at", "id"]).descending(true);
    select.limit(MOST)
}

/// For what the private key is sealed.
pub(crate) fn purpose(kid: &str) -> String {
    format!("signing key {kid}")
}

fn failed(error: weir_jose::SigningError) -> Error {
    Error::internal(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_does_follows_from_its_times() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut key = SigningKey {
            id: Id::new("sig"),
            kid: "a".to_owned(),
            algorithm: "ES256".to_owned(),
            stage: Stage::Next,
            created_at: at(0),
            active_from: at(10),
            retired_at: None,
            removed_at: None,
            revoked_at: None,
        };
        assert_eq!(key.stage_at(at(9)), Stage::Next);
        assert_eq!(key.stage_at(at(10)), Stage::Active);
        (key.retired_at, key.removed_at) = (Some(at(20)), Some(at(30)));
        assert_eq!(key.stage_at(at(19)), Stage::Active);
        assert_eq!(key.stage_at(at(20)), Stage::Retired);
        assert_eq!(key.stage_at(at(30)), Stage::Removed);
        key.revoked_at = Some(at(15));
        assert_eq!(key.stage_at(at(12)), Stage::Revoked);
        let published = [Stage::Next, Stage::Active, Stage::Retired];
        assert!(published.iter().all(|stage| stage.is_published()));
        assert!(!Stage::Removed.is_published() && !Stage::Revoked.is_published());
    }
}
