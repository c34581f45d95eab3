//! Who shows a key, and what they may do now: one look at records.

use jiff::Timestamp;
use weir_core::{ApiKeyText, Id, TenantId};
use weir_store::records::{Row, Select};

use super::{Scopes, is_over};
use crate::Identity;
use crate::error::{Error, Result};
use crate::permission::{Permission, Permissions};
use crate::reader::Reader;
use crate::role::{Assigned, BuiltIn};
use crate::tables::{API_KEYS, ORGANIZATIONS};

/// All that is to know of a key's owner, asked for with the key: an index finds its row, and each other one by its key.
const OF_OWNER: &str = "organizations.suspended_at AS organization_suspended_at, \
    (SELECT users.email FROM users WHERE users.id = base.user_id \
        AND users.deleted_at IS NULL AND users.suspended_at IS NULL) AS owner_email, \
    (SELECT memberships.role FROM memberships WHERE memberships.tenant_id = base.tenant_id \
        AND memberships.user_id = base.user_id AND memberships.deleted_at IS NULL) AS owner_role, \
    (SELECT roles.permissions FROM memberships JOIN roles ON roles.id = memberships.role \
        WHERE memberships.tenant_id = base.tenant_id AND memberships.user_id = base.user_id \
        AND memberships.deleted_at IS NULL AND roles.tenant_id = base.tenant_id \
        AND roles.deleted_at IS NULL) AS owner_permissions";

/// A key, and what whoever shows it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// Its identifier.
    pub id: Id,
    /// The organization that it belongs to.
    pub tenant: TenantId,
    /// What it is for.
    pub name: String,
    /// Whose it is; none if it is the organization's own.
    pub user: Option<Id>,
    /// SHA-256 of the key: whoever asks compares it in constant time, by [`ApiKeyText::is_of`].
    pub hash: [u8; 32],
    /// What it may do in the admin API: what it was given, as far as its owner may do it at present.
    pub permissions: Permissions,
    /// What it may ask of routes. That of a member who may not write keys any more has none.
    pub scopes: Scopes,
    /// When it ends; none if it does not.
    pub expires_at: Option<Timestamp>,
    /// Why it is refused, whenever it ends.
    pub refused: Option<KeyRefusal>,
}

/// Why a key is refused. It is for logs and metrics: whoever shows the key is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRefusal {
    /// Somebody revoked it.
    Revoked,
    /// Its time is over.
    Expired,
    /// Its owner is suspended, gone, or no member of the organization any more.
    Owner,
    /// The organization is suspended.
    Organization,
}

impl KeyRefusal {
    /// The stable word of it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Owner => "owner",
            Self::Organization => "organization",
        }
    }
}

impl KeyHolder {
    fn of(row: &Row) -> Result<Self> {
        let tenant: TenantId = row.text("tenant_id")?.parse().map_err(Error::internal)?;
        let user = row.optional_id("user_id")?;
        let permissions: Permissions = list(row, "permissions")?;
        let scopes: Scopes = list(row, "scopes")?;
        let role = row.optional_text("owner_role")?;
        let is_owner_there =
            user.is_none() || role.is_some() && row.optional_text("owner_email")?.is_some();
        let rights = match (&user, role) {
            // It was given no more than whoever made it had, and is nobody's.
            (None, _) => None,
            (Some(_), None) => Some(Permissions::default()),
            (Some(_), Some(role)) => Some(match role.parse().map_err(Error::internal)? {
                Assigned::BuiltIn(role) => of_built_in(role, &tenant),
                Assigned::Custom(_) => match row.optional_text("owner_permissions")? {
                    Some(text) => serde_json::from_str(&text).map_err(Error::internal)?,
                    // A role that is gone gives no rights.
                    None => Permissions::default(),
                },
            }),
        };
        let refused = if row.optional_time("revoked_at")?.is_some() {
            Some(KeyRefusal::Revoked)
        } else if !is_owner_there {
            Some(KeyRefusal::Owner)
        } else if row.optional_int("organization_suspended_at")?.is_some() {
            Some(KeyRefusal::Organization)
        } else {
            None
        };
        let may_scope = rights.is_none_or(|rights| rights.has(Permission::ApiKeyWrite));
        let hash = row.bytes("key_hash")?;
        Ok(Self {
            id: row.id("id")?,
            tenant,
            name: row.text("name")?,
            user,
            hash: <[u8; 32]>::try_from(hash)
                .map_err(|_| Error::internal("the hash of a key is none"))?,
            permissions: rights.map_or(permissions, |rights| permissions.and(rights)),
            scopes: if may_scope { scopes } else { Scopes::default() },
            expires_at: row.optional_time("expires_at")?,
            refused,
        })
    }

    /// Whether the key is taken at this time.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: Timestamp) -> std::result::Result<(), KeyRefusal> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        match is_over(None, self.expires_at, now) {
            true => Err(KeyRefusal::Expired),
            false => Ok(()),
        }
    }

    /// What it may do in an organization: in its own, and everywhere if that is the installation.
    pub fn rights_in(&self, tenant: &TenantId) -> Permissions {
        match self.tenant == *tenant || self.tenant == TenantId::platform() {
            true => self.permissions,
            false => Permissions::default(),
        }
    }
}

impl Identity {
    /// The key with this public part, taken or refused; none if there is no such key, or no organization for it. One query
    /// by an index. Whoever asks compares the hash before anything of the answer is believed, and [checks](KeyHolder::check)
    /// it.
    pub async fn find_api_key(&self, public_part: &str) -> Result<Option<KeyHolder>> {
        let select = select().filter("base.public_part = ?", [public_part]);
        let row = self.records.first(select).await?;
        row.as_ref().map(KeyHolder::of).transpose()
    }

    /// Who shows this key; none if it is nobody's, or refused. Being asked counts as being used, from this address.
    pub async fn authenticate_key(
        &self,
        text: &str,
        address: Option<&str>,
    ) -> Result<Option<KeyHolder>> {
        let Some(shown) = ApiKeyText::parse(text) else {
            return Ok(None);
        };
        let now = Timestamp::now();
        let found = self.find_api_key(shown.public_part()).await?;
        let found = found.filter(|holder| shown.is_of(&holder.hash) && holder.check(now).is_ok());
        if let Some(holder) = &found {
            self.note_key_used(&holder.tenant, &holder.id, address, now);
        }
        Ok(found)
    }
}

/// The key of this identifier, as far as it is taken.
pub(crate) async fn holder_within(reader: &mut impl Reader, id: &Id) -> Result<Option<KeyHolder>> {
    let row = reader.first(select().with_id(id)).await?;
    let holder = row.as_ref().map(KeyHolder::of).transpose()?;
    Ok(holder.filter(|holder| holder.check(Timestamp::now()).is_ok()))
}

fn select() -> Select {
    API_KEYS
        .select_everywhere()
        .also(OF_OWNER)
        .join(&ORGANIZATIONS, "organizations.id = base.tenant_id")
}

fn of_built_in(role: BuiltIn, tenant: &TenantId) -> Permissions {
    let is_platform = *tenant == TenantId::platform();
    match BuiltIn::of(is_platform).contains(&role) {
        true => role.permissions(is_platform),
        false => Permissions::default(),
    }
}

fn list<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T> {
    serde_json::from_str(&row.text(column)?).map_err(Error::internal)
}
