//! Whether an attempt is repeated.

mod budget;

use std::time::Duration;

use http::Method;
use weir_config::model::{Retry, RetryCondition};

use crate::failure::Failure;
use crate::upstream::Fate;
pub(crate) use budget::Budget;

/// How often a request is sent anew because a connection turned out to have ended, or to end in
/// order. That says nothing about the target, so it is no repeat in the configuration's sense.
const MOST_STALE: u32 = 2;

/// Waits grow up to this many times `backoff`.
const MOST_BACKOFFS: u32 = 10;

/// Decides about repeats. Only what is safe is repeated: nothing was sent yet, or the method is
/// idempotent (RFC 9110 §9.2.2) and the body is still at hand.
pub(crate) struct Retries<'a> {
    rules: &'a Retry,
    budget: &'a Budget,
    is_idempotent: bool,
    made: u32,
    stale: u32,
    /// Whether the last decision was for a repeat that counts.
    pub(crate) has_moved_on: bool,
}

impl<'a> Retries<'a> {
    /// `now` is the worker's time in milliseconds.
    pub(crate) fn new(rules: &'a Retry, budget: &'a Budget, method: &Method, now: u64) -> Self {
        budget.earn(rules.budget_percent, now);
        Self {
            rules,
            budget,
            is_idempotent: method.is_idempotent(),
            made: 0,
            stale: 0,
            has_moved_on: false,
        }
    }

    pub(crate) fn answer_is_retried(&mut self, answer: RetryCondition, is_at_hand: bool) -> bool {
        self.may_repeat(answer) && is_at_hand && self.repeat(answer)
    }

    pub(crate) fn failure_is_retried(&mut self, failure: Failure, fate: Fate) -> bool {
        let had_no_effect =
            failure.is_before_sending() || matches!(fate, Fate::Refused | Fate::Spared);
        if !self.is_idempotent && !had_no_effect {
            return false;
        }
        let is_stale = matches!(fate, Fate::Stale | Fate::Spared);
        if is_stale && self.stale < MOST_STALE {
            self.stale += 1;
            self.has_moved_on = false;
            return true;
        }
        condition(failure).is_some_and(|condition| self.repeat(condition))
    }

    /// Whether this answer could be repeated, if the budget allows.
    pub(crate) fn could_repeat_answer(&self, answer: RetryCondition) -> bool {
        self.may_repeat(answer) && self.could_repeat(answer)
    }

    /// Every call has the same method; who lists a status of gRPC vouches for the calls.
    fn may_repeat(&self, answer: RetryCondition) -> bool {
        self.is_idempotent || matches!(answer, RetryCondition::Grpc(_))
    }

    /// Spends a part of the budget on an attempt beside another one.
    pub(crate) fn spend_hedge(&self) -> bool {
        self.budget.spend()
    }

    /// The longest wait before a repeat.
    pub(crate) fn longest_pause(&self) -> Duration {
        self.rules.backoff.saturating_mul(MOST_BACKOFFS)
    }

    /// How long to wait before the repeat that was just decided on. The first one at another target
    /// comes at once. `random` is from 0 to 1: clients that failed together do not come back together.
    pub(crate) fn pause(&self, goes_back: bool, random: f64) -> Duration {
        if self.made <= 1 && !goes_back {
            return Duration::ZERO;
        }
        let doubled = 1_u32.checked_shl(self.made.saturating_sub(1));
        let backoffs = doubled.unwrap_or(u32::MAX).min(MOST_BACKOFFS);
        let longest = self.rules.backoff.saturating_mul(backoffs);
        Duration::try_from_secs_f64(longest.as_secs_f64() * random).unwrap_or(longest)
    }

    fn could_repeat(&self, condition: RetryCondition) -> bool {
        self.rules.when.contains(&condition) && self.made < self.rules.attempts
    }

    fn repeat(&mut self, condition: RetryCondition) -> bool {
        let allowed = self.could_repeat(condition) && self.budget.spend();
        self.made += u32::from(allowed);
        self.has_moved_on = allowed;
        allowed
    }
}

fn condition(failure: Failure) -> Option<RetryCondition> {
    match failure {
        Failure::Resolve
        | Failure::Connect(_)
        | Failure::ConnectTimeout
        | Failure::UpstreamTls(_) => Some(RetryCondition::Connect),
        Failure::UpstreamReset(_) => Some(RetryCondition::Reset),
        Failure::UpstreamTimeout => Some(RetryCondition::Timeout),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn rules(when: &[RetryCondition]) -> Retry {
        Retry {
            attempts: 2,
            when: when.to_vec(),
            budget_percent: 20,
            backoff: Duration::from_millis(25),
        }
    }

    const CONNECT: Failure = Failure::Connect("");
    const RESET: Failure = Failure::UpstreamReset("");
    const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

    #[test]
    fn only_what_is_configured_and_safe_is_repeated() {
        let budget = Budget::default();
        let rules = rules(&[RetryCondition::Connect, RetryCondition::Status(UNAVAILABLE)]);
        let mut get = Retries::new(&rules, &budget, &Method::GET, 0);
        assert!(
            !get.answer_is_retried(RetryCondition::Status(StatusCode::BAD_GATEWAY), true),
            "another status"
        );
        assert!(
            !get.answer_is_retried(RetryCondition::Status(UNAVAILABLE), false),
            "the body is gone"
        );
        assert!(
            !get.failure_is_retried(RESET, Fate::Unknown),
            "resets are not listed"
        );
        assert!(get.answer_is_retried(RetryCondition::Status(UNAVAILABLE), true));
        assert!(get.failure_is_retried(CONNECT, Fate::Unknown));
        assert!(
            !get.failure_is_retried(CONNECT, Fate::Unknown),
            "both attempts are used"
        );

        let mut post = Retries::new(&rules, &budget, &Method::POST, 0);
        assert!(
            !post.answer_is_retried(RetryCondition::Status(UNAVAILABLE), true),
            "it had an effect, perhaps"
        );
        assert!(
            !post.failure_is_retried(RESET, Fate::Stale),
            "it was sent, perhaps"
        );
        assert!(
            post.failure_is_retried(Failure::ConnectTimeout, Fate::Unknown),
            "nothing was sent"
        );
    }

    #[test]
    fn a_connection_that_ended_while_idle_is_not_counted_but_bounded() {
        let budget = Budget::default();
        let rules = rules(&[]);
        let mut get = Retries::new(&rules, &budget, &Method::GET, 0);
        assert!(get.failure_is_retried(RESET, Fate::Stale) && !get.has_moved_on);
        assert!(get.failure_is_retried(RESET, Fate::Stale));
        assert!(!get.failure_is_retried(RESET, Fate::Stale));
    }

    #[test]
    fn a_target_that_leaves_is_not_counted_and_one_that_refuses_is() {
        let budget = Budget::default();
        let rules = rules(&[]);
        let mut post = Retries::new(&rules, &budget, &Method::POST, 0);
        assert!(
            !post.failure_is_retried(RESET, Fate::Refused),
            "it has enough to do"
        );
        assert!(post.failure_is_retried(RESET, Fate::Spared) && !post.has_moved_on);
        let rules = Retry {
            when: vec![RetryCondition::Reset],
            ..rules
        };
        let mut post = Retries::new(&rules, &budget, &Method::POST, 0);
        assert!(post.failure_is_retried(RESET, Fate::Refused) && post.has_moved_on);
    }

    #[test]
    fn waits_double_up_to_ten_times_and_the_first_other_target_is_asked_at_once() {
        let budget = Budget::default();
        let rules = Retry {
            attempts: 50,
            ..rules(&[RetryCondition::Connect])
        };
        let mut get = Retries::new(&rules, &budget, &Method::GET, 0);
        let mut longest = Vec::new();
        for _ in 0..6 {
            assert!(get.failure_is_retried(CONNECT, Fate::Unknown));
            let pauses = [false, true].map(|goes_back| get.pause(goes_back, 1.0).as_millis());
            longest.push(pauses);
            assert_eq!(get.pause(true, 0.0), Duration::ZERO);
        }
        let expected = [
            [0, 25],
            [50, 50],
            [100, 100],
            [200, 200],
            [250, 250],
            [250, 250],
        ];
        assert_eq!(longest, expected);
        assert_eq!(get.longest_pause().as_millis(), 250);
        get.made = 1_000;
        assert_eq!(get.pause(true, 1.0), get.longest_pause());
    }

    #[test]
    fn repeats_end_with_their_budget() {
        let budget = Budget::default();
        let rules = Retry {
            budget_percent: 0,
            ..rules(&[RetryCondition::Connect])
        };
        let made = (0..100)
            .filter(|_| {
                let mut get = Retries::new(&rules, &budget, &Method::GET, 0);
                get.failure_is_retried(CONNECT, Fate::Unknown)
            })
            .count();
        assert_eq!(made, 10, "the reserve, and nothing earned");
    }
}
