//! Whether an upstream takes a request now: its bulkhead and its circuit breaker.

use std::cell::Cell;
use std::time::{Duration, Instant};

use http::StatusCode;
use weir_config::model;

use crate::client::Client;
use crate::failure::Failure;
use crate::metrics::UpstreamCounters;
use crate::record::Recorder;
use crate::snapshot::Upstream;
use crate::timer::Timer;
use crate::upstream::breaker::{Outcome, Permit};
use crate::upstream::bulkhead::{Entry, Place, Waiting};

/// A request that an upstream takes.
pub(crate) struct Admitted<'a> {
    rules: Option<&'a model::Breaker>,
    pub(crate) counters: &'a UpstreamCounters,
    /// If it is a probe that nothing has come of yet.
    permit: Cell<Option<Permit>>,
    /// An attempt of it was slow when nobody waited for it any more.
    was_slow: Cell<bool>,
}

/// Tells the breaker what comes of one attempt. Dropping it says that nobody waits for it any more.
pub(crate) struct Watch<'a> {
    admitted: &'a Admitted<'a>,
    /// Since when the target, and not the client, is waited for.
    since: Cell<Option<Instant>>,
    /// Whether that is to be told by who sends the body.
    is_told: bool,
    is_settled: bool,
}

/// Asked once for a request, not for each attempt. The place goes with the record, to the answer's end.
pub(crate) async fn admit<'a>(
    client: &Client,
    upstream: &'a Upstream,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Admitted<'a>, Failure> {
    let cluster = &upstream.cluster;
    let model = upstream.model();
    let counters = &cluster.counters[client.worker.index];
    if let Some(settings) = &model.concurrency {
        // Nobody waits for a place only to be turned away then.
        let refusal = model.breaker.and_then(|_| cluster.breaker.refusal());
        if let Some(seconds) = refusal {
            return Err(refuse(counters, Failure::CircuitOpen(seconds)));
        }
        record.place = Some(match cluster.bulkhead.enter(settings) {
            Entry::Place(place) => place,
            Entry::Full => return Err(refuse(counters, Failure::UpstreamBusy)),
            // Boxed: rare, and no request that need not wait is to be larger for it.
            Entry::Wait(waiting) => {
                record.has_waited = true;
                let waited = Box::pin(wait(waiting, settings.wait, timer, record)).await;
                let placed = waited.and_then(|place| {
                    // The breaker opened; or half opened since, but then it is asked soon enough, too.
                    let seconds = || cluster.breaker.refusal().unwrap_or(1);
                    place.ok_or_else(|| Failure::CircuitOpen(seconds()))
                });
                placed.map_err(|failure| refuse(counters, failure))?
            }
        });
    }
    let permit = match &model.breaker {
        None => None,
        Some(settings) => cluster
            .breaker
            .admit(settings)
            .map_err(|seconds| refuse(counters, Failure::CircuitOpen(seconds)))?,
    };
    Ok(Admitted {
        rules: model.breaker.as_ref(),
        counters,
        permit: Cell::new(permit),
        was_slow: Cell::new(false),
    })
}

fn refuse(counters: &UpstreamCounters, failure: Failure) -> Failure {
    match failure {
        Failure::CircuitOpen(_) => counters.circuit_open.add(1),
        Failure::UpstreamBusy => counters.busy.add(1),
        Failure::QueueTimeout => counters.queue_timeout.add(1),
        _ => {}
    }
    failure
}

/// `None` if the breaker opened meanwhile.
async fn wait(
    mut waiting: Waiting,
    limit: Duration,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Option<Place>, Failure> {
    let since = Instant::now();
    let waited = timer.limit(limit, waiting.place()).await;
    record.queued(since);
    waited.map_err(|_| timer.blame(Failure::QueueTimeout))
}

impl Admitted<'_> {
    /// An attempt without a body began at that time.
    pub(crate) fn watch(&self, since: Instant) -> Watch<'_> {
        Watch {
            admitted: self,
            since: Cell::new(Some(since)),
            is_told: false,
            is_settled: false,
        }
    }

    /// An attempt with a body begins. Until all of that is sent it may wait for the client, which is not
    /// the target's fault. `is_timed`: when that is matters to others, too.
    pub(crate) fn watch_body(&self, is_timed: bool) -> Watch<'_> {
        Watch {
            admitted: self,
            since: Cell::new(None),
            is_told: is_timed || self.rules.is_some(),
            is_settled: false,
        }
    }

    fn slow_call(&self) -> Option<Duration> {
        self.rules?.slow_call
    }

    fn count(&self, outcome: Outcome) {
        self.counters.attempts.add(1);
        self.counters.failed.add(u64::from(outcome.is_failure));
        self.counters.slow.add(u64::from(outcome.is_slow));
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        // A probe that nobody had the patience to wait for. As if it had been answered so late: else no
        // probe would ever decide, as long as no client is more patient. One that was given up sooner
        // says nothing, and another one takes its place.
        if self.was_slow.get()
            && let (Some(rules), Some(permit)) = (self.rules, self.permit.take())
        {
            permit.settle(ABANDONED, rules, Instant::now());
        }
    }
}

/// What comes of an attempt that took too long when it was given up.
const ABANDONED: Outcome = Outcome {
    is_failure: false,
    is_slow: true,
};

impl Watch<'_> {
    /// Where to note when all of the body was sent, if that matters.
    pub(crate) fn sent(&self) -> Option<&Cell<Option<Instant>>> {
        self.is_told.then_some(&self.since)
    }

    /// How long the target has been waited for; not at all, while a body is sent.
    pub(crate) fn waited(&self) -> Duration {
        self.since
            .get()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The attempt ended with an answer, or failed because of the target, which was waited for this
    /// long.
    pub(crate) fn settle(&mut self, answer: Result<StatusCode, Failure>, waited: Duration) {
        let Some(rules) = self.admitted.rules else {
            return;
        };
        self.is_settled = true;
        let outcome = Outcome {
            is_failure: is_failure(answer),
            is_slow: rules.slow_call.is_some_and(|slow| waited > slow),
        };
        self.admitted.count(outcome);
        if let Some(permit) = self.admitted.permit.take() {
            permit.settle(outcome, rules, Instant::now());
        }
    }

    /// What happened says nothing about the target.
    pub(crate) fn forget(&mut self) {
        self.is_settled = true;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // The client did not wait, or another attempt was faster. Else a target that never answers would
        // stay in use, as long as no client is more patient than its deadline. That it was slow is
        // certain by now, or nothing is.
        let slow_call = self.admitted.slow_call().filter(|_| !self.is_settled);
        if slow_call.is_some_and(|slow| self.waited() > slow) {
            self.admitted.count(ABANDONED);
            self.admitted.was_slow.set(true);
        }
    }
}

/// Whether an attempt counts as failed for the breaker: no answer, or one that says that the server is
/// not well. 501 and 505 are about the request (as HAProxy has it).
fn is_failure(answer: Result<StatusCode, Failure>) -> bool {
    match answer {
        Ok(StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED) => false,
        Ok(status) => status.is_server_error(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_not_well_fail_and_clients_that_ask_wrongly_do_not() {
        let failed: Vec<u16> = [200, 302, 404, 429, 500, 501, 502, 503, 504, 505, 599]
            .into_iter()
            .filter(|status| is_failure(Ok(StatusCode::from_u16(*status).expect("a status"))))
            .collect();
        assert_eq!(failed, [500, 502, 503, 504, 599]);
        assert!(is_failure(Err(Failure::UpstreamTimeout)));
    }
}
