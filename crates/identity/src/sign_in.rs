//! Signing in. An account that is not there costs the same time and work as one that is, and gets the
//! same answer.

use serde_json::json;
use weir_core::{Id, Secret};
use weir_store::audit::{Actor, Entry, Origin, Subject};
use weir_store::records::{Row, Scope, Value};

use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::email::Email;
use crate::error::{Error, Result};
use crate::familiar;
use crate::one_time::{self, About, Kind};
use crate::password::{Password, Verdict};
use crate::session::{self, SignedIn};
use crate::tables::USERS;
use crate::throttle::{Guess, forgive, take_back};
use crate::user::user_within;

const REFUSED: Error = Error::Refused("e-mail address or password is wrong");
const WRONG_CODE: Error = Error::Refused("the code is wrong or was used");

/// How far signing in has come.
#[derive(Clone, Debug)]
pub enum Step {
    /// All the way.
    SignedIn(SignedIn),
    /// The password is right; now a code is asked for, with this token, within five minutes.
    SecondFactor(Secret<String>),
}

/// What of an account is needed to sign in.
struct Account {
    id: Id,
    email: String,
    password_hash: Option<String>,
    is_suspended: bool,
}

impl Account {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            email: row.text("email")?,
            password_hash: row.optional_text("password_hash")?,
            is_suspended: row.optional_int("suspended_at")?.is_some(),
        })
    }
}

impl Identity {
    /// Signs in by password. `caller` tells from where; who it is, is found out here.
    ///
    /// # Errors
    /// [`Error::Refused`], whatever was wrong; [`Error::Throttled`]; [`Error::Busy`].
    pub async fn sign_in(&self, caller: &Caller, email: &str, password: &Password) -> Result<Step> {
        let parsed = Email::parse(email).ok();
        // What is no address is nobody's, but counted and told like one.
        let email = match &parsed {
            Some(email) => email.as_str().to_owned(),
            None => email.trim().to_lowercase().chars().take(254).collect(),
        };
        let address = caller.origin.address.as_deref();
        let guess = self.guess(&email, address).await?;
        if password.is_too_long() {
            return Err(guess.refusal(REFUSED));
        }
        let row = match &parsed {
            Some(email) => {
                let select = USERS.rows().select();
                let select = select.filter("email = ?", [email.as_str()]);
                self.records.first(select).await?
            }
            None => None,
        };
        let account = row.as_ref().map(Account::of).transpose()?;
        let hash = account
            .as_ref()
            .and_then(|one| one.password_hash.as_deref());
        let verdict = match self.shared.hasher.verify(password, hash).await {
            Err(Error::Busy(what)) => {
                self.forget_attempt(&guess.counted()).await?;
                return Err(Error::Busy(what));
            }
            verdict => verdict?,
        };
        let is_open = guess.is_let_in() && account.as_ref().is_some_and(|one| !one.is_suspended);
        let Some(account) = account.filter(|_| is_open && verdict != Verdict::Wrong) else {
            let name = parsed.as_ref().map(Email::as_str);
            let refusal = guess.refusal(REFUSED);
            return self.refuse(caller, name, None, refusal).await;
        };
        let rehashed = match verdict {
            Verdict::RightButOld => Some(self.shared.hasher.hash(password).await?),
            _ => None,
        };
        self.password_was_right(caller, account, &guess, rehashed)
            .await
    }

    async fn password_was_right(
        &self,
        caller: &Caller,
        account: Account,
        guess: &Guess,
        rehashed: Option<String>,
    ) -> Result<Step> {
        let user = &account.id;
        let mut write = self.records.write(&Scope::Platform).await?;
        // The password may have been changed while it was looked at, or the account suspended.
        let select = USERS.rows().select().with_id(user);
        let now = write.first(select).await?;
        let now = now.as_ref().map(Account::of).transpose()?;
        let is_same =
            now.is_some_and(|now| !now.is_suspended && now.password_hash == account.password_hash);
        if !is_same {
            return Err(REFUSED);
        }
        if let Some(hash) = rehashed {
            let values = [("password_hash", Value::from(hash))];
            write.update(USERS.rows(), user, None, values).await?;
        }
        let caller = caller.as_user(user, &account.email);
        if self.has_totp(&mut *write, user).await? {
            let about = About {
                user: Some(user.clone()),
                ..About::default()
            };
            let token = one_time::issue(&mut write, Kind::SecondFactor, &about).await?;
            // The account stays counted: the right password makes guessing codes no faster.
            if let Some(counted) = guess.network() {
                take_back(&mut write, &counted).await?;
            }
            let entry = caller.entry("session.second_factor", "user", user, Default::default());
            write.commit(&Scope::Platform, &entry).await?;
            return Ok(Step::SecondFactor(token));
        }
        let signed_in = session::begin(
            &mut write,
            user,
            &caller,
            &self.shared.options.sessions,
            false,
        )
        .await?;
        let address = caller.origin.address.as_deref();
        forgive(&mut write, guess).await?;
        familiar::remember(&mut write, user, &account.email, address).await?;
        write
            .commit(&Scope::Platform, &begun(&caller, &signed_in))
            .await?;
        Ok(Step::SignedIn(signed_in))
    }

    /// The second step: a code of the authenticator, or a recovery code.
    ///
    /// # Errors
    /// As of [`sign_in`](Self::sign_in). A wrong code may be tried again with the same token.
    pub async fn sign_in_second(
        &self,
        caller: &Caller,
        token: &Secret<String>,
        code: &str,
    ) -> Result<SignedIn> {
        let user = self
            .look(Kind::SecondFactor, token.expose())
            .await?
            .user()?;
        let email = self.user(&user).await?.email;
        let address = caller.origin.address.as_deref();
        let guess = self.guess(&email, address).await?.admit()?;
        let mut write = self.records.write(&Scope::Platform).await?;
        if !self.check_code(&mut write, &user, code).await? {
            drop(write);
            let name = Some(email.as_str());
            return self.refuse(caller, name, Some(user), WRONG_CODE).await;
        }
        one_time::take(&mut write, Kind::SecondFactor, token.expose()).await?;
        if user_within(&mut *write, &user)
            .await?
            .suspended_at
            .is_some()
        {
            return Err(REFUSED);
        }
        let caller = caller.as_user(&user, &email);
        let signed_in = session::begin(
            &mut write,
            &user,
            &caller,
            &self.shared.options.sessions,
            true,
        )
        .await?;
        forgive(&mut write, &guess).await?;
        familiar::remember(&mut write, &user, &email, address).await?;
        write
            .commit(&Scope::Platform, &begun(&caller, &signed_in))
            .await?;
        Ok(signed_in)
    }

    /// Ends the session that shows this token.
    pub async fn sign_out(&self, caller: &Caller, token: &str) -> Result<()> {
        match self.authenticate(token).await? {
            Some(who) => {
                let caller = caller.as_user(&who.user.id, &who.user.email);
                self.revoke_session(&caller, &who.user.id, &who.session.id)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Tells the audit of a failure, and fails. The address that was tried stands in the origin, which
    /// can be erased; what is no address is not told, since it may be a password in the wrong field.
    async fn refuse<T>(
        &self,
        caller: &Caller,
        email: Option<&str>,
        user: Option<Id>,
        error: Error,
    ) -> Result<T> {
        let entry = Entry {
            actor: Actor::Anonymous,
            origin: Origin {
                name: email.map(str::to_owned),
                ..caller.origin.clone()
            },
            action: "session.refuse",
            subject: Subject {
                kind: "user",
                id: user,
            },
            change: Default::default(),
            request_id: caller.request_id.clone(),
            once: None,
        };
        let write = self.records.write(&Scope::Platform).await?;
        write.commit(&Scope::Platform, &entry).await?;
        Err(error)
    }
}

fn begun(caller: &Caller, signed_in: &SignedIn) -> Entry {
    let session = &signed_in.session;
    let state = members(json!({
        "user": session.user_id,
        "two_factor": session.is_two_factor,
    }));
    caller.entry("session.create", "session", &session.id, made(state))
}
