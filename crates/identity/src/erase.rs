//! Erasing a person: what they have a right to (GDPR article 17), with a certificate of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use weir_core::Id;
use weir_store::audit::{Origin, Person};
use weir_store::records::{Scope, Write};

use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::error::{Error, Result};
use crate::idempotency::forget_answers;
use crate::tables::{
    INVITATIONS, MAIL_OUTBOX, MEMBERSHIPS, ONE_TIME_TOKENS, RECOVERY_CODES, SESSIONS, THROTTLES,
    TOTP, USERS,
};
use crate::throttle;
use crate::user::{User, leave_owners, tenants_of};

/// What was erased. It names nobody but by the identifier, which leads nowhere any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Certificate {
    /// Who was erased.
    pub user: Id,
    /// When.
    pub at: Timestamp,
    /// How many rows were removed, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// What was taken out of the audit.
    pub audit: Vec<ErasedChain>,
    /// SHA-256 of the above as JSON, in hexadecimal; the audit's entry `user.erase` has it as well.
    pub digest: String,
}

/// What was taken out of one audit chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErasedChain {
    /// Of the platform, or of which organization.
    pub scope: String,
    /// The numbers of the entries of which origin and change were removed.
    pub entries: Vec<i64>,
    /// The number of the entry that tells so.
    pub told_by: i64,
}

impl Identity {
    /// Removes a person's data from all records, live or in the trash, for good. Audit entries stay,
    /// without what they said of the person, and the chains hold.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is the last owner of an organization.
    pub async fn erase_user(&self, caller: &Caller, id: &Id) -> Result<Certificate> {
        let mut read = self.records.read().await?;
        let select = USERS.rows().select().with_trashed().with_id(id);
        read.first(select).await?.ok_or(Error::Missing("user"))?;
        self.may_decide_on(&mut read, caller, id).await?;
        drop(read);
        let forgotten = self.forget_answers_ahead().await?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let select = USERS.rows().select().with_trashed().with_id(id);
        let row = write.first(select).await?.ok_or(Error::Missing("user"))?;
        let user = User::of(&row)?;
        self.may_decide_on(&mut *write, caller, id).await?;
        if user.deleted_at.is_none() {
            leave_owners(&mut write, id).await?;
        }
        let emails = emails_of(&mut write, &user).await?;
        let mut rows = remove_rows(&mut write, id, &emails).await?;
        *rows.entry("answers").or_default() += forgotten;
        // Where somebody who erases themselves was must not be told by the entry of it.
        let origin = match caller.actor.id() == Some(id) {
            true => Origin::default(),
            false => caller.origin.clone(),
        };
        let person = Person {
            id: id.clone(),
            emails,
        };
        let request_id = caller.request_id.as_deref();
        let erased = write
            .erase_from_audit(&person, &caller.actor, &origin, request_id)
            .await?;
        let audit = erased
            .into_iter()
            .map(|chain| ErasedChain {
                scope: chain.scope.name().to_owned(),
                entries: chain.entries,
                told_by: chain.told_by,
            })
            .collect();
        let certificate = Certificate::new(id.clone(), write.now(), rows, audit)?;
        let change = made(members(json!({
            "rows": certificate.rows,
            "digest": certificate.digest,
        })));
        let caller = Caller {
            origin,
            ..caller.clone()
        };
        let entry = caller.entry("user.erase", "user", id, change);
        write.commit(&Scope::Platform, &entry).await?;
        Ok(certificate)
    }
}

impl Certificate {
    fn new(
        user: Id,
        at: Timestamp,
        rows: BTreeMap<&'static str, u64>,
        audit: Vec<ErasedChain>,
    ) -> Result<Self> {
        let mut certificate = Self {
            user,
            at,
            rows,
            audit,
            digest: String::new(),
        };
        let text = json!({
            "user": certificate.user,
            "at": certificate.at,
            "rows": certificate.rows,
            "audit": certificate.audit,
        });
        let text = serde_json::to_string(&text).map_err(Error::internal)?;
        for byte in Sha256::digest(text) {
            let _ = write!(certificate.digest, "{byte:02x}");
        }
        Ok(certificate)
    }
}

/// The address that the person has, and those that they had, unless they are somebody else's now.
async fn emails_of(write: &mut Write, user: &User) -> Result<Vec<String>> {
    let mut emails = vec![user.email.clone()];
    for email in write.recorded_emails(&user.id).await? {
        let select = USERS.rows().select().filter("email = ?", [&email]);
        let is_anothers = match write.first(select).await? {
            Some(row) => row.id("id")? != user.id,
            None => false,
        };
        if !is_anothers && !emails.contains(&email) {
            emails.push(email);
        }
    }
    Ok(emails)
}

async fn remove_rows(
    write: &mut Write,
    id: &Id,
    emails: &[String],
) -> Result<BTreeMap<&'static str, u64>> {
    let mut removed = BTreeMap::new();
    for (name, table) in [
        ("sessions", SESSIONS),
        ("totp", TOTP),
        ("recovery_codes", RECOVERY_CODES),
        ("one_time_tokens", ONE_TIME_TOKENS),
    ] {
        let rows = write.remove(table.rows(), "user_id = ?", [id]).await?;
        removed.insert(name, rows);
    }
    let own = MEMBERSHIPS
        .select_everywhere()
        .with_trashed()
        .filter("user_id = ?", [id]);
    let mut memberships = 0;
    for tenant in tenants_of(&write.all(own).await?)? {
        write.hold(&Scope::of(&tenant)).await?;
        let rows = MEMBERSHIPS.of(&tenant);
        memberships += write.remove(rows, "user_id = ?", [id]).await?;
    }
    removed.insert("memberships", memberships);
    removed.insert("answers", forget_answers(write, i64::MAX).await?);
    let (mut invitations, mut mail, mut throttles) = (0, 0, 0);
    for email in emails {
        let sent = INVITATIONS
            .select_everywhere()
            .with_trashed()
            .filter("email = ?", [email]);
        for tenant in tenants_of(&write.all(sent).await?)? {
            write.hold(&Scope::of(&tenant)).await?;
            let rows = INVITATIONS.of(&tenant);
            invitations += write.remove(rows, "email = ?", [email]).await?;
        }
        let tokens = ONE_TIME_TOKENS.rows();
        let tokens = write.remove(tokens, "email = ?", [email]).await?;
        *removed.entry("one_time_tokens").or_default() += tokens;
        let outbox = MAIL_OUTBOX.rows();
        mail += write.remove(outbox, "recipient = ?", [email]).await?;
        for subject in [throttle::account(email), throttle::mail(email)] {
            let rows = THROTTLES.rows();
            throttles += write.remove(rows, "subject = ?", [&subject[..]]).await?;
        }
    }
    removed.insert("invitations", invitations);
    removed.insert("mail_outbox", mail);
    removed.insert("throttles", throttles);
    let users = write.remove(USERS.rows(), "id = ?", [id]).await?;
    removed.insert("users", users);
    Ok(removed)
}
