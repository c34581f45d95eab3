//! A split as the process runs it: one for each route that has one, whatever the revision.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use weir_config::model::Guard;

use super::change::{Change, ChangeError};
use super::counters::{BackendCounters, Totals};
use super::guard::{self, DEFAULT_WINDOW, Watch};
use super::report::{BackendReport, ShiftReport, SplitReport};
use super::shares::{Shares, side};
use super::state::{Millis, Phase, SavedSplit, State, Trip};
use crate::metrics::per_worker;

/// How often guards look.
const JUDGE_EVERY: Duration = Duration::from_millis(500);

/// The running state of a split.
#[derive(Debug)]
pub(crate) struct Running {
    route: Arc<str>,
    /// Names, in the order of the file.
    upstreams: Vec<Arc<str>>,
    /// Where each side's stretch of the line ends; replaced as a whole. Read one by one while they
    /// change, they could give a request to a side that has no share before or after.
    bounds: ArcSwap<Vec<u64>>,
    /// For each side, one set per worker.
    counters: Box<[Arc<[BackendCounters]>]>,
    // Never locked on a request's way.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    guard: Option<Guard>,
    watch: Watch,
    judged: Instant,
}

impl Running {
    pub(super) fn new(
        route: Arc<str>,
        upstreams: Vec<Arc<str>>,
        workers: usize,
        state: State,
        guard: Option<Guard>,
        now: Instant,
    ) -> Self {
        let counters: Box<[_]> = upstreams.iter().map(|_| per_worker(workers)).collect();
        let running = Self {
            bounds: ArcSwap::default(),
            inner: Mutex::new(Inner {
                watch: Watch::begin(now, totals(&counters)),
                state,
                guard,
                judged: now,
            }),
            route,
            upstreams,
            counters,
        };
        running.publish(running.inner().state.shares());
        running
    }

    pub(super) fn route(&self) -> &Arc<str> {
        &self.route
    }

    pub(super) fn upstreams(&self) -> &[Arc<str>] {
        &self.upstreams
    }

    /// The side at a place of the line. Called for each request: to load the bounds takes no lock.
    pub(crate) fn side(&self, place: u32) -> usize {
        side(self.bounds.load().iter().copied(), place)
    }

    /// Counts a request; only the worker of that index may call this.
    pub(crate) fn count(&self, backend: usize, worker: usize, status: u16, took: Duration) {
        self.counters[backend][worker].count(status, took);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The lock is held, so that shares are published in the order of their causes.
    fn publish(&self, shares: &Shares) {
        self.bounds.store(Arc::new(shares.bounds()));
    }

    /// Takes up a new revision with the same upstreams. Shares that were changed while running stay
    /// unless the file's changed; tells whether they went.
    pub(super) fn configure(&self, file: Shares, guard: Option<Guard>, now: Instant) -> bool {
        let inner = &mut *self.inner();
        if inner.guard != guard {
            inner.guard = guard;
            // One that was corrected watches again.
            inner.state.arm();
            inner.watch = Watch::begin(now, totals(&self.counters));
        }
        if inner.state.file().are_close_to(&file) {
            return false;
        }
        let was_changed = !inner.state.is_as_in_file();
        inner.state = State::as_in(file);
        inner.watch = Watch::begin(now, totals(&self.counters));
        self.publish(inner.state.shares());
        was_changed
    }

    /// Makes an operator's change.
    pub(super) fn change(
        &self,
        change: &Change,
        now: Instant,
        wall: Millis,
    ) -> Result<(), ChangeError> {
        let inner = &mut *self.inner();
        change.apply(&mut inner.state, &self.upstreams, wall)?;
        // Whatever happened before does not speak against the new shares.
        inner.watch = Watch::begin(now, totals(&self.counters));
        self.publish(inner.state.shares());
        Ok(())
    }

    /// Takes up the shares that another process has decided on; none are those of the file.
    pub(super) fn adopt(&self, kept: Option<&SavedSplit>, now: Instant, wall: Millis) {
        let inner = &mut *self.inner();
        let fitting = kept.filter(|kept| kept.fits(&self.upstreams, inner.state.file()));
        let mut state = match fitting {
            Some(kept) => kept.state.clone(),
            None => State::as_in(inner.state.file().clone()),
        };
        state.advance(wall);
        inner.state.advance(wall);
        if inner.state == state {
            return;
        }
        inner.state = state;
        // As with a change that is made here.
        inner.watch = Watch::begin(now, totals(&self.counters));
        self.publish(inner.state.shares());
    }

    /// Goes on with a shift and, if it may decide, asks the guard. Tells whether something happened that is
    /// to be kept.
    pub(super) fn advance(&self, now: Instant, wall: Millis, decides: bool) -> bool {
        let inner = &mut *self.inner();
        let was_running = inner.is_shifting();
        let has_arrived = inner.state.advance(wall);
        if was_running {
            self.publish(inner.state.shares());
        }
        if has_arrived {
            tracing::info!(route = %self.route, "traffic shift is done");
        }
        let window = inner.window();
        let is_due = inner.watch.is_due(window, now);
        let is_judged = decides
            && inner.guard.is_some()
            && inner.state.trip().is_none()
            && now.saturating_duration_since(inner.judged) >= JUDGE_EVERY.min(window / 2);
        if !is_due && !is_judged {
            return has_arrived;
        }
        let totals = totals(&self.counters);
        let has_tripped = is_judged && self.judge(inner, &totals, wall);
        if is_judged {
            inner.judged = now;
        }
        if is_due {
            inner.watch.look(window, now, totals);
        }
        has_arrived || has_tripped
    }

    fn judge(&self, inner: &mut Inner, totals: &[Totals], wall: Millis) -> bool {
        let Some(guard) = inner.guard else {
            return false;
        };
        // Pinned requests alone do not count: who pins wants to see failures.
        let shifted = (1..self.upstreams.len()).filter(|at| inner.state.shares().get(*at) > 0.0);
        let breach = shifted.filter_map(|at| {
            let recent = inner.watch.recent(at, totals)?;
            Some((at, recent.requests(), guard::judge(&guard, &recent)?))
        });
        let Some((at, requests, breach)) = breach.into_iter().next() else {
            return false;
        };
        let upstream = &self.upstreams[at];
        let trip = Trip {
            at: wall,
            upstream: upstream.to_string(),
            reason: format!(
                "{breach} ({requests} requests in at most {:?})",
                guard.window
            ),
        };
        let percent = inner.state.shares().percent(at);
        tracing::warn!(
            route = %self.route, %upstream, percent, action = guard.then.as_str(),
            "traffic guard acts: {}", trip.reason
        );
        inner
            .state
            .act(guard.then, self.upstreams.len(), trip, wall);
        self.publish(inner.state.shares());
        true
    }

    /// What is to be kept beyond the process.
    pub(super) fn saved(&self) -> Option<SavedSplit> {
        let inner = self.inner();
        (!inner.state.is_as_in_file()).then(|| SavedSplit {
            route: self.route.to_string(),
            upstreams: self.upstreams.iter().map(ToString::to_string).collect(),
            state: inner.state.clone(),
        })
    }

    pub(super) fn report(&self) -> SplitReport {
        let inner = self.inner();
        let totals = totals(&self.counters);
        let state = &inner.state;
        let percents = |shares: &Shares| {
            (0..self.upstreams.len())
                .map(|at| shares.percent(at))
                .collect()
        };
        let backend = |(at, upstream): (usize, &Arc<str>)| {
            let recent = inner.watch.recent(at, &totals);
            let recent = recent.filter(|recent| recent.requests() > 0);
            BackendReport {
                upstream: Arc::clone(upstream),
                file_percent: state.file().percent(at),
                percent: state.shares().percent(at),
                requests: totals[at].requests(),
                failed: totals[at].failed,
                recent_requests: recent.as_ref().map_or(0, Totals::requests),
                recent_failed_percent: recent.as_ref().map(guard::percent_failed),
                recent_p99: recent.as_ref().and_then(Totals::p99),
            }
        };
        SplitReport {
            route: Arc::clone(&self.route),
            backends: self.upstreams.iter().enumerate().map(backend).collect(),
            held: state.held().cloned(),
            shift: state.shift().map(|shift| ShiftReport {
                phase: shift.phase,
                from: percents(&shift.from),
                to: percents(&shift.to),
                over: Duration::from_millis(shift.over),
                left: Duration::from_millis(shift.over.saturating_sub(shift.passed)),
                progress: shift.progress(),
            }),
            guard: inner.guard,
            trip: state.trip().cloned(),
        }
    }
}

impl Inner {
    fn window(&self) -> Duration {
        self.guard.map_or(DEFAULT_WINDOW, |guard| guard.window)
    }

    fn is_shifting(&self) -> bool {
        self.state
            .shift()
            .is_some_and(|shift| shift.phase == Phase::Running)
    }
}

fn totals(counters: &[Arc<[BackendCounters]>]) -> Vec<Totals> {
    counters.iter().map(|workers| Totals::of(workers)).collect()
}

#[cfg(test)]
mod tests;
