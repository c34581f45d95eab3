//! The first start: whoever sees the link that it prints becomes the platform's owner.

use serde_json::json;
use weir_core::{Secret, TenantId};
use weir_store::records::{Scope, Value};

use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::email::Email;
use crate::error::{Error, Result};
use crate::one_time::{self, About, Kind};
use crate::password::Password;
use crate::reader::Reader;
use crate::role::{Assigned, BuiltIn};
use crate::tables::{MEMBERSHIPS, USERS};
use crate::user::{User, insert_user};

/// The first person.
#[derive(Clone, Debug)]
pub struct FirstOwner {
    /// Their address.
    pub email: String,
    /// How they are called.
    pub name: String,
    /// Their password.
    pub password: Password,
}

impl Identity {
    /// Makes a set-up token, good for a day, if the platform has no owner. Those that other nodes printed as they
    /// started go on opening it, for nobody can tell which one a person has in front of them; one use ends them all.
    /// Makes the platform's organization first, if it is not there.
    pub async fn begin_setup(&self) -> Result<Option<Secret<String>>> {
        self.issue_setup(false).await
    }

    /// The same; the ones before it open nothing any more.
    pub async fn begin_setup_anew(&self) -> Result<Option<Secret<String>>> {
        self.issue_setup(true).await
    }

    async fn issue_setup(&self, is_anew: bool) -> Result<Option<Secret<String>>> {
        self.prepare().await?;
        if has_owner(&mut self.records.read().await?).await? {
            return Ok(None);
        }
        let mut write = self.records.write(&Scope::Platform).await?;
        if has_owner(&mut *write).await? {
            return Ok(None);
        }
        if is_anew {
            one_time::forget_all(&mut write, Kind::Setup).await?;
        }
        let token = one_time::issue(&mut write, Kind::Setup, &About::default()).await?;
        let platform = TenantId::platform();
        let entry = Caller::system().entry(
            "setup.begin",
            "organization",
            platform.id(),
            Default::default(),
        );
        write.commit(&Scope::Platform, &entry).await?;
        Ok(Some(token))
    }

    /// Makes the first account, the platform's owner.
    ///
    /// # Errors
    /// [`Error::Refused`] if the token opens nothing, [`Error::Conflict`] if there is an owner.
    pub async fn set_up(
        &self,
        caller: &Caller,
        token: &Secret<String>,
        owner: FirstOwner,
    ) -> Result<User> {
        self.look(Kind::Setup, token.expose()).await?;
        let email = Email::parse(&owner.email)?;
        owner.password.check(&[email.as_str(), &owner.name])?;
        let hash = self.shared.hasher.hash(&owner.password).await?;
        let mut write = self.records.write(&Scope::Platform).await?;
        one_time::take(&mut write, Kind::Setup, token.expose()).await?;
        if has_owner(&mut *write).await? {
            return Err(Error::Conflict("the platform has an owner"));
        }
        one_time::forget_all(&mut write, Kind::Setup).await?;
        let user = insert_user(&mut write, &email, &owner.name, Some(hash)).await?;
        let platform = TenantId::platform();
        let role = Assigned::BuiltIn(BuiltIn::Owner);
        self.insert_member(&mut write, &platform, &user.id, &role)
            .await?;
        let caller = caller.as_user(&user.id, &user.email);
        let state = members(json!({ "email": user.email, "name": user.name }));
        let entry = caller.entry("setup.finish", "user", &user.id, made(state));
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }
}

/// An owner who is suspended counts: it is for the others of the platform, or for the command line, to
/// help, and not for whoever reads the log.
async fn has_owner(reader: &mut impl Reader) -> Result<bool> {
    let owners = MEMBERSHIPS
        .of(&TenantId::platform())
        .select()
        .join(&USERS, "users.id = base.user_id")
        .filter::<Value>("base.role = 'owner'", []);
    Ok(reader.first(owners).await?.is_some())
}
