//! Keys that somebody else publishes: what is known of them, for those who check tokens.
//!
//! Readers look at it without a lock and never wait, except for the first set and for an unknown key, and then only if
//! they want to. Whoever follows the issuer holds the [`Publisher`].

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::set::KeySet;
use crate::thumbprint::KeyId;

mod publisher;

pub use publisher::{Attempt, Publisher};

/// The keys of an issuer, as far as they are known; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct RemoteKeys(Arc<Cell>);

#[derive(Debug)]
struct Cell {
    view: ArcSwap<View>,
    /// Counts what [`Publisher`] tells, so that it can be waited for.
    progress: watch::Sender<Progress>,
    asking: Asking,
}

/// What is known of an issuer's keys at one moment.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The last set that was obtained, unless it became too old to be used.
    pub keys: Option<Arc<Published>>,
    /// When it was last found to be the issuer's.
    pub fetched_at: Option<SystemTime>,
    /// What is wrong with the issuer, if the last attempt failed. The set is stale then.
    pub lost: Option<Lost>,
}

/// A set of keys.
#[derive(Debug)]
pub struct Published {
    /// The keys.
    pub set: KeySet,
    /// Grows by one with every set that is not like the one before it.
    pub generation: u64,
}

/// An issuer that cannot be asked, or whose answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What is wrong, lowercase, one line, without secrets.
    pub error: String,
    /// Since when.
    pub since: SystemTime,
}

/// How far an issuer can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// No set is known, so that no token can be judged.
    Never,
    /// A set is known, but the issuer could not be asked lately: a key that is not in it may be good.
    Stale,
    /// The set is the issuer's.
    Fresh,
}

/// What came of asking for a key that is not in the set.
#[derive(Clone, Debug)]
pub enum Asked {
    /// There is another set: look again.
    Newer(Arc<Published>),
    /// The issuer has no other set, or was asked only just now: the token is refused.
    Same,
    /// The issuer cannot be asked, so that nothing is known of the token.
    Unreachable,
}

/// How many attempts came to an end, and which questions they answered.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    attempts: u64,
    answered: u64,
}

/// Questions of readers. Whatever they ask, the issuer hears of it once in a while only.
#[derive(Debug)]
struct Asking {
    damping: Duration,
    begun: Instant,
    /// Questions that were passed on. Grows before `damped_until` does.
    passed_on: AtomicU64,
    /// Questions that were not.
    damped: AtomicU64,
    /// Milliseconds since `begun` before which no further question is passed on.
    damped_until: AtomicU64,
    /// Held by who passes one on.
    passing: Mutex<()>,
    /// Wakes the publisher.
    wake: Notify,
}

impl RemoteKeys {
    /// Of which nothing is known yet. For unknown keys the issuer is asked at most once in `damping`.
    pub fn new(damping: Duration, now: Instant) -> (Self, Publisher) {
        let cell = Arc::new(Cell {
            view: ArcSwap::default(),
            progress: watch::Sender::new(Progress::default()),
            asking: Asking::new(damping, now),
        });
        (Self(Arc::clone(&cell)), Publisher::new(cell))
    }

    /// What is known now.
    pub fn view(&self) -> Arc<View> {
        self.0.view.load_full()
    }

    /// The set that is known now.
    pub fn keys(&self) -> Option<Arc<Published>> {
        self.0.view.load().keys.clone()
    }

    /// Whether a key of the set of this generation is in the present one, too: the generation of that, if so.
    pub fn still_has(&self, id: KeyId, generation: u64) -> Option<u64> {
        let view = self.0.view.load();
        let keys = view.keys.as_ref()?;
        let is_there = keys.generation == generation || keys.set.contains(id);
        is_there.then_some(keys.generation)
    }

    /// How far it can be relied on.
    pub fn freshness(&self) -> Freshness {
        self.0.view.load().freshness()
    }

    /// How often an unknown key was not asked about, because the issuer was asked within the damping interval.
    pub fn damped(&self) -> u64 {
        self.0.asking.damped.load(Ordering::Relaxed)
    }

    /// Waits until a set is known or the first attempt to get one failed. It may take as long as the issuer does.
    pub async fn first(&self) -> Arc<View> {
        self.reached(|progress| progress.attempts > 0, |view| view.keys.is_some())
            .await;
        self.view()
    }

    /// Asks the issuer for a key that is not in the set of generation `seen`, and waits for its answer; refuses at once if
    /// the issuer was asked within the damping interval, whoever asked.
    pub async fn ask_again(&self, seen: u64, now: Instant) -> Asked {
        let is_newer = |view: &View| view.generation() > Some(seen);
        if !is_newer(&self.0.view.load()) {
            let question = self.0.asking.pass_on(now);
            self.reached(|progress| progress.answered >= question, is_newer)
                .await;
        }
        let view = self.view();
        match &view.keys {
            Some(keys) if keys.generation > seen => Asked::Newer(Arc::clone(keys)),
            _ if view.lost.is_some() || view.keys.is_none() => Asked::Unreachable,
            _ => Asked::Same,
        }
    }

    /// Waits for either.
    async fn reached(&self, far: impl Fn(&Progress) -> bool, seen: impl Fn(&View) -> bool) {
        let mut progress = self.0.progress.subscribe();
        // The cell holds the sender, so that this cannot fail.
        let _ =
            pin!(progress.wait_for(|progress| far(progress) || seen(&self.0.view.load()))).await;
    }
}

impl View {
    /// How far it can be relied on.
    pub const fn freshness(&self) -> Freshness {
        match (&self.keys, &self.lost) {
            (None, _) => Freshness::Never,
            (Some(_), Some(_)) => Freshness::Stale,
            (Some(_), None) => Freshness::Fresh,
        }
    }

    fn generation(&self) -> Option<u64> {
        self.keys.as_ref().map(|keys| keys.generation)
    }
}

impl Asking {
    fn new(damping: Duration, now: Instant) -> Self {
        Self {
            damping,
            begun: now,
            passed_on: AtomicU64::new(0),
            damped: AtomicU64::new(0),
            damped_until: AtomicU64::new(0),
            passing: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The number of the question that answers who asks now: a new one, or the last one.
    fn pass_on(&self, now: Instant) -> u64 {
        let now = milliseconds(now.saturating_duration_since(self.begun));
        let is_damped = || now < self.damped_until.load(Ordering::Acquire);
        // A flood goes no further.
        if is_damped() {
            self.damped.fetch_add(1, Ordering::Relaxed);
            return self.passed_on.load(Ordering::Acquire);
        }
        let _passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        if is_damped() {
            self.damped.fetch_add(1, Ordering::Relaxed);
            return self.passed_on.load(Ordering::Acquire);
        }
        let question = self.passed_on.fetch_add(1, Ordering::AcqRel) + 1;
        let until = now.saturating_add(milliseconds(self.damping));
        self.damped_until.store(until, Ordering::Release);
        self.wake.notify_one();
        question
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
