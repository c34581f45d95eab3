//! The side of whoever follows an issuer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::{Cell, Lost, Published, View};
use crate::set::KeySet;

/// Tells readers what the issuer said. There is one for each [`super::RemoteKeys`]; when it is dropped, the issuer is not
/// followed any more, and who waits hears that it cannot be reached.
#[derive(Debug)]
pub struct Publisher {
    cell: Arc<Cell>,
    generation: u64,
}

/// An attempt to get the set, which answers every question that was asked before it began.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    questions: u64,
}

impl Publisher {
    pub(super) const fn new(cell: Arc<Cell>) -> Self {
        Self {
            cell,
            generation: 0,
        }
    }

    /// Waits until a reader asks for an unknown key. Cancel safe.
    pub async fn asked(&self) {
        self.cell.asking.wake.notified().await;
    }

    /// Begins an attempt. It is to be ended by [`Publisher::obtained`] or [`Publisher::failed`].
    pub fn begin(&self) -> Attempt {
        Attempt {
            questions: self.cell.asking.passed_on.load(Ordering::Acquire),
        }
    }

    /// The issuer gave its set. True if it is not like the one before.
    pub fn obtained(&mut self, attempt: Attempt, set: KeySet, now: SystemTime) -> bool {
        let changed = self.publish(set, now);
        self.end(attempt.questions);
        changed
    }

    /// The issuer gave no set that can be used: the last one stays.
    pub fn failed(&self, attempt: Attempt, error: String, now: SystemTime) {
        let mut view = View::clone(&self.cell.view.load());
        let since = view.lost.map_or(now, |lost| lost.since);
        view.lost = Some(Lost { error, since });
        self.cell.view.store(Arc::new(view));
        self.end(attempt.questions);
    }

    /// A set from before this process, which was the issuer's at that time.
    pub fn restored(&mut self, set: KeySet, fetched_at: SystemTime) {
        self.publish(set, fetched_at);
        // Who waits for the first set looks again.
        self.cell.progress.send_modify(|_| {});
    }

    /// The set is too old to be used, since the issuer could not be asked for so long.
    pub fn expired(&self) {
        let mut view = View::clone(&self.cell.view.load());
        view.keys = None;
        self.cell.view.store(Arc::new(view));
    }

    /// What readers see.
    pub fn view(&self) -> Arc<View> {
        self.cell.view.load_full()
    }

    fn publish(&mut self, set: KeySet, fetched_at: SystemTime) -> bool {
        let former = self.cell.view.load().keys.clone();
        let same = former.filter(|former| former.set.is_like(&set));
        let changed = same.is_none();
        let keys = same.unwrap_or_else(|| {
            self.generation += 1;
            let generation = self.generation;
            Arc::new(Published { set, generation })
        });
        self.cell.view.store(Arc::new(View {
            keys: Some(keys),
            fetched_at: Some(fetched_at),
            lost: None,
        }));
        changed
    }

    fn end(&self, questions: u64) {
        self.cell.progress.send_modify(|progress| {
            progress.attempts += 1;
            progress.answered = progress.answered.max(questions);
        });
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let mut view = View::clone(&self.cell.view.load());
        let since = view.fetched_at.unwrap_or(SystemTime::UNIX_EPOCH);
        view.lost.get_or_insert_with(|| Lost {
            error: "the issuer is not followed any more".to_owned(),
            since,
        });
        self.cell.view.store(Arc::new(view));
        self.cell.progress.send_modify(|progress| {
            progress.attempts += 1;
            progress.answered = u64::MAX;
        });
    }
}
