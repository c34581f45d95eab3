//! Credentials that somebody else must be asked about: keys and sessions, which records hold, and tokens that only
//! their issuer understands.
//!
//! Questions leave the data plane through one bounded queue, and a worker goes on with other requests until the answer
//! is there. Who answers has a memory of its own, for all workers ([`super::changes`] says when it must forget).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use weir_config::model::Introspection;
use weir_core::{Principal, Secret};
use weir_jose::Claims;
use weir_signatures::{Basic, UsersFile};

use super::size::texts_size;
use crate::metrics::{CredentialKind, LookupCounters};

/// Questions that wait to be taken up. More are refused: whoever answers is far behind then.
const ROOM: usize = 4096;
/// Longest wait for an answer from this machine or from records.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// Whose key it is, of the form of one.
    ApiKey(Secret<String>),
    /// Who has signed in, by what is said to be the token of a session.
    Session(Secret<String>),
    /// Whether they are a user's. That takes tens of milliseconds of work.
    Password {
        /// Who they are held against.
        users: Arc<UsersFile>,
        /// Name and password.
        shown: Arc<Basic>,
    },
    /// What a token is worth to the server that issued it.
    Token {
        /// Who is asked, and how.
        by: Arc<Introspection>,
        /// Of the form of a bearer token.
        token: Secret<String>,
    },
}

/// A question on its way.
#[derive(Debug)]
pub struct Lookup {
    /// What is asked.
    pub question: Question,
    /// Who shows the credential.
    pub client: IpAddr,
    answer: oneshot::Sender<Answer>,
}

/// What is known of a credential.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is good.
    Good(Box<Good>),
    /// The server vouches for the token; whether it is for this one is not judged yet.
    Said(Box<Said>),
    /// It is not, or not any more; the word is for logs, and nothing that whoever sent it hears.
    Bad(&'static str),
    /// Nobody can say for now.
    Unavailable(&'static str),
}

/// A good credential.
#[derive(Clone, Debug)]
pub struct Good {
    /// Whose it is.
    pub principal: Principal,
    /// When it ends, in seconds since 1970.
    pub ends_at: Option<u64>,
    /// How long a worker need not ask again.
    pub fresh_for: Duration,
    /// Subjects whose change makes the answer worthless: identifiers of the key, its owner, their organization.
    pub about: Vec<Box<str>>,
    /// For a session: what else there is to know.
    pub person: Option<Person>,
}

/// Somebody who has signed in.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// The organizations that they belong to.
    pub memberships: Vec<Membership>,
    /// What takes the place of the token that they showed.
    pub successor: Option<Secret<String>>,
}

/// What somebody is in an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Its slug.
    pub organization: Arc<str>,
    /// Their role there.
    pub role: Box<str>,
    /// What the role lets them do there.
    pub scopes: Vec<Box<str>>,
}

impl Good {
    /// About how many bytes it takes beside itself.
    pub fn size(&self) -> usize {
        let person = self.person.iter();
        let memberships = person.flat_map(|person| &person.memberships);
        let memberships: usize = memberships.map(Membership::size).sum();
        texts_size(&self.principal, &self.about) + memberships
    }
}

impl Membership {
    fn size(&self) -> usize {
        let scopes = self.scopes.iter();
        let scopes: usize = scopes
            .map(|scope| scope.len() + size_of::<Box<str>>())
            .sum();
        size_of::<Self>() + self.organization.len() + self.role.len() + scopes
    }
}

impl Question {
    /// Of which kind the credential is.
    pub(super) const fn about(&self) -> CredentialKind {
        match self {
            Self::ApiKey(_) => CredentialKind::Key,
            Self::Session(_) => CredentialKind::Session,
            Self::Token { .. } => CredentialKind::Token,
            Self::Password { .. } => CredentialKind::Password,
        }
    }
}

impl Answer {
    /// Its place among [`LookupCounters::OUTCOMES`].
    const fn outcome(&self) -> usize {
        match self {
            Self::Good(_) | Self::Said(_) => 0,
            Self::Bad(_) => 1,
            Self::Unavailable(_) => 2,
        }
    }
}

/// What a server says of a token that is active.
#[derive(Clone, Debug)]
pub struct Said {
    /// All of its answer.
    pub claims: Claims,
    /// How long a worker need not ask again.
    pub fresh_for: Duration,
}

impl Question {
    /// Longest wait for an answer.
    fn patience(&self) -> Duration {
        match self {
            Self::ApiKey(_) | Self::Session(_) | Self::Password { .. } => PATIENCE,
            // Whoever answers gives up first, and knows why.
            Self::Token { by, .. } => by.timeout + PATIENCE,
        }
    }
}

impl Lookup {
    /// Whether somebody still waits for the answer.
    pub fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    /// Tells whoever waits.
    pub fn answer(self, answer: Answer) {
        // Whoever asked may have gone.
        let _ = self.answer.send(answer);
    }
}

/// Where workers ask.
#[derive(Clone, Debug)]
pub(crate) struct Asking(mpsc::Sender<Lookup>);

/// Both ends of the queue.
pub(crate) fn queue() -> (Asking, mpsc::Receiver<Lookup>) {
    let (sender, receiver) = mpsc::channel(ROOM);
    (Asking(sender), receiver)
}

impl Asking {
    /// Asks, and waits for the answer.
    pub(super) async fn ask(
        &self,
        question: Question,
        client: IpAddr,
        counters: &LookupCounters,
    ) -> Answer {
        let _waiting = counters.begin();
        let asked = Instant::now();
        let answer = self.answer(question, client).await;
        counters.record(answer.outcome(), asked.elapsed());
        answer
    }

    async fn answer(&self, question: Question, client: IpAddr) -> Answer {
        let (answer, told) = oneshot::channel();
        let patience = question.patience();
        let lookup = Lookup {
            question,
            client,
            answer,
        };
        if self.0.try_send(lookup).is_err() {
            return Answer::Unavailable("too many look-ups wait");
        }
        match tokio::time::timeout(patience, told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Unavailable("the look-up was given up"),
            Err(_) => Answer::Unavailable("the look-up took too long"),
        }
    }
}
