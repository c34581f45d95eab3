//! Keys that somebody has found where they do not belong.

use weir_core::{ApiKeyText, Id, TenantId};
use weir_store::audit::Change;
use weir_store::records::{Scope, Value, Write};

use super::{ApiKey, key_within};
use crate::Identity;
use crate::caller::Caller;
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::mail::Letter;
use crate::tables::{API_KEYS, MEMBERSHIPS, USERS};
use crate::throttle::Counted;

/// Characters of where it was found that the audit is told.
const MOST_URL: usize = 500;
/// Owners of an organization who get a letter.
const MOST_LETTERS: i64 = 10;

/// A key that somebody says they have found.
#[derive(Clone, Debug)]
pub struct LeakReport {
    /// All of it.
    pub token: String,
    /// Where.
    pub url: Option<String>,
}

impl Identity {
    /// Revokes keys that somebody has found, and tells whose they are: whoever can show a whole key could use it as
    /// well. Tells for each report whether it was a key, working or not.
    ///
    /// # Errors
    /// [`Error::Throttled`] if much was reported from there that was no key.
    pub async fn report_leaked(
        &self,
        caller: &Caller,
        reports: &[LeakReport],
    ) -> Result<Vec<bool>> {
        let counted = Counted::reports(caller.origin.address.as_deref());
        self.attempt(counted.as_slice()).await?;
        let mut found = Vec::with_capacity(reports.len());
        for report in reports {
            found.push(self.take_report(caller, report).await?);
        }
        if found.iter().all(|is_key| *is_key) {
            self.forget_attempt(counted.as_slice()).await?;
        }
        Ok(found)
    }

    async fn take_report(&self, caller: &Caller, report: &LeakReport) -> Result<bool> {
        let Some(shown) = ApiKeyText::parse(&report.token) else {
            return Ok(false);
        };
        let holder = self.find_api_key(shown.public_part()).await?;
        let Some(holder) = holder.filter(|holder| shown.is_of(&holder.hash)) else {
            return Ok(false);
        };
        match self
            .leaked(caller, &holder.tenant, &holder.id, report)
            .await
        {
            // It went meanwhile.
            Err(Error::Missing(_)) => Ok(true),
            result => result.map(|()| true),
        }
    }

    async fn leaked(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        report: &LeakReport,
    ) -> Result<()> {
        let mut write = self.begin(tenant).await?;
        let before = key_within(&mut *write, tenant, id).await?;
        if before.leaked_at.is_some() && before.revoked_at.is_some() {
            return Ok(());
        }
        let now = write.now();
        let key = ApiKey {
            revoked_at: before.revoked_at.or(Some(now)),
            leaked_at: before.leaked_at.or(Some(now)),
            ..before.clone()
        };
        let values = [
            ("revoked_at", Value::from(key.revoked_at)),
            ("leaked_at", Value::from(key.leaked_at)),
        ];
        write.update(API_KEYS.of(tenant), id, None, values).await?;
        self.warn_of_leak(&mut write, &key).await?;
        let mut change = Change::between(before.state(), key.state());
        if let Some(url) = &report.url {
            change.after.insert("found_at".to_owned(), line(url).into());
        }
        let entry = caller.entry("api_key.leak", "api_key", id, change);
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

/// As somebody else wrote it, shortened, and without what no list should show: nor with a key in it.
fn line(url: &str) -> String {
    if ApiKeyText::is_within(url) {
        return "an address with a key in it".to_owned();
    }
    let chars = url.chars().filter(|char| !char.is_control());
    chars.take(MOST_URL).collect()
}
