//! How long a target takes to answer: two averages, one for each algorithm that asks.

use std::time::Duration;

/// Time constant of what fades: what is this old counts half.
const FADE_MILLIS: f64 = 10_000.0;
/// Share of a new value in the mean.
const SHARE: f64 = 1.0 / 16.0;
/// A value counts as this many times the mean at most: one pause says little, many say enough.
const MOST: f64 = 4.0;

/// Time to the response's head, in nanoseconds; 0 before the first news.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    /// Peak EWMA, as Finagle made it known: a value above the average replaces it, one below draws it
    /// down over time.
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
        let peak = if took >= self.peak {
            took
        } else {
            self.peak * old + took * (1.0 - old)
        };
        let mean = self.mean + (took.min(self.mean * MOST) - self.mean) * SHARE;
        Self {
            peak,
            mean,
            at: now,
        }
    }
}

/// How much of what was known counts after this many milliseconds, from 1 to 0. A hyperbola in place
/// of the exponential, which it is close to: it costs one division.
fn remains(millis: u64) -> f64 {
    FADE_MILLIS / (FADE_MILLIS + millis as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(100);

    fn settled(took: Duration) -> Latency {
        (0..100).fold(Latency::default(), |latency, at| latency.with(took, at))
    }

    #[test]
    fn the_peak_believes_bad_news_at_once_and_good_news_over_time() {
        let latency = settled(FAST).with(SLOW, 100);
        assert_eq!(latency.peak(100), SLOW.as_nanos() as f64);
        let soon = (100..1_100).fold(latency, |latency, at| latency.with(FAST, at));
        assert!(soon.peak(1_100) > SLOW.as_nanos() as f64 * 0.8);
        let later = (100..60_000).fold(latency, |latency, at| latency.with(FAST, at));
        assert!(later.peak(60_000) < FAST.as_nanos() as f64 * 1.5);
    }

    #[test]
    fn one_pause_hardly_moves_the_mean_and_many_do() {
        let fast = FAST.as_nanos() as f64;
        let latency = settled(FAST).with(SLOW, 100);
        assert!(latency.mean(100) < fast * 1.2);
        let slow = (0..50).fold(latency, |latency, at| latency.with(SLOW, 100 + at));
        assert!(slow.mean(150) > fast * 50.0);
    }

    #[test]
    fn silence_makes_a_slow_target_worth_another_try() {
        let latency = settled(SLOW);
        assert!(latency.mean(40_000) < latency.mean(100) / 4.0);
        assert!(latency.peak(40_000) < latency.peak(100) / 4.0);
    }
}
