//! Verified addresses, and new passwords.

use weir_core::{Id, Secret};
use weir_store::records::{Scope, Value, Write};

use crate::Identity;
use crate::caller::Caller;
use crate::credential_change::{CredentialKind, note_change};
use crate::email::Email;
use crate::error::{Error, Result};
use crate::familiar;
use crate::mail::Letter;
use crate::one_time::{self, About, Kind};
use crate::password::Password;
use crate::proof::Proof;
use crate::session::end_others;
use crate::tables::{MAIL_OUTBOX, ONE_TIME_TOKENS, USERS};
use crate::throttle::{Counted, forget_account};
use crate::user::{not_oneself, user_within};

impl Identity {
    /// Sends a link by which somebody shows that they read mail at their address.
    pub async fn request_verification(&self, caller: &Caller, user: &Id) -> Result<()> {
        if !self.sends_mail() {
            return Err(Error::NoMail);
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

    /// Takes the token of such a link, or of one to another address: then that is the account's from now
    /// on, and all its sessions but `session` end.
    ///
    /// # Errors
    /// [`Error::Taken`] if the other address became somebody else's meanwhile.
    pub async fn verify_email(
        &self,
        caller: &Caller,
        token: &Secret<String>,
        session: Option<&Id>,
    ) -> Result<Id> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let taken = one_time::take(&mut write, Kind::VerifyEmail, token.expose()).await;
        let (about, is_another) = match taken {
            Err(Error::Refused(_)) => {
                let taken = one_time::take(&mut write, Kind::ChangeEmail, token.expose());
                (taken.await?, true)
            }
            taken => (taken?, false),
        };
        let (user, email) = addressed(about)?;
        let account = user_within(&mut *write, &user).await?;
        let caller = caller.as_user(&user, &email);
        if is_another {
            let email = Email::parse(&email)?;
            self.replace_email(write, &caller, "email.change", &user, session, &email)
                .await?;
            return Ok(user);
        }
        if account.email != email {
            return Err(Error::Refused("the link is for another address"));
        }
        let values = [("email_verified_at", Value::from(write.now()))];
        write.update(USERS.rows(), &user, None, values).await?;
        let entry = caller.entry("email.verify", "user", &user, Default::default());
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }

    /// Sends a link by which somebody who cannot sign in sets a new password. For an address that is
    /// nobody's, it does the same but send, and answers the same.
    ///
    /// # Errors
    /// [`Error::NoMail`], whatever the address; [`Error::Throttled`] by the caller's address only.
    pub async fn request_reset(&self, caller: &Caller, email: &str) -> Result<()> {
        if !self.sends_mail() {
            return Err(Error::NoMail);
        }
        let email = Email::parse(email)?;
        let letters = Counted::letters(caller.origin.address.as_deref());
        self.attempt(letters.as_slice()).await?;
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

    /// Makes such a link for somebody who cannot get mail, to be handed over. It ends nothing by itself.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for somebody with rights that the caller does not have, and for oneself;
    /// [`Error::Conflict`] for an account that is suspended.
    pub async fn issue_reset(&self, caller: &Caller, user: &Id) -> Result<Secret<String>> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let account = user_within(&mut *write, user).await?;
        not_oneself(caller, user)?;
        self.may_decide_on(&mut *write, caller, user).await?;
        if account.suspended_at.is_some() {
            return Err(Error::Conflict("the account is suspended"));
        }
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
        // Whoever has the link is let in from there, also while others guess.
        let address = caller.origin.address.as_deref();
        familiar::remember(&mut write, &user, &account.email, address).await?;
        let caller = caller.as_user(&user, &account.email);
        let entry = caller.entry("password.reset", "user", &user, Default::default());
        note_change(&mut write, CredentialKind::User, user.as_str()).await?;
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }

    /// Sets a new password for somebody who knows the present one. All sessions but `session` end.
    ///
    /// # Errors
    /// Those of a [`Proof`]; [`Error::Invalid`] if the new one is no good password.
    pub async fn change_password(
        &self,
        caller: &Caller,
        user: &Id,
        session: Option<&Id>,
        proof: &Proof,
        password: &Password,
    ) -> Result<()> {
        let account = self.user(user).await?;
        password.check(&[&account.email, &account.name])?;
        let proven = self.prove(caller, user, proof).await?;
        let hash = self.shared.hasher.hash(password).await?;
        let mut write = self.begin_proven(caller, &proven, proof).await?;
        let account = user_within(&mut *write, user).await?;
        self.set_password(&mut write, user, &account.email, hash, session)
            .await?;
        let entry = caller.entry("password.change", "user", user, Default::default());
        note_change(&mut write, CredentialKind::User, user.as_str()).await?;
        Ok(write.commit(&Scope::Platform, &entry).await?)
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
        // A wish for another address may have been a stranger's.
        for kind in [Kind::ResetPassword, Kind::SecondFactor, Kind::ChangeEmail] {
            one_time::forget(write, kind, user).await?;
        }
        forget_account(write, email).await?;
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

pub(crate) fn about(user: &Id, email: &str) -> About {
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
