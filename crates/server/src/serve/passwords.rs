//! Holds names and passwords against users files.
//!
//! Each takes tens of milliseconds of work, by design: it is done on threads on which nobody else waits, a few at a time,
//! and of those who wait for their turn there are only so many. A good password is not hashed twice.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use aws_lc_rs::rand::SystemRandom;
use quick_cache::sync::Cache;
use serde_json::Map;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use weir_core::Principal;
use weir_core::principal::Method;
use weir_gateway::identify::{Answer, Good, Lookup, Question};
use weir_signatures::{Basic, UsersFile};

use super::shares::Shares;

/// How long a worker believes an answer without asking again.
const FRESH: Duration = Duration::from_secs(300);
/// Passwords that wait for their turn. More are refused: they would not get it before nobody waits any more.
const ROOM: usize = 64;
/// Those of one client address: whoever guesses leaves room to others, who do not wait long behind them.
const ROOM_OF_ONE: usize = 8;
/// Good passwords that are known.
const MOST: usize = 4096;

/// Who checks.
pub(super) struct Passwords {
    /// Good ones, by what only this process can compute of them, with the file: as long as that is held here, no
    /// other has its address.
    good: Cache<[u8; 32], Arc<UsersFile>>,
    /// `None` if the system gave no randomness: nothing is remembered then.
    key: Option<Key>,
    turns: Arc<Semaphore>,
    room: Semaphore,
    shares: Shares,
}

/// Why a password is not known to be good.
enum Refused {
    Wrong,
    /// Others wait already, as many as may.
    Busy,
    /// Nobody waits for the answer any more.
    Gone,
    Failed,
}

impl Passwords {
    pub(super) fn new() -> Self {
        // Half of the machine: the rest goes on serving, whoever guesses.
        let turns = available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        Self {
            good: Cache::new(MOST),
            key: Key::generate(HMAC_SHA256, &SystemRandom::new()).ok(),
            turns: Arc::new(Semaphore::new(turns)),
            room: Semaphore::new(ROOM),
            shares: Shares::new(ROOM_OF_ONE),
        }
    }

    /// Answers a question about a password.
    pub(super) async fn answer(self: Arc<Self>, lookup: Lookup) {
        let answer = match &lookup.question {
            Question::Password { users, shown } => self.check(users, shown, &lookup).await,
            Question::ApiKey(_) | Question::Session(_) | Question::Token { .. } => {
                Answer::Unavailable("this is no password")
            }
        };
        lookup.answer(answer);
    }

    async fn check(&self, users: &Arc<UsersFile>, shown: &Arc<Basic>, lookup: &Lookup) -> Answer {
        let digest = self.digest(users, shown);
        if digest.is_some_and(|digest| self.good.get(&digest).is_some()) {
            return good(shown.name());
        }
        let verdict = match digest {
            // Of many with the same password, one is hashed.
            Some(digest) => {
                let hashed = async {
                    self.hash(users, shown, lookup)
                        .await
                        .map(|()| Arc::clone(users))
                };
                self.good
                    .get_or_insert_async(&digest, hashed)
                    .await
                    .map(drop)
            }
            None => self.hash(users, shown, lookup).await,
        };
        match verdict {
            Ok(()) => good(shown.name()),
            Err(Refused::Wrong) => Answer::Bad("password_wrong"),
            Err(Refused::Busy) => Answer::Unavailable("too many passwords wait"),
            Err(Refused::Gone) => Answer::Unavailable("nobody waits for the answer"),
            Err(Refused::Failed) => Answer::Unavailable("the password could not be hashed"),
        }
    }

    async fn hash(
        &self,
        users: &Arc<UsersFile>,
        shown: &Arc<Basic>,
        lookup: &Lookup,
    ) -> Result<(), Refused> {
        let _share = self.shares.take(lookup.client).ok_or(Refused::Busy)?;
        let _place = self.room.try_acquire().map_err(|_| Refused::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Refused::Failed)?;
        if !lookup.is_awaited() {
            return Err(Refused::Gone);
        }
        let (users, shown) = (Arc::clone(users), Arc::clone(shown));
        let verified = spawn_blocking(move || {
            // Held until the work is done, whoever waits for it.
            let _turn = turn;
            users.verify(&shown)
        });
        match verified.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refused::Wrong),
            Err(_) => Err(Refused::Failed),
        }
    }

    /// By what a password is known again, for this file.
    fn digest(&self, users: &Arc<UsersFile>, shown: &Basic) -> Option<[u8; 32]> {
        let mut context = Context::with_key(self.key.as_ref()?);
        context.update(&Arc::as_ptr(users).addr().to_be_bytes());
        context.update(&shown.name().len().to_be_bytes());
        context.update(shown.name().as_bytes());
        context.update(shown.expose_password().as_bytes());
        context.sign().as_ref().try_into().ok()
    }
}

fn good(name: &str) -> Answer {
    Answer::Good(Box::new(Good {
        principal: Principal {
            method: Method::Password,
            issuer: None,
            subject: name.into(),
            organization: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            claims: Map::new(),
        },
        ends_at: None,
        fresh_for: FRESH,
        about: Vec::new(),
        person: None,
    }))
}
