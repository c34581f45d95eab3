//! What was opened with an opaque token, and lasts: whether the token is still good, its server alone knows.
//!
//! Nobody waits for that: it is asked beside what passes, as often as an answer is believed, and what was opened ends once
//! the answer is no. A server that cannot be asked ends nothing.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use super::known::Known;
use super::lookup::{Answer, Question};
use super::seconds;
use crate::worker::Worker;

/// Nobody asks more often than this, in seconds, however short an answer is believed.
const LEAST: u64 = 1;
/// Who asks, as far as shares of addresses go: this process, whoever showed the token.
const SELF: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A question that was answered once.
#[derive(Debug)]
pub(super) struct Again {
    question: Question,
    /// When it is asked again, in seconds since 1970.
    at: Cell<u64>,
    is_over: Cell<bool>,
}

impl Again {
    /// Asked again at `at`, in seconds since 1970.
    pub(super) const fn new(question: Question, at: u64) -> Self {
        Self {
            question,
            at: Cell::new(at),
            is_over: Cell::new(false),
        }
    }

    /// Whether the server does not stand by the token any more.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Whether it is time; of many who ask, one hears so.
    fn begins(&self, now: u64) -> bool {
        let is_time = !self.is_over() && self.at.get() <= now;
        if is_time {
            self.at.set(u64::MAX);
        }
        is_time
    }

    fn hear(&self, answer: &Answer, now: u64) {
        let believed = match answer {
            Answer::Bad(_) => {
                self.is_over.set(true);
                return;
            }
            Answer::Said(said) => said.fresh_for.as_secs(),
            Answer::Good(_) | Answer::Unavailable(_) => 0,
        };
        self.at.set(now.saturating_add(believed.max(LEAST)));
    }
}

/// Asks whether a token is still good, if it is time. `now` is in seconds since 1970.
pub(super) fn ask(known: &Rc<Known>, worker: &Worker, now: u64) {
    let is_time = known.again().is_some_and(|again| again.begins(now));
    if !is_time {
        return;
    }
    let (known, shared) = (Rc::clone(known), Arc::clone(&worker.shared));
    let counters = Arc::clone(&worker.counters);
    tokio::task::spawn_local(async move {
        let Some(again) = known.again() else {
            return;
        };
        let question = again.question.clone();
        let counters = &counters.identity.lookups[question.about() as usize];
        let answer = shared.asking.ask(question, SELF, counters).await;
        again.hear(&answer, seconds());
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_core::Secret;

    use super::*;
    use crate::identify::lookup::Said;

    #[test]
    fn it_is_asked_when_its_answer_is_not_believed_any_more_and_by_one_at_a_time() {
        let again = Again::new(Question::Session(Secret::new(String::new())), 100);
        let said = |seconds| {
            Answer::Said(Box::new(Said {
                claims: weir_jose::Claims::default(),
                fresh_for: Duration::from_secs(seconds),
            }))
        };
        assert!(!again.begins(99) && again.begins(100) && !again.begins(101));
        again.hear(&said(30), 101);
        assert!(!again.begins(130) && again.begins(131));
        again.hear(&said(0), 131);
        assert!(
            !again.begins(131) && again.begins(132),
            "no more than once a second"
        );
        again.hear(&Answer::Unavailable("away"), 132);
        assert!(
            !again.is_over() && again.begins(133),
            "nobody says that it is over"
        );
        again.hear(&Answer::Bad("token_inactive"), 133);
        assert!(again.is_over() && !again.begins(u64::MAX));
    }
}
