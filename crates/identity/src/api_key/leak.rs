//! Keys that somebody has found where they do not belong.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use weir_core::{ApiKeyText, Id, TenantId};
use weir_store::audit::Change;
use weir_store::records::{Row, Scope, Value, Write};

use super::ApiKey;
use crate::Identity;
use crate::caller::Caller;
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::mail::Letter;
use crate::tables::{API_KEYS, MEMBERSHIPS, ORGANIZATIONS, USERS};
use crate::throttle::Counted;

/// Characters of where it was found that the audit is told.
const MOST_URL: usize = 500;
/// Owners of an organization who get a letter.
const MOST_LETTERS: i64 = 10;

/// Who has found keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finder {
    /// What the audit calls who has shown who they are.
    pub name: Option<&'static str>,
    /// Whether what they report that is no key has them wait.
    pub is_counted: bool,
}

impl Finder {
    /// Nobody knows who it is.
    pub const ANYBODY: Self = Self {
        name: None,
        is_counted: true,
    };
}

/// A key that somebody says they have found.
#[derive(Clone, Debug)]
pub struct LeakReport {
    /// All of it; white space around it is not looked at.
    pub token: String,
    /// Where.
    pub url: Option<String>,
}

impl LeakReport {
    fn token(&self) -> &str {
        self.token.trim()
    }
}

/// What a report comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// No key, or none of ours.
    Nothing,
    /// One that was reported before.
    Known,
    /// One that ends by the report.
    Ended,
}

impl Identity {
    /// Revokes keys that somebody has found, and tells whose they are: whoever can show a whole key could use it as
    /// well. Tells for each report whether it was a key, working or not.
    ///
    /// # Errors
    /// [`Error::Throttled`] if much was reported from there that was no key, or was reported before, unless the finder
    /// is not counted.
    pub async fn report_leaked(
        &self,
        caller: &Caller,
        finder: Finder,
        reports: &[LeakReport],
    ) -> Result<Vec<bool>> {
        let address = caller.origin.address.as_deref();
        let counted = match finder.is_counted {
            true => Counted::reports(address),
            false => None,
        };
        self.attempt(counted.as_slice()).await?;
        // The same key is often found in many places.
        let mut judged: HashMap<&str, Found> = HashMap::new();
        let mut found = Vec::with_capacity(reports.len());
        for report in reports {
            let one = match judged.get(report.token()) {
                Some(one) => *one,
                None => self.take_report(caller, finder, report).await?,
            };
            judged.insert(report.token(), one);
            found.push(one);
        }
        // Whoever has an old key, and reports it again and again, does no more good than by what is none.
        if found.iter().all(|one| *one == Found::Ended) {
            self.forget_attempt(counted.as_slice()).await?;
        }
        let are_keys = found.into_iter().map(|one| one != Found::Nothing);
        Ok(are_keys.collect())
    }

    async fn take_report(
        &self,
        caller: &Caller,
        finder: Finder,
        report: &LeakReport,
    ) -> Result<Found> {
        let Some(shown) = ApiKeyText::parse(report.token()) else {
            return Ok(Found::Nothing);
        };
        // One in the trash, or of an organization there, comes back one day.
        let select = API_KEYS.select_everywhere().with_trashed();
        let select = select.filter("public_part = ?", [shown.public_part()]);
        let Some(row) = self.records.first(select).await? else {
            return Ok(Found::Nothing);
        };
        let hash = <[u8; 32]>::try_from(row.bytes("key_hash")?);
        if !hash.is_ok_and(|hash| shown.is_of(&hash)) {
            return Ok(Found::Nothing);
        }
        let key = ApiKey::of(&row)?;
        let found = match self.leaked(caller, &key, finder, report).await {
            // It went meanwhile, for good.
            Err(Error::Missing(_)) => Found::Known,
            told => told?,
        };
        // Whoever had it has what they made with it.
        self.revoke_made_by(caller, &key).await?;
        Ok(found)
    }

    async fn leaked(
        &self,
        caller: &Caller,
        key: &ApiKey,
        finder: Finder,
        report: &LeakReport,
    ) -> Result<Found> {
        let (tenant, id) = (&key.organization, &key.id);
        let mut write = self.records.write(&Scope::of(tenant)).await?;
        let before = with_trash(&mut write, tenant, id).await?;
        if before.leaked_at.is_some() && before.revoked_at.is_some() {
            return Ok(Found::Known);
        }
        let now = write.now();
        let key = ApiKey {
            revoked_at: before.revoked_at.or(Some(now)),
            leaked_at: before.leaked_at.or(Some(now)),
            ..before.clone()
        };
        set(&mut write, &key).await?;
        self.warn_of_leak(&mut write, &key).await?;
        let mut change = Change::between(before.state(), key.state());
        if let Some(url) = &report.url {
            change.after.insert("found_at".to_owned(), line(url).into());
        }
        if let Some(name) = finder.name {
            change.after.insert("found_by".to_owned(), name.into());
        }
        let entry = caller.entry("api_key.leak", "api_key", id, change);
        note_change(&mut write, CredentialKind::ApiKey, id.as_str()).await?;
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(Found::Ended)
    }

    /// Revokes all keys that were made with a key, and with those.
    async fn revoke_made_by(&self, caller: &Caller, leaked: &ApiKey) -> Result<()> {
        let tenants = self.reached_by(leaked).await?;
        let mut makers = vec![leaked.id.clone()];
        while let Some(maker) = makers.pop() {
            for tenant in &tenants {
                for made in self.made_by(tenant, &maker, leaked.created_at).await? {
                    self.revoke_made(caller, &made, &maker).await?;
                    makers.push(made.id);
                }
            }
        }
        Ok(())
    }

    /// The organizations in which a key may have made others: its own; of the platform's, all.
    async fn reached_by(&self, key: &ApiKey) -> Result<Vec<TenantId>> {
        if key.organization != TenantId::platform() {
            return Ok(vec![key.organization.clone()]);
        }
        let all = ORGANIZATIONS.rows().select().with_trashed();
        let rows = self.records.all(all.columns("id").order(["id"])).await?;
        let tenant =
            |row: &Row| -> Result<TenantId> { row.text("id")?.parse().map_err(Error::internal) };
        rows.iter().map(tenant).collect()
    }

    async fn made_by(
        &self,
        tenant: &TenantId,
        maker: &Id,
        since: Timestamp,
    ) -> Result<Vec<ApiKey>> {
        // An hour earlier, by the clock of another node.
        let since = since
            .checked_sub(Duration::from_secs(3_600))
            .map_err(Error::internal)?;
        let values = || [Value::from(maker), Value::from(since)];
        let select = || API_KEYS.of(tenant).select();
        let condition = "created_by = ? AND created_at >= ?";
        let live = select().filter(condition, values());
        let trashed = select().trashed().filter(condition, values());
        let mut rows = self.records.all(live).await?;
        rows.extend(self.records.all(trashed).await?);
        rows.iter().map(ApiKey::of).collect()
    }

    async fn revoke_made(&self, caller: &Caller, made: &ApiKey, maker: &Id) -> Result<()> {
        let (tenant, id) = (&made.organization, &made.id);
        let mut write = self.records.write(&Scope::of(tenant)).await?;
        let before = match with_trash(&mut write, tenant, id).await {
            Err(Error::Missing(_)) => return Ok(()),
            before => before?,
        };
        if before.revoked_at.is_some() {
            return Ok(());
        }
        let key = ApiKey {
            revoked_at: Some(write.now()),
            ..before.clone()
        };
        set(&mut write, &key).await?;
        let mut change = Change::between(before.state(), key.state());
        let maker = maker.as_str().into();
        change.after.insert("made_by_leaked".to_owned(), maker);
        let mut entry = caller.entry("api_key.revoke", "api_key", id, change);
        // It comes with a report, and is none.
        entry.once = None;
        note_change(&mut write, CredentialKind::ApiKey, id.as_str()).await?;
        Ok(write.commit(&Scope::of(tenant), &entry).await?)
    }

    /// A letter to whose key it is; of an organization's own, to its owners.
    async fn warn_of_leak(&self, write: &mut Write, key: &ApiKey) -> Result<()> {
        if !self.sends_mail() {
            return Ok(());
        }
        let concerned = match &key.user_id {
            Some(user) => USERS.rows().select().columns("email").with_id(user),
            None => MEMBERSHIPS
                .of(&key.organization)
                .select()
                .columns("users.email")
                .join(&USERS, "users.id = base.user_id")
                .filter::<Value>("base.role = 'owner' AND users.suspended_at IS NULL", [])
                .limit(MOST_LETTERS),
        };
        let letter = Letter::KeyLeaked {
            key: &key.key,
            at: write.now(),
            url: &self.shared.options.public_url,
        };
        for row in write.all(concerned).await? {
            match self.post(write, &row.text("email")?, &letter).await {
                // That too many letters wait must not keep a key working.
                Err(Error::Busy(_)) => return Ok(()),
                result => result?,
            }
        }
        Ok(())
    }
}

async fn with_trash(write: &mut Write, tenant: &TenantId, id: &Id) -> Result<ApiKey> {
    let select = API_KEYS.of(tenant).select().with_trashed().with_id(id);
    let row = write.first(select).await?;
    ApiKey::of(&row.ok_or(Error::Missing("api key"))?)
}

/// Since when a key is refused, live or in the trash.
async fn set(write: &mut Write, key: &ApiKey) -> Result<()> {
    let values = || {
        [
            ("revoked_at", Value::from(key.revoked_at)),
            ("leaked_at", Value::from(key.leaked_at)),
        ]
    };
    let rows = API_KEYS.of(&key.organization);
    if write.update_trashed(rows, &key.id, values()).await? {
        return Ok(());
    }
    write.update(rows, &key.id, None, values()).await?;
    Ok(())
}

/// As somebody else wrote it, shortened, and without what no list should show: nor with a key in it.
fn line(url: &str) -> String {
    if ApiKeyText::is_within(url) {
        return "an address with a key in it".to_owned();
    }
    let chars = url.chars().filter(|char| !char.is_control());
    chars.take(MOST_URL).collect()
}
