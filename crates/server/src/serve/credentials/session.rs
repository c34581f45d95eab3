//! Sessions: whose a cookie's token is, and which one takes its place.
//!
//! What records said of a session is believed until something that it is about changes, but never longer than the session may
//! go without being used. A token whose time has come is replaced with the request that shows it, as the pages do it: of many
//! requests at once, on whichever node, all are told the same successor.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, json};
use weir_core::principal::Method;
use weir_core::{Id, Principal, Secret};
use weir_gateway::identify::{Answer, Good, Lookup, Membership, Person, Question};
use weir_identity::{Authenticated, Belonging, Caller, Identity, Result, TokenState};
use weir_store::audit::{Actor, Origin};

use super::kept::Name;

/// How long a worker believes an answer without asking here again, which also says that the session was used.
const FRESH: Duration = Duration::from_secs(15);

/// What records said of a session whose token stays as it is.
pub(super) struct KnownSession {
    pub(super) session: Id,
    pub(super) good: Good,
    /// When it is over, unless it was used since on another node.
    pub(super) idle_at: Timestamp,
}

/// What records say of a token.
pub(super) enum Found {
    Nobody,
    Current(Box<KnownSession>),
    /// Another token is to take its place, or has.
    Replaced(Box<Authenticated>),
}

/// What finds a session; none for what is not of the form of a token.
pub(super) fn name(token: &Secret<String>) -> Option<Name> {
    Identity::session_token_hash(token.expose()).map(Name::Session)
}

/// Asks records whose token of this hash it is.
pub(super) async fn find(identity: &Identity, hash: &[u8; 32], now: Timestamp) -> Result<Found> {
    let Some(who) = identity.find_session(hash, now).await? else {
        return Ok(Found::Nobody);
    };
    if who.token != TokenState::Current {
        return Ok(Found::Replaced(Box::new(who)));
    }
    Ok(Found::Current(Box::new(KnownSession {
        good: good(&who, None, FRESH),
        idle_at: who.idle_at,
        session: who.session.id,
    })))
}

impl KnownSession {
    /// What is to be said to whoever shows its token.
    pub(super) fn judge(&self, identity: &Identity, now: Timestamp) -> Answer {
        identity.note_session_used(&self.session, now);
        Answer::Good(Box::new(self.good.clone()))
    }

    pub(super) fn is_in_time(&self, now: Timestamp) -> bool {
        self.idle_at > now
    }

    pub(super) fn about(&self) -> &[Box<str>] {
        &self.good.about
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.good.size()
    }
}

/// Of a token that is nobody's: if it was somebody's, that is told.
pub(super) async fn tell_reuse(identity: &Identity, lookup: &Lookup) -> Result<()> {
    match shown(lookup) {
        Some(token) => identity.tell_reuse(&caller(lookup), token.expose()).await,
        None => Ok(()),
    }
}

/// What is to be said to whoever shows a token that is replaced.
pub(super) async fn replace(
    identity: &Identity,
    who: &Authenticated,
    lookup: &Lookup,
    now: Timestamp,
) -> Answer {
    identity.note_session_used(&who.session.id, now);
    let successor = match shown(lookup) {
        Some(token) => successor(identity, caller(lookup), who, token).await,
        None => None,
    };
    Answer::Good(Box::new(good(who, successor, Duration::ZERO)))
}

/// The token that is asked about.
fn shown(lookup: &Lookup) -> Option<&Secret<String>> {
    match &lookup.question {
        Question::Session(token) => Some(token),
        Question::ApiKey(_) | Question::Password { .. } | Question::Token { .. } => None,
    }
}

/// Nobody yet, from where the question comes.
fn caller(lookup: &Lookup) -> Caller {
    Caller {
        actor: Actor::Anonymous,
        origin: Origin {
            address: Some(lookup.client.to_string()),
            ..Origin::default()
        },
        ..Caller::system()
    }
}

/// The request goes on with the former token if this fails: the next one asks again.
async fn successor(
    identity: &Identity,
    caller: Caller,
    who: &Authenticated,
    token: &Secret<String>,
) -> Option<Secret<String>> {
    let caller = Caller {
        actor: Actor::User(who.user.id.clone()),
        ..caller
    };
    match identity.rotate_session(&caller, token.expose()).await {
        Ok(successor) => successor,
        Err(error) => {
            let error = error.in_full();
            tracing::warn!(error, "a session's token cannot be replaced for now");
            None
        }
    }
}

fn good(who: &Authenticated, successor: Option<Secret<String>>, fresh_for: Duration) -> Good {
    let members = who.belongings.iter();
    let members = members.filter(|belonging| !belonging.is_suspended);
    Good {
        principal: principal(who),
        ends_at: u64::try_from(who.session.expires_at.as_second()).ok(),
        fresh_for,
        about: about(who),
        person: Some(Person {
            memberships: members.map(membership).collect(),
            successor,
        }),
    }
}

fn principal(who: &Authenticated) -> Principal {
    let mut claims = Map::new();
    claims.insert("email".to_owned(), json!(who.user.email));
    claims.insert("name".to_owned(), json!(who.user.name));
    claims.insert("session".to_owned(), json!(who.session.id));
    Principal {
        method: match who.session.is_two_factor {
            true => Method::TwoFactor,
            false => Method::Password,
        },
        issuer: None,
        subject: who.user.id.to_string().into(),
        organization: None,
        scopes: Vec::new(),
        roles: Vec::new(),
        claims,
    }
}

fn membership(belonging: &Belonging) -> Membership {
    let permissions = belonging.permissions.iter();
    Membership {
        organization: belonging.slug.as_str().into(),
        role: belonging.role.to_string().into(),
        scopes: permissions.map(|one| one.as_str().into()).collect(),
    }
}

/// Identifiers of the session, of its owner and of the organizations that they belong to.
fn about(who: &Authenticated) -> Vec<Box<str>> {
    let organizations = who.belongings.iter();
    let organizations = organizations.map(|belonging| belonging.organization.to_string());
    [who.session.id.to_string(), who.user.id.to_string()]
        .into_iter()
        .chain(organizations)
        .map(String::into_boxed_str)
        .collect()
}
