//! What somebody shows before they change how they sign in. A session is not enough for that, however
//! young it is: it can be stolen.

use weir_core::Id;
use weir_store::records::{Scope, Write};

use crate::Identity;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::password::{Password, Verdict};
use crate::tables::USERS;
use crate::throttle::{Guess, forget_account, take_back};
use crate::user::User;

const WRONG: Error = Error::Refused("the password is wrong");
const WRONG_CODE: Error = Error::Refused("the code is wrong or was used");

/// What somebody shows before they change how they sign in.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Their password, as it is now.
    pub password: Password,
    /// A code of the authenticator or a recovery code: needed where there is a second factor.
    pub code: Option<String>,
}

/// Somebody whose password was right. The code is taken with the change.
pub(crate) struct Proven {
    pub(crate) account: User,
    hash: Option<String>,
    guess: Guess,
}

impl Identity {
    /// Looks at the password, which counts as an attempt to sign in does. Before work that costs; the
    /// change then [begins](Self::begin_proven).
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Throttled`], [`Error::Busy`]; [`Error::Invalid`] if a code is needed
    /// and there is none.
    pub(crate) async fn prove(&self, caller: &Caller, user: &Id, proof: &Proof) -> Result<Proven> {
        let account = self.user(user).await?;
        if proof.code.is_none() && self.has_second_factor(user).await? {
            let why = "is needed: the account has a second factor";
            return Err(Error::invalid("code", why));
        }
        let address = caller.origin.address.as_deref();
        let guess = self.guess(&account.email, address).await?.admit()?;
        if proof.password.is_too_long() {
            return self.doubt(caller, user, WRONG).await;
        }
        let hash = self.password_hash(user).await?;
        let verified = self.shared.hasher.verify(&proof.password, hash.as_deref());
        match verified.await {
            Ok(Verdict::Wrong) => self.doubt(caller, user, WRONG).await,
            Ok(Verdict::Right | Verdict::RightButOld) => Ok(Proven {
                account,
                hash,
                guess,
            }),
            Err(error @ Error::Busy(_)) => {
                self.forget_attempt(&guess.counted()).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Begins what was to be proven: takes the code, if there is a second factor, and looks whether the
    /// password is still the one that was right.
    pub(crate) async fn begin_proven(
        &self,
        caller: &Caller,
        proven: &Proven,
        proof: &Proof,
    ) -> Result<Write> {
        let user = &proven.account.id;
        let mut write = self.records.write(&Scope::Platform).await?;
        let select = USERS.rows().select().with_id(user);
        let select = select.filter::<&str>("suspended_at IS NULL", []);
        let row = write.first(select).await?.ok_or(Error::Missing("user"))?;
        if row.optional_text("password_hash")? != proven.hash {
            return Err(WRONG);
        }
        if self.has_totp(&mut *write, user).await? {
            let code = proof.code.as_deref().unwrap_or_default();
            if !self.check_code(&mut write, user, code).await? {
                drop(write);
                return self.doubt(caller, user, WRONG_CODE).await;
            }
        }
        // Not less than all: what comes after may forget all of it, and would take locks in another order.
        forget_account(&mut write, &proven.account.email).await?;
        if let Some(network) = proven.guess.network() {
            take_back(&mut write, &network).await?;
        }
        Ok(write)
    }

    async fn password_hash(&self, user: &Id) -> Result<Option<String>> {
        let select = USERS.rows().select().with_id(user);
        let row = self.records.first(select).await?;
        Ok(row
            .ok_or(Error::Missing("user"))?
            .optional_text("password_hash")?)
    }

    /// Tells the audit that a session was used by somebody who did not know its owner's secrets.
    async fn doubt<T>(&self, caller: &Caller, user: &Id, error: Error) -> Result<T> {
        let mut entry = caller.entry("account.refuse", "user", user, Default::default());
        entry.once = None;
        let write = self.records.write(&Scope::Platform).await?;
        write.commit(&Scope::Platform, &entry).await?;
        Err(error)
    }
}
