//! What was deleted: seen, brought back, and removed for good after its time.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::records::{Row, Scope, Select, TenantTable, Value};

use crate::Identity;
use crate::access;
use crate::caller::{Caller, gone, made, members};
use crate::error::{Error, Result};
use crate::page::{Key, Listing, Order, Page, Position, page};
use crate::permission::{Permission, Permissions};
use crate::reader::Reader;
use crate::role::{Assigned, Role};
use crate::tables::{
    ACCESS_POLICIES, API_KEYS, FAMILIAR_PLACES, FORMER_SESSION_TOKENS, INVITATIONS, MEMBERSHIPS,
    OF_MEMBERS, ONE_TIME_TOKENS, ORGANIZATIONS, OWNED, RECOVERY_CODES, REFRESH_FAMILIES, ROLES,
    SESSIONS, TOTP, USERS,
};
use crate::throttle::later;
use crate::user::{self, tenants_of};

/// Something that was deleted by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trashed {
    /// `role`, `member`, `invitation`, `api_key` or `access_policy`; of the platform also `organization` or `user`, and `route`, `upstream`, `policy`
    /// or `certificate`.
    #[schema(example = "role")]
    pub kind: &'static str,
    /// Which one.
    pub id: Id,
    /// What people know it by: its name, slug or e-mail address. None if that is gone.
    pub name: Option<String>,
    /// Since when it is in the trash.
    pub deleted_at: Timestamp,
    /// When it is removed for good.
    pub purged_at: Timestamp,
}

/// What was removed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Organizations, with all they had.
    pub organizations: u64,
    /// Accounts.
    pub users: u64,
    /// Things of organizations that are still there.
    pub others: u64,
    /// Organizations and accounts of which something could not be removed: the log says why.
    pub failed: u64,
}

/// What an organization has, by the words that its trash uses.
const KINDS: [(&str, TenantTable); 5] = [
    ("access_policy", ACCESS_POLICIES),
    ("role", ROLES),
    ("member", MEMBERSHIPS),
    ("invitation", INVITATIONS),
    ("api_key", API_KEYS),
];

const DELETED: Order = Order {
    columns: ["deleted_at", "id"],
    key: "deleted_at",
    is_time: true,
};

/// What a list shows of rows of this kind, and by which words.
const fn columns(kind: &str) -> &'static str {
    match kind.as_bytes() {
        b"role" | b"api_key" | b"access_policy" => "id, deleted_at, name AS known_as",
        b"organization" => "id, deleted_at, slug AS known_as",
        b"member" => {
            "id, deleted_at, \
             (SELECT email FROM users WHERE users.id = memberships.user_id) AS known_as"
        }
        _ => "id, deleted_at, email AS known_as",
    }
}

/// Where something in the trash of an organization or of the platform is to be found.
enum Trash {
    /// It is an organization.
    Organization(TenantId),
    /// It is an account.
    User,
    /// It is one of the [`KINDS`].
    Own,
}

impl Trash {
    fn of(tenant: &TenantId, id: &Id) -> Self {
        if *tenant != TenantId::platform() {
            return Self::Own;
        }
        match (id.prefix(), id.as_str().parse()) {
            (user::PREFIX, _) => Self::User,
            (_, Ok(organization)) => Self::Organization(organization),
            _ => Self::Own,
        }
    }
}

impl Identity {
    /// What was deleted in an organization, without what went with something else, by the time of it. The
    /// platform's trash has organizations and accounts as well.
    pub async fn trash(&self, tenant: &TenantId, listing: &Listing) -> Result<Page<Trashed>> {
        let mut kinds: Vec<(&'static str, Select)> = Vec::new();
        for (kind, table) in KINDS {
            kinds.push((kind, table.of(tenant).select()));
        }
        if *tenant == TenantId::platform() {
            kinds.push(("organization", ORGANIZATIONS.rows().select()));
            kinds.push(("user", USERS.rows().select()));
        }
        let mut items: Vec<Trashed> = Vec::new();
        let mut has_more = false;
        for (kind, select) in kinds {
            let select = select.trashed().columns(columns(kind));
            let select = select.filter::<Value>("deleted_with = id", []);
            let of = |row: &Row| self.trashed(kind, row);
            let found = page(&self.records, select, DELETED, listing, of).await?;
            has_more |= found.next.is_some();
            items.extend(found.items);
        }
        items.sort_unstable_by(|one, other| {
            let order = (one.deleted_at, &one.id).cmp(&(other.deleted_at, &other.id));
            match listing.descending {
                true => order.reverse(),
                false => order,
            }
        });
        has_more |= items.len() > listing.limit as usize;
        items.truncate(listing.limit as usize);
        let last = items.last().filter(|_| has_more);
        let next = last.map(|last| Position {
            key: Key::Time(last.deleted_at.as_microsecond()),
            id: last.id.clone(),
        });
        Ok(Page { items, next })
    }

    fn trashed(&self, kind: &'static str, row: &Row) -> Result<Trashed> {
        let deleted_at = row.time("deleted_at")?;
        Ok(Trashed {
            kind,
            id: row.id("id")?,
            name: row.optional_text("known_as")?,
            deleted_at,
            purged_at: later(deleted_at, self.shared.options.retention)?,
        })
    }

    /// Brings something of an organization back; to the platform also an organization or an account.
    ///
    /// # Errors
    /// [`Error::Taken`] if its name is another's by now, [`Error::Forbidden`] if it gives rights that
    /// the caller does not have, [`Error::Conflict`] if it has a role that is not there,
    /// [`Error::InvalidPolicy`] if it is an access policy that does not go with those that are there.
    pub async fn restore(&self, caller: &Caller, tenant: &TenantId, id: &Id) -> Result<()> {
        match Trash::of(tenant, id) {
            Trash::Organization(organization) => self
                .restore_organization(caller, &organization)
                .await
                .map(drop),
            Trash::User => self.restore_user(caller, id).await.map(drop),
            Trash::Own if id.prefix() == access::PREFIX => {
                self.restore_access_policy(caller, tenant, id, None).await
            }
            Trash::Own => self.restore_own(caller, tenant, id).await,
        }
    }

    async fn restore_own(&self, caller: &Caller, tenant: &TenantId, id: &Id) -> Result<()> {
        let mut write = self.begin(tenant).await?;
        for (kind, table) in KINDS {
            let rows = table.of(tenant);
            let select = rows.select().trashed().with_id(id);
            let select = select.filter::<Value>("deleted_with = id", []);
            let Some(row) = write.first(select).await? else {
                continue;
            };
            let rights = self.rights_by(&mut *write, tenant, kind, &row).await?;
            let rights = rights.ok_or(Error::Conflict("its role is not there any more"))?;
            self.may_give(&mut *write, caller, tenant, rights).await?;
            write.restore_with(rows, id).await?;
            let change = made(members(json!({ "kind": kind })));
            let entry = caller.entry("trash.restore", kind, id, change);
            return Ok(write.commit(&Scope::of(tenant), &entry).await?);
        }
        Err(Error::Missing("deleted thing"))
    }

    /// Removes something in the trash for good, before its time.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if it gives rights, or is the account of somebody with rights, that the caller
    /// does not have.
    pub async fn purge_one(&self, caller: &Caller, tenant: &TenantId, id: &Id) -> Result<()> {
        let whenever = Timestamp::MAX;
        let purged = match Trash::of(tenant, id) {
            Trash::Organization(organization) => {
                self.purge_organization(caller, &organization, whenever)
                    .await?
            }
            Trash::User => self.purge_user(caller, id, whenever).await?,
            Trash::Own => self.purge_own(caller, tenant, id).await?,
        };
        match purged {
            0 => Err(Error::Missing("deleted thing")),
            _ => Ok(()),
        }
    }

    async fn purge_own(&self, caller: &Caller, tenant: &TenantId, id: &Id) -> Result<u64> {
        let mut write = self.begin(tenant).await?;
        for (kind, table) in KINDS {
            let rows = table.of(tenant);
            let select = rows.select().trashed().with_id(id);
            let select = select.filter::<Value>("deleted_with = id", []);
            let Some(row) = write.first(select).await? else {
                continue;
            };
            let rights = self.rights_by(&mut *write, tenant, kind, &row).await?;
            // What it had no longer gives rights by a role that is gone.
            let rights = rights.unwrap_or_default();
            self.may_give(&mut *write, caller, tenant, rights).await?;
            let purged = write.purge(rows, "id = ?", [id]).await?;
            let change = gone(members(json!({ "kind": kind })));
            let entry = caller.entry("trash.purge", kind, id, change);
            write.commit(&Scope::of(tenant), &entry).await?;
            return Ok(purged);
        }
        Ok(0)
    }

    /// The rights that something of an organization gives, or would if it came back; none if the role that
    /// it had is gone.
    async fn rights_by(
        &self,
        reader: &mut impl Reader,
        tenant: &TenantId,
        kind: &str,
        row: &Row,
    ) -> Result<Option<Permissions>> {
        if kind == "role" {
            return Ok(Some(Role::of(row)?.permissions));
        }
        if kind == "api_key" {
            // It was revoked before it went there.
            return Ok(Some(Permissions::default()));
        }
        if kind == "access_policy" {
            return Ok(Some(Permissions::from_iter([
                Permission::AccessPolicyWrite,
            ])));
        }
        let role: Assigned = row.text("role")?.parse().map_err(Error::internal)?;
        match self.rights_of(reader, tenant, &role).await {
            Ok(rights) => Ok(Some(rights)),
            Err(Error::Invalid { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes for good what has been in the trash for longer than `retention`. Each organization is
    /// a change of its own, so that nobody waits for all of it, and none that fails keeps the others.
    pub async fn purge(&self, caller: &Caller, retention: Duration) -> Result<Purged> {
        let before = Timestamp::now()
            .checked_sub(retention)
            .map_err(Error::internal)?;
        let mut purged = Purged::default();
        let old = |select: Select| select.trashed().filter("deleted_at < ?", [before]);
        for row in self.records.all(old(ORGANIZATIONS.rows().select())).await? {
            let tenant: TenantId = row.text("id")?.parse().map_err(Error::internal)?;
            let gone = self.purge_organization(caller, &tenant, before).await;
            let gone = purged.count(tenant.id(), gone)?;
            purged.organizations += gone;
        }
        for row in self.records.all(old(USERS.rows().select())).await? {
            let id = row.id("id")?;
            let gone = self.purge_user(caller, &id, before).await;
            let gone = purged.count(&id, gone)?;
            purged.users += gone;
        }
        for tenant in self.with_old_trash(before).await? {
            let gone = self.purge_owned(caller, &tenant, before).await;
            let gone = purged.count(tenant.id(), gone)?;
            purged.others += gone;
        }
        Ok(purged)
    }

    async fn purge_organization(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        before: Timestamp,
    ) -> Result<u64> {
        let mut write = self.records.write(&Scope::Platform).await?;
        write.hold(&Scope::of(tenant)).await?;
        let rows = ORGANIZATIONS.rows();
        let select = rows.select().trashed().with_id(tenant.id());
        let select = select.filter("deleted_at < ?", [before]);
        // It may have been brought back meanwhile.
        let Some(row) = write.first(select).await? else {
            return Ok(0);
        };
        let slug = row.text("slug")?;
        let tokens = ONE_TIME_TOKENS.rows();
        write
            .remove(tokens, "organization_id = ?", [tenant.id()])
            .await?;
        let families = REFRESH_FAMILIES.rows();
        write
            .remove(families, "organization_id = ?", [tenant.id()])
            .await?;
        for table in OWNED {
            write.remove::<Value>(table.of(tenant), "1 = 1", []).await?;
        }
        write.purge(rows, "id = ?", [tenant.id()]).await?;
        let change = gone(members(json!({ "slug": slug })));
        let entry = caller.entry("organization.purge", "organization", tenant.id(), change);
        write.commit(&Scope::Platform, &entry).await?;
        Ok(1)
    }

    async fn purge_user(&self, caller: &Caller, id: &Id, before: Timestamp) -> Result<u64> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let select = USERS.rows().select().trashed().with_id(id);
        let select = select.filter("deleted_at < ?", [before]);
        if write.first(select).await?.is_none() {
            return Ok(0);
        }
        self.may_decide_on(&mut *write, caller, id).await?;
        let mut own = Vec::new();
        for table in OF_MEMBERS {
            let of_user = table.select_everywhere().with_trashed();
            own.extend(write.all(of_user.filter("user_id = ?", [id])).await?);
        }
        for tenant in tenants_of(&own)? {
            write.hold(&Scope::of(&tenant)).await?;
            for table in OF_MEMBERS {
                write.remove(table.of(&tenant), "user_id = ?", [id]).await?;
            }
        }
        for table in [
            SESSIONS,
            FORMER_SESSION_TOKENS,
            REFRESH_FAMILIES,
            FAMILIAR_PLACES,
            TOTP,
            RECOVERY_CODES,
            ONE_TIME_TOKENS,
        ] {
            write.remove(table.rows(), "user_id = ?", [id]).await?;
        }
        write.purge(USERS.rows(), "id = ?", [id]).await?;
        let entry = caller.entry("user.purge", "user", id, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        Ok(1)
    }

    /// The organizations in whose trash something is that old.
    async fn with_old_trash(&self, before: Timestamp) -> Result<Vec<TenantId>> {
        let mut tenants = Vec::new();
        for table in OWNED {
            let old = table.select_everywhere().trashed();
            let old = old.columns("DISTINCT tenant_id");
            let old = old.filter("deleted_at < ?", [before]);
            tenants.extend(tenants_of(&self.records.all(old).await?)?);
        }
        tenants.sort_unstable();
        tenants.dedup();
        Ok(tenants)
    }

    async fn purge_owned(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        before: Timestamp,
    ) -> Result<u64> {
        let mut write = match self.begin(tenant).await {
            Ok(write) => write,
            // It is in the trash itself, and goes when its own time has come.
            Err(Error::Missing(_)) => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut rows = 0;
        for table in OWNED {
            rows += write
                .purge(table.of(tenant), "deleted_at < ?", [before])
                .await?;
        }
        let change = gone(members(json!({ "rows": rows })));
        let entry = caller.entry("trash.purge", "organization", tenant.id(), change);
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(rows)
    }
}

impl Purged {
    /// How many went; what failed is noted. While records are not there nothing else would go either.
    fn count(&mut self, of: &Id, gone: Result<u64>) -> Result<u64> {
        match gone {
            Ok(gone) => Ok(gone),
            Err(error @ (Error::Unavailable(_) | Error::Unknown(_))) => Err(error),
            Err(error) => {
                let error = error.in_full();
                tracing::warn!(%of, error, "what was long enough in the trash could not be removed");
                self.failed += 1;
                Ok(0)
            }
        }
    }
}
