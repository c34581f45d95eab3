//! What rules come to with another policy among them: found out before the transaction that puts it there, so that
//! nobody waits for a compiler.

use weir_core::{Id, TenantId};
use weir_store::records::{Row, Scope, Value, Write};

use super::kept::{Versions, versions};
use super::{AccessPolicy, Author, MOST};
use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::error::{Error, Result};
use crate::membership::count;
use crate::permission::{Permission, Permissions};
use crate::tables::ACCESS_POLICIES;

/// How often rules are judged anew after others were changed beside them.
const ATTEMPTS: usize = 4;

const BUSY: Error = Error::Busy("others are changing access policies here: try again");

/// Rules that mean something, together with those that were there.
struct Judged {
    /// Which were there.
    beside: Versions,
    /// Whether their author could not change them back.
    lock_out: bool,
}

impl Identity {
    async fn judge(
        &self,
        tenant: &TenantId,
        (name, rules): (&str, &str),
        author: Option<&Author<'_>>,
    ) -> Result<Judged> {
        let all = ACCESS_POLICIES.of(tenant).select().order(["name"]);
        let rows = self.records.all(all).await?;
        let mut sources = Vec::with_capacity(rows.len() + 1);
        for row in &rows {
            sources.push((row.text("name")?, row.text("rules")?));
        }
        sources.retain(|(other, _)| other != name);
        sources.push((name.to_owned(), rules.to_owned()));
        let compiled = self.shared.access.compile(&sources).await?;
        let compiled = compiled.map_err(Error::InvalidPolicy)?;
        Ok(Judged {
            beside: versions(&rows)?,
            lock_out: author.is_some_and(|author| !compiled.lets_write(tenant, author)),
        })
    }

    /// A transaction in which what was judged still holds.
    ///
    /// # Errors
    /// [`Error::InvalidPolicy`]; [`Error::Conflict`], which says `locked_out`; [`Error::Busy`].
    pub(super) async fn begin_judged(
        &self,
        tenant: &TenantId,
        policy: (&str, &str),
        author: Option<&Author<'_>>,
        locked_out: &'static str,
    ) -> Result<Write> {
        for _ in 0..ATTEMPTS {
            let judged = self.judge(tenant, policy, author).await?;
            if judged.lock_out {
                return Err(Error::Conflict(locked_out));
            }
            let mut write = self.begin(tenant).await?;
            let there = ACCESS_POLICIES.of(tenant).select().order(["name"]);
            let there = write.all(there.columns("id, version, name")).await?;
            if versions(&there)? == judged.beside {
                return Ok(write);
            }
        }
        Err(BUSY)
    }

    /// Brings an access policy back from the trash: it is judged as a new one is, since others may stand beside it by now.
    ///
    /// # Errors
    /// As of [`put_access_policy`](Self::put_access_policy); [`Error::Taken`] if another one has its name;
    /// [`Error::Forbidden`] for whoever may not write access policies.
    pub async fn restore_access_policy(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        author: Option<&Author<'_>>,
    ) -> Result<()> {
        let right = Permissions::from_iter([Permission::AccessPolicyWrite]);
        let own = ACCESS_POLICIES.of(tenant);
        let mut read = self.records.read().await?;
        // Nobody else hears what is wrong with rules.
        self.may_give(&mut read, caller, tenant, right).await?;
        let select = own.select().trashed().with_id(id);
        let row = read.first(select.filter::<Value>("deleted_with = id", []));
        let policy = trashed(row.await?.as_ref())?;
        drop(read);
        let locked_out = "these rules would keep you yourself from changing them back: let somebody restore them whom they let change them";
        let named = (policy.name.as_str(), policy.text.as_str());
        let mut write = self.begin_judged(tenant, named, author, locked_out).await?;
        self.may_give(&mut *write, caller, tenant, right).await?;
        if write.restore_with(own, id).await? == 0 {
            return Err(Error::Missing("deleted thing"));
        }
        hold_most(&mut write, tenant).await?;
        let change = made(members(serde_json::json!({ "kind": "access_policy" })));
        let entry = caller.entry("trash.restore", "access_policy", id, change);
        Ok(write.commit(&Scope::of(tenant), &entry).await?)
    }
}

/// Refuses one more than an organization can have, once it is there.
pub(super) async fn hold_most(write: &mut Write, tenant: &TenantId) -> Result<()> {
    let there = ACCESS_POLICIES.of(tenant).select().count();
    match count(&mut **write, there).await? > MOST {
        true => Err(Error::Conflict(
            "an organization has 50 access policies at most",
        )),
        false => Ok(()),
    }
}

fn trashed(row: Option<&Row>) -> Result<AccessPolicy> {
    AccessPolicy::of(row.ok_or(Error::Missing("deleted thing"))?)
}
