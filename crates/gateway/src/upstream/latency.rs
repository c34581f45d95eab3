//! How long a target takes to answer: two averages, one for each algorithm that asks.

use std::time::Duration;

/// What is this old counts about a third.
const FADE_MILLIS: f64 = 10_000.0;
/// Share of a new value in the mean.
const SHARE: f64 = 1.0 / 16.0;
/// Share of a new value in the peak, if that is higher.
const SHARE_BELOW_PEAK: f64 = 1.0 / 8.0;
/// How many times the mean the peak becomes by one value.
const MOST_AT_ONCE: f64 = 3.0;
/// A value counts as this many times the mean at most: one pause says little, many say enough. A
/// failure counts as that, however soon it came: else who fails at once would look like the fastest.
const MOST: f64 = 4.0;
/// Nanoseconds to which failures alone raise the mean.
const MOST_BY_FAILURES: f64 = 10e9;
/// Nanoseconds that a first failure counts as: enough to stay behind others, and to be tried again in a
/// minute.
const FIRST_FAILURE: f64 = 1e8;
/// Nanoseconds that a target is expected to take of which nothing is known.
pub(super) const UNKNOWN: f64 = 1e9;

/// Time to the response's head, in nanoseconds; 0 before the first news.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    /// Peak EWMA, as Finagle made it known: a value above the average replaces it, one below draws it
    /// down. There one pause in ten seconds counts like a slow target, since the average comes down by
    /// time alone. Here good answers draw it down, too, and one value does not lift it higher than
    /// [`MOST_AT_ONCE`]: with pauses of the machine in between, a target that is ten times slower would
    /// get one request in twenty, and the others' users would wait for it.
    peak: f64,
    /// Mean of the latest values, robust against single ones.
    mean: f64,
    /// Worker's milliseconds of the last news.
    at: u64,
}

impl Latency {
    /// The peak average, faded by the silence since: a target that was slow is tried again.
    pub(crate) fn peak(self, now: u64) -> f64 {
        self.peak * remains(now.saturating_sub(self.at))
    }

    /// The mean, faded likewise.
    pub(crate) fn mean(self, now: u64) -> f64 {
        self.mean * remains(now.saturating_sub(self.at))
    }

    /// After a request that was answered.
    pub(crate) fn with(self, took: Duration, now: u64) -> Self {
        let took = took.as_nanos() as f64;
        if self.mean == 0.0 {
            return Self {
                peak: took,
                mean: took,
                at: now,
            };
        }
        let old = remains(now.saturating_sub(self.at));
        // After a silence the new value counts more: what was known has faded.
        let share = 1.0 - old * (1.0 - SHARE);
        let share_below = 1.0 - old * (1.0 - SHARE_BELOW_PEAK);
        let counted = took.min(self.peak.max(self.mean * MOST_AT_ONCE));
        let peak = counted.max(self.peak + (counted - self.peak) * share_below);
        let mean = self.mean + (took.min(self.mean * MOST) - self.mean) * share;
        Self {
            peak,
            mean,
            at: now,
        }
    }

    /// After a request that failed, or was answered with an error of the server.
    ///
    /// A single one hardly matters; a target that fails more than about a quarter of its requests looks
    /// slower with each.
    pub(crate) fn with_failure(self, took: Duration, now: u64) -> Self {
        let counted = match self.mean {
            0.0 => FIRST_FAILURE,
            mean => (mean * MOST).min(MOST_BY_FAILURES),
        };
        let failed = self.with(took.max(Duration::from_nanos(counted as u64)), now);
        // One value of many is no peak, unless it took so long in fact.
        let peak = self.with(took, now).peak.max(failed.mean);
        Self { peak, ..failed }
    }

    /// After a request that nobody waited for any longer: it would have taken longer yet.
    pub(crate) fn with_abandoned(self, waited: Duration, now: u64) -> Self {
        if waited.as_nanos() as f64 > self.mean(now) {
            return self.with(waited, now);
        }
        self
    }
}

/// How much of what was known counts after this many milliseconds, from 1 to 0: close to the
/// exponential in the first minute, and without its cost.
fn remains(millis: u64) -> f64 {
    let root = 4.0 * FADE_MILLIS / (4.0 * FADE_MILLIS + millis as f64);
    let square = root * root;
    square * square
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(100);
    const AT_ONCE: Duration = Duration::from_micros(50);

    fn settled(took: Duration) -> Latency {
        (0..100).fold(Latency::default(), |latency, at| latency.with(took, at))
    }

    fn nanos(took: Duration) -> f64 {
        took.as_nanos() as f64
    }

    #[test]
    fn the_peak_believes_bad_news_at_once_and_good_news_by_and_by() {
        let latency = settled(FAST).with(SLOW, 100);
        assert_eq!(latency.peak(100), nanos(FAST) * MOST_AT_ONCE);
        let slow = (0..10).fold(latency, |latency, _| latency.with(SLOW, 100));
        assert!(
            slow.peak(100) > nanos(FAST) * 10.0,
            "news that is confirmed"
        );
        let soon = latency.with(FAST, 100);
        assert!(soon.peak(100) > nanos(FAST) * 2.5);
        let later = (0..50).fold(latency, |latency, _| latency.with(FAST, 100));
        assert!(later.peak(100) < nanos(FAST) * 1.1);
    }

    #[test]
    fn one_pause_hardly_moves_the_mean_and_many_do() {
        let latency = settled(FAST).with(SLOW, 100);
        assert!(latency.mean(100) < nanos(FAST) * 1.2);
        let slow = (0..50).fold(latency, |latency, at| latency.with(SLOW, 100 + at));
        assert!(slow.mean(150) > nanos(FAST) * 50.0);
    }

    #[test]
    fn silence_makes_a_slow_target_worth_another_try() {
        let latency = settled(SLOW);
        assert!(latency.mean(40_000) < latency.mean(100) / 10.0);
        assert!(latency.peak(40_000) < latency.peak(100) / 10.0);
        let tried = latency.with(FAST, 40_000);
        assert!(tried.mean(40_000) < nanos(SLOW) / 10.0, "the try counts");
        let still_slow = latency.with(SLOW, 40_000);
        assert!((still_slow.mean(40_000) / nanos(SLOW) - 1.0).abs() < 0.01);
    }

    #[test]
    fn few_requests_have_the_same_mean_as_many() {
        for gap in [1, 100, 5_000] {
            let latency = (0..2_000).fold(Latency::default(), |latency, at| {
                latency.with(FAST, at * gap)
            });
            let mean = latency.mean(1_999 * gap);
            assert!((mean / nanos(FAST) - 1.0).abs() < 0.01, "every {gap} ms");
        }
    }

    #[test]
    fn who_fails_at_once_does_not_look_fast() {
        let failing = (0..20).fold(settled(FAST), |latency, at| {
            latency.with_failure(AT_ONCE, 100 + at)
        });
        assert!(failing.mean(120) > nanos(FAST) * 20.0);
        assert!(failing.peak(120) > nanos(FAST) * 20.0);
        let new = Latency::default().with_failure(AT_ONCE, 0);
        assert!(new.mean(0) >= FIRST_FAILURE && new.peak(0) >= FIRST_FAILURE);
    }

    #[test]
    fn failures_have_an_end_and_are_forgiven() {
        let failing = (0..10_000).fold(settled(FAST), |latency, at| {
            latency.with_failure(AT_ONCE, 100 + at)
        });
        assert!(failing.mean(10_100) <= MOST_BY_FAILURES);
        let well = (0..2_000).fold(failing, |latency, at| latency.with(FAST, 10_100 + at * 50));
        assert!(well.mean(110_100) < nanos(FAST) * 1.5);
        assert!(well.peak(110_100) < nanos(FAST) * 1.5);
    }

    #[test]
    fn a_few_failures_among_many_answers_hardly_count() {
        let at_rate = |every: u64| {
            (0..5_000).fold(settled(FAST), |latency, at| {
                if at % every == 0 {
                    latency.with_failure(AT_ONCE, 100 + at)
                } else {
                    latency.with(FAST, 100 + at)
                }
            })
        };
        assert!(at_rate(20).mean(5_100) < nanos(FAST) * 1.5, "5% fail");
        assert!(at_rate(20).peak(5_100) < nanos(FAST) * 2.0, "5% fail");
        assert!(at_rate(2).mean(5_100) > nanos(FAST) * 100.0, "half fail");
    }

    #[test]
    fn what_was_abandoned_counts_if_it_took_long() {
        let latency = settled(FAST);
        let soon = latency.with_abandoned(AT_ONCE, 100);
        assert_eq!(soon.mean(100), latency.mean(100), "it could have been fast");
        let late = latency.with_abandoned(SLOW, 100);
        assert!(late.mean(100) > latency.mean(100));
        assert!(late.peak(100) >= nanos(FAST) * MOST_AT_ONCE);
        let first = Latency::default().with_abandoned(SLOW, 0);
        assert_eq!(first.mean(0), nanos(SLOW));
    }
}
