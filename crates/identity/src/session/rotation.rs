//! Another token in the place of a session's: after an hour, and when what its owner may do changes.
//!
//! Of many requests that come with a token that is due, each may be the one whose answer arrives. So its
//! successor is made of it, of a salt that only records have and of a key that records do not have:
//! whoever shows the former token within the overlap is told the same one. Behind a change of what
//! somebody may do there is neither salt nor overlap: only whoever asked for the change is told, and everybody else who has
//! a token of the session has nothing.

use std::time::Duration;

use jiff::Timestamp;
use weir_core::{Id, Secret};
use weir_store::records::{Changes, Row, Scope, Value, Write};

use crate::Identity;
use crate::caller::{Caller, made, members};
use crate::credential_change::{CredentialKind, note_change};
use crate::error::{Error, Result};
use crate::reader::Reader;
use crate::session::{Authenticated, SessionOptions, TokenState};
use crate::tables::{FORMER_SESSION_TOKENS, SESSIONS};
use crate::throttle::later;
use crate::token::{self, Prefix};

/// Bytes.
const SALT: usize = 32;
const PURPOSE: &str = "session.successor";
/// Sessions of one person that are taken up at once.
const MOST: i64 = 10_000;

/// Why a token is replaced.
enum Why {
    /// It is time: whoever shows the former one is told its successor, which is made with this.
    Due([u8; SALT]),
    /// What its owner may do, or how they sign in, is different.
    Privilege,
}

impl Why {
    const fn name(&self) -> &'static str {
        match self {
            Self::Due(_) => "due",
            Self::Privilege => "privilege",
        }
    }

    fn salt(&self) -> Option<&[u8]> {
        match self {
            Self::Due(salt) => Some(salt),
            Self::Privilege => None,
        }
    }

    /// For how long the former token goes on working: what is under way may be a thief's as well.
    const fn overlap(&self, options: &SessionOptions) -> Duration {
        match self {
            Self::Due(_) => options.overlap,
            Self::Privilege => Duration::ZERO,
        }
    }
}

impl Identity {
    /// Puts another token in the place of one that is due, and tells it. Of many who ask at once with
    /// the same one, on whichever node, all are told the same. None if this one stays, or its successor is
    /// not for whoever shows it.
    pub async fn rotate_session(
        &self,
        caller: &Caller,
        token: &str,
    ) -> Result<Option<Secret<String>>> {
        let Some(hash) = Self::session_token_hash(token) else {
            return Ok(None);
        };
        let mut write = self.records.write(&Scope::Platform).await?;
        let select = SESSIONS.rows().select();
        let current = write
            .first(select.filter("token_hash = ?", [&hash[..]]))
            .await?;
        let Some(row) = current else {
            return self.successor_told(&mut *write, token, &hash).await;
        };
        if row.time("rotate_at")? > write.now() {
            return Ok(None);
        }
        let salt = token::random::<SALT>()?;
        let (successor, _) = self.successor(token, &salt);
        self.replace(write, caller, &row, &successor, &Why::Due(salt))
            .await?;
        Ok(Some(successor))
    }

    /// Puts another token in the place of a session's because of what its owner has just done, and tells
    /// it. Whoever else has the former one, or one before it, has nothing from then on.
    ///
    /// # Errors
    /// [`Error::Missing`] if the session has ended, or somebody else has renewed it meanwhile; [`Error::Conflict`] if the token
    /// that was shown was a former one then.
    pub async fn renew_session(
        &self,
        caller: &Caller,
        who: &Authenticated,
    ) -> Result<Secret<String>> {
        if who.token == TokenState::Former {
            return Err(Error::Conflict(
                "another token took this one's place a moment ago: take that one",
            ));
        }
        let mut write = self.records.write(&Scope::Platform).await?;
        let select = SESSIONS.rows().select().with_id(&who.session.id);
        let row = write.first(select).await?;
        let row = row.ok_or(Error::Missing("session"))?;
        if row.bytes("token_hash")? != who.shown {
            // It came due while the request was under way, and a parallel one was told its successor.
            let former = former(&mut *write, &who.shown).await?;
            let works_until = former
                .map(|former| former.time("works_until"))
                .transpose()?;
            let works = works_until.is_some_and(|until| until > write.now());
            works.then_some(()).ok_or(Error::Missing("session"))?;
        }
        let (successor, _) = token::generate(Prefix::Session)?;
        self.replace(write, caller, &row, &successor, &Why::Privilege)
            .await?;
        Ok(successor)
    }

    /// Tells the audit, once, if this is the former token of a session that goes on: whoever shows it had
    /// it from somewhere.
    pub async fn tell_reuse(&self, caller: &Caller, token: &str) -> Result<()> {
        let Some(hash) = Self::session_token_hash(token) else {
            return Ok(());
        };
        let mut read = self.records.read().await?;
        let Some(row) = former(&mut read, &hash).await? else {
            return Ok(());
        };
        drop(read);
        // What was under way when it was replaced is no reuse, whether or not the former one went on working.
        let overlap = self.shared.options.sessions.overlap;
        let is_late = later(row.time("created_at")?, overlap)? <= Timestamp::now();
        if !is_late || row.optional_time("told_at")?.is_some() {
            return Ok(());
        }
        let session = row.id("session_id")?;
        let mut write = self.records.write(&Scope::Platform).await?;
        let alive = SESSIONS.rows().select().with_id(&session);
        if write.first(alive).await?.is_none() {
            return Ok(());
        }
        let rows = FORMER_SESSION_TOKENS.rows();
        let set = [("told_at", Value::from(write.now()))];
        let told = write
            .update_where(rows, "id = ? AND told_at IS NULL", [row.id("id")?], set)
            .await?;
        if told == 0 {
            return Ok(());
        }
        let state = members(serde_json::json!({ "user": row.id("user_id")? }));
        let mut entry = caller.entry("session.reuse", "session", &session, made(state));
        entry.once = None;
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// Takes the place of a token, which is still the session's: its row is held by the scope.
    async fn replace(
        &self,
        mut write: Write,
        caller: &Caller,
        row: &Row,
        successor: &Secret<String>,
        why: &Why,
    ) -> Result<()> {
        let (id, user, hash) = (row.id("id")?, row.id("user_id")?, row.bytes("token_hash")?);
        let options = &self.shared.options.sessions;
        let now = write.now();
        let set = [
            (
                "token_hash",
                Value::from(&token::hash(successor.expose())[..]),
            ),
            ("rotate_at", Value::from(later(now, options.rotate_after)?)),
        ];
        let values = [Value::from(&id), Value::from(&hash[..])];
        let condition = "id = ? AND token_hash = ?";
        let replaced = write
            .update_where(SESSIONS.rows(), condition, values, set)
            .await?;
        if replaced != 1 {
            return Err(Error::Missing("session"));
        }
        let works_until = later(now, why.overlap(options))?;
        if let Why::Privilege = why {
            end_former(&mut write, &user, &id).await?;
        }
        let former = [
            ("user_id", Value::from(&user)),
            ("session_id", Value::from(&id)),
            ("token_hash", Value::from(&hash[..])),
            ("salt", Value::from(why.salt())),
            ("works_until", Value::from(works_until)),
            ("expires_at", Value::from(row.time("expires_at")?)),
        ];
        let rows = FORMER_SESSION_TOKENS.rows();
        write.insert(rows, &Id::new("stk"), former).await?;
        let state = members(serde_json::json!({ "user": user, "why": why.name() }));
        let mut entry = caller.entry("session.rotate", "session", &id, made(state));
        // It comes with a request, and is none.
        entry.once = None;
        note_change(&mut write, CredentialKind::Session, id.as_str()).await?;
        Ok(write.commit(&Scope::Platform, &entry).await?)
    }

    /// What took a token's place, if whoever shows it is to have that.
    async fn successor_told(
        &self,
        reader: &mut impl Reader,
        token: &str,
        hash: &[u8; 32],
    ) -> Result<Option<Secret<String>>> {
        let Some(row) = former(reader, hash).await? else {
            return Ok(None);
        };
        let salt = row.optional_bytes("salt")?;
        let Some(salt) = salt.filter(|_| row.time("works_until").is_ok_and(is_ahead)) else {
            return Ok(None);
        };
        let (successor, hash) = self.successor(token, &salt);
        // It may have been replaced itself, for a reason of which whoever shows this is to know nothing.
        let select = SESSIONS.rows().select();
        let current = reader.first(select.filter("token_hash = ?", [&hash[..]]));
        Ok(current.await?.map(|_| successor))
    }

    fn successor(&self, token: &str, salt: &[u8]) -> (Secret<String>, [u8; 32]) {
        let parts = [token.as_bytes(), salt];
        let random = self.shared.sealer.recognise(PURPOSE, &parts);
        token::of(Prefix::Session, &random)
    }
}

fn is_ahead(time: Timestamp) -> bool {
    time > Timestamp::now()
}

/// The row of a token that was replaced.
pub(super) async fn former(reader: &mut impl Reader, hash: &[u8; 32]) -> Result<Option<Row>> {
    let select = FORMER_SESSION_TOKENS.rows().select();
    reader
        .first(select.filter("token_hash = ?", [&hash[..]]))
        .await
}

/// Former tokens of a session work no longer.
async fn end_former(changes: &mut Changes, user: &Id, session: &Id) -> Result<()> {
    let now = Value::from(changes.now());
    let condition = "user_id = ? AND session_id = ? AND works_until > ?";
    let values = [Value::from(user), Value::from(session), now.clone()];
    let rows = FORMER_SESSION_TOKENS.rows();
    let set = [("works_until", now)];
    changes.update_where(rows, condition, values, set).await?;
    Ok(())
}

/// The tokens of somebody's sessions are to be replaced: what they may do, or how they sign in, changes.
pub(crate) async fn make_due(changes: &mut Changes, user: &Id) -> Result<()> {
    let set = [("rotate_at", Value::from(changes.now()))];
    changes
        .update_first(SESSIONS.rows(), MOST, "user_id = ?", [user], set)
        .await?;
    Ok(())
}
