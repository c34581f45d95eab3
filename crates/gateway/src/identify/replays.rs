//! Signatures that were used, by key, so that whoever signs much leaves the others their room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_signatures::{Fault, ReplayGuard, Verified};

use crate::snapshot::Snapshot;

/// One memory for all workers, and for all revisions of a policy; a key that is taken out of it may come back.
#[derive(Default)]
pub(super) struct Replays {
    by_key: Mutex<HashMap<String, ReplayGuard>>,
    /// Requests for which there was no room.
    refused: AtomicU64,
}

/// What is remembered of used signatures for one policy, for reports.
pub struct ReplayReport<'a> {
    /// The policy's name.
    pub policy: &'a str,
    /// Signatures that are remembered of the key that has most of them.
    pub fullest: usize,
    /// Requests that were refused since their key had no room.
    pub refused: u64,
}

impl Replays {
    /// Takes a signature as used; of its key, `most` are remembered at once.
    ///
    /// # Errors
    /// [`Fault::Replayed`] and [`Fault::ReplaysFull`]. A key without room is refused: what it would have to forget is good still,
    /// and whoever has recorded that would only have to wait until its owner signs much.
    pub(super) fn admit(&self, verified: &Verified, most: usize, now: u64) -> Result<(), Fault> {
        let mut by_key = self.lock();
        let guard = by_key.entry(verified.key_id.clone());
        let guard = guard.or_insert_with(|| ReplayGuard::new(most));
        // Another revision may have another bound.
        guard.set_capacity(most);
        let admitted = guard.admit(verified.replay, verified.until, now);
        drop(by_key);
        if admitted == Err(Fault::ReplaysFull) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Whether it was used: a body is not read for that. Which of two that come at once is the first, [`Self::admit`] says.
    pub(super) fn was_used(&self, verified: &Verified) -> bool {
        let by_key = self.lock();
        let guard = by_key.get(&verified.key_id);
        guard.is_some_and(|guard| guard.was_used(verified.replay))
    }

    pub(super) fn report<'a>(&self, policy: &'a str, now: u64) -> ReplayReport<'a> {
        let mut by_key = self.lock();
        let remembered = by_key.values_mut().map(|guard| {
            guard.forget(now);
            guard.len()
        });
        ReplayReport {
            policy,
            fullest: remembered.max().unwrap_or_default(),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ReplayGuard>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshot {
    /// What is remembered of used signatures for each policy that takes such, in seconds since 1970.
    pub fn replay_reports(&self, now: u64) -> impl Iterator<Item = ReplayReport<'_>> {
        let ways = self.config.policies.iter().zip(self.ways.in_order());
        ways.filter_map(move |(policy, way)| Some(way?.replays()?.report(&policy.name, now)))
    }
}
