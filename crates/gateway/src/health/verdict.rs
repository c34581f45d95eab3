//! What the answers to checks add up to.

/// What active checks say of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    #[default]
    Unknown,
    /// The answers were right.
    Healthy,
    /// The answers were wrong.
    Unhealthy,
}

/// Answers in a row that change a verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    /// Wrong ones.
    pub(crate) unhealthy_after: u32,
    /// Right ones.
    pub(crate) healthy_after: u32,
}

/// Follows the answers of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judge {
    verdict: Verdict,
    /// Answers in a row that speak against the verdict.
    against: u32,
    /// Whether an answer came since the present check was set up.
    has_heard: bool,
}

impl Judge {
    pub(crate) fn verdict(self) -> Verdict {
        self.verdict
    }

    /// The check is another one from now on: its first answer decides alone, and until then the former
    /// verdict holds.
    pub(crate) fn start_over(&mut self) {
        self.against = 0;
        self.has_heard = false;
    }

    /// Takes an answer.
    pub(crate) fn hear(&mut self, is_right: bool, thresholds: Thresholds) {
        let is_first = !std::mem::replace(&mut self.has_heard, true);
        let said = if is_right {
            Verdict::Healthy
        } else {
            Verdict::Unhealthy
        };
        if said == self.verdict {
            self.against = 0;
            return;
        }
        self.against = self.against.saturating_add(1);
        let needed = if is_right {
            thresholds.healthy_after
        } else {
            thresholds.unhealthy_after
        };
        if is_first || self.against >= needed {
            self.verdict = said;
            self.against = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds {
        unhealthy_after: 3,
        healthy_after: 2,
    };

    fn heard(judge: &mut Judge, answers: &str) -> Verdict {
        for answer in answers.chars() {
            judge.hear(answer == '+', THRESHOLDS);
        }
        judge.verdict()
    }

    #[test]
    fn the_first_answer_decides_alone() {
        assert_eq!(Judge::default().verdict(), Verdict::Unknown);
        assert_eq!(heard(&mut Judge::default(), "+"), Verdict::Healthy);
        assert_eq!(heard(&mut Judge::default(), "-"), Verdict::Unhealthy);
    }

    #[test]
    fn later_ones_need_company() {
        let mut judge = Judge::default();
        assert_eq!(heard(&mut judge, "+--"), Verdict::Healthy);
        assert_eq!(heard(&mut judge, "+--"), Verdict::Healthy, "not in a row");
        assert_eq!(heard(&mut judge, "-"), Verdict::Unhealthy);
        assert_eq!(heard(&mut judge, "+-+-+-"), Verdict::Unhealthy);
        assert_eq!(heard(&mut judge, "++"), Verdict::Healthy);
    }

    #[test]
    fn another_check_keeps_the_verdict_until_it_has_its_own() {
        let mut judge = Judge::default();
        heard(&mut judge, "+--");
        judge.start_over();
        assert_eq!(judge.verdict(), Verdict::Healthy);
        assert_eq!(heard(&mut judge, "-"), Verdict::Unhealthy);
        judge.start_over();
        assert_eq!(heard(&mut judge, "+--"), Verdict::Healthy);
    }

    /// Against a plain restatement of the rule: the verdict is that of the last run of answers that
    /// was long enough.
    #[test]
    fn any_sequence_ends_with_the_last_run_that_was_long_enough() {
        for bits in 0_u32..1 << 14 {
            let answers: Vec<bool> = (0..14).map(|at| bits >> at & 1 == 1).collect();
            let mut judge = Judge::default();
            let mut expected = answers[0];
            let mut run = 0;
            for (at, answer) in answers.iter().enumerate() {
                judge.hear(*answer, THRESHOLDS);
                run = if at > 0 && answers[at - 1] == *answer {
                    run + 1
                } else {
                    1
                };
                if run >= if *answer { 2 } else { 3 } {
                    expected = *answer;
                }
                assert_eq!(judge.verdict() == Verdict::Healthy, expected, "{answers:?}");
            }
        }
    }
}
