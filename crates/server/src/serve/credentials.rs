//! Answers what workers ask about credentials, and hears when one does not count any more.
//!
//! What records said is kept for all workers, so that neither a new worker nor records that are away make a known key
//! unknown. It is believed until something that it is about changes; after a while it is looked at again beside traffic, in
//! case a change was missed. People's sessions are [`session`].

mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use weir_console::Services;
use weir_core::ApiKeyText;
use weir_gateway::identify::{Answer, Changes, Good, Lookup, Question};
use weir_identity::CredentialKind;
use weir_issuers::Issuers;
use weir_store::Records;
use weir_store::records::{Notice, Topic};

use super::Node;
use super::introspections::Introspections;
use super::kept::{Bytes, Kept, KnownKey, USUAL};
use super::made_up::{Lines, MadeUp};
use super::passwords::Passwords;

/// How long a worker believes an answer without asking here again, which also says that the key was used.
const FRESH: Duration = Duration::from_secs(30);
/// After this long, an answer is looked at again.
const OLD: Duration = Duration::from_secs(60);
/// Longest wait for records.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions to records at a time: made-up keys take no more of them than this.
const AT_ONCE: usize = 32;
/// Look-ups that wait or are asked about. More are refused: they would not get their turn in time.
const MOST_LOOKS: usize = 4096;
/// Sessions that are known here.
const MOST_SESSIONS: usize = 50_000;
/// How often changes are read although nothing was said: a notice can be lost.
const SWEEP: Duration = Duration::from_millis(500);

/// Who answers.
pub(super) struct Desk {
    services: Services,
    changes: Arc<Changes>,
    /// Good keys that are known here, by what finds them. Bounded in bytes, as what each worker knows is.
    keys: Cache<Box<str>, Arc<Kept>, Bytes>,
    /// For so many bytes there is room.
    room: AtomicU64,
    sessions: Cache<[u8; 32], Arc<session::Kept>>,
    made_up: MadeUp,
    asking: Semaphore,
    lines: Lines,
    /// The last change that was heard of; `None` before the first look.
    heard: Mutex<Option<i64>>,
    /// Whether there was a first look.
    is_following: AtomicBool,
    passwords: Arc<Passwords>,
    introspections: Arc<Introspections>,
}

impl Desk {
    /// Keeps about so many bytes in mind.
    pub(super) fn new(
        services: Services,
        changes: Arc<Changes>,
        issuers: Issuers,
        room: u64,
    ) -> Arc<Self> {
        let entries = usize::try_from(room / USUAL).unwrap_or(usize::MAX);
        Arc::new(Self {
            services,
            changes,
            keys: Cache::with_weighter(entries, room, Bytes),
            sessions: Cache::new(MOST_SESSIONS),
            room: AtomicU64::new(room),
            made_up: MadeUp::new(),
            asking: Semaphore::new(AT_ONCE),
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
        match &lookup.question {
            Question::Password { .. } => {
                looks.spawn(Arc::clone(&self.passwords).answer(lookup));
                return;
            }
            Question::Token { .. } => {
                looks.spawn(Arc::clone(&self.introspections).answer(lookup));
                return;
            }
            Question::Session(_) => return self.take_up_session(lookup, looks),
            Question::ApiKey(_) => {}
        }
        let desk = Arc::clone(self);
        let Some(kept) = self.known(&lookup) else {
            if looks.len() >= MOST_LOOKS {
                lookup.answer(Answer::Unavailable("too many look-ups wait"));
                return;
            }
            looks.spawn(async move {
                let answer = desk.look(&lookup).await;
                lookup.answer(answer);
            });
            return;
        };
        if kept.at.elapsed() > OLD && !kept.is_renewed.swap(true, Ordering::Relaxed) {
            let (public, renewed) = (kept.public.clone(), Arc::clone(&kept));
            looks.spawn(async move {
                if desk.read(&public).await.is_err() {
                    renewed.is_renewed.store(false, Ordering::Relaxed);
                }
            });
        }
        let answer = self.judge(&kept, &lookup);
        lookup.answer(answer);
    }

    /// What is known of a key, if that is to be believed.
    fn known(&self, lookup: &Lookup) -> Option<Arc<Kept>> {
        let kept = self.keys.get(shown(lookup)?.public_part())?;
        self.changes
            .is_good(kept.since, &kept.about)
            .then_some(kept)
    }

    async fn look(&self, lookup: &Lookup) -> Answer {
        let Some(key) = shown(lookup) else {
            return Answer::Bad("key_malformed");
        };
        let public = key.public_part();
        let line = self.lines.of(lookup.client);
        let _place = line.acquire().await.ok();
        if !lookup.is_awaited() {
            return Answer::Unavailable("nobody waits for the answer");
        }
        // Others who showed it may have been told while this one waited.
        if let Some(kept) = self.known(lookup) {
            return self.judge(&kept, lookup);
        }
        let latest = self.changes.latest();
        if self.made_up.has(public, latest, Instant::now()) {
            return Answer::Bad("key_unknown");
        }
        match self.read(public).await {
            Ok(kept) => self.judge(&kept, lookup),
            Err(why) => Answer::Unavailable(why),
        }
    }

    /// Asks records, and keeps what they say.
    async fn read(&self, public: &str) -> Result<Arc<Kept>, &'static str> {
        let Ok(identity) = self.services.people().get() else {
            return Err("records are not ready");
        };
        let asked = async {
            let _turn = self.asking.acquire().await.ok();
            let since = self.since().await?;
            let holder = identity.find_api_key(public).await?;
            let key = match holder {
                Some(holder) => {
                    let organization = identity.organization(&holder.tenant).await?.slug;
                    Some(KnownKey {
                        holder,
                        organization,
                    })
                }
                None => None,
            };
            Ok((since, key))
        };
        let (since, key) = match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let error: weir_identity::Error = error;
                tracing::debug!(%error, "records do not say whose key it is");
                return Err("records do not answer");
            }
            Err(_) => return Err("records do not answer in time"),
        };
        let about = key.as_ref().map(KnownKey::about).unwrap_or_default();
        let kept = Arc::new(Kept {
            public: Box::from(public),
            key,
            about,
            since,
            at: Instant::now(),
            is_renewed: AtomicBool::new(false),
        });
        // That there is none is kept elsewhere: made-up keys would put others out.
        match kept.key {
            Some(_) => self.keys.insert(Box::from(public), Arc::clone(&kept)),
            None => {
                self.keys.remove(public);
                self.made_up.note(public, since, kept.at);
            }
        }
        Ok(kept)
    }

    fn judge(&self, kept: &Kept, lookup: &Lookup) -> Answer {
        let (Some(shown), Some(key)) = (shown(lookup), &kept.key) else {
            return Answer::Bad("key_unknown");
        };
        let holder = &key.holder;
        if !shown.is_of(&holder.hash) {
            return Answer::Bad("key_unknown");
        }
        let now = Timestamp::now();
        if let Err(refusal) = holder.check(now) {
            return Answer::Bad(refusal.word());
        }
        let client = lookup.client.to_string();
        let identity = self.services.people().unchecked();
        identity.note_key_used(&holder.tenant, &holder.id, Some(&client), now);
        Answer::Good(Box::new(Good {
            principal: key.principal(),
            ends_at: holder
                .expires_at
                .and_then(|ends| u64::try_from(ends.as_second()).ok()),
            fresh_for: FRESH,
            about: kept.about.clone(),
            person: None,
        }))
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
            self.resize(node.gateway.snapshot().config.limits.credential_cache);
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

    fn resize(&self, room: u64) {
        if self.room.swap(room, Ordering::Relaxed) != room {
            self.keys.set_capacity(room);
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

/// The key that is asked about.
fn shown(lookup: &Lookup) -> Option<ApiKeyText<'_>> {
    match &lookup.question {
        Question::ApiKey(text) => ApiKeyText::parse(text.expose()),
        Question::Password { .. } | Question::Session(_) | Question::Token { .. } => None,
    }
}
