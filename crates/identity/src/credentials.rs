//! Verified addresses, and new passwords.

use weir_core::{Id, Secret};
use weir_store::records::{Scope, Value, Write};

use crate::Identity;
use crate::caller::Caller;
use crate::email::Email;
use crate::error::{Error, Result};
use crate::mail::Letter;
use crate::one_time::{self, About, Kind};
use crate::password::{Password, Verdict};
use crate::session::end_others;
use crate::tables::{MAIL_OUTBOX, ONE_TIME_TOKENS, USERS};
use crate::throttle::{self, Counted};
use crate::user::user_within;

const WRONG: Error = Error::Refused("the password is wrong");

impl Identity {
    /// Sends a link by which somebody shows that they read mail at their address.
    pub async fn request_verification(&self, caller: &Caller, user: &Id) -> Result<()> {
        if !self.sends_mail() {
            return Err(Error::Conflict("there is no mail server"));
        }
        let email = self.user(user).await?.email;
        self.attempt(&[Counted::mail(&email)]).await?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let account = user_within(&mut *write, user).await?;
        if account.email_verified_at.is_some() {
            return Err(Error::Conflict("the address is verified"));
        }
        one_time::forget(&mut write, Kind::VerifyEmail, user).await?;
        let about = about(user, &account.email);
        let token = one_time::issue(&mut write, Kind::VerifyEmail, &about).await?;
        let link = self.link("verify", &token);
        let letter = Letter::Verify {
            link: link.expose(),
        };
        self.post(&mut write, &account.email, &letter).await?;
        let entry = caller.entry("email.request", "user", user, Default::default());
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Takes the token of such a link.
    pub async fn verify_email(&self, caller: &Caller, token: &Secret<String>) -> Result<Id> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let about = one_time::take(&mut write, Kind::VerifyEmail, token.expose()).await?;
        let (user, email) = addressed(about)?;
        let account = user_within(&mut *write, &user).await?;
        if account.email != email {
            return Err(Error::Refused("the link is for another address"));
        }
        let values = [("email_verified_at", Value::from(write.now()))];
        write.update(USERS.rows(), &user, None, values).await?;
        let caller = caller.as_user(&user, &email);
        let entry = caller.entry("email.verify", "user", &user, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }

    /// Sends a link by which somebody who cannot sign in sets a new password. For an address that is
    /// nobody's, it does the same but send, and answers the same.
    ///
    /// # Errors
    /// [`Error::Throttled`] by the caller's address only.
    pub async fn request_reset(&self, caller: &Caller, email: &str) -> Result<()> {
        if !self.sends_mail() {
            return Err(Error::Conflict("there is no mail server"));
        }
        let email = Email::parse(email)?;
        let address = Counted::address(caller.origin.address.as_deref());
        self.attempt(address.as_slice()).await?;
        match self.attempt(&[Counted::mail(email.as_str())]).await {
            // Whether this address gets mail is nobody else's to know.
            Err(Error::Throttled { .. }) => return Ok(()),
            result => result?,
        }
        let mut write = self.records.write(&Scope::Platform).await?;
        let select = USERS
            .rows()
            .select()
            .filter("email = ?", [email.as_str()])
            .filter::<Value>("suspended_at IS NULL", []);
        let user = write.first(select).await?.map(|row| row.id("id"));
        let user = user.transpose()?;
        if let Some(user) = &user {
            one_time::forget(&mut write, Kind::ResetPassword, user).await?;
        }
        let about = About {
            user: user.clone(),
            email: Some(email.as_str().to_owned()),
            ..About::default()
        };
        let token = one_time::issue(&mut write, Kind::ResetPassword, &about).await?;
        let link = self.link("reset", &token);
        let letter = Letter::Reset {
            link: link.expose(),
        };
        self.post(&mut write, email.as_str(), &letter).await?;
        if user.is_none() {
            undo(&mut write, email.as_str()).await?;
        }
        let mut entry = caller.entry(
            "password.request",
            "user",
            &Id::new("usr"),
            Default::default(),
        );
        entry.subject.id = user;
        entry.origin.name = Some(email.as_str().to_owned());
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Makes such a link for somebody who cannot get mail, to be handed over.
    pub async fn issue_reset(&self, caller: &Caller, user: &Id) -> Result<Secret<String>> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let account = user_within(&mut *write, user).await?;
        one_time::forget(&mut write, Kind::ResetPassword, user).await?;
        // Without the address: that somebody has this link does not show that they read mail there.
        let about = About {
            user: Some(account.id),
            ..About::default()
        };
        let token = one_time::issue(&mut write, Kind::ResetPassword, &about).await?;
        let entry = caller.entry("password.issue_reset", "user", user, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        Ok(self.link("reset", &token))
    }

    /// Sets a new password with the token of a link. All sessions end; a second factor stays.
    pub async fn reset_password(
        &self,
        caller: &Caller,
        token: &Secret<String>,
        password: &Password,
    ) -> Result<Id> {
        let looked = self.look(Kind::ResetPassword, token.expose()).await?;
        let account = self.user(&looked.user()?).await?;
        password.check(&[&account.email, &account.name])?;
        let hash = self.shared.hasher.hash(password).await?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let about = one_time::take(&mut write, Kind::ResetPassword, token.expose()).await?;
        let is_mailed = about.email.is_some();
        let user = about.user()?;
        let account = user_within(&mut *write, &user).await?;
        if account.suspended_at.is_some() {
            return Err(Error::Refused("the account is suspended"));
        }
        if is_mailed && account.email_verified_at.is_none() {
            let values = [("email_verified_at", Value::from(write.now()))];
            write.update(USERS.rows(), &user, None, values).await?;
        }
        self.set_password(&mut write, &user, &account.email, hash, None)
            .await?;
        let caller = caller.as_user(&user, &account.email);
        let entry = caller.entry("password.reset", "user", &user, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }

    /// Sets a new password for somebody who knows the present one. All sessions but `session` end.
    pub async fn change_password(
        &self,
        caller: &Caller,
        user: &Id,
        session: Option<&Id>,
        present: &Password,
        password: &Password,
    ) -> Result<()> {
        let account = self.user(user).await?;
        password.check(&[&account.email, &account.name])?;
        self.attempt(&[Counted::account(&account.email)]).await?;
        let before = self.password_hash(user).await?;
        let verdict = self
            .shared
            .hasher
            .verify(present, before.as_deref())
            .await?;
        if verdict == Verdict::Wrong {
            return Err(WRONG);
        }
        let hash = self.shared.hasher.hash(password).await?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let account = user_within(&mut *write, user).await?;
        let row = write.first(USERS.rows().select().with_id(user)).await?;
        let now = row.map(|row| row.optional_text("password_hash"));
        if now.transpose()?.flatten() != before {
            return Err(WRONG);
        }
        self.set_password(&mut write, user, &account.email, hash, session)
            .await?;
        let entry = caller.entry("password.change", "user", user, Default::default());
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    async fn password_hash(&self, user: &Id) -> Result<Option<String>> {
        let select = USERS.rows().select().with_id(user);
        let row = self.records.first(select).await?;
        Ok(row
            .ok_or(Error::Missing("user"))?
            .optional_text("password_hash")?)
    }

    /// Whoever had the old password, or a link to set another, has nothing any more.
    async fn set_password(
        &self,
        write: &mut Write,
        user: &Id,
        email: &str,
        hash: String,
        keep: Option<&Id>,
    ) -> Result<()> {
        let values = [("password_hash", Value::from(hash))];
        write.update(USERS.rows(), user, None, values).await?;
        end_others(write, user, keep).await?;
        for kind in [Kind::ResetPassword, Kind::SecondFactor] {
            one_time::forget(write, kind, user).await?;
        }
        throttle::forgive(write, email, None).await?;
        if self.sends_mail() {
            let letter = Letter::PasswordChanged {
                at: write.now(),
                url: &self.shared.options.public_url,
            };
            self.post(write, email, &letter).await?;
        }
        Ok(())
    }
}

fn about(user: &Id, email: &str) -> About {
    About {
        user: Some(user.clone()),
        email: Some(email.to_owned()),
        ..About::default()
    }
}

fn addressed(about: About) -> Result<(Id, String)> {
    match (about.user, about.email) {
        (Some(user), Some(email)) => Ok((user, email)),
        _ => Err(Error::internal("the token of an address is of none")),
    }
}

/// What was made for an address that is nobody's.
async fn undo(write: &mut Write, email: &str) -> Result<()> {
    let tokens = ONE_TIME_TOKENS.rows();
    let condition = "email = ? AND kind = 'reset_password' AND user_id IS NULL";
    write.remove(tokens, condition, [email]).await?;
    let letters = MAIL_OUTBOX.rows();
    let now = write.now();
    let values = [Value::from(email), Value::from(now)];
    write
        .remove(letters, "recipient = ? AND created_at = ?", values)
        .await?;
    Ok(())
}
