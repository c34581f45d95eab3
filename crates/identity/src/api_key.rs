//! API keys: what programs show to say who they are.
//!
//! A key belongs to an organization. It is either the organization's own, for a service, and stays when whoever made it
//! leaves; or that of a member, and can never do more than they can.
//!
//! What it may do is said twice, since these are two things: its *permissions* are rights in the admin API of Weir
//! itself, from the same closed list that roles are made of; its *scopes* are words of the organization's own, which routes
//! ask for. Whoever may write keys says which scopes they have.
//!
//! Records have a key's hash; the key itself is told once.

mod activity;
mod end;
mod holder;
mod leak;
mod scopes;
mod shape;

pub(crate) use activity::KeyActivity;
pub use end::Rotated;
pub(crate) use end::revoke_of_member;
pub(crate) use holder::holder_within;
pub use holder::{KeyHolder, KeyRefusal};
pub use leak::{Finder, LeakReport};
pub use scopes::{NoScopes, Scopes};
pub use shape::{ApiKey, ApiKeyUpdate, Expiry, MadeApiKey, NewApiKey};

use jiff::Timestamp;
use weir_core::{ApiKeyText, Id, Secret, TenantId};
use weir_store::audit::{Actor, Change};
use weir_store::records::{Scope, Value, Write};

use crate::Identity;
use crate::caller::{Caller, made};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::membership::count;
use crate::page::{Listing, Order, Page, page, prefix_bounds};
use crate::permission::{Permission, Permissions};
use crate::reader::Reader;
use crate::tables::API_KEYS;
use crate::{text, token};

const PREFIX: &str = "key";
const MOST_NAME: usize = 100;
/// Keys of one person in one organization that work at the same time.
const MOST_OF_PERSON: u32 = 50;

/// Which keys of an organization are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeyFilter {
    /// Those whose name begins so.
    pub name: Option<String>,
    /// Those of this person.
    pub user: Option<Id>,
}

/// How keys are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiKeyOrder {
    /// When they were made.
    #[default]
    Created,
    /// Their name.
    Name,
}

/// Whose a key is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner<'a> {
    /// The organization's own.
    Organization,
    /// That of this member, who must be the one who asks.
    Member(&'a Id),
}

impl Identity {
    /// Makes a key.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if it is to have a right that the caller does not have, or scopes that the caller may not
    /// give; [`Error::Conflict`] if there are as many as the limit allows.
    pub async fn create_api_key(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        owner: KeyOwner<'_>,
        new: NewApiKey,
    ) -> Result<MadeApiKey> {
        let mut write = self.begin(tenant).await?;
        let (public_part, text) = generate()?;
        let now = write.now();
        let user_id = match owner {
            KeyOwner::Organization => None,
            KeyOwner::Member(user) => Some(user.clone()),
        };
        let key = ApiKey {
            id: Id::new(PREFIX),
            organization: tenant.clone(),
            name: text::line("name", &new.name, MOST_NAME)?,
            key: ApiKeyText::shown(&public_part),
            user_id,
            created_by: caller.actor.id().cloned(),
            permissions: new.permissions,
            scopes: new.scopes,
            created_at: now,
            updated_at: now,
            expires_at: new.expires_at.from(now)?,
            last_used_at: None,
            last_used_address: None,
            revoked_at: None,
            leaked_at: None,
            replaced_by: None,
            version: 1,
        };
        self.may_hand_out(&mut write, caller, &key).await?;
        self.hold_limits(&mut write, &key).await?;
        insert(&mut write, &key, &public_part, &text).await?;
        let entry = caller.entry("api_key.create", "api_key", &key.id, made(key.state()));
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(MadeApiKey { key, text })
    }

    /// A key.
    pub async fn api_key(&self, tenant: &TenantId, id: &Id) -> Result<ApiKey> {
        let row = self
            .records
            .first(API_KEYS.of(tenant).select().with_id(id))
            .await?;
        ApiKey::of(&row.ok_or(Error::Missing("api key"))?)
    }

    /// The keys of an organization, those of its members included.
    pub async fn api_keys(
        &self,
        tenant: &TenantId,
        filter: &ApiKeyFilter,
        order: ApiKeyOrder,
        listing: &Listing,
    ) -> Result<Page<ApiKey>> {
        let mut select = API_KEYS.of(tenant).select();
        if let Some(name) = &filter.name {
            select = select.filter("name >= ? AND name < ?", prefix_bounds("name", name)?);
        }
        if let Some(user) = &filter.user {
            select = select.filter("user_id = ?", [user]);
        }
        let order = match order {
            ApiKeyOrder::Created => Order::CREATED,
            ApiKeyOrder::Name => Order {
                columns: ["name", "id"],
                key: "name",
                is_time: false,
            },
        };
        page(&self.records, select, order, listing, ApiKey::of).await
    }

    /// Somebody's own keys, in whichever organization.
    pub async fn api_keys_of(&self, user: &Id, listing: &Listing) -> Result<Page<ApiKey>> {
        let select = API_KEYS.select_everywhere().filter("user_id = ?", [user]);
        page(&self.records, select, Order::CREATED, listing, ApiKey::of).await
    }

    /// One of somebody's own keys.
    pub async fn api_key_of(&self, user: &Id, id: &Id) -> Result<ApiKey> {
        let select = API_KEYS
            .select_everywhere()
            .with_id(id)
            .filter("user_id = ?", [user]);
        let row = self.records.first(select).await?;
        ApiKey::of(&row.ok_or(Error::Missing("api key"))?)
    }

    /// Gives a key another name, less than it had, or an earlier end. What more a key is to have takes another key: nobody who has the
    /// present one should come by it.
    pub async fn update_api_key(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        id: &Id,
        expected: Option<i64>,
        update: ApiKeyUpdate,
    ) -> Result<ApiKey> {
        let mut write = self.begin(tenant).await?;
        let before = key_within(&mut *write, tenant, id).await?;
        let mut key = before.clone();
        if let Some(name) = &update.name {
            key.name = text::line("name", name, MOST_NAME)?;
        }
        if let Some(permissions) = update.permissions {
            narrower("permissions", before.permissions.includes(permissions))?;
            key.permissions = permissions;
        }
        if let Some(scopes) = update.scopes {
            narrower("scopes", before.scopes.includes(&scopes))?;
            key.scopes = scopes;
        }
        if let Some(expiry) = update.expires_at {
            key.expires_at = expiry.from(write.now())?;
            no_later(before.expires_at, key.expires_at)?;
        }
        let values = [
            ("name", Value::from(&key.name)),
            ("permissions", json(&key.permissions)?),
            ("scopes", json(&key.scopes)?),
            ("expires_at", Value::from(key.expires_at)),
        ];
        key.version = write
            .update(API_KEYS.of(tenant), id, expected, values)
            .await?;
        key.updated_at = write.now();
        let change = Change::between(before.state(), key.state());
        let entry = caller.entry("api_key.update", "api_key", id, change);
        note_change(&mut write, CredentialKind::ApiKey, id.as_str()).await?;
        write.commit(&Scope::of(tenant), &entry).await?;
        Ok(key)
    }

    /// Whether the caller has all that a key is to have, and may give it to whose it is to be.
    async fn may_hand_out(&self, write: &mut Write, caller: &Caller, key: &ApiKey) -> Result<()> {
        let tenant = &key.organization;
        let is_platform = *tenant == TenantId::platform();
        if !is_platform && key.permissions.iter().any(Permission::is_of_platform) {
            return Err(Error::invalid("permissions", "has one of the platform's"));
        }
        let own = match &key.user_id {
            None => {
                self.permissions_within(&mut **write, caller, tenant)
                    .await?
            }
            Some(user) if caller.actor == Actor::User(user.clone()) => {
                self.rights_as_member(&mut **write, tenant, user).await?
            }
            Some(_) => {
                return Err(Error::Forbidden("nobody makes a key for somebody else"));
            }
        };
        if !own.includes(key.permissions) {
            return Err(Error::Forbidden(
                "nobody makes a key with rights that they do not have",
            ));
        }
        match key.scopes.is_empty() || own.has(Permission::ApiKeyWrite) {
            true => Ok(()),
            false => Err(Error::Forbidden(
                "only whoever has the permission api_key:write makes keys with scopes",
            )),
        }
    }

    /// What somebody may do in an organization by their role in it alone.
    async fn rights_as_member(
        &self,
        reader: &mut impl Reader,
        tenant: &TenantId,
        user: &Id,
    ) -> Result<Permissions> {
        let belongings = crate::membership::belongings(self, reader, user).await?;
        let own = belongings.iter().find(|one| one.organization == *tenant);
        match own {
            Some(own) => Ok(own.permissions),
            None => Err(Error::Missing("organization")),
        }
    }

    async fn hold_limits(&self, write: &mut Write, key: &ApiKey) -> Result<()> {
        let tenant = &key.organization;
        let works = |select: weir_store::records::Select| {
            let condition = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)";
            select.filter(condition, [key.created_at]).count()
        };
        if let Some(user) = &key.user_id {
            let own = API_KEYS.of(tenant).select().filter("user_id = ?", [user]);
            if count(&mut **write, works(own)).await? >= i64::from(MOST_OF_PERSON) {
                return Err(Error::Conflict(
                    "nobody has more than 50 keys in one organization: revoke one",
                ));
            }
        }
        let limits = self.limits(&mut **write, tenant).await?;
        if limits.api_keys.is_some() {
            let all = works(API_KEYS.of(tenant).select());
            limits.hold(limits.api_keys, count(&mut **write, all).await?)?;
        }
        Ok(())
    }
}

/// A new key, and what finds its row.
fn generate() -> Result<(String, Secret<String>)> {
    let mut numbers = [0_u64; 4];
    for number in &mut numbers {
        *number = u64::from_le_bytes(token::random()?);
    }
    let [public, secret @ ..] = numbers;
    let text = ApiKeyText::compose(public, secret);
    let parsed = ApiKeyText::parse(text.expose());
    let parsed = parsed.ok_or_else(|| Error::internal("a new key that is none"))?;
    Ok((parsed.public_part().to_owned(), text))
}

async fn insert(
    write: &mut Write,
    key: &ApiKey,
    public_part: &str,
    text: &Secret<String>,
) -> Result<()> {
    let hash = token::hash(text.expose());
    let values = [
        ("name", Value::from(&key.name)),
        ("user_id", Value::from(key.user_id.as_ref())),
        ("created_by", Value::from(key.created_by.as_ref())),
        ("public_part", Value::from(public_part)),
        ("key_hash", Value::from(&hash[..])),
        ("permissions", json(&key.permissions)?),
        ("scopes", json(&key.scopes)?),
        ("expires_at", Value::from(key.expires_at)),
    ];
    let rows = API_KEYS.of(&key.organization);
    Ok(write.insert(rows, &key.id, values).await?)
}

async fn key_within(reader: &mut impl Reader, tenant: &TenantId, id: &Id) -> Result<ApiKey> {
    let select = API_KEYS.of(tenant).select().with_id(id);
    let row = reader.first(select).await?;
    ApiKey::of(&row.ok_or(Error::Missing("api key"))?)
}

fn narrower(field: &'static str, is_narrower: bool) -> Result<()> {
    match is_narrower {
        true => Ok(()),
        false => Err(Error::invalid(
            field,
            "has one that the key did not have: make another key",
        )),
    }
}

fn no_later(before: Option<Timestamp>, after: Option<Timestamp>) -> Result<()> {
    let is_no_later = match (before, after) {
        (None, _) => true,
        (Some(before), Some(after)) => after <= before,
        (Some(_), None) => false,
    };
    match is_no_later {
        true => Ok(()),
        false => Err(Error::invalid(
            "expires_at",
            "is later than the key was to end: replace the key, or make another one",
        )),
    }
}

fn json(value: &impl serde::Serialize) -> Result<Value> {
    let text = serde_json::to_string(value).map_err(Error::internal)?;
    Ok(Value::from(text))
}

/// Whether a key works at this time, as far as it is told by itself.
fn is_over(revoked_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    revoked_at.is_some() || expires_at.is_some_and(|end| end <= now)
}
