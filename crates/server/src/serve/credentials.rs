//! Answers what workers ask about credentials, and hears when one does not count any more.
//!
//! What records said is kept for all workers, so that neither a new worker nor records that are away make a known key
//! unknown. It is believed until something that it is about changes; after a while it is looked at again beside traffic, in
//! case a change was missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use quick_cache::sync::Cache;
use serde_json::{Map, json};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use weir_console::Services;
use weir_core::principal::Method;
use weir_core::{ApiKeyText, Principal};
use weir_gateway::identify::{Answer, Changes, Good, Lookup, Question};
use weir_identity::{CredentialKind, KeyHolder};
use weir_store::Records;
use weir_store::records::{Notice, Topic};

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
/// Keys that are known here, good and bad ones.
const MOST: usize = 100_000;
/// Look-ups that wait or are asked about. More are refused: they would not get their turn in time.
const MOST_LOOKS: usize = 4096;
/// How often changes are read although nothing was said: a notice can be lost.
const SWEEP: Duration = Duration::from_millis(500);

/// Who answers.
pub(super) struct Desk {
    services: Services,
    changes: Arc<Changes>,
    keys: Cache<Box<str>, Arc<Kept>>,
    made_up: MadeUp,
    asking: Semaphore,
    lines: Lines,
    /// The last change that was heard of; `None` before the first look.
    heard: Mutex<Option<i64>>,
    /// Whether there was a first look.
    is_following: AtomicBool,
    passwords: Arc<Passwords>,
}

/// What records said of a key.
struct Kept {
    /// What finds it.
    public: Box<str>,
    /// `None`: that there is none.
    key: Option<KnownKey>,
    /// Subjects whose change makes it worthless.
    about: Vec<Box<str>>,
    /// The latest change when it was asked for.
    since: u64,
    at: Instant,
    /// Whether somebody looks at it again.
    is_renewed: AtomicBool,
}

struct KnownKey {
    holder: KeyHolder,
    /// The organization's slug.
    organization: String,
}

impl Desk {
    pub(super) fn new(services: Services, changes: Arc<Changes>) -> Arc<Self> {
        Arc::new(Self {
            services,
            changes,
            keys: Cache::new(MOST),
            made_up: MadeUp::new(),
            asking: Semaphore::new(AT_ONCE),
            lines: Lines::default(),
            heard: Mutex::new(None),
            is_following: AtomicBool::new(false),
            passwords: Arc::new(Passwords::new()),
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
        if let Question::Password { .. } = lookup.question {
            looks.spawn(Arc::clone(&self.passwords).answer(lookup));
            return;
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
            // Whoever keeps an answer must hear of all changes since.
            if !self.is_following.load(Ordering::Acquire) {
                self.hear().await?;
            }
            // Before records are asked: a change meanwhile makes the answer worthless.
            let since = self.changes.latest();
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
        let about = match &key {
            Some(key) => about(&key.holder),
            None => Vec::new(),
        };
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
            principal: principal(key),
            ends_at: holder
                .expires_at
                .and_then(|ends| u64::try_from(ends.as_second()).ok()),
            fresh_for: FRESH,
            about: kept.about.clone(),
        }))
    }

    /// Hears of changes for as long as the process lives.
    pub(super) async fn follow(self: Arc<Self>, records: Records) {
        let mut notices = records.notices();
        loop {
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

/// The key that is asked about.
fn shown(lookup: &Lookup) -> Option<ApiKeyText<'_>> {
    match &lookup.question {
        Question::ApiKey(text) => ApiKeyText::parse(text.expose()),
        Question::Password { .. } => None,
    }
}

/// Identifiers of the key, of its owner and of their organization.
fn about(holder: &KeyHolder) -> Vec<Box<str>> {
    let user = holder.user.as_ref().map(ToString::to_string);
    let all = [holder.id.to_string(), holder.tenant.to_string()];
    all.into_iter()
        .chain(user)
        .map(String::into_boxed_str)
        .collect()
}

fn principal(key: &KnownKey) -> Principal {
    let holder = &key.holder;
    let mut claims = Map::new();
    claims.insert("name".to_owned(), json!(holder.name));
    claims.insert("key".to_owned(), json!(holder.id.to_string()));
    // A person's key is that person; an organization's own is itself.
    let subject = holder.user.as_ref().unwrap_or(&holder.id);
    Principal {
        method: Method::Key,
        issuer: None,
        subject: subject.to_string().into(),
        organization: Some(key.organization.as_str().into()),
        scopes: holder.scopes.iter().map(Box::from).collect(),
        roles: Vec::new(),
        claims,
    }
}
