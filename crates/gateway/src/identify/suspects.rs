//! Connections that showed a bad credential: what else they show waits for its turn.
//!
//! To check a credential costs more than to recognise one, and a flood of bad ones comes without waiting for answers. A worker
//! checks so many of suspects in a second that most of its time is left for everybody else; the rest waits, and with it
//! whoever sends them. A credential that the worker knows is not checked, and never waits.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// Between two checks of suspects, on average: 10,000 a second, of 10 to 30 µs each.
const APART: Duration = Duration::from_micros(100);

/// Checks that were not needed are made up for, up to this long: an honest mistake never waits.
const SAVED: Duration = Duration::from_millis(10);

/// Suspects that go on between two looks at what has come from elsewhere. With 30 µs for each, nobody else waits longer for
/// them than for a few requests of others.
const AT_ONCE: usize = 4;

/// The suspects of one worker.
pub(crate) struct Suspects {
    /// When the next one may go on.
    next: Cell<Instant>,
    turns: Semaphore,
}

impl Suspects {
    pub(crate) fn new() -> Self {
        Self {
            next: Cell::new(Instant::now()),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Waits until there is time for one more, and everything else that is ready has had its turn.
    pub(crate) async fn turn(&self) {
        // Whoever leaves the line takes no time from those behind: it is counted from its head on.
        let _turn = self.turns.acquire().await;
        let now = Instant::now();
        let mine = self.reserve(now);
        if mine > now {
            tokio::time::sleep_until(mine.into()).await;
        }
        // The runtime looks for what has come in before it goes on with this.
        tokio::task::yield_now().await;
    }

    /// When whoever asks now may go on.
    fn reserve(&self, now: Instant) -> Instant {
        let saved = now.checked_sub(SAVED).unwrap_or(now);
        let mine = self.next.get().max(saved);
        self.next.set(mine + APART);
        mine
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn between_two_turns_of_others_only_a_few_suspects_go_on() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        let (suspects, turns) = (Rc::new(Suspects::new()), Rc::new(Cell::new(0)));
        tokio::task::LocalSet::new().block_on(&runtime, async {
            for _ in 0..64 {
                let (suspects, turns) = (Rc::clone(&suspects), Rc::clone(&turns));
                tokio::task::spawn_local(async move {
                    loop {
                        suspects.turn().await;
                        turns.set(turns.get() + 1);
                    }
                });
            }
            while turns.get() < 500 {
                let before = turns.get();
                tokio::task::yield_now().await;
                let between = turns.get() - before;
                assert!(between <= 2 * AT_ONCE, "{between} at once");
            }
        });
    }

    #[test]
    fn however_many_there_are_a_worker_has_time_for_others() {
        let suspects = Suspects::new();
        let begin = Instant::now();
        let last = (0..100_000).map(|_| suspects.reserve(begin)).max();
        let waited = last.unwrap() - begin;
        let of_all = APART * 100_000;
        assert!(waited <= of_all, "all of them go on: {waited:?}");
        assert!(waited + SAVED + APART >= of_all, "{waited:?}");
    }

    #[test]
    fn one_mistake_does_not_wait() {
        let suspects = Suspects::new();
        let now = Instant::now() + Duration::from_secs(1);
        for _ in 0..100 {
            assert!(suspects.reserve(now) <= now);
        }
        assert!(suspects.reserve(now + SAVED) <= now + SAVED);
    }
}
