//! Where requests wait for their turn while a worker is late.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// From this delay of the event loop on, requests line up.
const LATE: Duration = Duration::from_millis(10);
/// For how long the event loop must be in time, with nobody in line, until they do not any more.
const QUIET: Duration = Duration::from_millis(500);
/// Requests that begin in one round of the event loop. Their answers come in later rounds, so that about as
/// many more are under way.
const PER_ROUND: usize = 64;

/// Requests that were read and not begun, first come, first served.
///
/// Without it everything that is ready runs in one queue, beginnings before endings as they come: a
/// thousand requests more lead to a thousand connections to targets more, everything that belongs to one
/// request has left the caches when it goes on, and each of its steps waits behind all others. With it a
/// request waits once, and those that have begun are soon over.
#[derive(Debug, Default)]
pub(crate) struct Line {
    is_open: Cell<bool>,
    /// Since when there is no reason for it.
    quiet_since: Cell<Option<Instant>>,
    waiting: RefCell<VecDeque<Rc<Waiting>>>,
    /// Of those, who did not leave.
    standing: Cell<u32>,
    /// Called up since the last look.
    called: Cell<u32>,
    /// Called up a second while somebody waits; 0 as long as that is not known.
    rate: Cell<f32>,
    /// Somebody lined up where nobody stood.
    begun: Notify,
}

#[derive(Debug)]
struct Waiting(RefCell<State>);

#[derive(Debug)]
enum State {
    Waiting(Waker),
    Called,
    /// Nobody waits for the turn any more.
    Left,
}

impl Line {
    /// Whether requests line up.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    /// Takes up how late the event loop is now, `since` the last look.
    pub(crate) fn look(&self, now: Instant, since: Duration, delay: Duration) {
        let called = self.called.take() as f32;
        let is_used = self.standing.get() > 0;
        if is_used {
            // Half old, half new: rounds differ, and in a tenth of a second the truth is known.
            let rate = called / since.as_secs_f32().max(f32::EPSILON);
            let before = self.rate.get();
            let after = if before == 0.0 {
                rate
            } else {
                (before + rate) / 2.0
            };
            self.rate.set(after);
        }
        if delay > LATE {
            self.is_open.set(true);
        }
        if delay > LATE || is_used {
            self.quiet_since.set(None);
        } else if self.is_open() {
            let since = self.quiet_since.get().unwrap_or(now);
            self.quiet_since.set(Some(since));
            if now.duration_since(since) >= QUIET {
                self.is_open.set(false);
                self.rate.set(0.0);
            }
        }
    }

    /// How long whoever lines up now is going to wait, as far as can be told.
    pub(crate) fn expected_wait(&self) -> Duration {
        let seconds = self.standing.get() as f32 / self.rate.get();
        // Nothing can be told of a line that has not moved yet.
        Duration::try_from_secs_f32(seconds).unwrap_or_default()
    }

    /// Waits for a turn.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn {
            line: self,
            waiting: None,
        }
    }

    /// Calls up who waits, some in each round of the event loop; for as long as the worker runs.
    pub(crate) async fn call_up(&self) {
        loop {
            self.begun.notified().await;
            while self.call() {
                // Everything else that is ready runs before the next ones.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Calls up those whose turn it is; false if nobody waits.
    fn call(&self) -> bool {
        let mut called = 0;
        while called < PER_ROUND {
            let Some(next) = self.waiting.borrow_mut().pop_front() else {
                return called > 0;
            };
            if let State::Waiting(waker) = next.0.replace(State::Called) {
                self.standing.set(self.standing.get() - 1);
                self.called.set(self.called.get() + 1);
                waker.wake();
                called += 1;
            }
        }
        true
    }
}

/// A place in line; dropped, it is given up.
pub(crate) struct Turn<'a> {
    line: &'a Line,
    waiting: Option<Rc<Waiting>>,
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(waiting) = &self.waiting {
            return match &mut *waiting.0.borrow_mut() {
                State::Waiting(waker) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                State::Called | State::Left => Poll::Ready(()),
            };
        }
        let state = State::Waiting(context.waker().clone());
        let waiting = Rc::new(Waiting(RefCell::new(state)));
        self.line.standing.set(self.line.standing.get() + 1);
        let mut line = self.line.waiting.borrow_mut();
        if line.is_empty() {
            self.line.begun.notify_one();
        }
        line.push_back(Rc::clone(&waiting));
        drop(line);
        self.waiting = Some(waiting);
        Poll::Pending
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            // Its waker, and with it the connection's task, is not kept by the line.
            if let State::Waiting(_) = waiting.0.replace(State::Left) {
                self.line.standing.set(self.line.standing.get() - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn requests_line_up_while_the_event_loop_is_late_and_a_while_after() {
        let line = Line::default();
        let begin = Instant::now();
        let look = |at: u64, delay: u64| {
            line.look(
                begin + milliseconds(at),
                milliseconds(20),
                milliseconds(delay),
            );
        };
        look(0, 10);
        assert!(!line.is_open());
        look(20, 11);
        assert!(line.is_open());
        look(40, 0);
        look(530, 0);
        assert!(line.is_open(), "not half a second yet");
        look(535, 11);
        look(540, 0);
        look(1_039, 0);
        assert!(line.is_open());
        look(1_040, 0);
        assert!(!line.is_open());
    }

    #[tokio::test]
    async fn who_came_first_is_called_first_and_who_left_holds_up_nobody() {
        let line = Rc::new(Line::default());
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks = tokio::task::LocalSet::new();
        let all = 3 * PER_ROUND;
        tasks
            .run_until(async {
                let mut joined = Vec::new();
                for at in 0..all {
                    let (line, order) = (Rc::clone(&line), Rc::clone(&order));
                    joined.push(tokio::task::spawn_local(async move {
                        line.turn().await;
                        order.borrow_mut().push(at);
                    }));
                }
                while line.standing.get() as usize != all {
                    tokio::task::yield_now().await;
                }
                assert_eq!(line.expected_wait(), Duration::ZERO);
                for left in [0, 1, all - 1] {
                    joined[left].abort();
                }
                while line.standing.get() as usize != all - 3 {
                    tokio::task::yield_now().await;
                }
                let calling = Rc::clone(&line);
                let calling = tokio::task::spawn_local(async move { calling.call_up().await });
                for task in joined {
                    let _ = task.await;
                }
                calling.abort();
            })
            .await;
        assert_eq!(*order.borrow(), (2..all - 1).collect::<Vec<_>>());
        assert_eq!(line.waiting.borrow().len(), 0);
        assert_eq!(line.standing.get(), 0);
    }

    #[tokio::test]
    async fn a_round_begins_so_many_and_no_more() {
        let line = Line::default();
        let mut turns: Vec<_> = (0..PER_ROUND + 1).map(|_| Box::pin(line.turn())).collect();
        let mut poll_all = || {
            let mut context = Context::from_waker(Waker::noop());
            let ready = turns
                .iter_mut()
                .filter_map(|turn| turn.as_mut().poll(&mut context).is_ready().then_some(()));
            ready.count()
        };
        assert_eq!(poll_all(), 0);
        assert!(line.call());
        assert_eq!(poll_all(), PER_ROUND);
        // 64 in 32 ms, and one is left.
        line.look(Instant::now(), milliseconds(32), Duration::ZERO);
        assert_eq!(line.expected_wait().as_micros(), 500);
    }
}
