//! Access policies: rules by which an organization, or the platform, narrows what roles give.
//!
//! Roles are what gives a right. Rules only forbid: whoever writes them could give rights that they do
//! not have otherwise.

mod judged;
mod kept;
mod rules;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::audit::Change;
use weir_store::records::{Row, Scope, Value};

use self::judged::hold_most;
pub(crate) use self::kept::Kept;
pub use self::rules::{AccessRules, Asked, Asker};
use crate::caller::{Caller, gone, made, members};
use crate::error::{Error, Result};
use crate::membership::{owns, rights_in};
use crate::page::{Listing, Order, Page, page};
use crate::permission::Permissions;
use crate::tables::ACCESS_POLICIES;
use crate::{Identity, text};

pub(crate) const PREFIX: &str = "acp";
/// Of one organization: all of them are asked for each request.
const MOST: i64 = 50;

/// An access policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccessPolicy {
    /// Its identifier.
    pub id: Id,
    /// Unique in the organization.
    #[schema(example = "office-hours")]
    pub name: String,
    /// Rules in the Cedar language, which forbid.
    #[schema(
        example = "forbid (principal, action in Action::\"write\", resource) when { context.level < 3 };"
    )]
    pub text: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Which state of it this is.
    pub version: i64,
}

/// Who changes a policy, and must be able to change it back.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Who they are.
    pub asker: Asker<'a>,
    /// The organization's name in addresses.
    pub slug: &'a str,
    /// What their roles give them in the organization.
    pub rights: Permissions,
    /// What recent failures come to.
    pub risk: u8,
}

/// Somebody, and what their roles give them in an organization.
#[derive(Clone, Debug)]
pub struct PersonWithRights {
    /// Their identifier.
    pub id: Id,
    /// Their address.
    pub email: String,
    /// What they may do there, by a role on the platform as well.
    pub rights: Permissions,
    /// What their roles on the platform give them.
    pub platform_rights: Permissions,
    /// Whether they are an owner there.
    pub is_owner: bool,
}

impl AccessPolicy {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            name: row.text("name")?,
            text: row.text("rules")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            version: row.int("version")?,
        })
    }

    fn state(&self) -> Map<String, Json> {
        members(json!({ "name": self.name, "text": self.text }))
    }
}

impl Identity {
    /// An access policy, by its name.
    pub async fn access_policy(&self, tenant: &TenantId, name: &str) -> Result<AccessPolicy> {
        let select = ACCESS_POLICIES.of(tenant).select();
        let row = self
            .records
            .first(select.filter("name = ?", [name]))
            .await?;
        AccessPolicy::of(&row.ok_or(Error::Missing("access policy"))?)
    }

    /// The access policies of an organization, by the time they were made.
    pub async fn access_policies(
        &self,
        tenant: &TenantId,
        listing: &Listing,
    ) -> Result<Page<AccessPolicy>> {
        let select = ACCESS_POLICIES.of(tenant).select();
        page(
            &self.records,
            select,
            Order::CREATED,
            listing,
            AccessPolicy::of,
        )
        .await
    }

    /// Makes an access policy, or puts another in its place; tells whether it is new. `expected` is the version before, 0
    /// if there must be none.
    ///
    /// # Errors
    /// [`Error::InvalidPolicy`] with every mistake; [`Error::Conflict`] if it would keep `author` from
    /// changing it back.
    pub async fn put_access_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        name: &str,
        expected: Option<i64>,
        rules: &str,
        author: Option<&Author<'_>>,
    ) -> Result<(AccessPolicy, bool)> {
        if !text::is_label(name) {
            let why =
                "is 2 to 63 lower-case letters, digits and single hyphens, with none at its ends";
            return Err(Error::invalid("name", why));
        }
        let locked_out = "these rules would keep you yourself from changing them back: `force` takes them all the same";
        let mut write = self
            .begin_judged(tenant, (name, rules), author, locked_out)
            .await?;
        let own = ACCESS_POLICIES.of(tenant);
        let before = write.first(own.select().filter("name = ?", [name])).await?;
        let before = before.as_ref().map(AccessPolicy::of).transpose()?;
        let mut policy = AccessPolicy {
            id: Id::new(PREFIX),
            name: name.to_owned(),
            text: rules.to_owned(),
            created_at: write.now(),
            updated_at: write.now(),
            version: 1,
        };
        let values = [("name", Value::from(name)), ("rules", Value::from(rules))];
        let change = match &before {
            Some(before) => {
                policy.id = before.id.clone();
                policy.created_at = before.created_at;
                policy.version = write.update(own, &policy.id, expected, values).await?;
                Change::between(before.state(), policy.state())
            }
            None if expected.is_some_and(|version| version > 0) => {
                return Err(Error::Missing("access policy"));
            }
            None => {
                write.insert(own, &policy.id, values).await?;
                hold_most(&mut write, tenant).await?;
                made(policy.state())
            }
        };
        let action = match before.is_some() {
            true => "access_policy.update",
            false => "access_policy.create",
        };
        let entry = caller.entry(action, "access_policy", &policy.id, change);
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok((policy, before.is_none()))
    }

    /// Puts an access policy into the trash: it holds no longer.
    pub async fn delete_access_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        name: &str,
        expected: Option<i64>,
    ) -> Result<()> {
        let mut write = self.begin(tenant).await?;
        let own = ACCESS_POLICIES.of(tenant);
        let row = write.first(own.select().filter("name = ?", [name])).await?;
        let policy = AccessPolicy::of(&row.ok_or(Error::Missing("access policy"))?)?;
        write.trash(own, &policy.id, expected).await?;
        let change = gone(policy.state());
        let entry = caller.entry("access_policy.delete", "access_policy", &policy.id, change);
        Ok(write.commit(&Scope::of(tenant), &entry).await?)
    }

    /// Somebody by identifier or address, if their roles give them anything in an organization. Those who
    /// may do something there by a role on the platform only are shown to whoever may see the platform's.
    pub async fn person_with_rights(
        &self,
        id_or_email: &str,
        tenant: &TenantId,
        sees_platform: bool,
    ) -> Result<Option<PersonWithRights>> {
        let user = match id_or_email.parse::<Id>() {
            Ok(id) => self.user(&id).await,
            Err(_) => self.user_by_email(id_or_email).await,
        };
        let user = match user {
            Ok(user) => user,
            Err(Error::Missing(_) | Error::Invalid { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let belongings = self.belongings(&user.id).await?;
        let belongs = belongings.iter().any(|one| one.organization == *tenant);
        let person = PersonWithRights {
            rights: rights_in(&belongings, tenant),
            platform_rights: rights_in(&belongings, &TenantId::platform()),
            is_owner: owns(&belongings, tenant),
            id: user.id,
            email: user.email,
        };
        Ok(Some(person).filter(|_| belongs || sees_platform))
    }
}
