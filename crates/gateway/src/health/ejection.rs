//! Time without traffic for targets that fail requests.

use std::time::{Duration, Instant, SystemTime};

use weir_config::model::PassiveCheck;

use super::Moment;

/// How many times its first length an ejection can become.
const MOST_LEVEL: u32 = 10;

/// A target's ejections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ejections {
    running: Option<Ejection>,
    /// How many times the configured length the last one took.
    level: u32,
    /// When the last one ended.
    ended: Option<Instant>,
    /// All there were.
    pub(crate) count: u64,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Ejection {
    until: Instant,
    /// For reports.
    pub(crate) until_wall: SystemTime,
    pub(crate) reason: String,
}

impl Ejections {
    pub(crate) fn running(&self) -> Option<&Ejection> {
        self.running.as_ref()
    }

    /// Ejects for `first`, times how often that happened of late. The count of late falls by one for
    /// each `first` that passes in peace.
    pub(crate) fn begin(&mut self, first: Duration, reason: String, now: Moment) {
        let quiet = self
            .ended
            .map_or(Duration::ZERO, |at| now.instant.duration_since(at));
        let forgiven = quiet.as_nanos() / first.as_nanos().max(1);
        let left = self
            .level
            .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        self.level = (left + 1).min(MOST_LEVEL);
        let length = first * self.level;
        self.count += 1;
        self.running = Some(Ejection {
            until: now.instant + length,
            until_wall: now.wall + length,
            reason,
        });
    }

    /// Ends what has taken its time.
    pub(crate) fn advance(&mut self, now: Moment) {
        if let Some(ejection) = &self.running
            && ejection.until <= now.instant
        {
            self.ended = Some(ejection.until);
            self.running = None;
        }
    }

    /// Ends it: nobody ejects any more. What was is forgotten.
    pub(crate) fn pardon(&mut self) {
        *self = Self {
            count: self.count,
            ..Self::default()
        };
    }
}

/// An upstream's targets by what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crowd {
    pub(crate) all: usize,
    pub(crate) ejected: usize,
    pub(crate) taking_traffic: usize,
}

impl Crowd {
    /// Whether one that takes traffic can be spared. One can in any upstream, but not the last.
    pub(crate) fn can_spare_one(self, passive: &PassiveCheck) -> bool {
        let share = self.all * passive.max_ejected_percent as usize / 100;
        self.ejected < share.max(1) && self.taking_traffic > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(30);

    fn length(ejections: &Ejections, now: Moment) -> Duration {
        let ejection = ejections.running().expect("an ejection");
        assert_eq!(
            ejection.until_wall,
            now.wall + (ejection.until - now.instant)
        );
        ejection.until - now.instant
    }

    /// Ejects and lets the time pass; tells how long it was.
    fn round(ejections: &mut Ejections, now: &mut Moment) -> Duration {
        ejections.begin(FIRST, String::new(), *now);
        let took = length(ejections, *now);
        *now = now.later(took - Duration::from_millis(1));
        ejections.advance(*now);
        assert!(ejections.running().is_some(), "a moment too early");
        *now = now.later(Duration::from_millis(1));
        ejections.advance(*now);
        assert!(ejections.running().is_none());
        took
    }

    #[test]
    fn each_is_longer_up_to_ten_times() {
        let (mut ejections, mut now) = (Ejections::default(), Moment::now());
        let took: Vec<u64> = (0..12)
            .map(|_| round(&mut ejections, &mut now).as_secs() / 30)
            .collect();
        assert_eq!(took, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
        assert_eq!(ejections.count, 12);
    }

    #[test]
    fn peace_shortens_them_again() {
        let (mut ejections, mut now) = (Ejections::default(), Moment::now());
        for _ in 0..4 {
            round(&mut ejections, &mut now);
        }
        now = now.later(FIRST * 2);
        assert_eq!(round(&mut ejections, &mut now), FIRST * 3, "4 - 2 + 1");
        now = now.later(FIRST * 1_000_000);
        assert_eq!(round(&mut ejections, &mut now), FIRST);
    }

    #[test]
    fn a_length_of_nothing_does_no_harm() {
        let (mut ejections, now) = (Ejections::default(), Moment::now());
        ejections.begin(Duration::ZERO, String::new(), now);
        ejections.advance(now);
        ejections.begin(Duration::ZERO, String::new(), now.later(FIRST));
        assert_eq!(ejections.count, 2);
    }

    fn passive(max_ejected_percent: u32) -> PassiveCheck {
        PassiveCheck {
            consecutive_failures: 5,
            statuses: Vec::new(),
            failure_rate_percent: None,
            minimum_requests: 100,
            eject_for: FIRST,
            max_ejected_percent,
        }
    }

    #[test]
    fn some_always_stay() {
        for all in 1..50 {
            for percent in 1..=100 {
                let mut crowd = Crowd {
                    all,
                    ejected: 0,
                    taking_traffic: all,
                };
                while crowd.can_spare_one(&passive(percent)) {
                    crowd.ejected += 1;
                    crowd.taking_traffic -= 1;
                }
                assert!(crowd.taking_traffic >= 1);
                let share = all * percent as usize / 100;
                let expected = share.max(1).min(all - 1);
                assert_eq!(crowd.ejected, expected, "{percent}% of {all}");
            }
        }
    }

    #[test]
    fn targets_that_are_out_for_another_reason_are_nobody_to_rely_on() {
        let crowd = Crowd {
            all: 3,
            ejected: 0,
            taking_traffic: 1,
        };
        assert!(!crowd.can_spare_one(&passive(100)));
    }
}
