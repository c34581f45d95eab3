//! Answers what workers ask about credentials, and hears when one does not count any more.
//!
//! What records said is kept for all workers, so that neither a new worker nor records that are away make a known key or
//! session unknown. It is believed until something that it is about changes; after a while it is looked at again beside
//! traffic, in case a change was missed.

mod kept;
mod key;
mod made_up;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use weir_console::Services;
use weir_gateway::identify::{Answer, Changes, Lookup, Question};
use weir_identity::{Authenticated, CredentialKind, Identity};
use weir_issuers::Issuers;
use weir_store::Records;
use weir_store::records::{Notice, Topic};

use super::Node;
use super::introspections::Introspections;
use super::passwords::Passwords;
use kept::{Kept, Memory, Name, Who};
use key::KnownKey;
use made_up::{Lines, MadeUp};

/// After this long, an answer is looked at again.
const OLD: Duration = Duration::from_secs(60);
/// Longest wait for records.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions to records at a time: made-up credentials take no more of them than this.
const AT_ONCE: usize = 32;
/// Look-ups that wait or are asked about. More are refused: they would not get their turn in time.
const MOST_LOOKS: usize = 4096;
/// How often changes are read although nothing was said: a notice can be lost.
const SWEEP: Duration = Duration::from_millis(500);

/// Who answers.
pub(super) struct Desk {
    services: Services,
    changes: Arc<Changes>,
    known: Memory,
    made_up: MadeUp,
    asking: Semaphore,
    /// Of look-ups that wait or are asked about.
    places: Arc<Semaphore>,
    lines: Lines,
    /// The last change that was heard of; `None` before the first look.
    heard: Mutex<Option<i64>>,
    /// Whether there was a first look.
    is_following: AtomicBool,
    passwords: Arc<Passwords>,
    introspections: Arc<Introspections>,
}

/// What records say of a credential.
enum Found {
    /// There is none; the latest change when it was asked for.
    Nobody(u64),
    Known(Arc<Kept>),
    /// It is a session whose token is to be replaced, or has been.
    Replaced(Box<Authenticated>),
}

impl Desk {
    /// Keeps about so many bytes in mind.
    pub(super) fn new(
        services: Services,
        changes: Arc<Changes>,
        issuers: Issuers,
        room: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            services,
            changes,
            known: Memory::new(room),
            made_up: MadeUp::new(),
            asking: Semaphore::new(AT_ONCE),
            places: Arc::new(Semaphore::new(MOST_LOOKS)),
            lines: Lines::default(),
            heard: Mutex::new(None),
            is_following: AtomicBool::new(false),
            passwords: Arc::new(Passwords::new()),
            introspections: Arc::new(Introspections::new(issuers)),
        })
    }

    /// Answers for as long as there are questions.
    pub(super) async fn answer(self: Arc<Self>, lookups: Arc<Mutex<mpsc::Receiver<Lookup>>>) {
        let mut lookups = lookups.lock().await;
        let mut looks = JoinSet::new();
        loop {
            tokio::select! {
                lookup = lookups.recv() => match lookup {
                    Some(lookup) => self.take_up(lookup, &mut looks),
                    None => return,
                },
                Some(_) = looks.join_next() => {}
            }
        }
    }

    /// Answers what is known, and asks records about the rest.
    fn take_up(self: &Arc<Self>, lookup: Lookup, looks: &mut JoinSet<()>) {
        let (name, malformed) = match &lookup.question {
            Question::Password { .. } => {
                looks.spawn(Arc::clone(&self.passwords).answer(lookup));
                return;
            }
            Question::Token { .. } => {
                looks.spawn(Arc::clone(&self.introspections).answer(lookup));
                return;
            }
            Question::ApiKey(text) => (key::name(text), "key_malformed"),
            Question::Session(token) => (session::name(token), "session_malformed"),
        };
        let Some(name) = name else {
            return lookup.answer(Answer::Bad(malformed));
        };
        let desk = Arc::clone(self);
        let now = Timestamp::now();
        let known = self.known.find(&name, &self.changes, now, Instant::now());
        let Some(kept) = known else {
            const FULL: Answer = Answer::Unavailable("too many look-ups wait");
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                return lookup.answer(FULL);
            };
            let Some(line) = self.lines.join(lookup.client) else {
                return lookup.answer(FULL);
            };
            looks.spawn(async move {
                let _place = (place, line.acquire().await.ok());
                let answer = desk.look(&name, &lookup).await;
                lookup.answer(answer);
            });
            return;
        };
        if kept.begin_renewal(OLD) {
            let renewed = Arc::clone(&kept);
            looks.spawn(async move {
                if desk.renew(&renewed.name).await.is_err() {
                    renewed.give_up_renewal();
                }
            });
        }
        let answer = self.judge(&kept, &lookup, now);
        lookup.answer(answer);
    }

    /// Asks records for somebody whose turn it is in their line.
    async fn look(&self, name: &Name, lookup: &Lookup) -> Answer {
        if !lookup.is_awaited() {
            return Answer::Unavailable("nobody waits for the answer");
        }
        let now = Timestamp::now();
        // Others who showed it may have been told while this one waited.
        let known = self.known.find(name, &self.changes, now, Instant::now());
        if let Some(kept) = known {
            return self.judge(&kept, lookup, now);
        }
        let latest = self.changes.latest();
        if self.made_up.has(name, latest, Instant::now()) {
            return unknown(name);
        }
        let Ok(identity) = self.services.people().get() else {
            return Answer::Unavailable("records are not ready");
        };
        let asked = async {
            Ok(match self.find(identity, name, now).await? {
                Found::Nobody(since) => {
                    session::tell_reuse(identity, lookup).await?;
                    self.made_up.note(name.clone(), since, Instant::now());
                    unknown(name)
                }
                Found::Known(kept) => self.judge(&kept, lookup, now),
                Found::Replaced(who) => session::replace(identity, &who, lookup, now).await,
            })
        };
        let answer = self.in_turn(asked).await;
        answer.unwrap_or_else(Answer::Unavailable)
    }

    /// Asks again whether a credential is what it was. If not, whoever shows it next is told what there is to tell.
    async fn renew(&self, name: &Name) -> Result<(), &'static str> {
        let Ok(identity) = self.services.people().get() else {
            return Err("records are not ready");
        };
        let found = self.find(identity, name, Timestamp::now());
        self.in_turn(found).await.map(|_| ())
    }

    /// What records are asked, when there is room for one more question.
    async fn in_turn<T>(
        &self,
        asked: impl Future<Output = weir_identity::Result<T>>,
    ) -> Result<T, &'static str> {
        let in_turn = async {
            let _turn = self.asking.acquire().await.ok();
            asked.await
        };
        match timeout(PATIENCE, in_turn).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::debug!(%error, "records do not say whose credential it is");
                Err("records do not answer")
            }
            Err(_) => Err("records do not answer in time"),
        }
    }

    /// Asks records, and keeps what they say of a good credential. That there is none is kept elsewhere, by whoever has told
    /// what there is to tell: made-up ones would put others out.
    async fn find(
        &self,
        identity: &Identity,
        name: &Name,
        now: Timestamp,
    ) -> weir_identity::Result<Found> {
        let since = self.since().await?;
        let who = match name {
            Name::Key(public) => {
                let key = KnownKey::find(identity, public).await?;
                key.map(|key| Who::Key(Box::new(key)))
            }
            Name::Session(hash) => match session::find(identity, hash, now).await? {
                session::Found::Nobody => None,
                session::Found::Current(session) => Some(Who::Session(session)),
                session::Found::Replaced(who) => {
                    self.known.forget(name);
                    return Ok(Found::Replaced(who));
                }
            },
        };
        let Some(who) = who else {
            self.known.forget(name);
            return Ok(Found::Nobody(since));
        };
        let kept = Kept::new(name.clone(), who, since);
        self.known.keep(&kept);
        Ok(Found::Known(kept))
    }

    fn judge(&self, kept: &Kept, lookup: &Lookup, now: Timestamp) -> Answer {
        let identity = self.services.people().unchecked();
        match &kept.who {
            Who::Key(key) => key.judge(identity, lookup, now),
            Who::Session(session) => session.judge(identity, now),
        }
    }

    /// The latest change, for whoever is about to ask records: a change meanwhile makes the answer worthless.
    async fn since(&self) -> Result<u64, weir_identity::Error> {
        // Whoever keeps an answer must hear of all changes since.
        if !self.is_following.load(Ordering::Acquire) {
            self.hear().await?;
        }
        Ok(self.changes.latest())
    }

    /// Hears of changes for as long as the process lives.
    pub(super) async fn follow(self: Arc<Self>, node: Arc<Node>, records: Records) {
        let mut notices = records.notices();
        loop {
            self.known
                .resize(node.gateway.snapshot().config.limits.credential_cache);
            if let Err(error) = self.hear().await {
                tracing::debug!(%error, "changes of credentials cannot be read");
            }
            loop {
                match timeout(SWEEP, notices.next()).await {
                    Err(_) | Ok(Some(Notice::Changed(Topic::Credentials) | Notice::Anything)) => {
                        break;
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return,
                }
            }
        }
    }

    /// Takes up what changed since it was last asked.
    async fn hear(&self) -> Result<(), weir_identity::Error> {
        let Ok(identity) = self.services.people().get() else {
            return Ok(());
        };
        let mut heard = self.heard.lock().await;
        let Some(mut last) = *heard else {
            *heard = Some(identity.latest_change().await?);
            self.is_following.store(true, Ordering::Release);
            return Ok(());
        };
        loop {
            let changes = identity.changes_since(last).await?;
            let Some(newest) = changes.last() else {
                break;
            };
            last = newest.sequence;
            if changes
                .iter()
                .any(|change| change.kind == CredentialKind::Unknown)
            {
                self.changes.forget_all();
            }
            let subjects = changes
                .into_iter()
                .map(|change| change.subject.into_boxed_str());
            self.changes.note(subjects, Instant::now());
            *heard = Some(last);
        }
        // Records of another day were restored: their changes are numbered from there.
        let latest = identity.latest_change().await?;
        if latest < last {
            self.changes.forget_all();
            *heard = Some(latest);
        }
        Ok(())
    }
}

/// Of a credential that there is not. The word is for logs.
fn unknown(name: &Name) -> Answer {
    Answer::Bad(match name {
        Name::Key(_) => "key_unknown",
        Name::Session(_) => "session_over",
    })
}
