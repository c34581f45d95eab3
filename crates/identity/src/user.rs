//! People's accounts. An account belongs to the platform; organizations have members.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;
use weir_core::{Id, TenantId};
use weir_store::audit::Change;
use weir_store::records::{Changes, Row, Scope, Value, Write};

use crate::caller::{Caller, gone, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::email::Email;
use crate::error::{Error, Result};
use crate::membership::sole_owner_of;
use crate::page::{Listing, Order, Page, page, prefix_bounds};
use crate::reader::Reader;
use crate::refresh;
use crate::role::Assigned;
use crate::tables::{API_KEYS, MEMBERSHIPS, ONE_TIME_TOKENS, SESSIONS, USERS};
use crate::{Identity, text};

pub(crate) const PREFIX: &str = "usr";
const MOST_NAME: usize = 200;
const MOST_REASON: usize = 500;

/// Somebody's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Its identifier.
    pub id: Id,
    /// In lower case; unique.
    pub email: String,
    /// When somebody showed that they read mail sent there.
    pub email_verified_at: Option<Timestamp>,
    /// How the person is called.
    pub name: String,
    /// Whether one can sign in with a password.
    pub has_password: bool,
    /// Since when the account is suspended.
    pub suspended_at: Option<Timestamp>,
    /// Why.
    pub suspension_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when it is in the trash.
    pub deleted_at: Option<Timestamp>,
    /// Which state of it this is.
    pub version: i64,
}

/// An account to make.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The person's address.
    pub email: String,
    /// How the person is called.
    pub name: String,
}

/// What of an account is to be different.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserUpdate {
    /// Another address, which is to be verified again.
    pub email: Option<String>,
    /// Another name.
    pub name: Option<String>,
}

/// Which accounts are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Those whose address begins with this.
    pub email: Option<String>,
    /// Those that are suspended, or those that are not.
    pub is_suspended: Option<bool>,
    /// Those in the trash, instead of those that are not.
    pub is_deleted: bool,
}

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserOrder {
    /// By the time they were made.
    #[default]
    Created,
    /// By address.
    Email,
}

impl User {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            email: row.text("email")?,
            email_verified_at: row.optional_time("email_verified_at")?,
            name: row.text("name")?,
            has_password: row.optional_text("password_hash")?.is_some(),
            suspended_at: row.optional_time("suspended_at")?,
            suspension_reason: row.optional_text("suspension_reason")?,
            created_at: row.time("created_at")?,
            updated_at: row.time("updated_at")?,
            deleted_at: row.optional_time("deleted_at")?,
            version: row.int("version")?,
        })
    }

    /// What the audit is told; erased with the person.
    fn state(&self) -> Map<String, Json> {
        members(json!({
            "email": self.email,
            "email_verified": self.email_verified_at.is_some(),
            "name": self.name,
            "suspended": self.suspended_at.is_some(),
            "suspension_reason": self.suspension_reason,
        }))
    }

    fn values(&self) -> [(&'static str, Value); 5] {
        [
            ("email", Value::from(&self.email)),
            ("email_verified_at", Value::from(self.email_verified_at)),
            ("name", Value::from(&self.name)),
            ("suspended_at", Value::from(self.suspended_at)),
            (
                "suspension_reason",
                Value::from(self.suspension_reason.as_ref()),
            ),
        ]
    }
}

impl Identity {
    /// Makes an account, without a way to sign in yet.
    pub async fn create_user(&self, caller: &Caller, new: NewUser) -> Result<User> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let email = Email::parse(&new.email)?;
        let user = insert_user(&mut write, &email, &new.name, None).await?;
        let entry = caller.entry("user.create", "user", &user.id, made(user.state()));
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }

    /// An account.
    pub async fn user(&self, id: &Id) -> Result<User> {
        let row = self
            .records
            .first(USERS.rows().select().with_id(id))
            .await?;
        User::of(&row.ok_or(Error::Missing("user"))?)
    }

    /// The account of an address.
    pub async fn user_by_email(&self, email: &str) -> Result<User> {
        let email = Email::parse(email)?;
        let select = USERS.rows().select().filter("email = ?", [email.as_str()]);
        let row = self.records.first(select).await?;
        User::of(&row.ok_or(Error::Missing("user"))?)
    }

    /// Accounts.
    pub async fn users(
        &self,
        filter: &UserFilter,
        order: UserOrder,
        listing: &Listing,
    ) -> Result<Page<User>> {
        let mut select = USERS.rows().select();
        if filter.is_deleted {
            select = select.trashed();
        }
        if let Some(email) = &filter.email {
            let bounds = prefix_bounds("email", &email.to_ascii_lowercase())?;
            select = select.filter("email >= ? AND email < ?", bounds);
        }
        if let Some(is_suspended) = filter.is_suspended {
            let condition = match is_suspended {
                true => "suspended_at IS NOT NULL",
                false => "suspended_at IS NULL",
            };
            select = select.filter::<Value>(condition, []);
        }
        let order = match order {
            UserOrder::Created => Order::CREATED,
            UserOrder::Email => Order {
                columns: ["email", "id"],
                key: "email",
                is_time: false,
            },
        };
        page(&self.records, select, order, listing, User::of).await
    }

    /// Changes name and address. Links that were sent to the former address open nothing any more.
    ///
    /// # Errors
    /// [`Error::Forbidden`], here and below, for somebody with rights that the caller does not have; and
    /// for [another address](Self::change_email) of one's own, which takes a proof.
    pub async fn update_user(
        &self,
        caller: &Caller,
        id: &Id,
        expected: Option<i64>,
        update: UserUpdate,
    ) -> Result<User> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let before = user_within(&mut *write, id).await?;
        self.may_decide_on(&mut *write, caller, id).await?;
        let mut user = before.clone();
        if let Some(name) = &update.name {
            user.name = text::line("name", name, MOST_NAME)?;
        }
        if let Some(email) = &update.email {
            user.email = Email::parse(email)?.as_str().to_owned();
        }
        if user.email != before.email {
            not_oneself(caller, id)?;
            user.email_verified_at = None;
            forget_tokens(&mut write, id).await?;
        }
        self.changed(write, caller, "user.update", expected, before, user)
            .await
    }

    /// Suspends an account: it cannot sign in, and its sessions end.
    ///
    /// # Errors
    /// [`Error::LastOwner`].
    pub async fn suspend_user(
        &self,
        caller: &Caller,
        id: &Id,
        expected: Option<i64>,
        reason: &str,
    ) -> Result<User> {
        let reason = text::line("reason", reason, MOST_REASON)?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let before = user_within(&mut *write, id).await?;
        self.may_decide_on(&mut *write, caller, id).await?;
        leave_owners(&mut write, id).await?;
        end_sessions(&mut write, id).await?;
        forget_tokens(&mut write, id).await?;
        let user = User {
            suspended_at: before.suspended_at.or(Some(write.now())),
            suspension_reason: Some(reason),
            ..before.clone()
        };
        self.changed(write, caller, "user.suspend", expected, before, user)
            .await
    }

    /// Ends a suspension.
    pub async fn resume_user(
        &self,
        caller: &Caller,
        id: &Id,
        expected: Option<i64>,
    ) -> Result<User> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let before = user_within(&mut *write, id).await?;
        self.may_decide_on(&mut *write, caller, id).await?;
        let user = User {
            suspended_at: None,
            suspension_reason: None,
            ..before.clone()
        };
        self.changed(write, caller, "user.resume", expected, before, user)
            .await
    }

    pub(crate) async fn changed(
        &self,
        mut write: Write,
        caller: &Caller,
        action: &'static str,
        expected: Option<i64>,
        before: User,
        mut user: User,
    ) -> Result<User> {
        user.version = write
            .update(USERS.rows(), &user.id, expected, user.values())
            .await?;
        user.updated_at = write.now();
        let change = Change::between(before.state(), user.state());
        let entry = caller.entry(action, "user", &user.id, change);
        note_change(&mut write, CredentialKind::User, user.id.as_str()).await?;
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }

    /// Puts an account into the trash, with its memberships; its sessions end.
    ///
    /// # Errors
    /// [`Error::LastOwner`].
    pub async fn delete_user(&self, caller: &Caller, id: &Id, expected: Option<i64>) -> Result<()> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let user = user_within(&mut *write, id).await?;
        self.may_decide_on(&mut *write, caller, id).await?;
        let tenants = leave_owners(&mut write, id).await?;
        end_sessions(&mut write, id).await?;
        forget_tokens(&mut write, id).await?;
        write.trash(USERS.rows(), id, expected).await?;
        for tenant in &tenants {
            let rows = MEMBERSHIPS.of(tenant);
            write.trash_with(rows, id, "user_id = ?", [id]).await?;
            let keys = API_KEYS.of(tenant);
            write.trash_with(keys, id, "user_id = ?", [id]).await?;
            tell_member(&mut write, caller, tenant, "member.remove", id).await?;
        }
        let entry = caller.entry("user.delete", "user", id, gone(user.state()));
        note_change(&mut write, CredentialKind::User, id.as_str()).await?;
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Brings an account back from the trash, with the memberships that went there with it.
    ///
    /// # Errors
    /// [`Error::Taken`] if another one has its address by now.
    pub async fn restore_user(&self, caller: &Caller, id: &Id) -> Result<User> {
        let mut write = self.records.write(&Scope::Platform).await?;
        if write.restore_with(USERS.rows(), id).await? == 0 {
            return Err(Error::Missing("user"));
        }
        let gone = MEMBERSHIPS
            .select_everywhere()
            .trashed()
            .filter("deleted_with = ?", [id]);
        for tenant in tenants_of(&write.all(gone).await?)? {
            write.hold(&Scope::of(&tenant)).await?;
            write.restore_with(MEMBERSHIPS.of(&tenant), id).await?;
            write.restore_with(API_KEYS.of(&tenant), id).await?;
            tell_member(&mut write, caller, &tenant, "member.restore", id).await?;
        }
        let user = user_within(&mut *write, id).await?;
        self.may_decide_on(&mut *write, caller, id).await?;
        let entry = caller.entry("user.restore", "user", id, made(user.state()));
        note_change(&mut write, CredentialKind::User, id.as_str()).await?;
        write.commit(&Scope::Platform, &entry).await?;
        Ok(user)
    }
}

/// What is one's own to change takes a [`Proof`](crate::proof::Proof), whatever else one may: a session can
/// be stolen.
pub(crate) fn not_oneself(caller: &Caller, user: &Id) -> Result<()> {
    match caller.actor.id() == Some(user) {
        true => Err(Error::Forbidden(
            "how one signs in oneself is changed with the password, at one's own account",
        )),
        false => Ok(()),
    }
}

/// The row of a new account.
pub(crate) async fn insert_user(
    changes: &mut Changes,
    email: &Email,
    name: &str,
    password_hash: Option<String>,
) -> Result<User> {
    let now = changes.now();
    let user = User {
        id: Id::new(PREFIX),
        email: email.as_str().to_owned(),
        email_verified_at: None,
        name: text::line("name", name, MOST_NAME)?,
        has_password: password_hash.is_some(),
        suspended_at: None,
        suspension_reason: None,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 1,
    };
    let mut values = user.values().to_vec();
    values.push(("password_hash", Value::from(password_hash)));
    changes.insert(USERS.rows(), &user.id, values).await?;
    Ok(user)
}

pub(crate) async fn user_within(reader: &mut impl Reader, id: &Id) -> Result<User> {
    let row = reader.first(USERS.rows().select().with_id(id)).await?;
    User::of(&row.ok_or(Error::Missing("user"))?)
}

/// Takes up each organization of somebody who is to go, who must be the last owner of none.
pub(crate) async fn leave_owners(write: &mut Write, user: &Id) -> Result<Vec<TenantId>> {
    let select = MEMBERSHIPS
        .select_everywhere()
        .filter("user_id = ?", [user])
        .order(["tenant_id"]);
    let tenants = tenants_of(&write.all(select).await?)?;
    let mut orphaned = Vec::new();
    for tenant in &tenants {
        write.hold(&Scope::of(tenant)).await?;
        // As it is now that nobody else can change it.
        let own = MEMBERSHIPS
            .of(tenant)
            .select()
            .filter("user_id = ?", [user]);
        let role = write.first(own).await?.map(|row| row.text("role"));
        let is_owner = match role.transpose()? {
            Some(role) => role.parse::<Assigned>().is_ok_and(|role| role.is_owner()),
            None => false,
        };
        if is_owner {
            orphaned.extend(sole_owner_of(&mut **write, tenant, user).await?);
        }
    }
    orphaned.sort_unstable();
    match orphaned.is_empty() {
        true => Ok(tenants),
        false => Err(Error::LastOwner(orphaned)),
    }
}

/// Of whom these rows are, each once, in the order in which scopes are held.
pub(crate) fn tenants_of(rows: &[Row]) -> Result<Vec<TenantId>> {
    let mut tenants = Vec::with_capacity(rows.len());
    for row in rows {
        tenants.push(row.text("tenant_id")?.parse().map_err(Error::internal)?);
    }
    tenants.sort_unstable();
    tenants.dedup();
    Ok(tenants)
}

pub(crate) async fn end_sessions(changes: &mut Changes, user: &Id) -> Result<u64> {
    refresh::end_of_user(changes, user).await?;
    Ok(changes
        .remove(SESSIONS.rows(), "user_id = ?", [user])
        .await?)
}

/// Links that were sent to somebody.
pub(crate) async fn forget_tokens(changes: &mut Changes, user: &Id) -> Result<u64> {
    Ok(changes
        .remove(ONE_TIME_TOKENS.rows(), "user_id = ?", [user])
        .await?)
}

async fn tell_member(
    write: &mut Write,
    caller: &Caller,
    tenant: &TenantId,
    action: &'static str,
    user: &Id,
) -> Result<()> {
    let change = made(members(json!({ "user": user })));
    let entry = caller.entry(action, "user", user, change);
    Ok(write.tell(&Scope::of(tenant), &entry).await?)
}
