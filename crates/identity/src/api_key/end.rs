//! How a key ends: revoked, replaced by another one, or found by somebody it was not meant for.

use std::time::Duration;

use weir_core::{ApiKeyText, Id, TenantId};
use weir_store::audit::Change;
use weir_store::records::{Changes, Scope, Value};

use super::{ApiKey, MadeApiKey, PREFIX, generate, insert, key_within};
use crate::Identity;
use crate::caller::{Caller, gone};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::tables::API_KEYS;
use crate::throttle::later;

/// For how long a key may go on working beside the one that took its place.
const MOST_OVERLAP: Duration = Duration::from_secs(30 * 86_400);

/// A key that took another one's place.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The new one.
    pub new: MadeApiKey,
    /// The one before, with its end.
    pub former: ApiKey,
}

impl Identity {
    /// Refuses a key from now on, on every node. One that was revoked before stays so.
    pub async fn revoke_api_key(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
    ) -> Result<ApiKey> {
        let mut write = self.begin(tenant).await?;
        let before = key_within(&mut *write, tenant, id).await?;
        let mut key = before.clone();
        key.revoked_at = before.revoked_at.or(Some(write.now()));
        let values = [("revoked_at", Value::from(key.revoked_at))];
        key.version = write
            .update(API_KEYS.of(tenant), id, expected, values)
            .await?;
        key.updated_at = write.now();
        let change = Change::between(before.state(), key.state());
        let entry = caller.entry("api_key.revoke", "api_key", id, change);
        note_change(&mut write, CredentialKind::ApiKey, id.as_str()).await?;
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(key)
    }

    /// Revokes a key and puts it into the trash. If it is brought back, it is seen again and still refused.
    pub async fn delete_api_key(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
    ) -> Result<()> {
        let mut write = self.begin(tenant).await?;
        let key = key_within(&mut *write, tenant, id).await?;
        let rows = API_KEYS.of(tenant);
        let revoked_at = key.revoked_at.or(Some(write.now()));
        let values = [("revoked_at", Value::from(revoked_at))];
        let version = write.update(rows, id, expected, values).await?;
        write.trash(rows, id, Some(version)).await?;
        let entry = caller.entry("api_key.delete", "api_key", id, gone(key.state()));
        note_change(&mut write, CredentialKind::ApiKey, id.as_str()).await?;
        Ok(write.commit(&Scope::of(tenant), &entry).await?)
    }

    /// Makes a key that takes another one's place: with the same name, rights and owner, and as long a time as that one
    /// had. The former works for `overlap` longer, unless it ends before.
    ///
    /// # Errors
    /// As of [`create_api_key`](Self::create_api_key); [`Error::Conflict`] for one that does not work any more or has been
    /// replaced before; [`Error::Invalid`] for an overlap of more than 30 days.
    pub async fn rotate_api_key(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
        overlap: Duration,
    ) -> Result<Rotated> {
        if overlap > MOST_OVERLAP {
            return Err(Error::invalid("overlap", "is more than 30 days"));
        }
        let mut write = self.begin(tenant).await?;
        let before = key_within(&mut *write, tenant, id).await?;
        let now = write.now();
        if before.is_over(now) {
            return Err(Error::Conflict("the key does not work any more"));
        }
        if before.replaced_by.is_some() {
            return Err(Error::Conflict("another key has taken its place already"));
        }
        self.may_hand_out(&mut write, caller, &before).await?;
        let (public_part, text) = generate()?;
        let lifetime = before
            .expires_at
            .map(|end| end.duration_since(before.created_at).unsigned_abs());
        let key = ApiKey {
            id: Id::new(PREFIX),
            key: ApiKeyText::shown(&public_part),
            created_by: caller.actor.id().cloned(),
            created_at: now,
            updated_at: now,
            expires_at: lifetime.map(|time| later(now, time)).transpose()?,
            last_used_at: None,
            last_used_address: None,
            version: 1,
            ..before.clone()
        };
        insert(&mut write, &key, &public_part, &text).await?;
        let end = later(now, overlap)?;
        let mut former = ApiKey {
            expires_at: Some(before.expires_at.map_or(end, |before| before.min(end))),
            replaced_by: Some(key.id.clone()),
            updated_at: now,
            ..before.clone()
        };
        let values = [
            ("expires_at", Value::from(former.expires_at)),
            ("replaced_by", Value::from(&key.id)),
        ];
        former.version = write
            .update(API_KEYS.of(tenant), id, expected, values)
            .await?;
        let change = Change::between(before.state(), former.state());
        let entry = caller.entry("api_key.rotate", "api_key", id, change);
        note_change(&mut write, CredentialKind::ApiKey, id.as_str()).await?;
        write.commit(&Scope::of(tenant), &entry).await?;
        let new = MadeApiKey { key, text };
        Ok(Rotated { new, former })
    }
}

/// Revokes the keys of somebody who leaves an organization: they do not come back with them.
pub(crate) async fn revoke_of_member(
    changes: &mut Changes,
    tenant: &TenantId,
    user: &Id,
) -> Result<u64> {
    let set = [("revoked_at", Value::from(changes.now()))];
    let condition = "user_id = ? AND revoked_at IS NULL";
    let rows = API_KEYS.of(tenant);
    Ok(changes.update_where(rows, condition, [user], set).await?)
}
