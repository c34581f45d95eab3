//! What people and tokens change of the running process, for the audit.
//!
//! Such a change has to work while records are away: it is how a node is saved. So it takes effect first. The log
//! has it at once; the audit has it before the answer if records can take it, or else as soon as they can: until
//! then it waits here, in a bounded queue, and on disk, where the next process finds it if this one ends.

mod action;
mod kept;
mod line;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use weir_identity::Caller;
use weir_store::audit::{Change, Entry, Subject};
use weir_store::records::{Once, Scope};
use weir_store::{Error, Records};

use crate::records::{Condition, Keeper};

pub(crate) use action::Action;
use kept::{Found, Kept};

/// Entries that wait for records.
const MOST: usize = 1000;
/// How long an answer waits for the audit.
const SETTLED: Duration = Duration::from_secs(1);
/// Between attempts to write the same entry.
const RETRY: Duration = Duration::from_secs(1);
/// How often an entry is tried again that records refuse although they are there.
const ATTEMPTS: u32 = 10;
/// How often it is looked for what processes that are gone have left: the one before may still be ending.
const LOOK: Duration = Duration::from_secs(5);
/// What is written later than this says when it was done.
const LATE: Duration = Duration::from_secs(2);

/// One thing that was done.
pub(crate) struct Deed {
    pub(crate) action: Action,
    /// What became different; it names the subject, which has no identifier.
    pub(crate) change: Change,
}

/// Takes what is done, and keeps it until the audit has it.
pub(crate) struct Deeds {
    queue: mpsc::Sender<Waiting>,
    waiting: Mutex<mpsc::Receiver<Waiting>>,
    kept: Arc<Kept>,
    /// How many the audit does not have yet.
    pending: watch::Sender<u64>,
    lost: AtomicU64,
}

struct Waiting {
    /// By which it is kept.
    number: u64,
    entry: Entry,
    at: Timestamp,
    /// Comes when it is on disk, or cannot be.
    kept: Option<oneshot::Receiver<()>>,
    told: Option<oneshot::Sender<()>>,
}

/// A deed on its way to the audit.
#[must_use]
pub(crate) struct Noted(Option<Underway>);

struct Underway {
    keeping: JoinHandle<()>,
    told: oneshot::Receiver<()>,
}

impl Noted {
    /// Waits until it is on disk, and until the audit has it or it is known to have to wait.
    pub(crate) async fn settled(self) {
        if let Some(Underway { keeping, told }) = self.0 {
            let _ = keeping.await;
            let _ = timeout(SETTLED, told).await;
        }
    }
}

impl Deeds {
    /// With what waits in this data directory.
    pub(crate) fn new(data: &Path) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(MOST);
        Arc::new(Self {
            queue,
            waiting: Mutex::new(waiting),
            kept: Arc::new(Kept::new(data)),
            pending: watch::Sender::new(0),
            lost: AtomicU64::new(0),
        })
    }

    /// Notes what is done already. Nothing is waited for: whoever asked may leave at any moment.
    pub(crate) fn note(&self, caller: &Caller, deed: Deed) -> Noted {
        log(caller, &deed);
        let Deed { action, change } = deed;
        let entry = Entry {
            actor: caller.actor.clone(),
            origin: caller.origin.clone(),
            action: action.name(),
            subject: Subject {
                kind: action.kind(),
                id: None,
            },
            change,
            request_id: caller.request_id.clone(),
            once: once(),
        };
        let (told, heard) = oneshot::channel();
        let (is_kept, kept) = oneshot::channel();
        let (number, at) = (self.kept.number(), Timestamp::now());
        let waiting = Waiting {
            number,
            entry: entry.clone(),
            at,
            kept: Some(kept),
            told: Some(told),
        };
        // Counted first: whoever takes it counts it down.
        self.pending.send_modify(|pending| *pending += 1);
        if self.queue.try_send(waiting).is_ok() {
            let files = Arc::clone(&self.kept);
            let keeping = spawn_blocking(move || {
                if let Err(error) = files.append(number, &entry, at) {
                    tracing::error!(%error, "the audit will not have a change if this process ends before records take it");
                }
                let _ = is_kept.send(());
            });
            return Noted(Some(Underway {
                keeping,
                told: heard,
            }));
        }
        self.pending.send_modify(|pending| *pending -= 1);
        self.note_lost();
        tracing::error!(
            action = action.name(),
            "the audit will not have this change, only the log has it: too many wait for records"
        );
        Noted(None)
    }

    /// How many the audit does not have yet.
    pub(crate) fn pending(&self) -> u64 {
        *self.pending.borrow()
    }

    /// How many the audit will never have.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Tells the audit, for as long as it is polled. One at a time, in the order in which things were done.
    pub(crate) async fn tell(&self, keeper: &Keeper) {
        let mut waiting = self.waiting.lock().await;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                biased;
                _ = look.tick() => {
                    self.take_over(keeper).await;
                    continue;
                }
                next = waiting.recv() => next,
            };
            let Some(mut next) = next else { return };
            // What the audit has is forgotten: it has to be there before.
            if let Some(kept) = next.kept.take() {
                let _ = kept.await;
            }
            self.told(keeper, next).await;
        }
    }

    /// Tells what processes that are gone have left.
    async fn take_over(&self, keeper: &Keeper) {
        let files = Arc::clone(&self.kept);
        let left = match spawn_blocking(move || files.take_over()).await {
            Ok(Ok(left)) => left,
            Ok(Err(error)) => {
                tracing::warn!(%error, "changes that wait for the audit cannot be read");
                return;
            }
            Err(_) => return,
        };
        let count = left.len() as u64;
        self.pending.send_modify(|pending| *pending += count);
        for Found { number, entry, at } in left {
            let next = Waiting {
                number,
                entry,
                at,
                kept: None,
                told: None,
            };
            self.told(keeper, next).await;
        }
    }

    async fn told(&self, keeper: &Keeper, mut next: Waiting) {
        self.write(keeper, &mut next).await;
        let (files, number) = (Arc::clone(&self.kept), next.number);
        let forgotten = spawn_blocking(move || files.forget(number)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::warn!(%error, "what the audit has by now stays on disk");
        }
        self.pending.send_modify(|pending| *pending -= 1);
    }

    fn note_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    async fn write(&self, keeper: &Keeper, next: &mut Waiting) {
        let mut attempts = 0;
        loop {
            if keeper.condition() != Condition::Available {
                // Nobody waits for what is away.
                next.told = None;
                let is_there = |condition: &Condition| *condition == Condition::Available;
                keeper.until(is_there).await;
            }
            match commit(keeper.records(), &next.entry_now()).await {
                // It was there already: an attempt before succeeded, and nobody heard of it.
                Ok(()) | Err(Error::Taken(_)) => break,
                // It would never be written, and nothing behind it.
                Err(error) if !is_passing(&error) && attempts >= ATTEMPTS => {
                    self.note_lost();
                    tracing::error!(
                        error = error.in_full(),
                        "a change of the process is missing in the audit, only the log has it"
                    );
                    break;
                }
                Err(error) => {
                    attempts += 1;
                    tracing::warn!(
                        error = error.in_full(),
                        "a change of the process is not in the audit yet; it is tried again"
                    );
                }
            }
            next.told = None;
            sleep(RETRY).await;
        }
        if let Some(told) = next.told.take() {
            let _ = told.send(());
        }
    }

    /// Waits until the audit has everything, but not for longer than this.
    pub(crate) async fn finish(&self, within: Duration) {
        let mut pending = self.pending.subscribe();
        if timeout(within, pending.wait_for(|pending| *pending == 0))
            .await
            .is_err()
        {
            let left = self.pending();
            tracing::warn!(
                left,
                "changes of the process are not in the audit yet: the next process tells it"
            );
        }
    }
}

/// Whether it is about records being away, and not about the entry.
const fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::Unknown(_))
}

impl Waiting {
    /// The entry. Its time in the chain is that of its writing.
    fn entry_now(&self) -> Entry {
        let mut entry = self.entry.clone();
        if Timestamp::now().duration_since(self.at).unsigned_abs() > LATE {
            let at = Value::from(self.at.to_string());
            entry.change.after.insert("done_at".to_owned(), at);
        }
        entry
    }
}

/// The members of an object; for `json!({…})`.
pub(crate) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

async fn commit(records: &Records, entry: &Entry) -> Result<(), Error> {
    let write = records.write(&Scope::Platform).await?;
    write.commit(&Scope::Platform, entry).await
}

/// So that an entry whose commit was not answered is not written twice.
fn once() -> Option<Once> {
    let mut key_hash = [0; 32];
    // Without random numbers it may be there twice, which is better than not at all.
    aws_lc_rs::rand::fill(&mut key_hash).ok()?;
    Some(Once {
        key_hash,
        fingerprint: [0; 32],
        former_fingerprints: Vec::new(),
    })
}

/// The entry as a line of the log. It has no name in it: people are erased from the audit, not from logs.
fn log(caller: &Caller, deed: &Deed) {
    let Caller {
        actor,
        origin,
        request_id,
        ..
    } = caller;
    let text = |members: &Map<String, Value>| Value::from(members.clone()).to_string();
    tracing::info!(
        action = deed.action.name(),
        actor = actor.kind(),
        actor_id = actor.id().map(weir_core::Id::as_str),
        subject = deed.action.kind(),
        address = origin.address.as_deref(),
        request_id = request_id.as_deref(),
        before = text(&deed.change.before),
        after = text(&deed.change.after),
        "changed"
    );
}
