//! Clients that take back what they ask for, again and again.
//!
//! A request that is cancelled has cost nearly all that it could cost, and its place is free for the
//! next one: `max_concurrent_streams` bounds nothing then ("Rapid Reset", CVE-2023-44487). The h2 crate
//! ends connections whose streams are reset before they are taken up; this counts those behind.

/// Time in which resets count together, in milliseconds.
const WINDOW: u64 = 10_000;
/// Resets in that time, beyond the requests that were answered.
const MOST: u32 = 100;

/// Requests of one connection that were cancelled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resets {
    began: u64,
    reset: u32,
    answered: u32,
}

impl Resets {
    /// A request was answered to its end.
    pub(super) fn answered(&mut self, now: u64) {
        self.turn(now);
        self.answered = self.answered.saturating_add(1);
    }

    /// A request was cancelled; tells whether that was one too many.
    #[must_use]
    pub(super) fn reset(&mut self, now: u64) -> bool {
        self.turn(now);
        self.reset = self.reset.saturating_add(1);
        self.reset.saturating_sub(self.answered) > MOST
    }

    fn turn(&mut self, now: u64) {
        if now.saturating_sub(self.began) >= WINDOW {
            *self = Self {
                began: now,
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_resets_more_than_answers_are_enough() {
        let mut resets = Resets::default();
        assert!((0..100).all(|at| !resets.reset(at)));
        assert!(resets.reset(100));
        // A page that loads a lot and is left now and then.
        let mut resets = Resets::default();
        for at in 0..10_000 {
            resets.answered(at);
            assert!(!resets.reset(at));
        }
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let mut resets = Resets::default();
        for at in 0..1_000 {
            assert!(!resets.reset(at * 100));
        }
        // Neither do answers, or a connection could save them up.
        for _ in 0..1_000 {
            resets.answered(200_000);
        }
        assert!((0..100).all(|_| !resets.reset(300_000)));
        assert!(resets.reset(300_000));
    }
}
