//! Sessions: whose a cookie's token is, and which one takes its place.
//!
//! What records said of a session is believed until something that it is about changes, but never longer than the session may
//! go without being used. A token whose time has come is replaced with the request that shows it, as the pages do it: of many
//! requests at once, on whichever node, all are told the same successor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, json};
use tokio::task::JoinSet;
use tokio::time::timeout;
use weir_core::principal::Method;
use weir_core::{Id, Principal, Secret};
use weir_gateway::identify::{Answer, Good, Lookup, Membership, Person, Question};
use weir_identity::{Authenticated, Belonging, Caller, Identity, TokenState};
use weir_store::audit::{Actor, Origin};

use super::{Desk, OLD, PATIENCE};

/// How long a worker believes an answer without asking here again, which also says that the session was used.
const FRESH: Duration = Duration::from_secs(15);

/// What records said of a session whose token stays as it is.
pub(super) struct Kept {
    hash: [u8; 32],
    session: Id,
    good: Good,
    /// When it is over, unless it was used since on another node.
    idle_at: Timestamp,
    /// The latest change when it was asked for.
    since: u64,
    at: Instant,
    /// Whether somebody looks at it again.
    is_renewed: AtomicBool,
}

/// What records say of a token.
enum Found {
    Nobody,
    Current(Arc<Kept>),
    /// Another token is to take its place, or has.
    Replaced(Box<Authenticated>),
}

impl Desk {
    /// Answers what is known, and asks records about the rest.
    pub(super) fn take_up_session(self: &Arc<Self>, lookup: Lookup, looks: &mut JoinSet<()>) {
        let Some(hash) =
            shown(&lookup).and_then(|token| Identity::session_token_hash(token.expose()))
        else {
            return lookup.answer(Answer::Bad("session_malformed"));
        };
        let desk = Arc::clone(self);
        let now = Timestamp::now();
        let Some(kept) = self.known_session(&hash, now) else {
            looks.spawn(async move {
                let answer = desk.look_for_session(&lookup, &hash).await;
                lookup.answer(answer);
            });
            return;
        };
        if kept.at.elapsed() > OLD && !kept.is_renewed.swap(true, Ordering::Relaxed) {
            let renewed = Arc::clone(&kept);
            looks.spawn(async move {
                if desk.renew_session(&renewed).await.is_err() {
                    renewed.is_renewed.store(false, Ordering::Relaxed);
                }
            });
        }
        lookup.answer(self.used(&kept, now));
    }

    /// What is known of a session, if that is to be believed.
    fn known_session(&self, hash: &[u8; 32], now: Timestamp) -> Option<Arc<Kept>> {
        let kept = self.sessions.get(hash)?;
        let is_good = kept.idle_at > now && self.changes.is_good(kept.since, &kept.good.about);
        is_good.then_some(kept)
    }

    fn used(&self, kept: &Kept, now: Timestamp) -> Answer {
        let identity = self.services.people().unchecked();
        identity.note_session_used(&kept.session, now);
        Answer::Good(Box::new(kept.good.clone()))
    }

    async fn look_for_session(&self, lookup: &Lookup, hash: &[u8; 32]) -> Answer {
        let Some(token) = shown(lookup) else {
            return Answer::Bad("session_malformed");
        };
        let Ok(identity) = self.services.people().get() else {
            return Answer::Unavailable("records are not ready");
        };
        let now = Timestamp::now();
        let caller = caller(lookup);
        let asked = async {
            let _turn = self.asking.acquire().await.ok();
            Ok(match self.find(identity, hash, now).await? {
                Found::Nobody => {
                    identity.tell_reuse(&caller, token.expose()).await?;
                    Answer::Bad("session_over")
                }
                Found::Current(kept) => self.used(&kept, now),
                Found::Replaced(who) => {
                    identity.note_session_used(&who.session.id, now);
                    let successor = successor(identity, caller, &who, token).await;
                    Answer::Good(Box::new(good(&who, successor, Duration::ZERO)))
                }
            })
        };
        within(asked).await.unwrap_or_else(Answer::Unavailable)
    }

    /// Asks again whether a session is what it was.
    async fn renew_session(&self, kept: &Kept) -> Result<(), &'static str> {
        let Ok(identity) = self.services.people().get() else {
            return Err("records are not ready");
        };
        let asked = async {
            let _turn = self.asking.acquire().await.ok();
            self.find(identity, &kept.hash, Timestamp::now()).await
        };
        match within(asked).await? {
            Found::Current(_) => {}
            // Whoever shows it next is told what there is to tell.
            Found::Nobody | Found::Replaced(_) => {
                self.sessions.remove(&kept.hash);
            }
        }
        Ok(())
    }

    /// Asks records, and keeps what they say of a token that stays.
    async fn find(
        &self,
        identity: &Identity,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Found, weir_identity::Error> {
        let since = self.since().await?;
        let Some(who) = identity.find_session(hash, now).await? else {
            return Ok(Found::Nobody);
        };
        if who.token != TokenState::Current {
            return Ok(Found::Replaced(Box::new(who)));
        }
        let kept = Arc::new(Kept {
            hash: *hash,
            good: good(&who, None, FRESH),
            idle_at: who.idle_at,
            session: who.session.id,
            since,
            at: Instant::now(),
            is_renewed: AtomicBool::new(false),
        });
        self.sessions.insert(*hash, Arc::clone(&kept));
        Ok(Found::Current(kept))
    }
}

/// The token that is asked about.
fn shown(lookup: &Lookup) -> Option<&Secret<String>> {
    match &lookup.question {
        Question::Session(token) => Some(token),
        Question::ApiKey(_) | Question::Password { .. } | Question::Token { .. } => None,
    }
}

async fn within<T>(
    asked: impl Future<Output = Result<T, weir_identity::Error>>,
) -> Result<T, &'static str> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::debug!(%error, "records do not say whose session it is");
            Err("records do not answer")
        }
        Err(_) => Err("records do not answer in time"),
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
