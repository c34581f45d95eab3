//! A circuit breaker: an upstream that mostly fails is left alone for a while, then asked a little.
//!
//! ```text
//!            shares over the window                    open_for has passed
//!   closed ─────────────────────────▶ open ─────────────────────────────────▶ half open
//!      ▲                               ▲                                       │     │
//!      │                               └───────────── a probe failed ──────────┘     │
//!      └──────────────────────── as many probes succeeded as are allowed ────────────┘
//! ```
//!
//! Workers count attempts, each for itself. The supervisor adds them up at every tick and opens the
//! breaker, and half opens it when its time has come. Probes are few: the worker that learns what came
//! of one moves the state itself.

mod state;
mod window;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use weir_config::model;

use crate::metrics::UpstreamCounters;
pub use state::Phase;
use state::{Admission, State};
use window::{Tally, Window};

/// The breaker of one upstream; it outlives revisions.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// [`State`], as a number.
    state: AtomicU64,
    /// Until when it stays open, in milliseconds since `start`.
    until: AtomicU64,
    start: Instant,
    /// How often it opened.
    opened: AtomicU64,
    // For the supervisor and reports only.
    /// Whether the probe that opened it last was answered, and too late.
    was_slow: AtomicBool,
    history: Mutex<History>,
}

/// What the supervisor knows.
#[derive(Debug)]
struct History {
    window: Window,
    /// Sums of the workers' counters at the last tick.
    counted: Tally,
    /// As of the last tick.
    seen: State,
    since: SystemTime,
    /// Why it opened last.
    reason: String,
}

/// A breaker's state, for reports.
#[derive(Clone, Debug)]
pub struct BreakerReport {
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: SystemTime,
    /// Why it is not closed.
    pub reason: Option<String>,
    /// How often it opened since the process started.
    pub opened: u64,
}

impl Breaker {
    pub(crate) fn new(start: Instant) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU64::new(State::default().into()),
            until: AtomicU64::new(0),
            start,
            opened: AtomicU64::new(0),
            was_slow: AtomicBool::new(false),
            history: Mutex::new(History {
                window: Window::default(),
                counted: Tally::default(),
                seen: State::default(),
                since: SystemTime::now(),
                reason: String::new(),
            }),
        })
    }

    fn state(&self) -> State {
        State::from(self.state.load(Ordering::Acquire))
    }

    /// Seconds that are left if it is open: one load if it is not.
    pub(crate) fn refusal(&self) -> Option<u32> {
        (self.state().phase == Phase::Open).then(|| self.seconds_left(Instant::now()))
    }

    /// Lets a request through, or tells in how many seconds to try again. Most often it is closed, and
    /// that is one load.
    pub(crate) fn admit(
        self: &Arc<Self>,
        settings: &model::Breaker,
    ) -> Result<Option<Permit>, u32> {
        loop {
            let state = self.state();
            match state.admit(settings.probes) {
                Admission::Free => return Ok(None),
                Admission::Refused => return Err(self.seconds_left(Instant::now())),
                Admission::Probe(next) if self.exchange(state, next) => {
                    return Ok(Some(Permit {
                        breaker: Arc::clone(self),
                        generation: state.generation,
                    }));
                }
                Admission::Probe(_) => {}
            }
        }
    }

    /// At least 1: less would be an invitation to hammer.
    fn seconds_left(&self, now: Instant) -> u32 {
        let left = self
            .until
            .load(Ordering::Relaxed)
            .saturating_sub(self.millis(now));
        u32::try_from(left.div_ceil(1_000)).map_or(u32::MAX, |seconds| seconds.max(1))
    }

    fn millis(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.start);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    fn exchange(&self, from: State, to: State) -> bool {
        let (from, to) = (u64::from(from), u64::from(to));
        self.state
            // What was stored before goes with it.
            .compare_exchange(from, to, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    fn stay_open(&self, now: Instant, open_for: Duration) {
        let open_for = u64::try_from(open_for.as_millis()).unwrap_or(u64::MAX);
        let until = self.millis(now).saturating_add(open_for);
        self.until.store(until, Ordering::Relaxed);
    }

    /// What time and the workers' counters change; for the supervisor's tick.
    pub(crate) fn advance(
        &self,
        upstream: &str,
        settings: Option<&model::Breaker>,
        counters: &[UpstreamCounters],
        now: Instant,
    ) {
        let history = &mut *self.history.lock().unwrap_or_else(PoisonError::into_inner);
        // What the workers did since the last tick.
        self.tell(upstream, history);
        let counted = Tally::sum(counters);
        let news = counted.since(history.counted);
        history.counted = counted;
        let state = self.state();
        let Some(settings) = settings else {
            // A new revision did away with it.
            history.window = Window::default();
            if state.phase != Phase::Closed {
                self.exchange(state, state.into_phase(Phase::Closed));
            }
            return self.tell(upstream, history);
        };
        match state.phase {
            Phase::Closed => {
                history.window.add(self.millis(now), settings.window, news);
                if let Some(reason) = history.window.verdict(settings) {
                    history.reason = reason;
                    self.stay_open(now, settings.open_for);
                    self.exchange(state, state.into_phase(Phase::Open));
                }
            }
            Phase::Open if self.millis(now) >= self.until.load(Ordering::Relaxed) => {
                self.exchange(state, state.into_phase(Phase::HalfOpen));
            }
            // A new revision asks for fewer probes than have succeeded already.
            Phase::HalfOpen if state.succeeded >= settings.probes => {
                self.exchange(state, state.into_phase(Phase::Closed));
            }
            Phase::Open | Phase::HalfOpen => {}
        }
        self.tell(upstream, history);
    }

    /// Notes and logs a change of state. No more than one can lie between two calls: only the supervisor
    /// leaves the states closed and open, and calls this before and after.
    fn tell(&self, upstream: &str, history: &mut History) {
        let state = self.state();
        let former = std::mem::replace(&mut history.seen, state).phase;
        if state.phase == former {
            return;
        }
        history.since = SystemTime::now();
        // What was counted before says nothing about what comes.
        history.window = Window::default();
        match state.phase {
            Phase::Open => {
                if former == Phase::HalfOpen {
                    let what = match self.was_slow.load(Ordering::Relaxed) {
                        true => "a probe was slow",
                        false => "a probe failed",
                    };
                    what.clone_into(&mut history.reason);
                }
                self.opened.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%upstream, reason = %history.reason, "circuit breaker opened");
            }
            Phase::HalfOpen => tracing::info!(%upstream, "circuit breaker half open"),
            Phase::Closed => tracing::info!(%upstream, "circuit breaker closed"),
        }
    }

    pub(crate) fn report(&self, upstream: &str) -> BreakerReport {
        let history = &mut *self.history.lock().unwrap_or_else(PoisonError::into_inner);
        // What a worker did since the last tick.
        self.tell(upstream, history);
        let phase = history.seen.phase;
        BreakerReport {
            phase,
            since: history.since,
            reason: (phase != Phase::Closed).then(|| history.reason.clone()),
            opened: self.opened.load(Ordering::Relaxed),
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) is_failure: bool,
    /// The response's head took longer than `slow_call`.
    pub(crate) is_slow: bool,
}

/// A probe's right to pass. It is given back when dropped, however the request ends.
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Arc<Breaker>,
    /// Of the half-open state that it belongs to; in a later one it means nothing.
    generation: u32,
}

impl Permit {
    /// Tells what came of the probe.
    pub(crate) fn settle(self, outcome: Outcome, settings: &model::Breaker, now: Instant) {
        let is_good = !outcome.is_failure && !outcome.is_slow;
        self.change(|state| {
            if is_good {
                return state.succeeded(settings.probes);
            }
            // Before the state, so that whoever sees it open sees this, too.
            self.breaker.stay_open(now, settings.open_for);
            let is_slow = !outcome.is_failure;
            self.breaker.was_slow.store(is_slow, Ordering::Relaxed);
            state.into_phase(Phase::Open)
        });
    }

    fn change(&self, next: impl Fn(State) -> State) {
        loop {
            let state = self.breaker.state();
            if state.generation != self.generation || state.phase != Phase::HalfOpen {
                return;
            }
            if self.breaker.exchange(state, next(state)) {
                return;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // After a verdict, too: a success takes the place of the probe that ends here.
        self.change(State::returned);
    }
}

#[cfg(test)]
mod tests;
