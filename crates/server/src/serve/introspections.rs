//! Asks servers about opaque tokens (RFC 7662), for all workers.
//!
//! What a server said of a good token is believed for as long as the policy says, and asked for again beside traffic
//! before that is over. While the server cannot be asked, tokens that were good go on to be good for some more time; of
//! tokens that nobody knows, nobody says that they are bad.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use weir_config::model::{ClientAuthentication, Introspection};
use weir_core::Secret;
use weir_gateway::identify::{Answer, Lookup, Question, Said};
use weir_issuers::{ClientCredentials, Introspected, Introspector, Issuers, Unreachable};
use weir_jose::Claims;
use weir_outbound::Reach;

use super::shares::Shares;
use memory::{Digest, Memory};

mod memory;

/// While a server cannot be asked, it is tried this often beside traffic.
const RETRY: Duration = Duration::from_secs(1);

/// All servers that are asked.
pub(super) struct Introspections {
    issuers: Issuers,
    servers: Mutex<Vec<Arc<Server>>>,
}

/// One server, as one policy asks it.
struct Server {
    model: Arc<Introspection>,
    /// `None` if its settings lead nowhere.
    introspector: Option<Introspector>,
    memory: Memory,
    /// Questions under way, by token: whoever asks about the same one waits for the same answer.
    flights: Mutex<HashMap<Digest, Arc<OnceCell<Outcome>>>>,
    /// Questions under way about tokens that nobody knows, by who shows them.
    strangers: Shares,
    /// When a server that cannot be asked is tried next; `None` if it can be asked.
    lost: Mutex<Option<Instant>>,
}

/// What came of a question.
#[derive(Clone)]
enum Outcome {
    Active(Arc<Kept>),
    Inactive,
    /// The word is for logs.
    Unavailable(&'static str),
}

/// What a server said of a good token.
struct Kept {
    claims: Claims,
    at: Instant,
}

impl Introspections {
    pub(super) fn new(issuers: Issuers) -> Self {
        Self {
            issuers,
            servers: Mutex::default(),
        }
    }

    /// Answers a question about a token.
    pub(super) async fn answer(self: Arc<Self>, lookup: Lookup) {
        let Question::Token { by, token } = &lookup.question else {
            return lookup.answer(Answer::Unavailable("this is no token"));
        };
        let (server, token) = (self.server(by), token.clone());
        let digest = Digest::of(token.expose());
        let (answer, is_due) = server.answer(digest, &token, lookup.client).await;
        lookup.answer(answer);
        // Whoever asked has their answer, and waits for this no more.
        if is_due {
            server.renew(digest, &token).await;
        }
    }

    fn server(&self, by: &Arc<Introspection>) -> Arc<Server> {
        let mut servers = lock(&self.servers);
        let mut same = servers.iter().filter(|one| Arc::ptr_eq(&one.model, by));
        if let Some(server) = same.next() {
            return Arc::clone(server);
        }
        // Those that only this list still holds are of policies that no revision in use has.
        servers.retain(|server| Arc::strong_count(&server.model) > 1);
        let server = Arc::new(Server::new(by, &self.issuers));
        servers.push(Arc::clone(&server));
        server
    }
}

impl Server {
    fn new(model: &Arc<Introspection>, issuers: &Issuers) -> Self {
        let introspector = issuers.introspector(settings(model));
        if let Err(error) = &introspector {
            tracing::error!(%error, "tokens cannot be asked about");
        }
        Self {
            model: Arc::clone(model),
            introspector: introspector.ok(),
            memory: Memory::new(),
            flights: Mutex::default(),
            strangers: Shares::new(model.at_once),
            lost: Mutex::default(),
        }
    }

    /// What is to be said of a token, and whether the server is to be asked again beside traffic.
    async fn answer(
        &self,
        digest: Digest,
        token: &Secret<String>,
        client: IpAddr,
    ) -> (Answer, bool) {
        let Some(kept) = self.memory.good(&digest) else {
            return (self.answer_stranger(digest, token, client).await, false);
        };
        let now = Instant::now();
        match self.belief(&kept, now) {
            Belief::Fresh(fresh_for) => (said(&kept, fresh_for), false),
            Belief::Ageing(fresh_for) => (said(&kept, fresh_for), self.may_try(now)),
            // A server that is known to be away is waited for by nobody who is known.
            Belief::Stale if self.is_lost() => (said(&kept, RETRY), self.may_try(now)),
            Belief::Stale => match self.ask(digest, token, None).await {
                Outcome::Unavailable(_) => (said(&kept, RETRY), false),
                outcome => (self.tell(outcome), false),
            },
            Belief::None => {
                self.memory.forget(&digest);
                (self.answer_stranger(digest, token, client).await, false)
            }
        }
    }

    /// Of a token that nobody knows.
    async fn answer_stranger(
        &self,
        digest: Digest,
        token: &Secret<String>,
        client: IpAddr,
    ) -> Answer {
        if self.memory.is_bad(&digest, Instant::now()) {
            return Answer::Bad("token_inactive");
        }
        let outcome = self.ask(digest, token, Some(client)).await;
        self.tell(outcome)
    }

    fn belief(&self, kept: &Kept, now: Instant) -> Belief {
        let age = now.saturating_duration_since(kept.at);
        belief(self.model.cache, self.model.stale, age)
    }

    fn tell(&self, outcome: Outcome) -> Answer {
        match outcome {
            Outcome::Active(kept) => match self.belief(&kept, Instant::now()) {
                Belief::Fresh(fresh_for) | Belief::Ageing(fresh_for) => said(&kept, fresh_for),
                // Nothing is to be believed for any time: it was asked just now.
                Belief::Stale | Belief::None => said(&kept, Duration::ZERO),
            },
            Outcome::Inactive => Answer::Bad("token_inactive"),
            Outcome::Unavailable(why) => Answer::Unavailable(why),
        }
    }

    /// Asks again, unless somebody does.
    async fn renew(&self, digest: Digest, token: &Secret<String>) {
        if !lock(&self.flights).contains_key(&digest) {
            self.ask(digest, token, None).await;
        }
    }

    /// Asks the server, or waits for the answer to whoever asked it about the same token. Of a `stranger`, who shows a
    /// token that nobody knows, only so many questions are passed on: whoever sends made-up tokens does not take them all.
    async fn ask(
        &self,
        digest: Digest,
        token: &Secret<String>,
        stranger: Option<IpAddr>,
    ) -> Outcome {
        let flight = Arc::clone(lock(&self.flights).entry(digest).or_default());
        let question = async {
            let outcome = match stranger.map(|client| self.strangers.take(client)) {
                Some(None) => Outcome::Unavailable("too many unknown tokens of this address wait"),
                _share => self.question(digest, token).await,
            };
            lock(&self.flights).remove(&digest);
            outcome
        };
        flight.get_or_init(|| question).await.clone()
    }

    async fn question(&self, digest: Digest, token: &Secret<String>) -> Outcome {
        let Some(introspector) = &self.introspector else {
            return Outcome::Unavailable("the server's address cannot be used");
        };
        // Before the question: what the server says is not younger than that.
        let at = Instant::now();
        match introspector.ask(token.expose()).await {
            Ok(Introspected::Active(claims)) => {
                self.found();
                let kept = Arc::new(Kept { claims, at });
                self.memory.keep(digest, &kept);
                Outcome::Active(kept)
            }
            Ok(Introspected::Inactive) => {
                self.found();
                self.memory.forget(&digest);
                self.memory.keep_bad(digest, at);
                Outcome::Inactive
            }
            Err(Unreachable::Busy(_)) => {
                Outcome::Unavailable("too many questions wait for the server")
            }
            Err(error) => {
                self.lose(&error);
                Outcome::Unavailable("the server cannot be asked")
            }
        }
    }

    fn is_lost(&self) -> bool {
        lock(&self.lost).is_some()
    }

    /// Whether the server may be asked beside traffic now: one that cannot be asked is tried once in a while only.
    fn may_try(&self, now: Instant) -> bool {
        match &mut *lock(&self.lost) {
            None => true,
            Some(next) if *next <= now => {
                *next = now + RETRY;
                true
            }
            Some(_) => false,
        }
    }

    fn found(&self) {
        if lock(&self.lost).take().is_some() {
            let server = &self.model.endpoint;
            tracing::info!(server, "the server can be asked about tokens again");
        }
    }

    fn lose(&self, error: &Unreachable) {
        let next = Instant::now() + RETRY;
        if lock(&self.lost).replace(next).is_none() {
            tracing::warn!(%error, "a server cannot be asked about tokens: only known ones are good");
        }
    }
}

/// How far an answer is to be believed.
#[derive(Debug, PartialEq, Eq)]
enum Belief {
    /// For this long, without looking further.
    Fresh(Duration),
    /// For this long, and it is time to ask again beside traffic.
    Ageing(Duration),
    /// Only if the server cannot be asked.
    Stale,
    None,
}

/// What an answer of this age is worth. It is asked for again from half of its time on, so that nobody waits who comes
/// regularly; workers look here again by then.
fn belief(cache: Duration, stale: Duration, age: Duration) -> Belief {
    let half = cache / 2;
    if age < half {
        return Belief::Fresh(half - age);
    }
    if age < cache {
        return Belief::Ageing((cache - age).min(RETRY));
    }
    match age < cache + stale {
        true => Belief::Stale,
        false => Belief::None,
    }
}

fn said(kept: &Kept, fresh_for: Duration) -> Answer {
    Answer::Said(Box::new(Said {
        claims: kept.claims.clone(),
        fresh_for,
    }))
}

fn settings(model: &Introspection) -> weir_issuers::Introspection {
    let (id, secret) = (model.client_id.clone(), model.client_secret.clone());
    weir_issuers::Introspection {
        url: model.endpoint.clone(),
        credentials: match model.authentication {
            ClientAuthentication::Basic => ClientCredentials::Basic(id, secret),
            ClientAuthentication::Post => ClientCredentials::Post(id, secret),
        },
        reach: Reach::Public {
            allow: model.allow.clone(),
        },
        authorities: model.authorities.clone(),
        timeout: model.timeout,
        at_once: model.at_once,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_is_asked_for_again_before_its_time_is_over_and_outlives_it_for_a_while_only() {
        let (cache, stale) = (60 * SECOND, 600 * SECOND);
        let belief = |seconds: u32| belief(cache, stale, seconds * SECOND);
        assert_eq!(belief(0), Belief::Fresh(30 * SECOND));
        assert_eq!(belief(29), Belief::Fresh(SECOND));
        assert_eq!(belief(30), Belief::Ageing(SECOND));
        assert_eq!(belief(59), Belief::Ageing(SECOND));
        assert_eq!(belief(60), Belief::Stale);
        assert_eq!(belief(659), Belief::Stale);
        assert_eq!(belief(660), Belief::None);
    }

    #[test]
    fn without_a_cache_nothing_is_believed_but_while_the_server_is_away() {
        assert_eq!(
            belief(Duration::ZERO, SECOND, Duration::ZERO),
            Belief::Stale
        );
        assert_eq!(
            belief(Duration::ZERO, Duration::ZERO, Duration::ZERO),
            Belief::None
        );
    }
}
