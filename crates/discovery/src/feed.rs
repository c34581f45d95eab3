//! Between a source and those who use its targets: one [`Feed`] for each discovered upstream.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use weir_config::model::Target;
use weir_files::Writer;

use crate::accept::{Answer, Bounds};
use crate::discoverer::Found;
use crate::last_known;
use crate::state::{News, Now, Outcome, State};
use crate::status::Status;

/// Where a source's answers and failures go.
pub(crate) struct Feed {
    pub(crate) upstream: String,
    /// Kind of source, as the configuration calls it.
    pub(crate) kind: &'static str,
    /// Who is asked for what, for the file of last known targets.
    pub(crate) source: String,
    pub(crate) bounds: Bounds,
    /// The file of last known targets.
    pub(crate) file: PathBuf,
    pub(crate) writer: Writer,
    pub(crate) found: UnboundedSender<Found>,
    /// Told of every word of the source.
    pub(crate) heard: Arc<Notify>,
    pub(crate) inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) state: State,
    /// Whether this source is the upstream's. One that was replaced may still be in the middle of
    /// an answer.
    pub(crate) is_open: bool,
    /// Whether the file says what is known, which this source has said then.
    pub(crate) is_kept: bool,
}

impl Feed {
    /// The source answered; an empty answer is not believed if targets were known.
    pub(crate) fn answered(&self, answer: impl Into<Answer>) {
        self.take(answer.into(), false);
    }

    /// As [`Feed::answered`], for a source that means it when it says that there is no target.
    pub(crate) fn answered_for_certain(&self, answer: impl Into<Answer>) {
        self.take(answer.into(), true);
    }

    fn take(&self, answer: Answer, empties: bool) {
        let mut inner = self.lock();
        if !inner.is_open {
            return;
        }
        let outcome = inner
            .state
            .answered(answer, &self.bounds, empties, Now::read());
        let targets = inner.state.targets().to_vec();
        if outcome.changed {
            // Under the lock, so that sets leave in the order in which they took effect. Nobody
            // may be left to hear of it.
            let _ = self.found.send(Found {
                upstream: self.upstream.clone(),
                targets: targets.clone(),
            });
        }
        if outcome.changed || (!inner.is_kept && !inner.state.is_lost()) {
            inner.is_kept = true;
            // Under the lock, too: a feed that was closed, and its file removed, keeps nothing.
            self.keep(&targets);
        }
        self.tell(&outcome, &inner.state);
        drop(inner);
        self.heard.notify_waiters();
    }

    /// The source gave no answer; what was known stays.
    pub(crate) fn failed(&self, error: impl std::fmt::Display) {
        let mut inner = self.lock();
        if !inner.is_open {
            return;
        }
        let outcome = inner.state.failed(&error.to_string(), Now::read());
        self.tell(&outcome, &inner.state);
        drop(inner);
        self.heard.notify_waiters();
    }

    pub(crate) fn status(&self) -> Status {
        self.lock().state.status(self.kind)
    }

    /// Whether there are targets, or the source has said that there are none or failed to.
    pub(crate) fn is_settled(&self) -> bool {
        let status = self.status();
        status.targets > 0 || status.last_success.is_some() || status.lost.is_some()
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        self.lock().state.targets().to_vec()
    }

    /// What an earlier process, or other settings, knew of this very source.
    pub(crate) fn known_before(&self) -> Vec<Target> {
        let inner = self.lock();
        match inner.is_kept {
            true => inner.state.targets().to_vec(),
            false => Vec::new(),
        }
    }

    /// Whether what is known was said by this very source.
    pub(crate) fn is_kept(&self) -> bool {
        self.lock().is_kept
    }

    /// Ends the feed: nothing leaves it from now on. Returns what was known.
    pub(crate) fn close(&self) -> Vec<Target> {
        let mut inner = self.lock();
        inner.is_open = false;
        inner.state.targets().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does not wait for the disk: this thread is every source's.
    fn keep(&self, targets: &[Target]) {
        if let Err(error) = last_known::save(&self.writer, &self.file, &self.source, targets) {
            let upstream = &self.upstream;
            tracing::warn!(upstream, %error, "last known targets have no JSON form");
        }
    }

    fn tell(&self, outcome: &Outcome, state: &State) {
        let (upstream, source) = (self.upstream.as_str(), self.kind);
        let targets = state.targets().len();
        let status = state.status(self.kind);
        match (&outcome.news, status.lost) {
            (News::Lost, Some(lost)) => {
                tracing::warn!(
                    upstream,
                    source,
                    targets,
                    error = lost.error,
                    "discovery source lost, the last known targets stay"
                );
            }
            (News::Recovered(after), _) => {
                tracing::info!(
                    upstream,
                    source,
                    targets,
                    ?after,
                    "discovery source is back"
                );
            }
            _ => {}
        }
        if outcome.changed {
            let left_out = status.left_out.total();
            tracing::info!(upstream, source, targets, left_out, "targets changed");
        }
    }
}
