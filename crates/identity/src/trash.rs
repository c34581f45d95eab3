//! What was deleted: seen, brought back, and removed for good after its time.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::records::{Row, Scope, TenantTable, Value};

use crate::Identity;
use crate::caller::{Caller, gone, made, members};
use crate::error::{Error, Result};
use crate::role::{Assigned, Role};
use crate::tables::{
    INVITATIONS, MEMBERSHIPS, ONE_TIME_TOKENS, ORGANIZATIONS, OWNED, RECOVERY_CODES, ROLES,
    SESSIONS, TOTP, USERS,
};
use crate::user::tenants_of;

/// Something of an organization that was deleted by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trashed {
    /// `role`, `member` or `invitation`.
    pub kind: &'static str,
    /// Which one.
    pub id: Id,
    /// Since when it is in the trash.
    pub deleted_at: Timestamp,
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
}

/// What an organization has, by the words that its trash uses.
const KINDS: [(&str, TenantTable); 3] = [
    ("role", ROLES),
    ("member", MEMBERSHIPS),
    ("invitation", INVITATIONS),
];

impl Identity {
    /// What an organization deleted, without what went with something else; the latest first, at most
    /// `limit` of each kind.
    pub async fn trash(&self, tenant: &TenantId, limit: u32) -> Result<Vec<Trashed>> {
        let mut read = self.records.read().await?;
        let mut trashed = Vec::new();
        for (kind, table) in KINDS {
            let select = table
                .of(tenant)
                .select()
                .trashed()
                .filter::<Value>("deleted_with = id", [])
                .order(["deleted_at", "id"])
                .descending(true)
                .limit(i64::from(limit));
            for row in read.all(select).await? {
                trashed.push(Trashed {
                    kind,
                    id: row.id("id")?,
                    deleted_at: row.time("deleted_at")?,
                });
            }
        }
        trashed.sort_by_key(|one| std::cmp::Reverse(one.deleted_at));
        Ok(trashed)
    }

    /// Brings something of an organization back.
    ///
    /// # Errors
    /// [`Error::Taken`] if its name is another's by now, [`Error::Forbidden`] if it gives rights that
    /// the caller does not have.
    pub async fn restore(&self, caller: &Caller, tenant: &TenantId, id: &Id) -> Result<()> {
        let mut write = self.begin(tenant).await?;
        for (kind, table) in KINDS {
            let rows = table.of(tenant);
            let select = rows.select().trashed().with_id(id);
            let select = select.filter::<Value>("deleted_with = id", []);
            let Some(row) = write.first(select).await? else {
                continue;
            };
            let rights = match kind {
                "role" => Role::of(&row)?.permissions,
                _ => {
                    let role: Assigned = row.text("role")?.parse().map_err(Error::internal)?;
                    self.rights_of(&mut *write, tenant, &role).await?
                }
            };
            self.may_give(&mut *write, caller, tenant, rights).await?;
            write.restore_with(rows, id).await?;
            let change = made(members(json!({ "kind": kind })));
            let entry = caller.entry("trash.restore", kind, id, change);
            return Ok(write.commit(&Scope::of(tenant), &entry).await?);
        }
        Err(Error::Missing("deleted thing"))
    }

    /// Removes for good what has been in the trash for longer than `retention`. Each organization is
    /// a change of its own, so that nobody waits for all of it.
    pub async fn purge(&self, caller: &Caller, retention: Duration) -> Result<Purged> {
        let before = Timestamp::now()
            .checked_sub(retention)
            .map_err(Error::internal)?;
        let mut purged = Purged::default();
        let old = ORGANIZATIONS
            .rows()
            .select()
            .trashed()
            .filter("deleted_at < ?", [before]);
        for row in self.records.all(old).await? {
            let tenant: TenantId = row.text("id")?.parse().map_err(Error::internal)?;
            purged.organizations += self.purge_organization(caller, &tenant, before).await?;
        }
        let old = USERS
            .rows()
            .select()
            .trashed()
            .filter("deleted_at < ?", [before]);
        for row in self.records.all(old).await? {
            purged.users += self.purge_user(caller, &row.id("id")?, before).await?;
        }
        purged.others = self.purge_owned(caller, before).await?;
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
        let own = MEMBERSHIPS.select_everywhere().with_trashed();
        let own = own.filter("user_id = ?", [id]);
        for tenant in tenants_of(&write.all(own).await?)? {
            write.hold(&Scope::of(&tenant)).await?;
            let rows = MEMBERSHIPS.of(&tenant);
            write.remove(rows, "user_id = ?", [id]).await?;
        }
        for table in [SESSIONS, TOTP, RECOVERY_CODES, ONE_TIME_TOKENS] {
            write.remove(table.rows(), "user_id = ?", [id]).await?;
        }
        write.purge(USERS.rows(), "id = ?", [id]).await?;
        let entry = caller.entry("user.purge", "user", id, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        Ok(1)
    }

    async fn purge_owned(&self, caller: &Caller, before: Timestamp) -> Result<u64> {
        let mut tenants = Vec::new();
        for table in OWNED {
            let old = table.select_everywhere().trashed();
            let rows: Vec<Row> = self
                .records
                .all(
                    old.columns("DISTINCT tenant_id")
                        .filter("deleted_at < ?", [before]),
                )
                .await?;
            tenants.extend(tenants_of(&rows)?);
        }
        tenants.sort_unstable();
        tenants.dedup();
        let mut purged = 0;
        for tenant in tenants {
            let mut write = match self.begin(&tenant).await {
                Ok(write) => write,
                // It is in the trash itself, and goes when its own time has come.
                Err(Error::Missing(_)) => continue,
                Err(error) => return Err(error),
            };
            let mut rows = 0;
            for table in OWNED {
                rows += write
                    .purge(table.of(&tenant), "deleted_at < ?", [before])
                    .await?;
            }
            let change = gone(members(json!({ "rows": rows })));
            let entry = caller.entry("trash.purge", "organization", tenant.id(), change);
            write.commit(&Scope::of(&tenant), &entry).await?;
            purged += rows;
        }
        Ok(purged)
    }
}
