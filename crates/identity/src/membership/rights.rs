//! What memberships let somebody do.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::audit::Actor;
use weir_store::records::{Select, Value};

use super::assigned;
use crate::Identity;
use crate::api_key::{KeyHolder, holder_within};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::permission::{Permission, Permissions};
use crate::reader::Reader;
use crate::role::Assigned;
use crate::tables::{MEMBERSHIPS, ORGANIZATIONS};

/// An organization that somebody belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Belonging {
    /// Which one.
    pub organization: TenantId,
    /// Its name in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// Whether it is suspended.
    pub is_suspended: bool,
    /// The role there.
    pub role: Assigned,
    /// What the role lets one do there.
    pub permissions: Permissions,
}

/// What gives a caller rights.
enum Own {
    Belongings(Vec<Belonging>),
    Key(Box<KeyHolder>),
}

impl Own {
    fn rights_in(&self, tenant: &TenantId) -> Permissions {
        match self {
            Self::Belongings(belongings) => rights_in(belongings, tenant),
            Self::Key(holder) => holder.rights_in(tenant),
        }
    }
}

impl Identity {
    /// The organizations that somebody belongs to, and what they may do there.
    pub async fn belongings(&self, user: &Id) -> Result<Vec<Belonging>> {
        belongings(self, &mut self.records.read().await?, user).await
    }

    /// What the caller may do in an organization: by their role there, and by the one on the platform.
    pub async fn permissions(&self, caller: &Caller, tenant: &TenantId) -> Result<Permissions> {
        let mut read = self.records.read().await?;
        self.permissions_within(&mut read, caller, tenant).await
    }

    /// Whether the caller may do this in an organization.
    ///
    /// # Errors
    /// [`Error::Missing`] for an organization of which the caller may know nothing: it is answered
    /// like one that is not there. [`Error::Forbidden`] otherwise.
    pub async fn authorize(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        permission: Permission,
    ) -> Result<()> {
        self.permissions(caller, tenant).await?.allow(permission)
    }

    pub(crate) async fn permissions_within(
        &self,
        reader: &mut impl Reader,
        caller: &Caller,
        tenant: &TenantId,
    ) -> Result<Permissions> {
        match &caller.actor {
            Actor::System | Actor::Operator => Ok(Permissions::all()),
            Actor::Target | Actor::Anonymous => Ok(Permissions::default()),
            Actor::User(user) => Ok(rights_in(&belongings(self, reader, user).await?, tenant)),
            Actor::ApiKey(key) => {
                let holder = holder_within(reader, key).await?;
                Ok(holder.map_or_else(Permissions::default, |holder| holder.rights_in(tenant)))
            }
        }
    }

    /// Whether the caller has all rights that somebody else has: who decides on an account can get into
    /// it, by way of its address.
    pub(crate) async fn may_decide_on(
        &self,
        reader: &mut impl Reader,
        caller: &Caller,
        user: &Id,
    ) -> Result<()> {
        let own = match &caller.actor {
            Actor::System | Actor::Operator => return Ok(()),
            Actor::User(own) if own == user => return Ok(()),
            Actor::User(own) => Own::Belongings(belongings(self, reader, own).await?),
            Actor::ApiKey(key) => match holder_within(reader, key).await? {
                // What is one's own to change takes oneself.
                Some(holder) if holder.user.as_ref() == Some(user) => {
                    return Err(Error::Forbidden(
                        "a key does not decide on its owner's account",
                    ));
                }
                Some(holder) => Own::Key(Box::new(holder)),
                None => Own::Belongings(Vec::new()),
            },
            Actor::Target | Actor::Anonymous => Own::Belongings(Vec::new()),
        };
        // With what would come back with an account from the trash.
        let everywhere = MEMBERSHIPS.select_everywhere().with_trashed();
        let condition = "base.deleted_at IS NULL OR base.deleted_with = base.user_id";
        let theirs = everywhere.filter::<Value>(condition, []);
        let theirs = collect(self, reader, user, theirs).await?;
        let is_within =
            |one: &Belonging| own.rights_in(&one.organization).includes(one.permissions);
        match theirs.iter().all(is_within) {
            true => Ok(()),
            false => Err(Error::Forbidden(
                "nobody decides on the account of somebody with rights that they do not have",
            )),
        }
    }

    /// Whether the caller has all of these rights.
    pub(crate) async fn may_give(
        &self,
        reader: &mut impl Reader,
        caller: &Caller,
        tenant: &TenantId,
        rights: Permissions,
    ) -> Result<()> {
        let own = self.permissions_within(reader, caller, tenant).await?;
        match own.includes(rights) {
            true => Ok(()),
            false => Err(Error::Forbidden(
                "nobody gives or takes a role with rights that they do not have",
            )),
        }
    }

    pub(crate) async fn may_assign(
        &self,
        reader: &mut impl Reader,
        caller: &Caller,
        tenant: &TenantId,
        role: &Assigned,
    ) -> Result<()> {
        let rights = self.rights_of(reader, tenant, role).await?;
        self.may_give(reader, caller, tenant, rights).await
    }
}

/// What somebody who belongs to these organizations may do in one of them: those of the platform may the
/// same everywhere.
pub(crate) fn rights_in(belongings: &[Belonging], tenant: &TenantId) -> Permissions {
    let platform = TenantId::platform();
    belongings
        .iter()
        .filter(|one| one.organization == *tenant || one.organization == platform)
        .fold(Permissions::default(), |set, one| set.with(one.permissions))
}

/// Whether somebody who belongs to these organizations is an owner of one of them.
pub(crate) fn owns(belongings: &[Belonging], tenant: &TenantId) -> bool {
    let mut there = belongings.iter().filter(|one| one.organization == *tenant);
    there.any(|one| one.role.is_owner())
}

pub(crate) async fn belongings(
    identity: &Identity,
    reader: &mut impl Reader,
    user: &Id,
) -> Result<Vec<Belonging>> {
    collect(identity, reader, user, MEMBERSHIPS.select_everywhere()).await
}

async fn collect(
    identity: &Identity,
    reader: &mut impl Reader,
    user: &Id,
    memberships: Select,
) -> Result<Vec<Belonging>> {
    let select = memberships
        .columns(
            "base.tenant_id, base.role, organizations.slug, organizations.name, \
             organizations.suspended_at",
        )
        .join(&ORGANIZATIONS, "organizations.id = base.tenant_id")
        .filter("base.user_id = ?", [user])
        .order(["base.tenant_id"]);
    let mut belongings = Vec::new();
    let mut custom: HashMap<Id, Permissions> = HashMap::new();
    for row in reader.all(select).await? {
        let organization: TenantId = row.text("tenant_id")?.parse().map_err(Error::internal)?;
        let role = assigned(&row)?;
        let permissions = match &role {
            Assigned::Custom(id) if custom.contains_key(id) => custom[id],
            role => match identity.rights_of(reader, &organization, role).await {
                Ok(permissions) => permissions,
                // A role that is gone gives no rights.
                Err(Error::Invalid { .. }) => Permissions::default(),
                Err(error) => return Err(error),
            },
        };
        if let Assigned::Custom(id) = &role {
            custom.insert(id.clone(), permissions);
        }
        belongings.push(Belonging {
            organization,
            slug: row.text("slug")?,
            name: row.text("name")?,
            is_suspended: row.optional_int("suspended_at")?.is_some(),
            role,
            permissions,
        });
    }
    Ok(belongings)
}
