//! Sessions: who has signed in, from where, and for how long that counts.

mod activity;
mod device;
mod find;
mod rotation;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use weir_core::{Id, Secret};
use weir_store::records::{Changes, Row, Scope, Value};

use crate::Identity;
use crate::caller::Caller;
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::refresh;
use crate::tables::SESSIONS;
use crate::throttle::later;
use crate::token::{self, Prefix};

pub(crate) use activity::Activity;
pub use device::Device;
pub use find::{Authenticated, TokenState};
pub(crate) use rotation::make_due;

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Without a request.
    pub idle: Duration,
    /// From its beginning, whatever happens.
    pub longest: Duration,
    /// After this, its token is replaced.
    pub rotate_after: Duration,
    /// How long a token still works that was replaced: for requests that are under way.
    pub overlap: Duration,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(15 * 60),
            longest: Duration::from_secs(86_400),
            rotate_after: Duration::from_secs(3_600),
            overlap: Duration::from_secs(30),
        }
    }
}

const MOST_AGENT: usize = 500;

/// Somebody's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// Its identifier, which opens nothing.
    pub id: Id,
    /// Whose.
    pub user_id: Id,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to some seconds.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// From where it was begun.
    pub address: Option<String>,
    /// With which program.
    pub agent: Option<String>,
    /// The same as people call it.
    pub device: Device,
    /// Whether a second factor was shown.
    pub is_two_factor: bool,
}

/// A session that has just begun.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// What the client shows from now on. It is told once.
    pub token: Secret<String>,
}

impl Session {
    fn of(row: &Row) -> Result<Self> {
        let agent = row.optional_text("agent")?;
        Ok(Self {
            id: row.id("id")?,
            user_id: row.id("user_id")?,
            created_at: row.time("created_at")?,
            last_seen_at: row.time("last_seen_at")?,
            expires_at: row.time("expires_at")?,
            address: row.optional_text("address")?,
            device: Device::of(agent.as_deref()),
            agent,
            is_two_factor: row.int("is_two_factor")? != 0,
        })
    }

    fn is_alive(&self, idle: Duration, now: Timestamp) -> bool {
        let since = now.duration_since(self.last_seen_at).unsigned_abs();
        self.expires_at > now && (self.last_seen_at > now || since < idle)
    }
}

/// What a client says of itself, shortened, and without what no list should show.
fn line(agent: &str) -> String {
    let chars = agent.chars().filter(|char| !char.is_control());
    chars.take(MOST_AGENT).collect()
}

/// Begins a session. Always a new token: one that was there before signing in is worth nothing.
pub(crate) async fn begin(
    changes: &mut Changes,
    user: &Id,
    caller: &Caller,
    options: &SessionOptions,
    is_two_factor: bool,
) -> Result<SignedIn> {
    let (token, hash) = token::generate(Prefix::Session)?;
    let now = changes.now();
    let agent = caller.origin.agent.as_deref().map(line);
    let session = Session {
        id: Id::new("ses"),
        user_id: user.clone(),
        created_at: now,
        last_seen_at: now,
        expires_at: later(now, options.longest)?,
        address: caller.origin.address.clone(),
        device: Device::of(agent.as_deref()),
        agent,
        is_two_factor,
    };
    let values = [
        ("user_id", Value::from(user)),
        ("token_hash", Value::from(&hash[..])),
        ("expires_at", Value::from(session.expires_at)),
        ("last_seen_at", Value::from(now)),
        ("rotate_at", Value::from(later(now, options.rotate_after)?)),
        ("address", Value::from(session.address.as_ref())),
        ("agent", Value::from(session.agent.as_ref())),
        ("is_two_factor", Value::from(i64::from(is_two_factor))),
    ];
    changes.insert(SESSIONS.rows(), &session.id, values).await?;
    Ok(SignedIn { session, token })
}

impl Identity {
    /// The sessions of somebody that are alive, the latest first.
    pub async fn sessions(&self, user: &Id) -> Result<Vec<Session>> {
        let select = SESSIONS
            .rows()
            .select()
            .filter("user_id = ?", [user])
            .order(["created_at", "id"])
            .descending(true)
            .limit(200);
        let now = Timestamp::now();
        let mut sessions = Vec::new();
        for row in self.records.all(select).await? {
            sessions.extend(self.alive(&row, now)?);
        }
        Ok(sessions)
    }

    /// Whether a session of somebody is alive, however many they have.
    pub(crate) async fn has_session(&self, user: &Id, id: &Id, now: Timestamp) -> Result<bool> {
        let select = SESSIONS.rows().select().with_id(id);
        let row = self.records.first(select.filter("user_id = ?", [user]));
        let Some(row) = row.await? else {
            return Ok(false);
        };
        Ok(self.alive(&row, now)?.is_some())
    }

    fn alive(&self, row: &Row, now: Timestamp) -> Result<Option<Session>> {
        let mut session = Session::of(row)?;
        if let Some(seen) = self.shared.activity.seen(&session.id) {
            session.last_seen_at = session.last_seen_at.max(seen);
        }
        let is_alive = session.is_alive(self.shared.options.sessions.idle, now);
        Ok(is_alive.then_some(session))
    }

    /// Ends one session of somebody.
    pub async fn revoke_session(&self, caller: &Caller, user: &Id, id: &Id) -> Result<()> {
        let mut write = self.records.write(&Scope::Platform).await?;
        let values = [id, user];
        let gone = write
            .remove(SESSIONS.rows(), "id = ? AND user_id = ?", values)
            .await?;
        if gone == 0 {
            return Err(Error::Missing("session"));
        }
        refresh::end_of_session(&mut write, id).await?;
        let entry = caller.entry("session.revoke", "session", id, Default::default());
        note_change(&mut write, CredentialKind::Session, id.as_str()).await?;
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Ends all sessions of somebody but one, and tells how many they were.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for somebody with rights that the caller does not have.
    pub async fn revoke_sessions(
        &self,
        caller: &Caller,
        user: &Id,
        except: Option<&Id>,
    ) -> Result<u64> {
        let mut write = self.records.write(&Scope::Platform).await?;
        self.may_decide_on(&mut *write, caller, user).await?;
        let gone = end_others(&mut write, user, except).await?;
        let entry = caller.entry("session.revoke_all", "user", user, Default::default());
        note_change(&mut write, CredentialKind::User, user.as_str()).await?;
        write.commit(&Scope::Platform, &entry).await?;
        Ok(gone)
    }
}

/// Ends all sessions of somebody but one, of which the token is due to be replaced.
pub(crate) async fn end_others(
    changes: &mut Changes,
    user: &Id,
    except: Option<&Id>,
) -> Result<u64> {
    refresh::end_others(changes, user, except).await?;
    let kept = except.map_or("", Id::as_str);
    let values = [user.as_str(), kept];
    let gone = changes
        .remove(SESSIONS.rows(), "user_id = ? AND id <> ?", values)
        .await?;
    if except.is_some() {
        make_due(changes, user).await?;
    }
    Ok(gone)
}

/// What nobody can use any more.
pub(crate) async fn remove_ended(changes: &mut Changes, idle: Duration) -> Result<u64> {
    let now = changes.now();
    let idle = now.checked_sub(idle * 2).map_err(Error::internal)?;
    let condition = "expires_at < ? OR last_seen_at < ?";
    Ok(changes
        .remove_idle(SESSIONS.rows(), condition, [now, idle])
        .await?)
}
