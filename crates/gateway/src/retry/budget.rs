//! How many repeats an upstream's traffic pays for.

use std::cell::Cell;

/// Repeats that are allowed before any was earned.
const RESERVE: f32 = 10.0;
/// What was saved beyond the reserve fades with this time constant: about as much can be saved as one
/// second's traffic earns. When one of several targets dies, all that it had under way, and all that
/// comes before it is ejected, is repeated at once; a budget that saves nothing would lose some of it.
const FADE_MILLIS: f32 = 1_000.0;

/// Repeats that one worker may make for one upstream: each request earns a part of one.
#[derive(Debug)]
pub(crate) struct Budget(Cell<Saved>);

#[derive(Clone, Copy, Debug)]
struct Saved {
    repeats: f32,
    /// Worker's milliseconds.
    at: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(Saved {
            repeats: RESERVE,
            at: 0,
        }))
    }
}

impl Budget {
    /// Counts a request towards the repeats that it earns.
    pub(crate) fn earn(&self, percent: u32, now: u64) {
        let Saved { mut repeats, at } = self.0.get();
        if now > at && repeats > RESERVE {
            let passed = (now - at) as f32;
            repeats = RESERVE + (repeats - RESERVE) * FADE_MILLIS / (FADE_MILLIS + passed);
        }
        repeats += percent as f32 / 100.0;
        self.0.set(Saved { repeats, at: now });
    }

    /// Spends one repeat, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let Saved { repeats, at } = self.0.get();
        if repeats < 1.0 {
            return false;
        }
        self.0.set(Saved {
            repeats: repeats - 1.0,
            at,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &Budget) -> usize {
        std::iter::repeat_with(|| budget.spend())
            .take_while(|spent| *spent)
            .count()
    }

    #[test]
    fn a_second_of_traffic_is_what_can_be_saved() {
        let budget = Budget::default();
        for millisecond in 0..60_000 {
            budget.earn(20, millisecond);
        }
        let saved = spent(&budget);
        assert!((150..=215).contains(&saved), "{saved} of 200 a second");
        assert_eq!(spent(&budget), 0);
    }

    #[test]
    fn seldom_asked_upstreams_have_their_reserve_and_no_more() {
        let budget = Budget::default();
        for minute in 0..100 {
            budget.earn(20, minute * 60_000);
        }
        assert!((10..=11).contains(&spent(&budget)));
    }

    #[test]
    fn what_is_spent_comes_back_with_traffic_alone() {
        let budget = Budget::default();
        assert_eq!(spent(&budget), 10);
        budget.earn(0, 1_000_000);
        assert_eq!(spent(&budget), 0);
        for _ in 0..5 {
            budget.earn(20, 1_000_000);
        }
        assert_eq!(spent(&budget), 1);
    }
}
