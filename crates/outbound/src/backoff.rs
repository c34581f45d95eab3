//! How long an API that failed is left alone.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// Counts failures in a row: pauses double from 1 s to 30 s, less a random part of up to half.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It did not fail.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure.
    pub fn pause(&mut self) -> Duration {
        let pause = pause_after(self.failures, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

/// Doubles from 1 s to 30 s; `random` from 0 to 1 takes up to half of it away, so that a fleet does
/// not come back all at once.
fn pause_after(failures: u32, random: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.min(10));
    doubled.min(LONGEST).mul_f64(1.0 - random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_spread() {
        let seconds = |failures| pause_after(failures, 0.0).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 99].map(seconds),
            [1, 2, 4, 8, 16, 30, 30]
        );
        assert_eq!(pause_after(0, 1.0), Duration::from_millis(500));
        assert_eq!(pause_after(u32::MAX, 1.0), Duration::from_secs(15));
    }
}
