//! Attempts side by side: when the first one takes long, another target is asked as well, and the
//! answer that comes first is the client's. To be the slower one is no failure, but says how slow at least.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use weir_config::model::{Hedge, RetryCondition};

use crate::admission::Admitted;
use crate::body::Body;
use crate::failure::Failure;
use crate::forward::Forward;
use crate::message::RequestHead;
use crate::record::Recorder;
use crate::request::Interim;
use crate::retry::Retries;
use crate::timer::Timer;
use crate::trial::Trial;
use crate::upstream::{Deadlines, InFlight, Outcome, Timing, View, Wish, attempt, let_go};

/// What attempts side by side have in common.
pub(crate) struct Race<'a> {
    pub(crate) forward: &'a Forward<'a>,
    pub(crate) admitted: &'a Admitted<'a>,
    pub(crate) head: &'a RequestHead,
    pub(crate) interim: &'a Interim,
    pub(crate) timer: &'a Timer,
    pub(crate) deadlines: Deadlines,
    pub(crate) hedge: Hedge,
}

/// The attempt that counts.
pub(crate) struct Raced<'a> {
    pub(crate) trial: Trial<'a>,
    pub(crate) outcome: Outcome,
    /// How long the attempt took.
    pub(crate) took: Duration,
}

struct Runner<'a> {
    trial: Trial<'a>,
    /// Which attempt of the request it is.
    number: u32,
    started: Instant,
    /// The record has that of the first one.
    in_flight: Option<InFlight>,
    running: Pin<Box<dyn Future<Output = Finished> + 'a>>,
}

struct Finished {
    outcome: Outcome,
    connecting: Option<Duration>,
}

/// The attempts under way. Whoever waits for them may go away at any time: those that are left then are
/// over, too.
struct Racing<'a, 'r> {
    runners: SmallVec<[Runner<'a>; 2]>,
    record: &'r mut Recorder,
}

enum Event {
    Finished(usize, Finished),
    /// It has taken long enough for another one.
    Late,
}

impl Runner<'_> {
    fn is_over(
        &self,
        record: &mut Recorder,
        connecting: Option<Duration>,
        outcome: Option<Result<u16, Failure>>,
    ) {
        let target = &self.trial.pool().target.authority;
        record.beside_is_over(self.number, self.started, connecting, target, outcome);
    }
}

impl Drop for Racing<'_, '_> {
    fn drop(&mut self) {
        for runner in &self.runners {
            runner.is_over(self.record, None, None);
        }
    }
}

impl<'a> Race<'a> {
    /// Runs until one attempt has an answer that the client can get, or all have failed. `left` are the
    /// hedges that the request may still make.
    pub(crate) async fn run(
        self,
        first: Trial<'a>,
        wish: &mut Wish,
        left: &mut u32,
        retries: &Retries<'_>,
        record: &mut Recorder,
    ) -> Raced<'a> {
        let mut racing = Racing {
            runners: SmallVec::new(),
            record,
        };
        let first = self.start(first, racing.record.attempts(), None);
        racing.runners.push(first);
        // A timer of the runtime: sweeps are too coarse for what is a matter of milliseconds.
        let mut alarm = Box::pin(tokio::time::sleep(self.hedge.after));
        let mut may_hedge = *left > 0;
        loop {
            let event = std::future::poll_fn(|context| {
                for (index, runner) in racing.runners.iter_mut().enumerate() {
                    if let Poll::Ready(finished) = runner.running.as_mut().poll(context) {
                        return Poll::Ready(Event::Finished(index, finished));
                    }
                }
                if may_hedge && alarm.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Event::Late);
                }
                Poll::Pending
            });
            match event.await {
                Event::Finished(index, finished) => {
                    let runner = racing.runners.remove(index);
                    let took = runner.started.elapsed();
                    let is_usable = finished.outcome.as_ref().is_ok_and(|(response, _)| {
                        !retries.could_repeat_answer(RetryCondition::Status(response.status))
                    });
                    if is_usable || racing.runners.is_empty() {
                        for loser in racing.runners.drain(..) {
                            loser.is_over(racing.record, None, None);
                        }
                        if runner.in_flight.is_some() && finished.outcome.is_ok() {
                            self.admitted.counters.hedges_won.add(1);
                        }
                        racing.record.beside_counts(runner.number, runner.started);
                        racing.record.raced(runner.in_flight, finished.connecting);
                        return Raced {
                            trial: runner.trial,
                            outcome: finished.outcome,
                            took,
                        };
                    }
                    if runner.in_flight.is_none() {
                        racing.record.first_is_over();
                    }
                    let outcome = match &finished.outcome {
                        Ok((response, _)) => Ok(response.status.as_u16()),
                        Err(attempted) => Err(attempted.failure),
                    };
                    runner.is_over(racing.record, finished.connecting, Some(outcome));
                    wish.tried.push(runner.trial.identity());
                    self.drop_out(runner.trial, finished.outcome, took);
                }
                Event::Late => {
                    let number = racing.record.attempts() + 1;
                    may_hedge = self.hedge(&mut racing.runners, number, wish, retries);
                    if may_hedge {
                        *left -= 1;
                        self.admitted.counters.hedges.add(1);
                        racing.record.hedged();
                        may_hedge = *left > 0;
                        alarm
                            .as_mut()
                            .reset(tokio::time::Instant::now() + self.hedge.after);
                    }
                }
            }
        }
    }

    /// Starts another attempt at a target that was not tried, if there is one and the budget allows.
    fn hedge(
        &self,
        runners: &mut SmallVec<[Runner<'a>; 2]>,
        number: u32,
        wish: &Wish,
        retries: &Retries<'_>,
    ) -> bool {
        let mut wish = wish.clone();
        let under_way = runners.iter().map(|runner| runner.trial.identity());
        wish.tried.extend(under_way);
        let Some((view, at)) = self.forward.pick(&wish) else {
            return false;
        };
        if view.was_tried_at(at, &wish) || !retries.spend_hedge() {
            return false;
        }
        let in_flight = InFlight::begin(&view.pools[at]);
        let since = Instant::now();
        let watch = self.admitted.watch(since);
        let trial = Trial::begin((view, at), since, true, watch);
        runners.push(self.start(trial, number, Some(in_flight)));
        true
    }

    fn start(&self, trial: Trial<'a>, number: u32, in_flight: Option<InFlight>) -> Runner<'a> {
        // Interim responses come from one target.
        let interim = match in_flight {
            None => self.interim,
            Some(_) => &Interim::Nowhere,
        };
        let running = run(
            Rc::clone(&trial.view),
            trial.at,
            number,
            self.forward,
            self.head,
            interim,
            self.timer.sibling(),
            self.deadlines,
        );
        Runner {
            trial,
            number,
            started: Instant::now(),
            in_flight,
            running: Box::pin(running),
        }
    }

    /// One failed while others still run.
    fn drop_out(&self, mut trial: Trial<'_>, outcome: Outcome, took: Duration) {
        match outcome {
            Ok((response, exchange)) => {
                trial.answered(self.forward, response.status, took, took);
                trial.was_replaced();
                let_go(exchange, &self.forward.client.worker.timers);
            }
            Err(attempted) => {
                let (failure, fate) = (attempted.failure, attempted.fate);
                trial.failed(self.forward, failure, fate, took, true);
            }
        }
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "the future owns what it needs, so that it can be dropped by itself"
)]
async fn run(
    view: Rc<View>,
    at: usize,
    number: u32,
    forward: &Forward<'_>,
    head: &RequestHead,
    interim: &Interim,
    timer: Timer,
    deadlines: Deadlines,
) -> Finished {
    let wanted = forward.head(&view, at, head, number);
    let mut connecting = None;
    let outcome = attempt(
        &view.pools[at],
        &wanted,
        Body::Empty,
        interim,
        &timer,
        &deadlines,
        Timing {
            connecting: &mut connecting,
            sent: None,
        },
    )
    .await;
    Finished {
        outcome,
        connecting,
    }
}
