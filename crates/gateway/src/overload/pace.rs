//! Whether a client moves its bytes as fast as it must.

use weir_config::model::MinimumRate;

/// Watches one direction of one exchange.
///
/// Only the time counts in which it is the client that is waited for. It runs up a debt of bytes at the
/// minimum rate, what moves after a wait pays it off, and whoever owes more than the grace's worth is
/// too slow. So a burst does not buy the right to drip for ever, and a client that lags behind for less
/// than the grace is left alone.
///
/// Silence alone is nobody's debt here: it has deadlines of its own. The verdict is asked for when
/// something moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    minimum: Option<MinimumRate>,
    /// Thousandths of bytes.
    debt: u64,
    /// Since when the client is waited for, in milliseconds of the worker's time.
    waiting_since: Option<u64>,
}

impl Pace {
    pub(crate) fn new(minimum: Option<MinimumRate>) -> Self {
        Self {
            minimum,
            debt: 0,
            waiting_since: None,
        }
    }

    /// The client is waited for from now on, if it was not already.
    pub(crate) fn waits(&mut self, now: u64) {
        self.waiting_since.get_or_insert(now);
    }

    /// Bytes moved. False if the client is too slow, which shares its line between `streams` such
    /// exchanges: all together they must reach the minimum.
    #[must_use]
    pub(crate) fn moved(&mut self, now: u64, bytes: u64, streams: u64) -> bool {
        let (Some(minimum), Some(since)) = (self.minimum, self.waiting_since.take()) else {
            return true;
        };
        let rate = (minimum.bytes_per_second / streams.max(1)).max(1);
        let run_up = now.saturating_sub(since).saturating_mul(rate);
        let paid = bytes.saturating_mul(1000);
        self.debt = self.debt.saturating_add(run_up).saturating_sub(paid);
        let grace = u64::try_from(minimum.grace.as_millis()).unwrap_or(u64::MAX);
        self.debt <= grace.saturating_mul(rate)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINIMUM: MinimumRate = MinimumRate {
        bytes_per_second: 240,
        grace: Duration::from_secs(5),
    };

    /// Milliseconds until a client that moves so many bytes at such intervals is given up.
    fn given_up_after(bytes: u64, every: u64, streams: u64) -> Option<u64> {
        let mut pace = Pace::new(Some(MINIMUM));
        for at in 1..=1_000 {
            pace.waits((at - 1) * every);
            if !pace.moved(at * every, bytes, streams) {
                return Some(at * every);
            }
        }
        None
    }

    #[test]
    fn a_client_below_the_rate_is_given_up_after_the_grace() {
        assert_eq!(given_up_after(1, 100, 1), Some(5_300));
        assert_eq!(given_up_after(0, 1_000, 1), Some(6_000));
        // Half as fast as it must be: the grace lasts twice as long.
        assert_eq!(given_up_after(120, 1_000, 1), Some(11_000));
        assert_eq!(given_up_after(240, 1_000, 1), None);
        assert_eq!(given_up_after(24_000, 100_000, 1), None);
    }

    #[test]
    fn streams_of_one_connection_share_the_rate() {
        assert_eq!(given_up_after(24, 1_000, 10), None);
        assert_eq!(given_up_after(23, 1_000, 9), Some(44_000));
        // More streams than bytes a second: each still has to move.
        assert_eq!(given_up_after(0, 1_000, 10_000), Some(6_000));
    }

    #[test]
    fn time_in_which_the_client_is_not_waited_for_does_not_count() {
        let mut pace = Pace::new(Some(MINIMUM));
        for at in 0..100 {
            // The target holds the exchange up for an hour, and the client answers in a second.
            pace.waits(at * 3_600_000);
            assert!(pace.moved(at * 3_600_000 + 1_000, 240, 1));
        }
        assert!(pace.moved(u64::MAX, 0, 1));
    }

    #[test]
    fn a_burst_is_no_credit() {
        let mut pace = Pace::new(Some(MINIMUM));
        pace.waits(0);
        assert!(pace.moved(1, 1 << 40, 1));
        pace.waits(1);
        assert!(!pace.moved(6_002, 1, 1));
        // One that catches up is not held to what was.
        let mut pace = Pace::new(Some(MINIMUM));
        pace.waits(0);
        assert!(pace.moved(5_000, 0, 1));
        pace.waits(5_000);
        assert!(pace.moved(5_001, 10_000, 1));
        pace.waits(5_001);
        assert!(pace.moved(10_000, 0, 1));
    }

    #[test]
    fn without_a_minimum_everybody_is_fast_enough() {
        let mut pace = Pace::new(None);
        pace.waits(0);
        assert!(pace.moved(u64::MAX, 0, 1));
    }
}
