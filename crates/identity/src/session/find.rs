//! Who shows a token.

use jiff::Timestamp;
use weir_core::TenantId;
use weir_store::records::Row;

use super::Session;
use super::rotation::former;
use crate::Identity;
use crate::error::{Error, Result};
use crate::membership::{Belonging, belongings, owns, rights_in};
use crate::permission::Permissions;
use crate::reader::Reader;
use crate::tables::{SESSIONS, USERS};
use crate::token::{self, Prefix};
use crate::user::User;

/// Who a session's token belongs to, and all that is needed to decide what they may do.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
    /// The organizations that they belong to, with what they may do there.
    pub belongings: Vec<Belonging>,
    /// When the session ends if it is not used any more.
    pub idle_at: Timestamp,
    /// What is to become of the token.
    pub token: TokenState,
    /// SHA-256 of the token.
    pub(super) shown: [u8; 32],
}

/// What is to become of a session's token that somebody shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It stays.
    Current,
    /// It is time for another one: [`Identity::rotate_session`].
    Due,
    /// Another one took its place a moment ago, since it was time; [`Identity::rotate_session`] tells which. It renews nothing.
    Former,
}

impl Authenticated {
    /// What the user may do in an organization.
    pub fn permissions(&self, tenant: &TenantId) -> Permissions {
        rights_in(&self.belongings, tenant)
    }

    /// Whether the user is an owner of an organization.
    pub fn owns(&self, tenant: &TenantId) -> bool {
        owns(&self.belongings, tenant)
    }
}

impl Identity {
    /// Whether this is the form of a session's token: any other text is nobody's, without a look.
    pub fn is_session_token(token: &str) -> bool {
        Self::session_token_hash(token).is_some()
    }

    /// By what [`find_session`](Self::find_session) knows a token; none for what is not of its form.
    pub fn session_token_hash(token: &str) -> Option<[u8; 32]> {
        token::shown(Prefix::Session, token)
    }

    /// Who shows this token; none if it is nobody's any more. Being asked counts as being used.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Authenticated>> {
        let Some(hash) = Self::session_token_hash(token) else {
            return Ok(None);
        };
        let now = Timestamp::now();
        let found = self.find_session(&hash, now).await?;
        if let Some(who) = &found {
            self.note_session_used(&who.session.id, now);
        }
        Ok(found)
    }

    /// Who shows a token of this hash; none if it is nobody's any more. It changes nothing: whoever let
    /// the request through says so by [`note_session_used`](Self::note_session_used).
    pub async fn find_session(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Authenticated>> {
        let mut read = self.records.read().await?;
        let select = SESSIONS.rows().select();
        let current = read
            .first(select.filter("token_hash = ?", [&hash[..]]))
            .await?;
        let (row, token) = match current {
            Some(row) if row.time("rotate_at")? <= now => (row, TokenState::Due),
            Some(row) => (row, TokenState::Current),
            None => match self.replaced(&mut read, hash, now).await? {
                Some(row) => (row, TokenState::Former),
                None => return Ok(None),
            },
        };
        let mut session = Session::of(&row)?;
        if let Some(seen) = self.shared.activity.seen(&session.id) {
            session.last_seen_at = session.last_seen_at.max(seen);
        }
        let idle = self.shared.options.sessions.idle;
        if !session.is_alive(idle, now) {
            return Ok(None);
        }
        let select = USERS.rows().select().with_id(&session.user_id);
        let user = read.first(select).await?;
        let user = user.as_ref().map(User::of).transpose()?;
        let Some(user) = user.filter(|user| user.suspended_at.is_none()) else {
            return Ok(None);
        };
        let belongings = belongings(self, &mut read, &user.id).await?;
        let idle_at = session.last_seen_at.checked_add(idle);
        Ok(Some(Authenticated {
            idle_at: idle_at.map_err(Error::internal)?.min(session.expires_at),
            session,
            user,
            belongings,
            token,
            shown: *hash,
        }))
    }

    /// The session whose token was replaced so lately that the former one still works.
    async fn replaced(
        &self,
        reader: &mut impl Reader,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Row>> {
        let Some(former) = former(reader, hash).await? else {
            return Ok(None);
        };
        if former.time("works_until")? <= now {
            return Ok(None);
        }
        let session = former.id("session_id")?;
        let select = SESSIONS.rows().select().with_id(&session);
        reader.first(select).await
    }
}
