//! Another address for one's own account. It counts once its link was opened: until then one signs in with
//! the former, which is told. Who asks does not learn whether the address is somebody else's already.

use serde_json::json;
use weir_core::Id;
use weir_store::records::{Scope, Write};

use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::credentials::about;
use crate::email::Email;
use crate::error::{Error, Result};
use crate::mail::Letter;
use crate::one_time::{self, Kind};
use crate::proof::Proof;
use crate::session::end_others;
use crate::tables::USERS;
use crate::throttle::{Counted, forget_account};
use crate::user::{User, forget_tokens, user_within};

/// What came of a wish for another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailChange {
    /// The address counts once its link was opened.
    Pending,
    /// It counts already, since no mail leaves this installation.
    Done,
}

impl Identity {
    /// Begins to give somebody another address: a link goes there, and the present address is told. Without
    /// mail the address is changed at once, and all sessions but `session` end.
    ///
    /// # Errors
    /// Those of a [`Proof`]; [`Error::Taken`] only where there is no mail to tell it to the address's owner
    /// instead.
    pub async fn change_email(
        &self,
        caller: &Caller,
        user: &Id,
        session: Option<&Id>,
        email: &str,
        proof: &Proof,
    ) -> Result<EmailChange> {
        let email = Email::parse(email)?;
        let proven = self.prove(caller, user, proof).await?;
        if proven.account.email == email.as_str() {
            return Err(Error::Conflict("this is the address of the account"));
        }
        let mut counted = vec![Counted::wish(user)];
        if self.sends_mail() {
            counted.push(Counted::mail(email.as_str()));
        }
        self.attempt(&counted).await?;
        let mut write = self.begin_proven(caller, &proven, proof).await?;
        if !self.sends_mail() {
            let action = "email.change_unverified";
            self.replace_email(write, caller, action, user, session, &email)
                .await?;
            return Ok(EmailChange::Done);
        }
        one_time::forget(&mut write, Kind::ChangeEmail, user).await?;
        let about = about(user, email.as_str());
        let token = one_time::issue(&mut write, Kind::ChangeEmail, &about).await?;
        let link = self.link("verify", &token);
        let taken = USERS.rows().select();
        let taken = taken.filter("email = ?", [email.as_str()]);
        // One letter either way: whoever asks sees no difference. Nobody has the link of an address that is
        // somebody's.
        let letter = match write.first(taken).await? {
            None => Letter::ChangeEmail {
                link: link.expose(),
            },
            Some(_) => Letter::EmailTaken {
                url: &self.shared.options.public_url,
            },
        };
        self.post(&mut write, email.as_str(), &letter).await?;
        let notice = Letter::EmailChangeAsked {
            at: write.now(),
            url: &self.shared.options.public_url,
        };
        let account = user_within(&mut *write, user).await?;
        self.post(&mut write, &account.email, &notice).await?;
        let change = made(members(json!({ "email": email.as_str() })));
        let entry = caller.entry("email.change_request", "user", user, change);
        write.commit(&Scope::Platform, &entry).await?;
        Ok(EmailChange::Pending)
    }

    /// The address that waits for its link to be opened.
    pub async fn pending_email(&self, user: &Id) -> Result<Option<String>> {
        let about = self.waiting(Kind::ChangeEmail, user).await?;
        Ok(about.and_then(|about| about.email))
    }

    /// Takes the wish for another address back: its link opens nothing any more.
    pub async fn withdraw_email_change(&self, caller: &Caller, user: &Id) -> Result<()> {
        let mut write = self.records.write(&Scope::Platform).await?;
        if one_time::forget(&mut write, Kind::ChangeEmail, user).await? == 0 {
            return Err(Error::Missing("address that waits"));
        }
        let entry = caller.entry("email.change_withdraw", "user", user, Default::default());
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Makes an address somebody's. Links that were sent to the former one open nothing any more, and
    /// whoever has signed in with it is out.
    pub(crate) async fn replace_email(
        &self,
        mut write: Write,
        caller: &Caller,
        action: &'static str,
        user: &Id,
        session: Option<&Id>,
        email: &Email,
    ) -> Result<User> {
        let before = user_within(&mut *write, user).await?;
        let is_verified = self.sends_mail();
        let after = User {
            email: email.as_str().to_owned(),
            email_verified_at: is_verified.then(|| write.now()),
            ..before.clone()
        };
        forget_tokens(&mut write, user).await?;
        end_others(&mut write, user, session).await?;
        forget_account(&mut write, &before.email).await?;
        if self.sends_mail() {
            let letter = Letter::EmailChanged {
                at: write.now(),
                url: &self.shared.options.public_url,
            };
            self.post(&mut write, &before.email, &letter).await?;
        }
        self.changed(write, caller, action, None, before, after)
            .await
    }
}
