//! What one attempt teaches about a target's latency, however it ends.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::Pool;

/// An attempt under way. Dropping it says that nobody waits for its answer any more: the client left,
/// or another attempt was faster.
#[derive(Debug)]
pub(crate) struct Observation {
    /// Gone when the outcome is known.
    pool: Option<Rc<Pool>>,
    since: Instant,
    /// Whether the time that it takes is the target's, not mostly the client's.
    is_timed: bool,
}

impl Observation {
    pub(crate) fn begin(pool: &Rc<Pool>, since: Instant, is_timed: bool) -> Self {
        Self {
            pool: Some(Rc::clone(pool)),
            since,
            is_timed,
        }
    }

    /// The response's head came. An error of the server is as good as no answer: it tends to come at
    /// once, and must not draw more requests.
    pub(crate) fn answered(&mut self, status: StatusCode, took: Duration) {
        let Some(pool) = self.pool.take() else { return };
        if status.is_server_error() {
            pool.observe_failure(self.timed(took));
        } else if self.is_timed {
            pool.observe(took);
        }
    }

    /// No answer came, and that is the target's fault.
    pub(crate) fn failed(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.observe_failure(self.timed(self.since.elapsed()));
        }
    }

    fn timed(&self, took: Duration) -> Duration {
        if self.is_timed { took } else { Duration::ZERO }
    }

    /// What happened says nothing about the target.
    pub(crate) fn forget(&mut self) {
        self.pool = None;
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take().filter(|_| self.is_timed) {
            pool.observe_abandoned(self.since.elapsed());
        }
    }
}
