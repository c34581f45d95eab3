//! Roles: those that every organization has, and those that one makes for itself.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::audit::Change;
use weir_store::records::{Row, Scope, Value};

use crate::caller::{Caller, gone, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::membership::count;
use crate::page::{Listing, Order, Page, page};
use crate::permission::{Permission, Permissions};
use crate::reader::Reader;
use crate::tables::{INVITATIONS, MEMBERSHIPS, ROLES};
use crate::{Identity, text};

const PREFIX: &str = "rol";
const MOST_NAME: usize = 100;
const MOST_DESCRIPTION: usize = 1_000;

/// A role that is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BuiltIn {
    /// May everything. There is always one.
    Owner,
    /// Of an organization: may everything but delete it.
    Admin,
    /// Of an organization: changes how traffic goes.
    Editor,
    /// Of an organization: may look.
    Viewer,
    /// Of the platform: runs organizations and traffic, but decides on no person's account or role.
    Operator,
    /// Of the platform: may look at everything.
    Auditor,
}

impl BuiltIn {
    const ALL: [Self; 6] = [
        Self::Owner,
        Self::Admin,
        Self::Editor,
        Self::Viewer,
        Self::Operator,
        Self::Auditor,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    /// Those that an organization, or the platform, has.
    pub const fn of(tenant_is_platform: bool) -> &'static [Self] {
        match tenant_is_platform {
            true => &[Self::Owner, Self::Operator, Self::Auditor],
            false => &[Self::Owner, Self::Admin, Self::Editor, Self::Viewer],
        }
    }

    /// What it lets one do.
    pub fn permissions(self, tenant_is_platform: bool) -> Permissions {
        use Permission as P;

        let is_traffic = |permission| {
            matches!(
                permission,
                P::RouteWrite
                    | P::UpstreamWrite
                    | P::PolicyWrite
                    | P::CertificateWrite
                    | P::RevisionWrite
            )
        };
        Permissions::that(|permission| {
            (tenant_is_platform || !permission.is_of_platform())
                && match self {
                    Self::Owner => true,
                    Self::Admin => permission != P::OrganizationDelete,
                    Self::Editor => is_traffic(permission) || is_viewed(permission),
                    Self::Viewer => is_viewed(permission),
                    Self::Operator => {
                        is_traffic(permission)
                            || permission.is_read()
                            || matches!(
                                permission,
                                P::OrganizationWrite
                                    | P::OrganizationCreate
                                    | P::OrganizationSuspend
                                    | P::TrashWrite
                            )
                    }
                    Self::Auditor => permission.is_read(),
                }
        })
    }
}

/// The audit and the trash show more than how things are; access policies, how to get round them.
fn is_viewed(permission: Permission) -> bool {
    permission.is_read()
        && !matches!(
            permission,
            Permission::AuditRead | Permission::TrashRead | Permission::AccessPolicyRead
        )
}

/// The role that somebody has: the name of a built-in one, or the identifier of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Assigned {
    /// One that is always there.
    BuiltIn(BuiltIn),
    /// One that the organization made.
    Custom(Id),
}

impl Assigned {
    /// Whether it is the owner's.
    pub fn is_owner(&self) -> bool {
        *self == Self::BuiltIn(BuiltIn::Owner)
    }
}

impl FromStr for Assigned {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(role) = BuiltIn::ALL.into_iter().find(|role| role.name() == text) {
            return Ok(Self::BuiltIn(role));
        }
        match text.parse::<Id>() {
            Ok(id) if id.prefix() == PREFIX => Ok(Self::Custom(id)),
            _ => Err(Error::invalid("role", "is not a role")),
        }
    }
}

impl TryFrom<String> for Assigned {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Assigned> for String {
    fn from(role: Assigned) -> Self {
        role.to_string()
    }
}

impl fmt::Display for Assigned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => formatter.write_str(role.name()),
            Self::Custom(id) => id.fmt(formatter),
        }
    }
}

/// A role that an organization made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Role {
    /// Its identifier.
    pub id: Id,
    /// Unique in the organization.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it lets one do.
    pub permissions: Permissions,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Which state of it this is.
    pub version: i64,
}

/// A role to make.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// Unique in the organization.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// What it lets one do.
    pub permissions: Permissions,
}

/// What of a role is to be different.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoleUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// Other permissions.
    pub permissions: Option<Permissions>,
}

impl Role {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            name: row.text("name")?,
            description: row.text("description")?,
            permissions: serde_json::from_str(&row.text("permissions")?)
                .map_err(Error::internal)?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            version: row.int("version")?,
        })
    }

    fn state(&self) -> Map<String, Json> {
        members(json!({
            "name": self.name,
            "description": self.description,
            "permissions": self.permissions,
        }))
    }

    fn values(&self) -> Result<[(&'static str, Value); 3]> {
        let permissions = serde_json::to_string(&self.permissions).map_err(Error::internal)?;
        Ok([
            ("name", Value::from(&self.name)),
            ("description", Value::from(&self.description)),
            ("permissions", Value::from(permissions)),
        ])
    }

    /// Texts as they are kept; rights that mean something to this organization.
    fn check(&mut self, tenant: &TenantId) -> Result<()> {
        self.name = text::line("name", &self.name, MOST_NAME)?;
        self.description = text::optional_line("description", &self.description, MOST_DESCRIPTION)?;
        let is_built_in = BuiltIn::ALL.iter().any(|role| role.name() == self.name);
        if is_built_in {
            return Err(Error::invalid("name", "is that of a built-in role"));
        }
        let is_platform = *tenant == TenantId::platform();
        match is_platform || !self.permissions.iter().any(Permission::is_of_platform) {
            true => Ok(()),
            false => Err(Error::invalid("permissions", "has one of the platform's")),
        }
    }
}

impl Identity {
    /// Makes a role.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if it has a right that the caller does not have.
    pub async fn create_role(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        new: NewRole,
    ) -> Result<Role> {
        let scope = Scope::of(tenant);
        let mut write = self.begin(tenant).await?;
        let mut role = Role {
            id: Id::new(PREFIX),
            name: new.name,
            description: new.description,
            permissions: new.permissions,
            created_at: write.now(),
            updated_at: write.now(),
            version: 1,
        };
        role.check(tenant)?;
        self.may_give(&mut *write, caller, tenant, role.permissions)
            .await?;
        let limits = self.limits(&mut *write, tenant).await?;
        let roles = ROLES.of(tenant).select().count();
        limits.hold(limits.roles, count(&mut *write, roles).await?)?;
        write
            .insert(ROLES.of(tenant), &role.id, role.values()?)
            .await?;
        let entry = caller.entry("role.create", "role", &role.id, made(role.state()));
        write.commit(&scope, &entry).await?;
        Ok(role)
    }

    /// A role that the organization made.
    pub async fn role(&self, tenant: &TenantId, id: &Id) -> Result<Role> {
        let row = self
            .records
            .first(ROLES.of(tenant).select().with_id(id))
            .await?;
        Role::of(&row.ok_or(Error::Missing("role"))?)
    }

    /// The roles that the organization made, by the time they were.
    pub async fn roles(&self, tenant: &TenantId, listing: &Listing) -> Result<Page<Role>> {
        let select = ROLES.of(tenant).select();
        page(&self.records, select, Order::CREATED, listing, Role::of).await
    }

    /// Changes a role, for all who have it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if it had, or is to have, a right that the caller does not have.
    pub async fn update_role(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
        update: RoleUpdate,
    ) -> Result<Role> {
        let scope = Scope::of(tenant);
        let mut write = self.begin(tenant).await?;
        let before = role_within(&mut *write, tenant, id).await?;
        let mut role = before.clone();
        role.name = update.name.unwrap_or(role.name);
        role.description = update.description.unwrap_or(role.description);
        role.permissions = update.permissions.unwrap_or(role.permissions);
        role.check(tenant)?;
        let rights = before.permissions.with(role.permissions);
        self.may_give(&mut *write, caller, tenant, rights).await?;
        role.version = write
            .update(ROLES.of(tenant), id, expected, role.values()?)
            .await?;
        role.updated_at = write.now();
        let change = Change::between(before.state(), role.state());
        let entry = caller.entry("role.update", "role", id, change);
        note_change(&mut write, CredentialKind::Organization, tenant.as_str()).await?;
        write.commit(&scope, &entry).await?;
        Ok(role)
    }

    /// Puts a role that nobody has into the trash.
    pub async fn delete_role(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
    ) -> Result<()> {
        let scope = Scope::of(tenant);
        let mut write = self.begin(tenant).await?;
        let role = role_within(&mut *write, tenant, id).await?;
        self.may_give(&mut *write, caller, tenant, role.permissions)
            .await?;
        let have = MEMBERSHIPS.of(tenant).select().filter("role = ?", [id]);
        let wait = INVITATIONS
            .of(tenant)
            .select()
            .filter("role = ? AND accepted_at IS NULL", [id]);
        if write.first(have).await?.is_some() || write.first(wait).await?.is_some() {
            return Err(Error::Conflict(
                "a member or an invitation still has this role",
            ));
        }
        write.trash(ROLES.of(tenant), id, expected).await?;
        let entry = caller.entry("role.delete", "role", id, gone(role.state()));
        Ok(write.commit(&scope, &entry).await?)
    }

    /// What a role lets one do in an organization.
    pub(crate) async fn rights_of(
        &self,
        reader: &mut impl Reader,
        tenant: &TenantId,
        role: &Assigned,
    ) -> Result<Permissions> {
        let is_platform = *tenant == TenantId::platform();
        match role {
            Assigned::BuiltIn(role) => match BuiltIn::of(is_platform).contains(role) {
                true => Ok(role.permissions(is_platform)),
                false => Err(Error::invalid("role", "is not one of this organization's")),
            },
            Assigned::Custom(id) => match role_within(reader, tenant, id).await {
                Ok(role) => Ok(role.permissions),
                Err(Error::Missing(_)) => {
                    Err(Error::invalid("role", "is not one of this organization's"))
                }
                Err(error) => Err(error),
            },
        }
    }
}

async fn role_within(reader: &mut impl Reader, tenant: &TenantId, id: &Id) -> Result<Role> {
    let row = reader.first(ROLES.of(tenant).select().with_id(id)).await?;
    Role::of(&row.ok_or(Error::Missing("role"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_roles_are_what_they_are_called() {
        for is_platform in [false, true] {
            let owner = BuiltIn::Owner.permissions(is_platform);
            for role in BuiltIn::of(is_platform) {
                assert!(owner.includes(role.permissions(is_platform)));
            }
        }
        let admin = BuiltIn::Admin.permissions(false);
        assert!(!admin.has(Permission::OrganizationDelete));
        assert!(!BuiltIn::Owner.permissions(false).has(Permission::UserRead));
        assert!(
            BuiltIn::Viewer
                .permissions(false)
                .iter()
                .all(Permission::is_read)
        );
        assert!(
            !BuiltIn::Operator
                .permissions(true)
                .has(Permission::MemberWrite)
        );
        assert!(
            BuiltIn::Auditor
                .permissions(true)
                .has(Permission::AuditRead)
        );
        assert_eq!(Permissions::all(), BuiltIn::Owner.permissions(true));
    }

    #[test]
    fn a_role_reads_as_it_is_written() {
        let custom = Id::new("rol");
        for text in ["owner", "auditor", custom.as_str()] {
            assert_eq!(text.parse::<Assigned>().unwrap().to_string(), text);
        }
        for text in ["", "Owner", "root", Id::new("usr").as_str()] {
            assert!(text.parse::<Assigned>().is_err());
        }
    }
}
