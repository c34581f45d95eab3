//! Invitations: who may become a member, with which role, by a link that works once.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;
use weir_core::{Id, Secret, TenantId};
use weir_store::records::{Changes, Row, Scope, Value, Write};

use crate::Identity;
use crate::caller::{Caller, gone, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::email::Email;
use crate::error::{Error, Result};
use crate::mail::Letter;
use crate::membership::count;
use crate::one_time::{self, About, Kind};
use crate::organization::Organization;
use crate::page::{Listing, Order, Page, page, prefix_bounds};
use crate::password::Password;
use crate::reader::Reader;
use crate::role::Assigned;
use crate::tables::{INVITATIONS, MEMBERSHIPS, ORGANIZATIONS, USERS};
use crate::throttle::later;
use crate::user::{User, insert_user, user_within};

const LIFETIME: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invitation {
    /// Its identifier.
    pub id: Id,
    /// Who is invited.
    pub email: String,
    /// The role that they will have.
    pub role: Assigned,
    /// Who invited; none if it was nobody with an account.
    pub invited_by: Option<Id>,
    /// Until when the link works.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Which state of it this is.
    pub version: i64,
}

/// An invitation that was sent.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The invitation.
    pub invitation: Invitation,
    /// The link, for whoever invited to hand over, if mail cannot leave. It is told once.
    pub link: Option<Secret<String>>,
}

/// What somebody who was invited sees before accepting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Offer {
    /// Who is invited.
    pub email: String,
    /// To where.
    pub organization: String,
    /// Whether that address has an account, which is to sign in first.
    pub has_account: bool,
}

/// The account of somebody who accepts and has none.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// How they are called.
    pub name: String,
    /// Their password.
    pub password: Password,
}

impl Invitation {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            email: row.text("email")?,
            role: row.text("role")?.parse().map_err(Error::internal)?,
            invited_by: row.optional_id("invited_by")?,
            expires_at: row.time("expires_at")?,
            accepted_at: row.optional_time("accepted_at")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            version: row.int("version")?,
        })
    }

    fn state(&self) -> Map<String, Json> {
        members(json!({ "email": self.email, "role": self.role }))
    }
}

impl Identity {
    /// Invites somebody, who need not have an account.
    ///
    /// # Errors
    /// [`Error::Taken`] if an invitation to this address waits, [`Error::Conflict`] if it is a
    /// member's, [`Error::Forbidden`] if the role has rights that the caller does not have.
    pub async fn invite(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        email: &str,
        role: &Assigned,
    ) -> Result<Invited> {
        let email = Email::parse(email)?;
        let mut write = self.begin(tenant).await?;
        self.may_assign(&mut *write, caller, tenant, role).await?;
        if is_member(&mut *write, tenant, &email).await? {
            return Err(Error::Conflict("this address is a member's"));
        }
        let limits = self.limits(&mut *write, tenant).await?;
        let waiting = INVITATIONS.of(tenant).select();
        let waiting = waiting.filter::<Value>("accepted_at IS NULL", []).count();
        limits.hold(limits.invitations, count(&mut *write, waiting).await?)?;
        let invitation = Invitation {
            id: Id::new("inv"),
            email: email.as_str().to_owned(),
            role: role.clone(),
            invited_by: caller.actor.id().cloned(),
            expires_at: later(write.now(), LIFETIME)?,
            accepted_at: None,
            created_at: write.now(),
            updated_at: write.now(),
            version: 1,
        };
        let values = [
            ("email", Value::from(&invitation.email)),
            ("role", Value::from(role.to_string())),
            ("invited_by", Value::from(invitation.invited_by.as_ref())),
            ("expires_at", Value::from(invitation.expires_at)),
        ];
        write
            .insert(INVITATIONS.of(tenant), &invitation.id, values)
            .await?;
        let link = self
            .send_invitation(&mut write, tenant, &invitation)
            .await?;
        let change = made(invitation.state());
        let entry = caller.entry("invitation.create", "invitation", &invitation.id, change);
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(Invited { invitation, link })
    }

    async fn send_invitation(
        &self,
        changes: &mut Changes,
        tenant: &TenantId,
        invitation: &Invitation,
    ) -> Result<Option<Secret<String>>> {
        let about = About {
            user: None,
            organization: Some(tenant.clone()),
            invitation: Some(invitation.id.clone()),
            email: Some(invitation.email.clone()),
        };
        one_time::forget_invitation(changes, &invitation.id).await?;
        let token = one_time::issue(changes, Kind::Invitation, &about).await?;
        let link = self.link("accept", &token);
        if !self.sends_mail() {
            return Ok(Some(link));
        }
        let select = ORGANIZATIONS.rows().select().with_id(tenant.id());
        let row = changes.first(select).await?;
        let organization = row.ok_or(Error::Missing("organization"))?.text("name")?;
        let letter = Letter::Invitation {
            organization: &organization,
            link: link.expose(),
        };
        self.post(changes, &invitation.email, &letter).await?;
        Ok(None)
    }

    /// Sends an invitation again, for another seven days. The link before opens nothing any more.
    pub async fn resend_invitation(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
    ) -> Result<Invited> {
        let mut write = self.begin(tenant).await?;
        let mut invitation = waiting(&mut *write, tenant, id).await?;
        self.may_assign(&mut *write, caller, tenant, &invitation.role)
            .await?;
        invitation.expires_at = later(write.now(), LIFETIME)?;
        let values = [("expires_at", Value::from(invitation.expires_at))];
        let rows = INVITATIONS.of(tenant);
        invitation.version = write.update(rows, id, None, values).await?;
        let link = self
            .send_invitation(&mut write, tenant, &invitation)
            .await?;
        let entry = caller.entry("invitation.resend", "invitation", id, Default::default());
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(Invited { invitation, link })
    }

    /// Takes an invitation back.
    pub async fn revoke_invitation(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
    ) -> Result<()> {
        let mut write = self.begin(tenant).await?;
        let invitation = waiting(&mut *write, tenant, id).await?;
        write.trash(INVITATIONS.of(tenant), id, expected).await?;
        one_time::forget_invitation(&mut write, id).await?;
        let change = gone(invitation.state());
        let entry = caller.entry("invitation.revoke", "invitation", id, change);
        Ok(write.commit(&Scope::of(tenant), &entry).await?)
    }

    /// An invitation.
    pub async fn invitation(&self, tenant: &TenantId, id: &Id) -> Result<Invitation> {
        let select = INVITATIONS.of(tenant).select().with_id(id);
        let row = self.records.first(select).await?;
        Invitation::of(&row.ok_or(Error::Missing("invitation"))?)
    }

    /// The invitations of an organization, by the time they were made; those whose address begins with
    /// `email`, if it is given.
    pub async fn invitations(
        &self,
        tenant: &TenantId,
        email: Option<&str>,
        listing: &Listing,
    ) -> Result<Page<Invitation>> {
        let mut select = INVITATIONS.of(tenant).select();
        if let Some(email) = email {
            let bounds = prefix_bounds("email", &email.to_ascii_lowercase())?;
            select = select.filter("email >= ? AND email < ?", bounds);
        }
        page(
            &self.records,
            select,
            Order::CREATED,
            listing,
            Invitation::of,
        )
        .await
    }

    /// What an invitation's token offers.
    ///
    /// # Errors
    /// As of [`accept_invitation`](Self::accept_invitation).
    pub async fn offer(&self, token: &Secret<String>) -> Result<Offer> {
        let about = self.look(Kind::Invitation, token.expose()).await?;
        let (tenant, _, email) = invited(about)?;
        let organization = open(&mut self.records.read().await?, &tenant).await?;
        let select = USERS.rows().select().filter("email = ?", [&email]);
        Ok(Offer {
            has_account: self.records.first(select).await?.is_some(),
            organization: organization.name,
            email,
        })
    }

    /// Accepts an invitation: as who is signed in, whose address must be the one that was invited, or
    /// with a new account.
    ///
    /// # Errors
    /// [`Error::Refused`] if the token opens nothing, [`Error::Conflict`] if the address has an account
    /// that is not signed in, or the organization was deleted; [`Error::Suspended`].
    pub async fn accept_invitation(
        &self,
        caller: &Caller,
        token: &Secret<String>,
        new: Option<NewMember>,
    ) -> Result<(TenantId, User)> {
        let about = self.look(Kind::Invitation, token.expose()).await?;
        let (tenant, id, email) = invited(about)?;
        let new = match new {
            Some(new) => {
                new.password.check(&[&email, &new.name])?;
                let hash = self.shared.hasher.hash(&new.password).await?;
                Some((new.name, hash))
            }
            None => None,
        };
        let mut write = self.records.write(&Scope::Platform).await?;
        let scope = Scope::of(&tenant);
        write.hold(&scope).await?;
        open(&mut *write, &tenant).await?;
        one_time::take(&mut write, Kind::Invitation, token.expose()).await?;
        let invitation = waiting(&mut *write, &tenant, &id).await?;
        let (caller, user) = self.accepting(&mut write, caller, &email, new).await?;
        // The role may be gone since.
        self.rights_of(&mut *write, &tenant, &invitation.role)
            .await?;
        let role = &invitation.role;
        let member = self
            .insert_member(&mut write, &tenant, &user.id, role)
            .await?;
        let values = [("accepted_at", Value::from(write.now()))];
        write
            .update(INVITATIONS.of(&tenant), &id, None, values)
            .await?;
        let state = members(json!({ "invitation": id, "user": user.id, "role": role }));
        let entry = caller.entry("member.add", "member", &member, made(state));
        note_change(&mut write, CredentialKind::User, user.id.as_str()).await?;
        write.commit(&scope, &entry).await?;
        Ok((tenant, user))
    }

    /// Whose account it is that accepts.
    async fn accepting(
        &self,
        write: &mut Write,
        caller: &Caller,
        email: &str,
        new: Option<(String, String)>,
    ) -> Result<(Caller, User)> {
        if let Some(id) = caller.actor.id() {
            let user = user_within(&mut **write, id).await?;
            return match user.email == email {
                true => Ok((caller.clone(), user)),
                false => Err(Error::Conflict("the invitation is for another address")),
            };
        }
        let select = USERS.rows().select().filter("email = ?", [email]);
        if write.first(select).await?.is_some() {
            return Err(Error::Conflict(
                "this address has an account: sign in first",
            ));
        }
        let (name, hash) = new.ok_or(Error::invalid("password", "is needed"))?;
        let email = Email::parse(email)?;
        let mut user = insert_user(write, &email, &name, Some(hash)).await?;
        // Only who reads mail there can have the link; without mail, somebody handed it over.
        if self.sends_mail() {
            let values = [("email_verified_at", Value::from(write.now()))];
            user.version = write.update(USERS.rows(), &user.id, None, values).await?;
            user.email_verified_at = Some(write.now());
        }
        let caller = caller.as_user(&user.id, &user.email);
        let state = members(json!({ "email": user.email, "name": user.name }));
        let entry = caller.entry("user.create", "user", &user.id, made(state));
        write.tell(&Scope::Platform, &entry).await?;
        Ok((caller, user))
    }
}

fn invited(about: About) -> Result<(TenantId, Id, String)> {
    match (about.organization, about.invitation, about.email) {
        (Some(tenant), Some(id), Some(email)) => Ok((tenant, id, email)),
        _ => Err(Error::internal("the token of an invitation is of none")),
    }
}

/// The organization that somebody is invited to, if one can join it now. The invitation waits meanwhile.
async fn open(reader: &mut impl Reader, tenant: &TenantId) -> Result<Organization> {
    let select = ORGANIZATIONS.rows().select().with_trashed();
    let row = reader.first(select.with_id(tenant.id())).await?;
    let organization = Organization::of(&row.ok_or(Error::Missing("organization"))?)?;
    if organization.deleted_at.is_some() {
        return Err(Error::Conflict("the organization was deleted"));
    }
    match organization.suspended_at {
        Some(_) => Err(Error::Suspended),
        None => Ok(organization),
    }
}

/// An invitation that nobody accepted yet, of an organization that is there.
async fn waiting(reader: &mut impl Reader, tenant: &TenantId, id: &Id) -> Result<Invitation> {
    let select = INVITATIONS.of(tenant).select().with_id(id);
    let row = reader.first(select).await?;
    let invitation = Invitation::of(&row.ok_or(Error::Missing("invitation"))?)?;
    match invitation.accepted_at {
        Some(_) => Err(Error::Conflict("the invitation was accepted")),
        None => Ok(invitation),
    }
}

async fn is_member(reader: &mut impl Reader, tenant: &TenantId, email: &Email) -> Result<bool> {
    let select = MEMBERSHIPS
        .of(tenant)
        .select()
        .join(&USERS, "users.id = base.user_id")
        .filter("users.email = ?", [email.as_str()]);
    Ok(reader.first(select).await?.is_some())
}
