//! Deadlines of connections and streams, without a timer operation per request.
//!
//! Every request passes three or four deadlines, nearly all of which are met. A runtime timer costs
//! two operations on a shared wheel for each; here a deadline is one store into a table that the
//! worker sweeps every [`RESOLUTION`].
//!
//! Time is counted as the worker had it: when a sweep comes late because the worker was busy or the
//! process was stopped, what exceeds two sweeps does not count, so that nobody's deadline passes
//! because of us. A deadline is never early, and on a worker that keeps up at most three sweeps late.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How often deadlines are looked at.
pub(crate) const RESOLUTION: Duration = Duration::from_millis(20);

/// The most that one sweep lets pass.
const LONGEST_STEP: Duration = Duration::from_millis(40);

const NEVER: u64 = u64::MAX;

/// All deadlines of one worker.
#[derive(Debug)]
pub(crate) struct Timers {
    swept: Cell<Instant>,
    /// The worker's time in milliseconds, as of the last sweep.
    now: Cell<u64>,
    // Two tables of the same length: the sweep reads only the first, which stays in cache.
    deadlines: RefCell<Vec<u64>>,
    wakers: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

impl Timers {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            swept: Cell::new(Instant::now()),
            now: Cell::new(0),
            deadlines: RefCell::default(),
            wakers: RefCell::default(),
            free: RefCell::default(),
        })
    }

    /// The worker's time in milliseconds, at most one sweep old.
    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    /// A timer that is not set.
    pub(crate) fn register(self: &Rc<Self>) -> Timer {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut deadlines = self.deadlines.borrow_mut();
            deadlines.push(NEVER);
            self.wakers.borrow_mut().push(None);
            deadlines.len() - 1
        });
        Timer {
            timers: Rc::clone(self),
            slot,
            end: Cell::new(NEVER),
        }
    }

    /// The worker's time after which this long has passed for certain.
    fn after(&self, time: Duration) -> u64 {
        // The next sweep may let a whole step pass, even if it comes at once.
        let millis = u64::try_from(time.saturating_add(LONGEST_STEP).as_millis());
        self.now.get().saturating_add(millis.unwrap_or(NEVER))
    }

    /// Sweeps until the worker ends.
    pub(crate) async fn run(self: Rc<Self>) {
        let mut interval = tokio::time::interval(RESOLUTION);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.sweep(Instant::now());
        }
    }

    fn sweep(&self, now: Instant) {
        let step = now
            .saturating_duration_since(self.swept.replace(now))
            .min(LONGEST_STEP);
        let now = self.now.get().saturating_add(step.as_millis() as u64);
        self.now.set(now);
        let deadlines = self.deadlines.borrow();
        let mut wakers = self.wakers.borrow_mut();
        for (slot, _) in deadlines.iter().enumerate().filter(|(_, at)| **at <= now) {
            // Waking only queues the task; it cannot come back into this table.
            if let Some(waker) = wakers[slot].take() {
                waker.wake();
            }
        }
    }

    /// Wakes every task that waits with a timer, so that it looks at the worker's state anew.
    pub(crate) fn wake_all(&self) {
        for waker in self.wakers.borrow_mut().iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }
}

/// One deadline, owned by the task of a connection or a stream.
pub(crate) struct Timer {
    timers: Rc<Timers>,
    slot: usize,
    /// No deadline is later than this one.
    end: Cell<u64>,
}

/// The deadline passed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl Timer {
    /// Sets the deadline, replacing the former one.
    pub(crate) fn set(&self, after: Duration) {
        let at = self.timers.after(after);
        self.timers.deadlines.borrow_mut()[self.slot] = at.min(self.end.get());
    }

    /// Bounds whatever is set from now on: it all ends after this time, until that is lifted.
    pub(crate) fn set_end(&self, after: Duration) {
        self.end.set(self.timers.after(after));
    }

    /// There is no common end any more.
    pub(crate) fn lift_end(&self) {
        self.end.set(NEVER);
    }

    /// Whether the common end has come: then that is why a deadline passed.
    pub(crate) fn is_ended(&self) -> bool {
        self.end.get() <= self.timers.now.get()
    }

    /// What a deadline that passed means: this failure, or that the common end has come in its phase.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        if self.is_ended() {
            return Failure::DeadlineExceeded(failure.reason());
        }
        failure
    }

    /// Another timer with the same end.
    pub(crate) fn sibling(&self) -> Self {
        let timer = self.timers.register();
        timer.end.set(self.end.get());
        timer
    }

    pub(crate) fn clear(&self) {
        self.timers.deadlines.borrow_mut()[self.slot] = NEVER;
    }

    /// Whether the deadline passed; if not, the task is woken when it does.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Elapsed> {
        if self.timers.deadlines.borrow()[self.slot] <= self.timers.now.get() {
            return Poll::Ready(Elapsed);
        }
        let waker = &mut self.timers.wakers.borrow_mut()[self.slot];
        match waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Runs a future until the deadline that was set.
    pub(crate) async fn limit_rest<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            self.poll(context).map(Err)
        })
        .await
    }

    /// Waits.
    pub(crate) async fn wait(&self, time: Duration) {
        self.set(time);
        let _ = std::future::poll_fn(|context| self.poll(context)).await;
    }

    /// Runs a future for at most this long.
    pub(crate) async fn limit<F: Future>(
        &self,
        after: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        self.set(after);
        self.limit_rest(future).await
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
        self.timers.wakers.borrow_mut()[self.slot] = None;
        self.timers.free.borrow_mut().push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sweeps as a worker that keeps up does.
    fn sweep_for(timers: &Timers, milliseconds: u64) {
        for _ in 0..milliseconds / 20 {
            timers.sweep(timers.swept.get() + RESOLUTION);
        }
    }

    #[test]
    fn a_deadline_is_never_early_and_wakes_once() {
        let timers = Timers::new();
        let timer = timers.register();
        let counter = Arc::new(Counter(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&counter));
        let context = Context::from_waker(&waker);
        timer.set(Duration::from_millis(100));
        assert_eq!(timer.poll(&context), Poll::Pending);
        sweep_for(&timers, 100);
        assert_eq!(timer.poll(&context), Poll::Pending);
        assert_eq!(counter.0.load(Ordering::Relaxed), 0);
        sweep_for(&timers, 60);
        assert_eq!(timer.poll(&context), Poll::Ready(Elapsed));
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_busy_worker_is_not_held_against_its_clients() {
        let timers = Timers::new();
        let timer = timers.register();
        let context = Context::from_waker(Waker::noop());
        timer.set(Duration::from_millis(100));
        timers.sweep(timers.swept.get() + Duration::from_secs(10));
        assert_eq!(timer.poll(&context), Poll::Pending);
        sweep_for(&timers, 100);
        assert_eq!(timer.poll(&context), Poll::Ready(Elapsed));
    }

    #[test]
    fn a_common_end_bounds_every_deadline_until_it_is_lifted() {
        let timers = Timers::new();
        let timer = timers.register();
        let context = Context::from_waker(Waker::noop());
        timer.set_end(Duration::from_millis(100));
        let sibling = timer.sibling();
        for timer in [&timer, &sibling] {
            timer.set(Duration::from_secs(60));
            assert_eq!(timer.poll(&context), Poll::Pending);
        }
        sweep_for(&timers, 100);
        assert!(!timer.is_ended(), "never early");
        sweep_for(&timers, 60);
        for timer in [&timer, &sibling] {
            assert!(timer.is_ended());
            assert_eq!(timer.poll(&context), Poll::Ready(Elapsed));
        }
        timer.lift_end();
        timer.set(Duration::from_secs(60));
        assert!(!timer.is_ended() && timer.poll(&context).is_pending());
    }

    #[test]
    fn a_dropped_timer_leaves_its_slot_unset_for_the_next() {
        let timers = Timers::new();
        let timer = timers.register();
        timer.set(Duration::ZERO);
        drop(timer);
        let timer = timers.register();
        sweep_for(&timers, 5_000);
        assert_eq!(timer.slot, 0);
        assert_eq!(
            timer.poll(&Context::from_waker(Waker::noop())),
            Poll::Pending
        );
    }
}
