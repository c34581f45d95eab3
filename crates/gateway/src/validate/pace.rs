//! Whether short bodies are judged in a moment.
//!
//! Nearly all are. But a pattern with large counted repetitions can take a thousand times as long for the
//! same text, and who sends the text is anybody.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What a worker can spare.
const MOMENT: Duration = Duration::from_millis(1);
/// Bodies that are judged elsewhere after one that took longer.
const WARY: u32 = 1_000;

/// Shared by all workers: nothing is lost if two of them change it at once.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bodies that are still to be judged elsewhere.
    wary: AtomicU32,
}

impl Pace {
    /// Whether the next body may be judged by the worker.
    pub(super) fn is_brisk(&self) -> bool {
        let left = self.wary.load(Ordering::Relaxed);
        if left > 0 {
            self.wary.store(left - 1, Ordering::Relaxed);
        }
        left == 0
    }

    /// Judges a body on the calling thread. Its own time is what counts: that of a machine with too much to
    /// do says nothing about a pattern.
    pub(super) fn time<T>(&self, judge: impl FnOnce() -> T) -> T {
        let begun = own_time();
        let judged = judge();
        self.took(own_time().saturating_sub(begun));
        judged
    }

    fn took(&self, time: Duration) {
        if time > MOMENT {
            self.wary.store(WARY, Ordering::Relaxed);
        }
    }
}

fn own_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_slow_one_many_are_judged_elsewhere_and_then_it_is_tried_again() {
        let pace = Pace::default();
        pace.took(MOMENT);
        assert!(pace.is_brisk() && pace.is_brisk());
        pace.took(2 * MOMENT);
        let elsewhere = (0..2 * WARY).take_while(|_| !pace.is_brisk()).count();
        assert_eq!(elsewhere, WARY as usize);
        assert!(pace.is_brisk());
    }

    #[test]
    fn only_the_threads_own_time_counts() {
        let pace = Pace::default();
        pace.time(|| std::thread::park_timeout(10 * MOMENT));
        assert!(pace.is_brisk());
        let begun = own_time();
        pace.time(|| while own_time() < begun + 2 * MOMENT {});
        assert!(!pace.is_brisk());
    }
}
