//! What a key is to those who administer it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;
use weir_core::{ApiKeyText, Id, Secret, TenantId};
use weir_store::records::Row;

use super::{Scopes, is_over};
use crate::caller::members;
use crate::error::{Error, Result};
use crate::permission::Permissions;
use crate::throttle::later;

/// For how long a key works if nobody says.
const USUAL: Duration = Duration::from_secs(365 * 86_400);

/// A key of a program; not what the program shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// Its identifier, which opens nothing.
    pub id: Id,
    /// The organization that it belongs to.
    pub organization: TenantId,
    /// What it is for.
    pub name: String,
    /// How it begins.
    #[schema(example = "weir_key_0Lq3…")]
    pub key: String,
    /// Whose it is; none if it is the organization's own.
    pub user_id: Option<Id>,
    /// Who made it: a person or another key.
    pub created_by: Option<Id>,
    /// What it may do in the admin API, as far as its owner may.
    pub permissions: Permissions,
    /// What it may ask of routes.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it ends; none if it does not.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to some seconds.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_address: Option<String>,
    /// Since when it is refused.
    pub revoked_at: Option<Timestamp>,
    /// When somebody reported that they had found it.
    pub leaked_at: Option<Timestamp>,
    /// The key that took its place.
    pub replaced_by: Option<Id>,
    /// Which state of it this is.
    pub version: i64,
}

impl ApiKey {
    pub(super) fn of(row: &Row) -> Result<Self> {
        let json = |column| serde_json::from_str(&row.text(column)?).map_err(Error::internal);
        let scopes = serde_json::from_str(&row.text("scopes")?).map_err(Error::internal)?;
        Ok(Self {
            id: row.id("id")?,
            organization: row.text("tenant_id")?.parse().map_err(Error::internal)?,
            name: row.text("name")?,
            key: ApiKeyText::shown(&row.text("public_part")?),
            user_id: row.optional_id("user_id")?,
            created_by: row.optional_id("created_by")?,
            permissions: json("permissions")?,
            scopes,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            expires_at: row.optional_time("expires_at")?,
            last_used_at: row.optional_time("last_used_at")?,
            last_used_address: row.optional_text("last_used_address")?,
            revoked_at: row.optional_time("revoked_at")?,
            leaked_at: row.optional_time("leaked_at")?,
            replaced_by: row.optional_id("replaced_by")?,
            version: row.int("version")?,
        })
    }

    /// What the audit is told of it.
    pub(super) fn state(&self) -> Map<String, Json> {
        members(json!({
            "name": self.name,
            "user": self.user_id,
            "permissions": self.permissions,
            "scopes": self.scopes,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
            "replaced_by": self.replaced_by,
        }))
    }

    /// Whether it works no more, whoever has it.
    pub fn is_over(&self, now: Timestamp) -> bool {
        is_over(self.revoked_at, self.expires_at, now)
    }
}

/// A key that was just made.
#[derive(Clone, Debug)]
pub struct MadeApiKey {
    /// The key.
    pub key: ApiKey,
    /// What a program shows. It is told once.
    pub text: Secret<String>,
}

/// A key to make.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What it is for.
    #[schema(example = "nightly import")]
    pub name: String,
    /// What it may do in the admin API: nothing that whoever makes it may not.
    #[serde(default)]
    pub permissions: Permissions,
    /// What it may ask of routes.
    #[serde(default)]
    pub scopes: Scopes,
    /// When it ends: a year from now if this is left out, and never if it is null.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Expiry,
}

/// What of a key is to be different.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Fewer permissions.
    pub permissions: Option<Permissions>,
    /// Fewer scopes.
    pub scopes: Option<Scopes>,
    /// An earlier end.
    pub expires_at: Option<Expiry>,
}

/// When a key is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// In a year.
    #[default]
    Usual,
    /// Never: somebody wants it so.
    Never,
    /// At this time.
    At(Timestamp),
}

impl Expiry {
    pub(super) fn from(self, now: Timestamp) -> Result<Option<Timestamp>> {
        match self {
            Self::Usual => later(now, USUAL).map(Some),
            Self::Never => Ok(None),
            Self::At(time) if time > now => Ok(Some(time)),
            Self::At(_) => Err(Error::invalid("expires_at", "is not in the future")),
        }
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let time = Option::<Timestamp>::deserialize(deserializer)?;
        Ok(time.map_or(Self::Never, Self::At))
    }
}
