//! Who belongs to which organization, with which role.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::audit::Change;
use weir_store::records::{Row, Scope, Select, Value};

use crate::Identity;
use crate::api_key::revoke_of_member;
use crate::caller::{Caller, gone, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::organization::Organization;
use crate::page::{Listing, Order, Page, page, prefix_bounds};
use crate::reader::Reader;
use crate::refresh;
use crate::role::Assigned;
use crate::session::make_due;
use crate::settings::Limits;
use crate::tables::{MEMBERSHIPS, ORGANIZATIONS, USERS};

mod rights;

pub use rights::Belonging;
pub(crate) use rights::{belongings, owns, rights_in};

pub(crate) const PREFIX: &str = "mbr";

/// Somebody in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Membership {
    /// Its identifier.
    pub id: Id,
    /// Who.
    pub user_id: Id,
    /// Their e-mail address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Assigned,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Which state of it this is.
    pub version: i64,
}

const COLUMNS: &str = "base.id, base.user_id, users.email, users.name, base.role, \
                       base.created_at, base.updated_at, base.version";

impl Membership {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            user_id: row.id("user_id")?,
            email: row.text("email")?,
            name: row.text("name")?,
            role: assigned(row)?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            version: row.int("version")?,
        })
    }

    fn select(tenant: &TenantId) -> Select {
        MEMBERSHIPS
            .of(tenant)
            .select()
            .columns(COLUMNS)
            .join(&USERS, "users.id = base.user_id")
    }
}

fn assigned(row: &Row) -> Result<Assigned> {
    row.text("role")?.parse().map_err(Error::internal)
}

/// Without the name or address: who it is about may be erased one day, and the entry stays.
fn state(user: &Id, role: &Assigned) -> Map<String, Json> {
    members(json!({ "user": user, "role": role }))
}

impl Identity {
    /// Makes somebody who has an account a member.
    pub async fn add_member(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        user: &Id,
        role: &Assigned,
    ) -> Result<Membership> {
        let mut write = self.begin(tenant).await?;
        self.may_assign(&mut *write, caller, tenant, role).await?;
        let found = write.first(USERS.rows().select().with_id(user)).await?;
        found.ok_or(Error::Missing("user"))?;
        let id = self.insert_member(&mut write, tenant, user, role).await?;
        let row = write.first(Membership::select(tenant).with_id(&id)).await?;
        let member = Membership::of(&row.ok_or(Error::Missing("member"))?)?;
        let entry = caller.entry("member.add", "member", &id, made(state(user, role)));
        note_change(&mut write, CredentialKind::User, user.as_str()).await?;
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(member)
    }

    /// The row of a new member, within the limit of the organization.
    pub(crate) async fn insert_member(
        &self,
        write: &mut weir_store::records::Write,
        tenant: &TenantId,
        user: &Id,
        role: &Assigned,
    ) -> Result<Id> {
        let limits = self.limits(&mut **write, tenant).await?;
        if limits.members.is_some() {
            let there = MEMBERSHIPS.of(tenant).select().count();
            limits.hold(limits.members, count(&mut **write, there).await?)?;
        }
        let id = Id::new(PREFIX);
        let values = [
            ("user_id", Value::from(user)),
            ("role", Value::from(role.to_string())),
        ];
        write.insert(MEMBERSHIPS.of(tenant), &id, values).await?;
        make_due(write, user).await?;
        Ok(id)
    }

    /// A member.
    pub async fn member(&self, tenant: &TenantId, id: &Id) -> Result<Membership> {
        let select = Membership::select(tenant).with_id(id);
        let row = self.records.first(select).await?;
        Membership::of(&row.ok_or(Error::Missing("member"))?)
    }

    /// Somebody as a member of an organization.
    pub async fn member_of(&self, tenant: &TenantId, user: &Id) -> Result<Membership> {
        let select = Membership::select(tenant).filter("base.user_id = ?", [user]);
        let row = self.records.first(select).await?;
        Membership::of(&row.ok_or(Error::Missing("member"))?)
    }

    /// The members of an organization, by the time they joined; those whose address begins with `email`, if
    /// it is given.
    pub async fn members(
        &self,
        tenant: &TenantId,
        email: Option<&str>,
        listing: &Listing,
    ) -> Result<Page<Membership>> {
        let order = Order {
            columns: ["base.created_at", "base.id"],
            ..Order::CREATED
        };
        let mut select = Membership::select(tenant);
        if let Some(email) = email {
            let bounds = prefix_bounds("email", &email.to_ascii_lowercase())?;
            select = select.filter("users.email >= ? AND users.email < ?", bounds);
        }
        page(&self.records, select, order, listing, Membership::of).await
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the old or the new role has a right that the caller does not have,
    /// [`Error::LastOwner`].
    pub async fn set_member_role(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
        role: &Assigned,
    ) -> Result<Membership> {
        let mut write = self.begin(tenant).await?;
        let before = member_within(&mut *write, tenant, id).await?;
        self.may_assign(&mut *write, caller, tenant, &before.role)
            .await?;
        self.may_assign(&mut *write, caller, tenant, role).await?;
        if before.role.is_owner() && !role.is_owner() {
            not_last_owner(&mut *write, tenant, &before.user_id).await?;
        }
        let values = [("role", Value::from(role.to_string()))];
        let version = write
            .update(MEMBERSHIPS.of(tenant), id, expected, values)
            .await?;
        make_due(&mut write, &before.user_id).await?;
        let after = Membership {
            role: role.clone(),
            updated_at: write.now(),
            version,
            ..before.clone()
        };
        let change = Change::between(
            state(&before.user_id, &before.role),
            state(&before.user_id, role),
        );
        let entry = caller.entry("member.update", "member", id, change);
        note_change(&mut write, CredentialKind::User, before.user_id.as_str()).await?;
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(after)
    }

    /// Takes a member out of the organization. Everybody may take out themselves.
    ///
    /// # Errors
    /// As of [`set_member_role`](Self::set_member_role).
    pub async fn remove_member(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
    ) -> Result<()> {
        let mut write = self.begin(tenant).await?;
        let member = member_within(&mut *write, tenant, id).await?;
        if caller.actor.id() != Some(&member.user_id) {
            self.may_assign(&mut *write, caller, tenant, &member.role)
                .await?;
        }
        if member.role.is_owner() {
            not_last_owner(&mut *write, tenant, &member.user_id).await?;
        }
        write.trash(MEMBERSHIPS.of(tenant), id, expected).await?;
        revoke_of_member(&mut write, tenant, &member.user_id).await?;
        make_due(&mut write, &member.user_id).await?;
        refresh::end_of_member(&mut write, tenant, &member.user_id).await?;
        let state = state(&member.user_id, &member.role);
        let entry = caller.entry("member.remove", "member", id, gone(state));
        note_change(&mut write, CredentialKind::User, member.user_id.as_str()).await?;
        Ok(write.commit(&Scope::of(tenant), &entry).await?)
    }

    pub(crate) async fn limits(
        &self,
        reader: &mut impl Reader,
        tenant: &TenantId,
    ) -> Result<Limits> {
        let select = ORGANIZATIONS.rows().select().with_id(tenant.id());
        let row = reader.first(select).await?;
        let organization = Organization::of(&row.ok_or(Error::Missing("organization"))?)?;
        Ok(organization.settings.limits)
    }
}

impl Limits {
    /// Whether one more may be added to what is there.
    pub(crate) fn hold(&self, limit: Option<u32>, there: i64) -> Result<()> {
        match limit {
            Some(limit) if there >= i64::from(limit) => Err(Error::Conflict(
                "the organization has as many of these as its limit allows",
            )),
            _ => Ok(()),
        }
    }
}

/// How many rows a counting query finds.
pub(crate) async fn count(reader: &mut impl Reader, select: Select) -> Result<i64> {
    let rows = reader.all(select).await?;
    Ok(rows
        .first()
        .map(|row| row.int("count"))
        .transpose()?
        .unwrap_or(0))
}

async fn member_within(reader: &mut impl Reader, tenant: &TenantId, id: &Id) -> Result<Membership> {
    let row = reader.first(Membership::select(tenant).with_id(id)).await?;
    Membership::of(&row.ok_or(Error::Missing("member"))?)
}

/// Somebody else must be owner. The scope is held, so that two owners cannot leave at once.
async fn not_last_owner(reader: &mut impl Reader, tenant: &TenantId, user: &Id) -> Result<()> {
    match sole_owner_of(reader, tenant, user).await? {
        None => Ok(()),
        Some(slug) => Err(Error::LastOwner(vec![slug])),
    }
}

/// The slug of an organization of which nobody but this owner is owner with an account that can be used.
pub(crate) async fn sole_owner_of(
    reader: &mut impl Reader,
    tenant: &TenantId,
    user: &Id,
) -> Result<Option<String>> {
    let others = Membership::select(tenant)
        .filter("base.role = 'owner' AND base.user_id <> ?", [user])
        .filter::<Value>("users.suspended_at IS NULL", []);
    if reader.first(others).await?.is_some() {
        return Ok(None);
    }
    let organization = ORGANIZATIONS.rows().select().with_id(tenant.id());
    let row = reader.first(organization).await?;
    Ok(Some(row.map_or_else(
        || Ok(tenant.to_string()),
        |row| row.text("slug"),
    )?))
}
