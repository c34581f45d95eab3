//! What is counted for the sides of a split and for mirrors; each set has one writer.

use std::time::Duration;

use crate::metrics::Counter;

/// Values below this have a place each; above, each doubling has as many.
const STEPS: u64 = 8;
/// Doublings above that: up to 71 minutes in microseconds, more than a guard can be told. What took
/// longer counts as that.
const DOUBLINGS: usize = 29;
pub(super) const PLACES: usize = (DOUBLINGS + 1) * STEPS as usize;

/// What is counted for one side of a split, by one worker.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct BackendCounters {
    /// Requests that were answered with 5xx.
    failed: Counter,
    /// Requests by the time to the response's head.
    heads: [Counter; PLACES],
}

impl Default for BackendCounters {
    fn default() -> Self {
        Self {
            failed: Counter::default(),
            heads: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl BackendCounters {
    pub(super) fn count(&self, status: u16, took: Duration) {
        self.heads[place(took)].add(1);
        if status >= 500 {
            self.failed.add(1);
        }
    }
}

/// The counters of all workers, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) failed: u64,
    heads: Box<[u64; PLACES]>,
}

impl Totals {
    pub(super) fn of(workers: &[BackendCounters]) -> Self {
        let mut heads = Box::new([0; PLACES]);
        for worker in workers {
            for (total, count) in heads.iter_mut().zip(&worker.heads) {
                *total += count.get();
            }
        }
        Self {
            failed: workers.iter().map(|worker| worker.failed.get()).sum(),
            heads,
        }
    }

    /// What was added since.
    pub(super) fn since(&self, before: &Self) -> Self {
        let mut heads = self.heads.clone();
        for (now, before) in heads.iter_mut().zip(before.heads.iter()) {
            *now = now.saturating_sub(*before);
        }
        Self {
            failed: self.failed.saturating_sub(before.failed),
            heads,
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.heads.iter().sum()
    }

    /// The time within which 99 of 100 requests had their head, to within an eighth; `None` without
    /// requests.
    pub(super) fn p99(&self) -> Option<Duration> {
        let requests = self.requests();
        let rank = (requests * 99).div_ceil(100);
        let mut seen = 0;
        for (place, count) in self.heads.iter().enumerate() {
            if seen + count >= rank && *count > 0 {
                let (low, high) = (micros(place), micros(place + 1));
                let part = (rank - seen) as f64 / *count as f64;
                let micros = low as f64 + (high - low) as f64 * part;
                return Some(Duration::from_micros(micros as u64));
            }
            seen += count;
        }
        None
    }
}

/// Logarithmic, with [`STEPS`] linear steps in each doubling.
fn place(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if micros < STEPS {
        return micros as usize;
    }
    let doubling = micros.ilog2() - STEPS.ilog2();
    let step = (micros >> doubling) - STEPS;
    (((u64::from(doubling) + 1) * STEPS + step) as usize).min(PLACES - 1)
}

/// The least number of microseconds that belongs to a place.
fn micros(place: usize) -> u64 {
    let place = place as u64;
    if place < STEPS {
        return place;
    }
    (STEPS + place % STEPS) << (place / STEPS - 1)
}

/// What is counted for a route's mirror, by one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct MirrorCounters {
    /// Copies under way now.
    pub under_way: Counter,
    /// Copies that were answered, with whatever status.
    pub answered: Counter,
    /// Copies that could not be sent or got no answer.
    pub failed: Counter,
    /// Copies that had not ended at their deadline.
    pub timed_out: Counter,
    /// Requests that were not copied because too many copies were under way.
    pub over_limit: Counter,
    /// Requests that were not copied because of their body's size.
    pub body_too_large: Counter,
    /// Requests that were not copied because their body was not read to its end.
    pub body_incomplete: Counter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_each_other_without_a_gap() {
        for at in 0..PLACES {
            assert_eq!(place(Duration::from_micros(micros(at))), at);
            if at > 0 {
                assert_eq!(place(Duration::from_micros(micros(at) - 1)), at - 1);
            }
        }
        assert_eq!(place(Duration::MAX), PLACES - 1);
    }

    #[test]
    fn the_99th_percentile_is_near_the_true_one() {
        let counters = [BackendCounters::default(), BackendCounters::default()];
        assert_eq!(Totals::of(&counters).p99(), None);
        for millis in 1..=1_000 {
            let status = if millis % 10 == 0 { 503 } else { 200 };
            counters[millis as usize % 2].count(status, Duration::from_millis(millis));
        }
        let totals = Totals::of(&counters);
        assert_eq!((totals.requests(), totals.failed), (1_000, 100));
        let p99 = totals.p99().unwrap().as_millis();
        assert!((960..1_030).contains(&p99), "{p99}");
    }

    #[test]
    fn minutes_are_told_from_each_other() {
        for minutes in [1, 2, 10, 60] {
            let counters = [BackendCounters::default()];
            let took = Duration::from_secs(60 * minutes);
            (0..100).for_each(|_| counters[0].count(200, took));
            let p99 = Totals::of(&counters).p99().unwrap();
            assert!(p99 >= took * 9 / 10 && p99 <= took * 9 / 8, "{p99:?}");
        }
    }

    #[test]
    fn one_slow_request_of_a_hundred_does_not_move_it_and_two_do() {
        let counters = [BackendCounters::default()];
        for _ in 0..99 {
            counters[0].count(200, Duration::from_millis(1));
        }
        let calm = Totals::of(&counters);
        counters[0].count(200, Duration::from_secs(5));
        assert!(Totals::of(&counters).p99().unwrap() < Duration::from_millis(2));
        counters[0].count(200, Duration::from_secs(5));
        assert!(Totals::of(&counters).p99().unwrap() > Duration::from_secs(4));
        assert_eq!(Totals::of(&counters).since(&calm).requests(), 2);
    }
}
