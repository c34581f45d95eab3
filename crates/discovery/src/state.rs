//! What an upstream knows of its targets, and what each word of its source changes. Without I/O.

use std::time::{Duration, Instant, SystemTime};

use weir_config::model::Target;

use crate::accept::{Answer, Bounds, LeftOut, accept, still_wanted};
use crate::status::{Lost, Status};

/// How long a lost source is not complained about again.
const REMINDER: Duration = Duration::from_secs(5 * 60);
/// Bytes of an error that are kept: it may quote what a source said.
const ERROR_BYTES: usize = 500;

/// A moment by both clocks: one to show, one to reckon with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    pub(crate) time: SystemTime,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self {
            instant: Instant::now(),
            time: SystemTime::now(),
        }
    }
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// In use: sorted, each address once.
    targets: Vec<Target>,
    last_success: Option<SystemTime>,
    last_change: Option<SystemTime>,
    lost: Option<Lost>,
    /// When the log was last told that the source is lost.
    warned: Option<Instant>,
    left_out: LeftOut,
}

/// What came of a source's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether there are other targets than before.
    pub(crate) changed: bool,
    pub(crate) news: News,
}

/// What the log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    None,
    /// It was well before, or this is the reminder.
    Lost,
    /// It is back after this long.
    Recovered(Duration),
}

impl State {
    /// Begins with targets that were known before.
    pub(crate) fn with(known: Vec<Target>, bounds: &Bounds) -> Self {
        Self {
            targets: still_wanted(known, bounds),
            ..Self::default()
        }
    }

    pub(crate) fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// The source answered. `empties` says whether an empty answer may be believed although
    /// targets were known.
    pub(crate) fn answered(
        &mut self,
        answer: Answer,
        bounds: &Bounds,
        empties: bool,
        now: Now,
    ) -> Outcome {
        let accepted = match accept(answer, bounds) {
            Ok(accepted) => accepted,
            Err(refusal) => return self.failed(&refusal.to_string(), now),
        };
        if accepted.targets.is_empty() && !self.targets.is_empty() && !empties {
            let error = match accepted.left_out.total() {
                0 => "the answer has no targets".to_owned(),
                left_out => format!("none of the answer's {left_out} targets can be used"),
            };
            return self.failed(&error, now);
        }
        let changed = accepted.targets != self.targets;
        if changed {
            self.last_change = Some(now.time);
            self.targets = accepted.targets;
        }
        self.left_out = accepted.left_out;
        self.last_success = Some(now.time);
        self.warned = None;
        let news = match self.lost.take() {
            None => News::None,
            Some(lost) => News::Recovered(now.time.duration_since(lost.since).unwrap_or_default()),
        };
        Outcome { changed, news }
    }

    /// The source gave no answer, or one that is not believed: what was known stays.
    pub(crate) fn failed(&mut self, error: &str, now: Now) -> Outcome {
        // It is shown in terminals, and part of it may be a server's word.
        let mut error = error.replace(char::is_control, " ");
        if error.len() > ERROR_BYTES {
            error.truncate(error.floor_char_boundary(ERROR_BYTES));
            error.push('…');
        }
        let since = self.lost.take().map_or(now.time, |lost| lost.since);
        self.lost = Some(Lost { error, since });
        let is_due = self
            .warned
            .is_none_or(|warned| now.instant.duration_since(warned) >= REMINDER);
        if is_due {
            self.warned = Some(now.instant);
        }
        Outcome {
            changed: false,
            news: if is_due { News::Lost } else { News::None },
        }
    }

    pub(crate) fn status(&self, source: &'static str) -> Status {
        Status {
            source,
            targets: self.targets.len(),
            last_success: self.last_success,
            last_change: self.last_change,
            lost: self.lost.clone(),
            left_out: self.left_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::target;

    const BOUNDS: Bounds = Bounds {
        networks: Vec::new(),
        most_targets: 2,
    };

    fn after(start: Now, seconds: u64) -> Now {
        Now {
            instant: start.instant + Duration::from_secs(seconds),
            time: start.time + Duration::from_secs(seconds),
        }
    }

    fn changed(changed: bool) -> Outcome {
        Outcome {
            changed,
            news: News::None,
        }
    }

    fn two() -> Answer {
        vec![target("10.0.0.2", 80), target("10.0.0.1", 80)].into()
    }

    #[test]
    fn only_another_set_is_a_change() {
        let now = Now::read();
        let mut state = State::default();
        assert_eq!(state.answered(two(), &BOUNDS, false, now), changed(true));
        let reversed: Vec<Target> = two().targets.into_iter().rev().collect();
        let later = after(now, 1);
        let outcome = state.answered(reversed.into(), &BOUNDS, false, later);
        assert_eq!(outcome, changed(false));
        let status = state.status("dns");
        assert_eq!(status.last_change, Some(now.time));
        assert_eq!(status.last_success, Some(later.time));
    }

    #[test]
    fn an_empty_answer_is_not_believed_unless_nothing_was_known() {
        let now = Now::read();
        let mut state = State::default();
        let outcome = state.answered(Answer::default(), &BOUNDS, false, now);
        assert_eq!(outcome, changed(false));
        state.answered(two(), &BOUNDS, false, now);
        let outcome = state.answered(Answer::default(), &BOUNDS, false, now);
        assert_eq!(outcome.news, News::Lost);
        assert_eq!(state.targets().len(), 2);
        let error = state.status("dns").lost.unwrap().error;
        assert_eq!(error, "the answer has no targets");
        let outcome = state.answered(Answer::default(), &BOUNDS, true, now);
        assert!(outcome.changed);
        assert_eq!(state.targets(), []);
    }

    #[test]
    fn an_answer_of_which_nothing_can_be_used_is_an_empty_one() {
        let bounds = Bounds {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            most_targets: 9,
        };
        let now = Now::read();
        let mut state = State::default();
        state.answered(two(), &bounds, false, now);
        let private = vec![target("127.0.0.1", 80)];
        state.answered(private.into(), &bounds, false, now);
        assert_eq!(state.targets().len(), 2);
        let error = state.status("dns").lost.unwrap().error;
        assert_eq!(error, "none of the answer's 1 targets can be used");
    }

    #[test]
    fn a_loss_is_told_once_and_again_after_a_while_and_its_end_too() {
        let start = Now::read();
        let mut state = State::default();
        state.answered(two(), &BOUNDS, false, start);
        let mut told = Vec::new();
        for second in 1..=700 {
            let outcome = state.failed("refused", after(start, second));
            if outcome.news == News::Lost {
                told.push(second);
            }
        }
        assert_eq!(told, [1, 301, 601]);
        let lost = state.status("dns").lost.unwrap();
        assert_eq!(lost.since, after(start, 1).time);
        let outcome = state.answered(two(), &BOUNDS, false, after(start, 701));
        assert_eq!(outcome.news, News::Recovered(Duration::from_secs(700)));
        assert_eq!(state.status("dns").lost, None);
        // The next loss is told at once.
        let outcome = state.failed("refused", after(start, 702));
        assert_eq!(outcome.news, News::Lost);
    }

    #[test]
    fn a_flood_leaves_what_was_known() {
        let now = Now::read();
        let mut state = State::default();
        state.answered(two(), &BOUNDS, false, now);
        let mut flood = two();
        flood.targets.push(target("10.0.0.3", 80));
        assert!(!state.answered(flood, &BOUNDS, false, now).changed);
        assert_eq!(state.targets().len(), 2);
        assert!(
            state
                .status("dns")
                .lost
                .unwrap()
                .error
                .contains("max_targets")
        );
    }

    #[test]
    fn an_error_is_one_line_without_control_characters() {
        let mut state = State::default();
        state.failed("403: \u{1b}[2J\r\nall is well", Now::read());
        let error = state.status("dns").lost.unwrap().error;
        assert_eq!(error, "403:  [2J  all is well");
    }

    #[test]
    fn an_error_is_cut_between_characters() {
        let mut state = State::default();
        state.failed(&"ä".repeat(1000), Now::read());
        let error = state.status("dns").lost.unwrap().error;
        assert!(
            error.len() <= ERROR_BYTES + 3 && error.ends_with("ä…"),
            "{error}"
        );
    }

    #[test]
    fn narrower_bounds_hold_for_what_was_known() {
        let bounds = Bounds {
            networks: vec!["10.0.0.1/32".parse().unwrap()],
            most_targets: 9,
        };
        let state = State::with(two().targets, &bounds);
        assert_eq!(state.targets(), [target("10.0.0.1", 80)]);
        // That they are more than an answer may have now does not take a working upstream its targets.
        let few = Bounds {
            networks: Vec::new(),
            most_targets: 1,
        };
        assert_eq!(State::with(two().targets, &few).targets().len(), 2);
    }
}
