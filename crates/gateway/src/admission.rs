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
}

/// Tells the breaker what comes of one attempt. Dropping it says that nobody waits for it any more.
pub(crate) struct Watch<'a> {
    admitted: &'a Admitted<'a>,
    /// When the attempt began, if it matters how long it takes.
    begun: Option<Instant>,
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
                Box::pin(wait(waiting, settings.wait, timer, record))
                    .await
                    .map_err(|failure| refuse(counters, failure))?
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

async fn wait(
    mut waiting: Waiting,
    limit: Duration,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Place, Failure> {
    let since = Instant::now();
    let waited = timer.limit(limit, waiting.place()).await;
    record.queued(since);
    match waited {
        Ok(Some(place)) => Ok(place),
        Ok(None) | Err(_) => Err(timer.blame(Failure::QueueTimeout)),
    }
}

impl Admitted<'_> {
    /// An attempt begins. One with a body may wait for the client, which is not the target's fault.
    pub(crate) fn watch(&self, is_bodiless: bool) -> Watch<'_> {
        let slow_call = self.rules.and_then(|rules| rules.slow_call);
        Watch {
            admitted: self,
            begun: (is_bodiless && slow_call.is_some()).then(Instant::now),
        }
    }

    fn count(&self, outcome: Outcome) {
        self.counters.attempts.add(1);
        self.counters.failed.add(u64::from(outcome.is_failure));
        self.counters.slow.add(u64::from(outcome.is_slow));
    }
}

impl Watch<'_> {
    /// The attempt ended with an answer, or failed because of the target, which was waited for this
    /// long.
    pub(crate) fn settle(&mut self, answer: Result<StatusCode, Failure>, waited: Duration) {
        let Some(rules) = self.admitted.rules else {
            return;
        };
        self.begun = None;
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
        self.begun = None;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // The client did not wait, or another attempt was faster. Else a target that never answers would
        // stay in use, as long as no client is more patient than its deadline. That it was slow is
        // certain by now, or nothing is.
        let Some(begun) = self.begun else { return };
        let slow_call = self.admitted.rules.and_then(|rules| rules.slow_call);
        if slow_call.is_some_and(|slow| begun.elapsed() > slow) {
            self.admitted.count(Outcome {
                is_failure: false,
                is_slow: true,
            });
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
