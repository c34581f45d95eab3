//! Erasing a person: what they have a right to (GDPR article 17), with a certificate of it.
//!
//! Rows go at once. The audit is gone through stretch by stretch, each a change of its own, so that nobody
//! waits for all of it; what is still to do is written down with each, so that somebody else goes on if this
//! process ends.

mod certificate;
mod job;
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
use crate::email::Email;
use crate::error::{Error, Result};
use crate::tables::{ERASURES, USERS};
use crate::user::{User, leave_owners};

impl Identity {
    /// Removes a person's data from all records, live, in the trash or of an account that is gone, for good.
    /// Audit entries stay, without what they said of the person, and the chains hold. An erasure that was
    /// begun before is gone on with.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is the last owner of an organization, or if somebody else is about it.
    pub async fn erase_user(&self, caller: &Caller, id: &Id) -> Result<Certificate> {
        let is_about = |person: &Person| person.ids.contains(id);
        let job = match self.erasure_under_way(is_about).await? {
            Some(job) => job,
            None => self.begin_erasure(caller, Some(id), None).await?,
        };
        self.go_on_erasing(job, caller.once.clone()).await
    }

    /// The same for whoever has an e-mail address, with an account or without: somebody who was invited, or
    /// whose address somebody mistyped.
    ///
    /// # Errors
    /// As of [`erase_user`](Self::erase_user).
    pub async fn erase_email(&self, caller: &Caller, email: &str) -> Result<Certificate> {
        let email = Email::parse(email)?;
        let is_about = |person: &Person| person.emails.iter().any(|one| one == email.as_str());
        let job = match self.erasure_under_way(is_about).await? {
            Some(job) => job,
            None => self.begin_erasure(caller, None, Some(&email)).await?,
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

    async fn begin_erasure(
        &self,
        caller: &Caller,
        id: Option<&Id>,
        email: Option<&Email>,
    ) -> Result<Job> {
        let former = match email {
            Some(email) => self.former_accounts(email).await?,
            None => Vec::new(),
        };
        let mut write = self.records.write(&Scope::Platform).await?;
        let accounts = match (id, email) {
            (Some(id), _) => vec![account(&mut write, id).await?],
            (None, Some(email)) => accounts_of(&mut write, email, former).await?,
            (None, None) => Vec::new(),
        };
        let mut person = Person::default();
        person
            .emails
            .extend(email.map(|email| email.as_str().to_owned()));
        let mut removed = rows::Removed::new();
        for (id, user) in accounts {
            self.may_decide_on(&mut *write, caller, &id).await?;
            if user.as_ref().is_some_and(|user| user.deleted_at.is_none()) {
                leave_owners(&mut write, &id).await?;
            }
            for email in emails_of(&mut write, &id, user.as_ref()).await? {
                if !person.emails.contains(&email) {
                    person.emails.push(email);
                }
            }
            remove_account(&mut write, &id, &mut removed).await?;
            person.ids.push(id);
        }
        remove_addressed(&mut write, &person.emails, &mut removed).await?;
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

type Account = (Id, Option<User>);

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
async fn accounts_of(write: &mut Write, email: &Email, former: Vec<Id>) -> Result<Vec<Account>> {
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
        let select = USERS.rows().select().with_trashed().with_id(&id);
        // One that is there has another address by now.
        if write.first(select).await?.is_none() {
            accounts.push((id, None));
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
