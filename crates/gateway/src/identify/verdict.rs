//! What is said of a credential.

use std::rc::Rc;

use smallvec::SmallVec;

use super::known::Known;
use super::lookup::Question;
use super::{PATIENCE, jwt};
use crate::client::Client;
use crate::failure::Failure;
use crate::record::Recorder;
use crate::worker::Worker;

/// What a way says of a credential.
#[derive(Clone)]
pub(super) enum Verdict {
    Good(Rc<Known>),
    Bad(Bad),
    /// It is like none.
    Nobody,
    /// It is good, but not for this.
    NotEnough(Bad),
    /// Nobody can say for now; the word is for logs.
    Unavailable(&'static str),
    /// Somebody must be asked.
    Ask(Wanted),
}

/// Who must be asked.
#[derive(Clone)]
pub(super) enum Wanted {
    /// Whoever has records.
    Lookup(Question),
    /// An issuer, for its keys.
    Issuer(jwt::Asking),
}

/// What is known of a request's credentials before they are looked at.
pub(crate) struct Told {
    /// What ways were told, by their numbers.
    verdicts: SmallVec<[(u64, Verdict); 1]>,
    /// Whether nothing is checked before it had its turn.
    pub(super) is_in_line: bool,
    /// Whether it had one.
    pub(super) had_turn: bool,
}

impl Told {
    /// Nothing yet, of a request on this connection.
    pub(crate) fn nothing(client: &Client) -> Self {
        Self {
            verdicts: SmallVec::new(),
            is_in_line: client.is_suspect.get(),
            had_turn: false,
        }
    }

    pub(super) fn push(&mut self, way: u64, verdict: Verdict) {
        self.verdicts.push((way, verdict));
    }

    pub(super) fn of(&self, way: u64) -> Option<&Verdict> {
        let mut found = self.verdicts.iter().filter(|(id, _)| *id == way);
        found.next().map(|(_, verdict)| verdict)
    }

    /// Waits for its turn, unless it had one.
    ///
    /// # Errors
    /// 503 if there are so many before it that nobody would wait for the answer.
    pub(super) async fn wait_in_line(
        &mut self,
        worker: &Worker,
        record: &mut Recorder,
    ) -> Result<(), Failure> {
        if !std::mem::take(&mut self.is_in_line) {
            return Ok(());
        }
        record.has_waited = true;
        worker.counters.identity.turns.add(1);
        let turn = tokio::time::timeout(PATIENCE, worker.suspects.turn());
        turn.await
            .map_err(|_| Failure::IdentityUnavailable("too many checks wait"))?;
        self.had_turn = true;
        Ok(())
    }
}

/// What is wrong with a credential.
#[derive(Clone, Debug)]
pub(crate) struct Bad {
    /// For logs.
    pub(crate) word: &'static str,
    /// For whoever sent it; of what else there is, it says nothing.
    pub(crate) sentence: String,
}
