//! A family as records have it, and as its owner sees it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use weir_core::{Id, Secret, TenantId};
use weir_store::records::{Row, Scope as RecordsScope, Value};

use super::text::Hashes;
use super::verdict::Known;
use super::{MOST, ending, text};
use crate::Identity;
use crate::access_token::Authentication;
use crate::caller::Caller;
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::revocation::{self, RevocationKind};
use crate::scope::Scope;
use crate::tables::REFRESH_FAMILIES;

/// Tokens of one login, as their owner sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Family {
    /// Its identifier: `sid` of its access tokens.
    pub id: Id,
    /// For whom the access tokens are.
    pub audience: String,
    /// Which program asked for them.
    pub client_id: String,
    /// For which organization.
    #[schema(value_type = Option<String>)]
    pub organization_id: Option<TenantId>,
    /// What they may do there, separated by spaces.
    pub scope: String,
    /// The session with which it ends.
    pub session_id: Option<Id>,
    /// When it began.
    pub created_at: Timestamp,
    /// When the latest access token was asked for.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// From where it was begun.
    pub address: Option<String>,
    /// With which program.
    pub agent: Option<String>,
}

impl Family {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            audience: row.text("audience")?,
            client_id: row.text("client_id")?,
            organization_id: organization(row)?,
            scope: row.text("scope")?,
            session_id: row.optional_id("session_id")?,
            created_at: row.time("created_at")?,
            last_used_at: row.time("last_used_at")?,
            expires_at: row.time("expires_at")?,
            address: row.optional_text("address")?,
            agent: row.optional_text("agent")?,
        })
    }
}

impl Identity {
    /// The families of somebody that have not ended, the latest first.
    pub async fn token_families(&self, user: &Id) -> Result<Vec<Family>> {
        let now = Timestamp::now();
        let select = REFRESH_FAMILIES
            .rows()
            .select()
            .filter("user_id = ? AND revoked_at IS NULL", [user])
            .order(["created_at", "id"])
            .descending(true)
            .limit(MOST);
        let rows = self.records.all(select).await?;
        let families: Result<Vec<Family>> = rows.iter().map(Family::of).collect();
        let alive = families?.into_iter();
        Ok(alive.filter(|family| family.expires_at > now).collect())
    }

    /// Ends a family of somebody: its refresh tokens at once, its access tokens as soon as nodes hear of it.
    ///
    /// # Errors
    /// [`Error::Missing`] if they have none of this identifier, or it has ended.
    pub async fn revoke_family(&self, caller: &Caller, user: &Id, family: &Id) -> Result<()> {
        let mut write = self.records.write(&RecordsScope::Platform).await?;
        let own = REFRESH_FAMILIES.rows().select().with_id(family);
        let own = own.filter("user_id = ?", [user]);
        let is_own = write.first(own).await?.is_some();
        if !is_own || !ending::end(&mut write, family, "revoked").await? {
            return Err(Error::Missing("refresh token"));
        }
        let entry = caller.entry("token.revoke", "refresh_family", family, Default::default());
        note_change(&mut write, CredentialKind::Family, family.as_str()).await?;
        write.commit(&RecordsScope::Platform, &entry).await?;
        self.refresh_revocations().await.map(drop)
    }
}

impl Identity {
    /// Revokes a token that somebody shows, as RFC 7009 §2.1 has it: of a refresh token the whole family. What is no token,
    /// or none any more, needs no revoking.
    pub async fn revoke_token(&self, caller: &Caller, token: &Secret<String>) -> Result<()> {
        if let Some(shown) = text::parse(token.expose()) {
            let Some(kept) = self.family_of(&shown).await? else {
                return Ok(());
            };
            let revoked = self
                .revoke_family(caller, &kept.terms.user, &kept.terms.id)
                .await;
            return match revoked {
                Err(Error::Missing(_)) => Ok(()),
                revoked => revoked,
            };
        }
        let claims = self.verify_access(token.expose(), Timestamp::now());
        let Some(id) = claims.as_ref().and_then(|claims| claims.text("jti")) else {
            return Ok(());
        };
        let mut write = self.records.write(&RecordsScope::Platform).await?;
        revocation::add(&mut write, RevocationKind::Token, id).await?;
        let subject = id.parse().map_err(Error::internal)?;
        let entry = caller.entry("token.revoke", "access_token", &subject, Default::default());
        note_change(&mut write, CredentialKind::Token, id).await?;
        write.commit(&RecordsScope::Platform, &entry).await?;
        self.refresh_revocations().await.map(drop)
    }
}

/// What a family is, from its beginning to its end.
pub(super) struct Terms {
    pub(super) id: Id,
    pub(super) user: Id,
    /// With which it ends.
    pub(super) session: Option<Id>,
    pub(super) organization: Option<TenantId>,
    pub(super) client_id: String,
    pub(super) audience: String,
    pub(super) scope: Scope,
    pub(super) authentication: Authentication,
    pub(super) expires_at: Timestamp,
}

/// A family as it was read.
pub(super) struct Kept {
    pub(super) terms: Terms,
    pub(super) generation: i64,
    pub(super) sealed_successor: Option<Vec<u8>>,
    present: [u8; 32],
    previous: Option<([u8; 32], Timestamp)>,
    is_revoked: bool,
}

impl Terms {
    fn of(row: &Row) -> Result<Self> {
        let at = Timestamp::from_second(row.int("auth_time")?).map_err(Error::internal)?;
        let methods = row.text("amr")?;
        Ok(Self {
            id: row.id("id")?,
            user: row.id("user_id")?,
            session: row.optional_id("session_id")?,
            organization: organization(row)?,
            client_id: row.text("client_id")?,
            audience: row.text("audience")?,
            scope: Scope::parse(&row.text("scope")?)?,
            authentication: Authentication {
                at,
                methods: methods.split(' ').map(str::to_owned).collect(),
            },
            expires_at: row.time("expires_at")?,
        })
    }

    /// As the row of a new family has them, with its first token.
    pub(super) fn values(&self, first: &Hashes, now: Timestamp) -> [(&'static str, Value); 13] {
        let organization = self.organization.as_ref();
        [
            ("user_id", Value::from(&self.user)),
            ("session_id", Value::from(self.session.as_ref())),
            ("organization_id", Value::from(organization)),
            ("client_id", Value::from(&self.client_id)),
            ("audience", Value::from(&self.audience)),
            ("scope", Value::from(self.scope.to_string())),
            ("auth_time", Value::from(self.authentication.at.as_second())),
            ("amr", Value::from(self.authentication.methods.join(" "))),
            ("mark_hash", Value::from(&first.mark[..])),
            ("generation", Value::from(1_i64)),
            ("token_hash", Value::from(&first.token[..])),
            ("expires_at", Value::from(self.expires_at)),
            ("last_used_at", Value::from(now)),
        ]
    }
}

impl Kept {
    pub(super) fn of(row: &Row) -> Result<Self> {
        let previous = row.optional_bytes("previous_hash")?;
        let until = row.optional_time("previous_until")?;
        let previous = match previous.zip(until) {
            Some((hash, until)) => Some((digest(hash)?, until)),
            None => None,
        };
        Ok(Self {
            terms: Terms::of(row)?,
            generation: row.int("generation")?,
            sealed_successor: row.optional_bytes("sealed_successor")?,
            present: digest(row.bytes("token_hash")?)?,
            previous,
            is_revoked: row.optional_int("revoked_at")?.is_some(),
        })
    }

    /// What a verdict asks for.
    pub(super) const fn known(&self) -> Known {
        Known {
            present: self.present,
            previous: self.previous,
            expires_at: self.terms.expires_at,
            is_revoked: self.is_revoked,
        }
    }
}

fn organization(row: &Row) -> Result<Option<TenantId>> {
    let text = row.optional_text("organization_id")?;
    text.map(|text| text.parse().map_err(Error::internal))
        .transpose()
}

fn digest(bytes: Vec<u8>) -> Result<[u8; 32]> {
    let hash = bytes.try_into();
    hash.map_err(|_| Error::internal("a hash in the records is not 32 bytes long"))
}
