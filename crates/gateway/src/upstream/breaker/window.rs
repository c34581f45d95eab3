//! What came of attempts over the last while.

use std::time::Duration;

use weir_config::model::Breaker;

use crate::metrics::{Counter, UpstreamCounters};

/// Parts of the window: it moves on by one of them at a time.
const SLOTS: usize = 10;

/// Numbers of attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) attempts: u64,
    pub(super) failed: u64,
    pub(super) slow: u64,
}

impl Tally {
    pub(super) fn sum(counters: &[UpstreamCounters]) -> Self {
        let sum = |counter: fn(&UpstreamCounters) -> &Counter| {
            counters.iter().map(|worker| counter(worker).get()).sum()
        };
        Self {
            attempts: sum(|worker| &worker.attempts),
            failed: sum(|worker| &worker.failed),
            slow: sum(|worker| &worker.slow),
        }
    }

    /// What was added to an earlier sum.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            attempts: self.attempts.wrapping_sub(earlier.attempts),
            failed: self.failed.wrapping_sub(earlier.failed),
            slow: self.slow.wrapping_sub(earlier.slow),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            attempts: self.attempts + other.attempts,
            failed: self.failed + other.failed,
            slow: self.slow + other.slow,
        }
    }
}

/// A ring of tallies.
#[derive(Debug, Default)]
pub(super) struct Window {
    slots: [Tally; SLOTS],
    /// Number of the newest slot, counted since the beginning of time.
    newest: u64,
}

impl Window {
    /// Adds what happened just now, in milliseconds; forgets what is older than the window.
    pub(super) fn add(&mut self, now: u64, window: Duration, news: Tally) {
        let slot = u64::try_from(window.as_millis())
            .unwrap_or(u64::MAX)
            .div_ceil(SLOTS as u64)
            .max(1);
        let newest = now / slot;
        // A window of another length, since a reload, may make the number smaller.
        let passed = newest.abs_diff(self.newest).min(SLOTS as u64);
        for step in 0..passed {
            self.slots[((newest - step.min(newest)) % SLOTS as u64) as usize] = Tally::default();
        }
        self.newest = newest;
        let at = &mut self.slots[(newest % SLOTS as u64) as usize];
        *at = at.plus(news);
    }

    /// Why the breaker opens, if it does.
    pub(super) fn verdict(&self, settings: &Breaker) -> Option<String> {
        let tally = self
            .slots
            .iter()
            .fold(Tally::default(), |sum, slot| sum.plus(*slot));
        if tally.attempts < u64::from(settings.minimum_requests.max(1)) {
            return None;
        }
        let reaches = |part: u64, percent: u32| part * 100 >= tally.attempts * u64::from(percent);
        let of = tally.attempts;
        if reaches(tally.failed, settings.error_rate_percent) {
            return Some(format!("{} of {of} attempts failed", tally.failed));
        }
        let is_slow =
            settings.slow_call.is_some() && reaches(tally.slow, settings.slow_rate_percent);
        is_slow.then(|| format!("{} of {of} attempts were slow", tally.slow))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn tally(attempts: u64, failed: u64, slow: u64) -> Tally {
        Tally {
            attempts,
            failed,
            slow,
        }
    }

    fn after(news: &[(u64, Tally)]) -> Option<String> {
        let mut window = Window::default();
        for (at, tally) in news {
            window.add(*at, WINDOW, *tally);
        }
        window.verdict(&settings())
    }

    #[test]
    fn shares_open_it_and_too_few_attempts_do_not() {
        assert_eq!(after(&[(0, tally(19, 19, 0))]), None);
        assert_eq!(after(&[(0, tally(20, 9, 0))]), None);
        let failed = after(&[(0, tally(10, 5, 0)), (100, tally(10, 5, 0))]);
        assert_eq!(failed.as_deref(), Some("10 of 20 attempts failed"));
        let slow = after(&[(0, tally(20, 0, 16))]);
        assert_eq!(slow.as_deref(), Some("16 of 20 attempts were slow"));
        assert_eq!(after(&[(0, tally(20, 0, 15))]), None);
    }

    #[test]
    fn nothing_counts_as_slow_unless_it_is_said_what_is() {
        let mut window = Window::default();
        window.add(0, WINDOW, tally(20, 0, 20));
        let settings = Breaker {
            slow_call: None,
            ..settings()
        };
        assert_eq!(window.verdict(&settings), None);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let failures = tally(20, 20, 0);
        assert!(after(&[(0, failures), (9_900, Tally::default())]).is_some());
        assert_eq!(after(&[(0, failures), (10_000, Tally::default())]), None);
        assert_eq!(
            after(&[(0, failures), (86_400_000, Tally::default())]),
            None
        );
        assert_eq!(after(&[(5_000, failures), (10_000, tally(21, 0, 0))]), None);
    }

    #[test]
    fn a_window_of_another_length_starts_anew() {
        let mut window = Window::default();
        window.add(1_000_000, Duration::from_secs(1), tally(20, 20, 0));
        window.add(1_000_100, Duration::from_secs(100), Tally::default());
        assert_eq!(window.verdict(&settings()), None);
    }
}
