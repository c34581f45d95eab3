//! What is said of a credential.

use std::rc::Rc;

use smallvec::SmallVec;

use super::jwt;
use super::known::Known;
use super::lookup::Question;

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

/// What ways were told, by their numbers.
#[derive(Default)]
pub(crate) struct Told(SmallVec<[(u64, Verdict); 1]>);

impl Told {
    pub(super) fn push(&mut self, way: u64, verdict: Verdict) {
        self.0.push((way, verdict));
    }

    pub(super) fn of(&self, way: u64) -> Option<&Verdict> {
        let mut found = self.0.iter().filter(|(id, _)| *id == way);
        found.next().map(|(_, verdict)| verdict)
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
