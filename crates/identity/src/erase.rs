//! Erasing a person: what they have a right to (GDPR article 17), with a certificate of it.
//!
//! Rows go at once. The audit is gone through stretch by stretch, each a change of its own, so that nobody
//! waits for all of it; what is still to do is written down with each, so that somebody else goes on if this
//! process ends.

mod certificate;
pub(crate) mod job;
mod rows;

pub use certificate::{Certificate, ErasedChain};

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::json;
use weir_core::Id;
use weir_store::audit::{ERASURE_BEGUN, ERASURE_DONE, Eraser, Origin, Person};
use weir_store::records::{Once, Row, Scope, Value, Write};

use self::job::Job;
use self::rows::{remove_account, remove_addressed};
use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::email::Email;
use crate::error::{Error, Result};
use crate::tables::{API_KEYS, ERASURES, INVITATIONS, OF_MEMBERS, USERS};
use crate::user::{User, leave_owners, tenants_of};

impl Identity {
    /// Removes a person's data from all records, live, in the trash or of an account that is gone, for good.
    /// Audit entries stay, without what they said of the person, and the chains hold. An erasure that was
    /// begun before is gone on with.
    ///
    /// # Errors
    /// [`Error::LastOwner`], and [`Error::Conflict`] if somebody else is about it.
    pub async fn erase_user(&self, caller: &Caller, id: &Id) -> Result<Certificate> {
        let is_about = |person: &Person| person.ids.contains(id);
        let job = match self.erasure_under_way(is_about).await? {
            Some(job) => job,
            None => self.begin_erasure(caller, Whom::Account(id)).await?,
        };
        self.go_on_erasing(job, caller.once.clone()).await
    }

    /// The same for whoever has an e-mail address, with an account or without: somebody who was invited, or
    /// whose address somebody mistyped.
    ///
    /// # Errors
    /// As of [`erase_user`](Self::erase_user), and [`Error::Missing`] if records know nothing of the address: it may
    /// be mistyped here.
    pub async fn erase_email(&self, caller: &Caller, email: &str) -> Result<Certificate> {
        let email = Email::parse(email)?;
        let is_about = |person: &Person| person.emails.iter().any(|one| one == email.as_str());
        let job = match self.erasure_under_way(is_about).await? {
            Some(job) => job,
            None => self.begin_by_address(caller, &email).await?,
        };
        self.go_on_erasing(job, caller.once.clone()).await
    }

    /// Goes on with erasures of which nobody does, and leaves nothing of them in the engine's log. Tells how
    /// many were brought to their end.
    pub async fn resume_erasures(&self) -> Result<u64> {
        let now = Timestamp::now();
        let left = ERASURES.rows().select().filter("leased_until < ?", [now]);
        let (mut done, mut failed) = (0, None);
        for row in self.records.all(left).await? {
            match self.resume_erasure(&row).await {
                Ok(()) => done += 1,
                // One that cannot be gone on with keeps no other from it.
                Err(error) => {
                    let (erasure, why) = (row.text("id")?, error.in_full());
                    tracing::warn!(%erasure, error = why, "an erasure stays unfinished for now");
                    failed = Some(error);
                }
            }
        }
        if self.shared.unscrubbed.load(Ordering::Relaxed) {
            self.scrub().await?;
        }
        failed.map_or(Ok(done), Err)
    }

    async fn resume_erasure(&self, row: &Row) -> Result<()> {
        let job = self.claim_erasure(row).await?;
        self.go_on_erasing(job, None).await.map(drop)
    }

    async fn begin_by_address(&self, caller: &Caller, email: &Email) -> Result<Job> {
        let former = self.former_accounts(email).await?;
        let is_named = false;
        let whom = Whom::Address(email, &former, is_named);
        match self.begin_erasure(caller, whom).await {
            // The audit may still name somebody of whom nothing else is left. That takes time, and nothing is held
            // meanwhile.
            Err(Error::Missing(_)) => {
                let is_named = self.is_named_somewhere(email).await?;
                let whom = Whom::Address(email, &former, is_named);
                self.begin_erasure(caller, whom).await
            }
            begun => begun,
        }
    }

    async fn begin_erasure(&self, caller: &Caller, whom: Whom<'_>) -> Result<Job> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let mut person = Person::default();
        let accounts = match whom {
            Whom::Account(id) => vec![account(&mut write, id).await?],
            Whom::Address(email, former, _) => {
                person.emails.push(email.as_str().to_owned());
                accounts_of(&mut write, email, former).await?
            }
        };
        for (id, user) in &accounts {
            self.may_decide_on(&mut *write, caller, id).await?;
            for email in emails_of(&mut write, id, user.as_ref()).await? {
                if !person.emails.contains(&email) {
                    person.emails.push(email);
                }
            }
            person.ids.push(id.clone());
        }
        for (id, _) in &accounts {
            person.ids.extend(keys_of(&mut write, id).await?);
        }
        hold_organizations(&mut write, &person).await?;
        let mut removed = rows::Removed::new();
        for (id, user) in &accounts {
            if user.as_ref().is_some_and(|user| user.deleted_at.is_none()) {
                leave_owners(&mut write, id).await?;
            }
            remove_account(&mut write, id, &mut removed).await?;
        }
        remove_addressed(&mut write, &person.emails, &mut removed).await?;
        let is_nobody = accounts.is_empty() && removed.values().all(|rows| *rows == 0);
        if is_nobody && !whom.is_named() {
            return Err(Error::Missing("person"));
        }
        // Where somebody who erases themselves was must not be told by the entries of it.
        let is_own = caller
            .actor
            .id()
            .is_some_and(|own| person.ids.contains(own));
        let origin = match is_own {
            true => Origin::default(),
            false => caller.origin.clone(),
        };
        let by = Eraser {
            actor: caller.actor.clone(),
            origin,
            request_id: caller.request_id.clone(),
        };
        let mut job = Job::new(person, &by, removed);
        self.insert_erasure(&mut write, &mut job).await?;
        let change = made(members(json!({ "rows": job.rows })));
        // What is to take effect once has when all of it has: until then it can be asked for again.
        let entry = job.entry(ERASURE_BEGUN, change, None)?;
        for (id, _) in &accounts {
            note_change(&mut write, CredentialKind::User, id.as_str()).await?;
        }
        write.commit(&Scope::Platform, &entry).await?;
        Ok(job)
    }

    /// What is left to do.
    async fn go_on_erasing(&self, mut job: Job, once: Option<Once>) -> Result<Certificate> {
        // Kept answers may tell of the person, and are sealed: all have to go.
        *job.rows.entry("answers".to_owned()).or_default() += self.forget_answers_ahead().await?;
        for scope in self.records.scopes().await? {
            if job.is_done_with(&scope) {
                continue;
            }
            job.enter(&scope);
            while !self.erase_stretch(&mut job, &scope).await? {}
        }
        let mut write = self.records.write(&Scope::Platform).await?;
        let now = write.now();
        let certificate = Certificate::new(&job, now)?;
        let values = [Value::from(&job.id), Value::from(job.version)];
        let gone = write
            .remove(ERASURES.rows(), "id = ? AND version = ?", values)
            .await?;
        if gone == 0 {
            return Err(job::UNDER_WAY);
        }
        let change = made(members(json!({
            "rows": certificate.rows,
            "digest": certificate.digest,
        })));
        let entry = job.entry(ERASURE_DONE, change, once)?;
        write.commit(&Scope::Platform, &entry).await?;
        // It is erased whether or not this can be done yet; upkeep tries again.
        self.shared.unscrubbed.store(true, Ordering::Relaxed);
        if let Err(error) = self.scrub().await {
            tracing::warn!(%error, "the log of records still has what was erased; it is tried again");
        }
        Ok(certificate)
    }

    /// One change at most; whether the chain is done.
    async fn erase_stretch(&self, job: &mut Job, scope: &Scope) -> Result<bool> {
        let records = &self.records;
        let clean = records.skip_unnamed(scope, &job.person, job.after).await?;
        if clean > job.after {
            job.after = clean;
            if job.is_lease_old() {
                self.renew_erasure(job).await?;
            }
            return Ok(false);
        }
        let mut write = records.write(scope).await?;
        let erased = write
            .erase_from_audit(scope, &job.person, job.after, &job.by()?)
            .await?;
        job.after = erased.until;
        if !erased.entries.is_empty() {
            job.note(scope, erased.entries, erased.told_by);
            self.update_erasure(&mut write, job).await?;
            write.commit(scope, &erased.entry).await?;
        }
        Ok(erased.is_end)
    }

    async fn scrub(&self) -> Result<()> {
        if self.records.scrub().await? {
            self.shared.unscrubbed.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether any chain names an address.
    async fn is_named_somewhere(&self, email: &Email) -> Result<bool> {
        let person = Person {
            emails: vec![email.as_str().to_owned()],
            ..Person::default()
        };
        for scope in self.records.scopes().await? {
            if self.records.is_named(&scope, &person).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The accounts that the audit says had an address and that are gone.
    async fn former_accounts(&self, email: &Email) -> Result<Vec<Id>> {
        let mut former: Vec<Id> = Vec::new();
        let mut after = 0;
        while let Some((ids, until)) = self.records.accounts_of(email.as_str(), after).await? {
            for id in ids {
                if !former.contains(&id) {
                    former.push(id);
                }
            }
            after = until;
        }
        Ok(former)
    }
}

/// Whose data is to go.
#[derive(Clone, Copy)]
enum Whom<'a> {
    Account(&'a Id),
    /// Whose address it is, with the accounts that had it and are gone, and whether the audit is known to name it.
    Address(&'a Email, &'a [Id], bool),
}

impl Whom<'_> {
    /// Whether something of them is known to be there, whatever tables have.
    const fn is_named(&self) -> bool {
        match self {
            Self::Account(_) => true,
            Self::Address(_, _, is_named) => *is_named,
        }
    }
}

type Account = (Id, Option<User>);

/// Takes up all organizations that have something of the person before any row is touched, in the order in which
/// everybody does: two erasures at once, or one and what goes on in an organization, never wait for each other.
async fn hold_organizations(write: &mut Write, person: &Person) -> Result<()> {
    let mut rows = Vec::new();
    for id in &person.ids {
        for table in OF_MEMBERS {
            let own = table.select_everywhere().with_trashed();
            rows.extend(write.all(own.filter("user_id = ?", [id])).await?);
        }
    }
    for email in &person.emails {
        let sent = INVITATIONS.select_everywhere().with_trashed();
        rows.extend(write.all(sent.filter("email = ?", [email])).await?);
    }
    for tenant in tenants_of(&rows)? {
        write.hold(&Scope::of(&tenant)).await?;
    }
    Ok(())
}

/// The keys of somebody. What was done with them was done by the person.
async fn keys_of(write: &mut Write, user: &Id) -> Result<Vec<Id>> {
    let keys = API_KEYS.select_everywhere().with_trashed();
    let rows = write.all(keys.filter("user_id = ?", [user])).await?;
    rows.iter().map(|row| Ok(row.id("id")?)).collect()
}

/// An account, live, in the trash, or of which only the audit still tells.
async fn account(write: &mut Write, id: &Id) -> Result<Account> {
    let select = USERS.rows().select().with_trashed().with_id(id);
    let user = write.first(select).await?;
    if user.is_none() && !write.is_told_of(id).await? {
        return Err(Error::Missing("user"));
    }
    let user = user.as_ref().map(User::of).transpose()?;
    Ok((id.clone(), user))
}

/// Whose address it is: of a live account and those in the trash; without a live one, also of those that are gone.
async fn accounts_of(write: &mut Write, email: &Email, former: &[Id]) -> Result<Vec<Account>> {
    let select = USERS.rows().select().with_trashed();
    let rows = write
        .all(select.filter("email = ?", [email.as_str()]))
        .await?;
    let all: Vec<User> = rows.iter().map(User::of).collect::<Result<_>>()?;
    let has_live = all.iter().any(|user| user.deleted_at.is_none());
    let mut accounts: Vec<Account> = all
        .into_iter()
        .map(|user| (user.id.clone(), Some(user)))
        .collect();
    if has_live {
        return Ok(accounts);
    }
    for id in former {
        let select = USERS.rows().select().with_trashed().with_id(id);
        // One that is there has another address by now.
        if write.first(select).await?.is_none() {
            accounts.push((id.clone(), None));
        }
    }
    Ok(accounts)
}

/// The address that the person has, and those that they had, unless they are somebody else's now.
async fn emails_of(write: &mut Write, id: &Id, user: Option<&User>) -> Result<Vec<String>> {
    let mut emails: Vec<String> = user.map(|user| user.email.clone()).into_iter().collect();
    for email in write.recorded_emails(id).await? {
        let select = USERS.rows().select().filter("email = ?", [&email]);
        let is_anothers = match write.first(select).await? {
            Some(row) => row.id("id")? != *id,
            None => false,
        };
        if !is_anothers && !emails.contains(&email) {
            emails.push(email);
        }
    }
    Ok(emails)
}
