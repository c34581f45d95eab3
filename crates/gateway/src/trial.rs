//! One attempt of a request at one target, and what it teaches about target and upstream. The rules are
//! here and nowhere else: they are the same for attempts one after another and side by side.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::admission::Watch;
use crate::control::Notice;
use crate::failure::Failure;
use crate::forward::Forward;
use crate::health::{Fault, passive};
use crate::upstream::{Fate, Member, Observation, Pool, View};

/// An attempt under way. Dropping it says that nobody waits for its answer any more: the client left, or
/// another attempt was faster.
pub(crate) struct Trial<'a> {
    pub(crate) view: Rc<View>,
    /// Index of the member.
    pub(crate) at: usize,
    /// For balancing: how long the target takes.
    observation: Observation,
    /// For the breaker.
    watch: Watch<'a>,
}

impl<'a> Trial<'a> {
    /// `is_timed`: whether the time to the answer is the target's, and not mostly the client's.
    pub(crate) fn begin(
        (view, at): (Rc<View>, usize),
        since: Instant,
        is_timed: bool,
        watch: Watch<'a>,
    ) -> Self {
        let pool = &view.pools[at];
        pool.counters().requests.add(1);
        Self {
            observation: Observation::begin(pool, since, is_timed),
            watch,
            view,
            at,
        }
    }
}

impl Trial<'_> {
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.view.pools[self.at]
    }

    pub(crate) fn member(&self) -> &Member {
        &self.view.plan.members[self.at]
    }

    /// Where to note when all of the request's body was sent, if that matters.
    pub(crate) fn sent(&self) -> Option<&Cell<Option<Instant>>> {
        self.watch.sent()
    }

    /// How long the target itself has been waited for: with a body, only from its end.
    pub(crate) fn waited(&self) -> Duration {
        self.watch.waited()
    }

    pub(crate) fn identity(&self) -> u64 {
        self.member().target.identity
    }

    /// The answer's head came `took` after the attempt's start, of which `waited` was the target's time.
    pub(crate) fn answered(
        &mut self,
        forward: &Forward<'_>,
        status: StatusCode,
        took: Duration,
        waited: Duration,
    ) {
        self.observation.answered(status, took);
        self.watch.settle(Ok(status), waited);
        self.judge(forward, Ok(status.as_u16()));
    }

    /// The answer is not the client's: another attempt takes its place.
    pub(crate) fn was_replaced(&self) {
        self.pool().counters().failed.add(1);
    }

    /// No answer came. `is_made_up_for`: another attempt goes on, or follows without being counted.
    pub(crate) fn failed(
        &mut self,
        forward: &Forward<'_>,
        failure: Failure,
        fate: Fate,
        waited: Duration,
        is_made_up_for: bool,
    ) {
        let charged = forward.charged(failure, waited);
        let is_the_targets = charged.is_the_targets();
        // A connection that had ended says nothing about how quick the target is; and nothing at all, if
        // nobody was the worse for it.
        let is_spared = matches!(fate, Fate::Stale | Fate::Spared);
        if is_the_targets && !is_spared {
            self.observation.failed();
        } else {
            self.observation.forget();
        }
        if is_spared && is_made_up_for {
            return self.watch.forget();
        }
        if is_the_targets {
            self.judge(forward, Err(charged));
            self.watch.settle(Err(charged), waited);
            self.pool().counters().failed.add(1);
        }
    }

    /// Passive health: what came of an attempt counts for or against the target.
    fn judge(&self, forward: &Forward<'_>, outcome: Result<u16, Failure>) {
        let upstream = forward.upstream();
        let Some(check) = &upstream.model().health.passive else {
            return;
        };
        let member = self.member();
        let fault = match outcome {
            Ok(status) if check.statuses.contains(&status) => Fault::Status(status),
            Ok(_) => return member.state.succeeded(),
            Err(failure) => Fault::Failure(failure),
        };
        self.pool().counters().faults.add(1);
        let failures = member.state.failed();
        let most = check.consecutive_failures;
        if most == 0 || !failures.is_multiple_of(most) {
            return;
        }
        let (cluster, identity) = (&upstream.cluster, member.target.identity);
        if !passive::settle(cluster, identity, failures, fault) {
            let _ = forward.client.worker.shared.control.send(Notice::Failing {
                cluster: Arc::clone(cluster),
                identity,
                failures,
                last: fault,
            });
        }
    }
}
