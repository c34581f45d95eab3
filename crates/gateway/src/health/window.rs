//! What was counted over the last seconds, from totals that only grow.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use weir_config::model::PassiveCheck;

/// How far back it looks.
const REACH: Duration = Duration::from_secs(10);
/// How often the totals are kept; the window is up to this much longer than [`REACH`].
const STEP: Duration = Duration::from_secs(1);

/// Requests that ended at a target, and those of them that it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) ended: u64,
    pub(crate) failed: u64,
}

impl Totals {
    fn since(self, earlier: Self) -> Self {
        Self {
            ended: self.ended.saturating_sub(earlier.ended),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }

    /// Whether that is too much.
    pub(crate) fn is_over(self, passive: &PassiveCheck) -> bool {
        // A request that failed in its answer's body may be counted as failed before it ended.
        let ended = self.ended.max(self.failed);
        passive.failure_rate_percent.is_some_and(|percent| {
            self.failed > 0
                && ended >= u64::from(passive.minimum_requests)
                && self.failed.saturating_mul(100) >= ended.saturating_mul(u64::from(percent))
        })
    }

    pub(crate) fn percent(self) -> u64 {
        self.failed.saturating_mul(100) / self.ended.max(self.failed).max(1)
    }
}

/// Totals of late, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window(VecDeque<(Instant, Totals)>);

impl Window {
    /// Takes the totals of now; tells what came up within the window.
    pub(crate) fn observe(&mut self, totals: Totals, now: Instant) -> Totals {
        let age = |at: Instant| now.saturating_duration_since(at);
        if self.0.back().is_none_or(|(at, _)| age(*at) >= STEP) {
            self.0.push_back((now, totals));
        }
        while self.0.get(1).is_some_and(|(at, _)| age(*at) >= REACH) {
            self.0.pop_front();
        }
        let (_, oldest) = self.0.front().copied().unwrap_or((now, totals));
        totals.since(oldest)
    }

    /// What was does not count any more.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passive(percent: u32) -> PassiveCheck {
        PassiveCheck {
            consecutive_failures: 0,
            statuses: Vec::new(),
            failure_rate_percent: Some(percent),
            minimum_requests: 100,
            eject_for: Duration::from_secs(30),
            max_ejected_percent: 50,
        }
    }

    fn totals(ended: u64, failed: u64) -> Totals {
        Totals { ended, failed }
    }

    #[test]
    fn it_sees_the_last_ten_seconds_and_little_more() {
        let start = Instant::now();
        let mut window = Window::default();
        // 100 requests a second, looked at every 100 ms; all of the 20th second fail.
        for tick in 0..600_u64 {
            let now = start + Duration::from_millis(100 * tick);
            let failed = (tick * 10).clamp(2_000, 2_100) - 2_000;
            let seen = window.observe(totals(tick * 10, failed), now);
            match tick {
                0..=200 => assert_eq!(seen.failed, 0),
                210..=300 => assert_eq!(seen.failed, 100, "{tick}"),
                320.. => assert_eq!(seen.failed, 0, "{tick}"),
                _ => {}
            }
            assert!(seen.ended <= 1_100 && (tick < 100 || seen.ended >= 1_000));
            assert!(window.0.len() <= 12);
        }
    }

    #[test]
    fn a_pause_leaves_nothing_behind() {
        let start = Instant::now();
        let mut window = Window::default();
        window.observe(totals(0, 0), start);
        window.observe(totals(500, 500), start + Duration::from_secs(1));
        let later = window.observe(totals(500, 500), start + Duration::from_secs(3_600));
        let after = window.observe(totals(501, 500), start + Duration::from_secs(3_601));
        assert_eq!(later.failed, 0);
        assert_eq!(after, totals(1, 0));
    }

    #[test]
    fn few_requests_say_nothing_and_the_share_itself_is_too_much() {
        assert!(!totals(99, 99).is_over(&passive(50)));
        assert!(!totals(100, 49).is_over(&passive(50)));
        assert!(totals(100, 50).is_over(&passive(50)));
        assert!(totals(u64::MAX, u64::MAX).is_over(&passive(100)));
        let off = PassiveCheck {
            failure_rate_percent: None,
            ..passive(50)
        };
        assert!(!totals(100, 100).is_over(&off));
        let any = PassiveCheck {
            minimum_requests: 0,
            ..passive(1)
        };
        assert!(!totals(0, 0).is_over(&any));
    }
}
