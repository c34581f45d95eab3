//! Organizations: the tenants, and the installation itself.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::Records;
use weir_store::audit::Change;
use weir_store::records::{Row, Scope, Select, Topic, Value, Write};

use crate::caller::{Caller, gone, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::page::{Listing, Order, Page, page, prefix_bounds};
use crate::settings::Settings;
use crate::tables::{ORGANIZATIONS, OWNED};
use crate::{Identity, text};

const MOST_NAME: usize = 200;
const MOST_REASON: usize = 500;

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Organization {
    /// Its identifier.
    pub id: TenantId,
    /// Its name in addresses; never changes.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What it sets for itself.
    pub settings: Settings,
    /// Since when it is suspended.
    pub suspended_at: Option<Timestamp>,
    /// Why.
    pub suspension_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when it is in the trash.
    pub deleted_at: Option<Timestamp>,
    /// Which state of it this is.
    pub version: i64,
}

/// An organization to make.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// 2 to 63 lower-case letters, digits and hyphens.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What it sets for itself.
    #[serde(default)]
    pub settings: Settings,
}

/// What of an organization is to be different.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrganizationUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Other settings, in place of all there are.
    pub settings: Option<Settings>,
}

/// Which organizations are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrganizationFilter {
    /// Those whose slug begins with this.
    pub slug: Option<String>,
    /// Those whose name begins with this.
    pub name: Option<String>,
    /// Those that are suspended, or those that are not.
    pub is_suspended: Option<bool>,
    /// Those that this person is a member of.
    pub member: Option<Id>,
    /// Those in the trash, instead of those that are not.
    pub is_deleted: bool,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrganizationOrder {
    /// By the time they were made.
    #[default]
    Created,
    /// By name.
    Name,
    /// By slug.
    Slug,
}

impl Organization {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?.parse().map_err(Error::internal)?,
            slug: row.text("slug")?,
            name: row.text("name")?,
            settings: serde_json::from_str(&row.text("settings")?).map_err(Error::internal)?,
            suspended_at: row.optional_time("suspended_at")?,
            suspension_reason: row.optional_text("suspension_reason")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            deleted_at: row.optional_time("deleted_at")?,
            version: row.int("version")?,
        })
    }

    /// Whether it is the installation itself.
    pub fn is_platform(&self) -> bool {
        self.id == TenantId::platform()
    }

    fn state(&self) -> Map<String, Json> {
        members(json!({
            "slug": self.slug,
            "name": self.name,
            "settings": self.settings.told(),
            "suspended": self.suspended_at.is_some(),
            "suspension_reason": self.suspension_reason,
        }))
    }

    fn values(&self) -> Result<[(&'static str, Value); 4]> {
        let settings = serde_json::to_string(&self.settings).map_err(Error::internal)?;
        Ok([
            ("name", Value::from(&self.name)),
            ("settings", Value::from(settings)),
            ("suspended_at", Value::from(self.suspended_at)),
            (
                "suspension_reason",
                Value::from(self.suspension_reason.as_ref()),
            ),
        ])
    }
}

/// The organizations there are, by slug, and whether each is suspended: then its traffic is refused.
pub async fn standings(records: &Records) -> Result<HashMap<String, bool>> {
    let select = ORGANIZATIONS.rows().select();
    let rows = records.all(select.columns("slug, suspended_at")).await?;
    rows.iter()
        .map(|row| {
            let is_suspended = row.optional_time("suspended_at")?.is_some();
            Ok((row.text("slug")?, is_suspended))
        })
        .collect()
}

impl Identity {
    /// Makes an organization.
    ///
    /// # Errors
    /// [`Error::Taken`] and [`Error::TakenInTrash`] for its slug.
    pub async fn create_organization(
        &self,
        caller: &Caller,
        new: NewOrganization,
    ) -> Result<Organization> {
        let slug = text::slug(&new.slug)?;
        self.insert_organization(caller, TenantId::generate(), slug, new)
            .await
    }

    /// The row of a new organization, and its audit chain.
    pub(crate) async fn insert_organization(
        &self,
        caller: &Caller,
        id: TenantId,
        slug: String,
        new: NewOrganization,
    ) -> Result<Organization> {
        new.settings.check()?;
        let mut write = self.records.write(&Scope::Platform).await?;
        // Routes name it by its slug: whoever took that would be handed the traffic of the one in the trash.
        let trashed = ORGANIZATIONS.rows().select().trashed();
        let reserved = trashed.filter("slug = ?", [&slug]);
        if write.first(reserved).await?.is_some() {
            return Err(Error::TakenInTrash("slug"));
        }
        let organization = Organization {
            slug,
            name: text::line("name", &new.name, MOST_NAME)?,
            settings: new.settings,
            suspended_at: None,
            suspension_reason: None,
            created_at: write.now(),
            updated_at: write.now(),
            deleted_at: None,
            version: 1,
            id,
        };
        let mut values = organization.values()?.to_vec();
        values.push(("slug", Value::from(&organization.slug)));
        let rows = ORGANIZATIONS.rows();
        write.insert(rows, organization.id.id(), values).await?;
        match organization.is_platform() {
            // The installation signs from its beginning on.
            true => self.insert_first_key(&mut write).await?,
            false => write.open_scope(&organization.id).await?,
        }
        let change = made(organization.state());
        told(
            write,
            caller,
            "organization.create",
            &organization.id,
            change,
        )
        .await?;
        Ok(organization)
    }

    /// An organization.
    pub async fn organization(&self, id: &TenantId) -> Result<Organization> {
        self.first_organization(ORGANIZATIONS.rows().select().with_id(id.id()))
            .await
    }

    /// An organization by its identifier or its slug, which never look alike.
    pub async fn find_organization(&self, id_or_slug: &str) -> Result<Organization> {
        match id_or_slug.parse() {
            Ok(id) => self.organization(&id).await,
            Err(_) if !text::is_label(id_or_slug) => Err(Error::Missing("organization")),
            Err(_) => {
                let select = ORGANIZATIONS.rows().select();
                self.first_organization(select.filter("slug = ?", [id_or_slug]))
                    .await
            }
        }
    }

    async fn first_organization(&self, select: Select) -> Result<Organization> {
        let row = self.records.first(select).await?;
        Organization::of(&row.ok_or(Error::Missing("organization"))?)
    }

    /// Organizations.
    pub async fn organizations(
        &self,
        filter: &OrganizationFilter,
        order: OrganizationOrder,
        listing: &Listing,
    ) -> Result<Page<Organization>> {
        let mut select = ORGANIZATIONS.rows().select();
        if filter.is_deleted {
            select = select.trashed();
        }
        if let Some(slug) = &filter.slug {
            select = select.filter("slug >= ? AND slug < ?", prefix_bounds("slug", slug)?);
        }
        if let Some(name) = &filter.name {
            select = select.filter("name >= ? AND name < ?", prefix_bounds("name", name)?);
        }
        if let Some(is_suspended) = filter.is_suspended {
            let condition = match is_suspended {
                true => "suspended_at IS NOT NULL",
                false => "suspended_at IS NULL",
            };
            select = select.filter::<Value>(condition, []);
        }
        if let Some(member) = &filter.member {
            let condition = "id IN (SELECT tenant_id FROM memberships \
                             WHERE user_id = ? AND deleted_at IS NULL)";
            select = select.filter(condition, [member]);
        }
        let order = match order {
            OrganizationOrder::Created => Order::CREATED,
            OrganizationOrder::Name => Order {
                columns: ["name", "id"],
                key: "name",
                is_time: false,
            },
            OrganizationOrder::Slug => Order {
                columns: ["slug", "id"],
                key: "slug",
                is_time: false,
            },
        };
        page(&self.records, select, order, listing, Organization::of).await
    }

    /// Changes name and settings.
    pub async fn update_organization(
        &self,
        caller: &Caller,
        id: &TenantId,
        expected: Option<i64>,
        update: OrganizationUpdate,
    ) -> Result<Organization> {
        let change = |organization: &mut Organization, _| {
            if let Some(name) = &update.name {
                organization.name = text::line("name", name, MOST_NAME)?;
            }
            if let Some(settings) = update.settings {
                settings.check()?;
                organization.settings = settings;
            }
            Ok(())
        };
        self.change_organization(caller, "organization.update", id, expected, change)
            .await
    }

    /// Suspends an organization: whoever carries its traffic refuses it from then on.
    pub async fn suspend_organization(
        &self,
        caller: &Caller,
        id: &TenantId,
        expected: Option<i64>,
        reason: &str,
    ) -> Result<Organization> {
        not_platform(id)?;
        let reason = text::line("reason", reason, MOST_REASON)?;
        let change = |organization: &mut Organization, now| {
            organization.suspended_at = organization.suspended_at.or(Some(now));
            organization.suspension_reason = Some(reason);
            Ok(())
        };
        self.change_organization(caller, "organization.suspend", id, expected, change)
            .await
    }

    /// Ends a suspension.
    pub async fn resume_organization(
        &self,
        caller: &Caller,
        id: &TenantId,
        expected: Option<i64>,
    ) -> Result<Organization> {
        let change = |organization: &mut Organization, _| {
            organization.suspended_at = None;
            organization.suspension_reason = None;
            Ok(())
        };
        self.change_organization(caller, "organization.resume", id, expected, change)
            .await
    }

    async fn change_organization(
        &self,
        caller: &Caller,
        action: &'static str,
        id: &TenantId,
        expected: Option<i64>,
        change: impl FnOnce(&mut Organization, Timestamp) -> Result<()>,
    ) -> Result<Organization> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let rows = ORGANIZATIONS.rows();
        let row = write.first(rows.select().with_id(id.id())).await?;
        let before = Organization::of(&row.ok_or(Error::Missing("organization"))?)?;
        write.hold(&Scope::of(id)).await?;
        let mut organization = before.clone();
        change(&mut organization, write.now())?;
        organization.version = write
            .update(rows, id.id(), expected, organization.values()?)
            .await?;
        organization.updated_at = write.now();
        let change = Change::between(before.state(), organization.state());
        told(write, caller, action, id, change).await?;
        Ok(organization)
    }

    /// Puts an organization into the trash, with all that it has.
    pub async fn delete_organization(
        &self,
        caller: &Caller,
        id: &TenantId,
        expected: Option<i64>,
    ) -> Result<()> {
        not_platform(id)?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let rows = ORGANIZATIONS.rows();
        let row = write.first(rows.select().with_id(id.id())).await?;
        let organization = Organization::of(&row.ok_or(Error::Missing("organization"))?)?;
        write.hold(&Scope::of(id)).await?;
        write.trash(rows, id.id(), expected).await?;
        for table in OWNED {
            write
                .trash_with::<Value>(table.of(id), id.id(), "1 = 1", [])
                .await?;
        }
        let change = gone(organization.state());
        told(write, caller, "organization.delete", id, change).await
    }

    /// Brings an organization back from the trash, with what went there with it.
    ///
    /// # Errors
    /// [`Error::Taken`] if another one has its slug: slugs were not always kept for those in the trash.
    pub async fn restore_organization(
        &self,
        caller: &Caller,
        id: &TenantId,
    ) -> Result<Organization> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let rows = ORGANIZATIONS.rows();
        if write.restore_with(rows, id.id()).await? == 0 {
            return Err(Error::Missing("organization"));
        }
        write.hold(&Scope::of(id)).await?;
        for table in OWNED {
            write.restore_with(table.of(id), id.id()).await?;
        }
        let row = write.first(rows.select().with_id(id.id())).await?;
        let organization = Organization::of(&row.ok_or(Error::Missing("organization"))?)?;
        let change = made(organization.state());
        told(write, caller, "organization.restore", id, change).await?;
        Ok(organization)
    }
}

fn not_platform(id: &TenantId) -> Result<()> {
    match *id == TenantId::platform() {
        true => Err(Error::Conflict(
            "this organization is the installation itself",
        )),
        false => Ok(()),
    }
}

/// What happens to an organization is told to the platform's chain and to its own: each has its
/// readers. Those who carry its traffic hear of it at once.
async fn told(
    mut write: Write,
    caller: &Caller,
    action: &'static str,
    id: &TenantId,
    change: Change,
) -> Result<()> {
    let entry = caller.entry(action, "organization", id.id(), change);
    let scope = Scope::of(id);
    if scope != Scope::Platform {
        write.tell(&scope, &entry).await?;
    }
    write.notify(Topic::Organizations).await?;
    note_change(&mut write, CredentialKind::Organization, id.as_str()).await?;
    Ok(write.commit(&Scope::Platform, &entry).await?)
}
