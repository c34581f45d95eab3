//! Sessions: who has signed in, from where, and for how long that counts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use weir_core::{Id, Secret, TenantId};
use weir_store::records::{Changes, Row, Scope, Value};

use crate::Identity;
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::membership::{Belonging, belongings, rights_in};
use crate::permission::Permissions;
use crate::refresh;
use crate::tables::{SESSIONS, USERS};
use crate::throttle::later;
use crate::token::{self, Prefix};
use crate::user::User;

/// From its beginning, whatever happens.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Without a request.
const IDLE: Duration = Duration::from_secs(900);
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

/// Who a session's token belongs to, and all that is needed to decide what they may do.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
    /// The organizations that they belong to, with what they may do there.
    pub belongings: Vec<Belonging>,
}

impl Authenticated {
    /// What the user may do in an organization.
    pub fn permissions(&self, tenant: &TenantId) -> Permissions {
        rights_in(&self.belongings, tenant)
    }
}

impl Session {
    fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            user_id: row.id("user_id")?,
            created_at: row.time("created_at")?,
            last_seen_at: row.time("last_seen_at")?,
            expires_at: row.time("expires_at")?,
            address: row.optional_text("address")?,
            agent: row.optional_text("agent")?,
            is_two_factor: row.int("is_two_factor")? != 0,
        })
    }

    fn is_alive(&self, now: Timestamp) -> bool {
        let idle = now.duration_since(self.last_seen_at).unsigned_abs();
        self.expires_at > now && (self.last_seen_at > now || idle < IDLE)
    }
}

/// Sessions that were used since it was last written down: a request does not wait for a write.
#[derive(Default)]
pub(crate) struct Activity(Mutex<HashMap<Id, Timestamp>>);

impl Activity {
    /// What is known to be later stays.
    fn note(&self, session: &Id, time: Timestamp) {
        let mut seen = self.lock();
        let latest = seen.entry(session.clone()).or_insert(time);
        *latest = time.max(*latest);
    }

    fn seen(&self, session: &Id) -> Option<Timestamp> {
        self.lock().get(session).copied()
    }

    fn take(&self) -> HashMap<Id, Timestamp> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Id, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    is_two_factor: bool,
) -> Result<SignedIn> {
    let (token, hash) = token::generate(Prefix::Session)?;
    let now = changes.now();
    let agent = caller.origin.agent.as_deref();
    let session = Session {
        id: Id::new("ses"),
        user_id: user.clone(),
        created_at: now,
        last_seen_at: now,
        expires_at: later(now, LONGEST)?,
        address: caller.origin.address.clone(),
        agent: agent.map(line),
        is_two_factor,
    };
    let values = [
        ("user_id", Value::from(user)),
        ("token_hash", Value::from(&hash[..])),
        ("expires_at", Value::from(session.expires_at)),
        ("last_seen_at", Value::from(now)),
        ("address", Value::from(session.address.as_ref())),
        ("agent", Value::from(session.agent.as_ref())),
        ("is_two_factor", Value::from(i64::from(is_two_factor))),
    ];
    changes.insert(SESSIONS.rows(), &session.id, values).await?;
    Ok(SignedIn { session, token })
}

impl Identity {
    /// Whether this is the form of a session's token: any other text is nobody's, without a look.
    pub fn is_session_token(token: &str) -> bool {
        token::shown(Prefix::Session, token).is_some()
    }

    /// Who shows this token; none if it is nobody's any more. Being asked counts as being used.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Authenticated>> {
        let Some(hash) = token::shown(Prefix::Session, token) else {
            return Ok(None);
        };
        let mut read = self.records.read().await?;
        let select = SESSIONS
            .rows()
            .select()
            .filter("token_hash = ?", [&hash[..]]);
        let Some(row) = read.first(select).await? else {
            return Ok(None);
        };
        let mut session = Session::of(&row)?;
        if let Some(seen) = self.shared.activity.seen(&session.id) {
            session.last_seen_at = session.last_seen_at.max(seen);
        }
        let now = Timestamp::now();
        if !session.is_alive(now) {
            return Ok(None);
        }
        let select = USERS.rows().select().with_id(&session.user_id);
        let user = read.first(select).await?;
        let user = user.as_ref().map(User::of).transpose()?;
        let Some(user) = user.filter(|user| user.suspended_at.is_none()) else {
            return Ok(None);
        };
        let belongings = belongings(self, &mut read, &user.id).await?;
        self.shared.activity.note(&session.id, now);
        Ok(Some(Authenticated {
            session,
            user,
            belongings,
        }))
    }

    /// Notes that a session was used in another way than by its token.
    pub fn note_session_used(&self, session: &Id, at: Timestamp) {
        self.shared.activity.note(session, at);
    }

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
            let mut session = Session::of(&row)?;
            if let Some(seen) = self.shared.activity.seen(&session.id) {
                session.last_seen_at = session.last_seen_at.max(seen);
            }
            if session.is_alive(now) {
                sessions.push(session);
            }
        }
        Ok(sessions)
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
        write.commit(&Scope::Platform, &entry).await?;
        Ok(gone)
    }

    /// Writes down which sessions were used since the last time.
    pub async fn flush_activity(&self) -> Result<()> {
        let seen = self.shared.activity.take();
        if seen.is_empty() {
            return Ok(());
        }
        let written = self.write_activity(&seen).await;
        if written.is_err() {
            for (session, time) in seen {
                self.shared.activity.note(&session, time);
            }
        }
        written
    }

    async fn write_activity(&self, seen: &HashMap<Id, Timestamp>) -> Result<()> {
        let mut write = self.records.write_unaudited().await?;
        // In one order on every node, so that two that have seen the same do not block each other.
        let mut sorted: Vec<_> = seen.iter().collect();
        sorted.sort_unstable();
        for (session, time) in sorted {
            let values = [Value::from(session), Value::from(*time)];
            let set = [("last_seen_at", Value::from(*time))];
            write
                .update_where(SESSIONS.rows(), "id = ? AND last_seen_at < ?", values, set)
                .await?;
        }
        Ok(write.commit().await?)
    }
}

pub(crate) async fn end_others(
    changes: &mut Changes,
    user: &Id,
    except: Option<&Id>,
) -> Result<u64> {
    refresh::end_others(changes, user, except).await?;
    let except = except.map_or("", Id::as_str);
    let values = [user.as_str(), except];
    Ok(changes
        .remove(SESSIONS.rows(), "user_id = ? AND id <> ?", values)
        .await?)
}

/// What nobody can use any more.
pub(crate) async fn remove_ended(changes: &mut Changes) -> Result<u64> {
    let now = changes.now();
    let idle = now.checked_sub(IDLE * 2).map_err(Error::internal)?;
    let condition = "expires_at < ? OR last_seen_at < ?";
    Ok(changes
        .remove_idle(SESSIONS.rows(), condition, [now, idle])
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_does_not_hide_what_was_seen_since() {
        let activity = Activity::default();
        let session = Id::new("ses");
        let at = |second| Timestamp::from_second(second).unwrap();
        activity.note(&session, at(1));
        let unwritten = activity.take();
        activity.note(&session, at(2));
        for (session, time) in unwritten {
            activity.note(&session, time);
        }
        assert_eq!(activity.seen(&session), Some(at(2)));
    }
}
