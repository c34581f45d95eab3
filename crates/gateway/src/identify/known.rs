//! A credential that was found to be good.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use smallvec::SmallVec;
use weir_core::Principal;
use weir_core::principal::Method as By;

use super::again::Again;
use super::changes::Changes;
use super::internal::{Minted, Minter, Signer};
use super::lookup::{Good, Question};
use super::rules::Verdict;
use super::show::Shown;
use super::size::texts_size;
use super::vouching::{Revocable, Signed};
use crate::metrics::CredentialKind;

/// Decisions of rules that are remembered with a credential.
const MOST_DECISIONS: usize = 8;
/// Tokens that are kept with a credential: those of former revisions go with the others.
const MOST_TOKENS: usize = 16;

/// What rules said, by their number and that of the method.
type Decided = (u64, u8, Verdict);

/// Who showed it. One for all requests of a worker that show it again.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) principal: Principal,
    /// When it ends, in seconds since 1970; it is good before that.
    pub(super) ends_at: u64,
    /// Until when nobody needs to be asked about it again, in seconds since 1970.
    pub(super) fresh_until: u64,
    /// The key that signed it, of an issuer who may take it back.
    signed: Option<Signed>,
    /// By what its issuer may take it back.
    revocable: Option<Revocable>,
    /// Whether it is still good, of whom nobody tells that it is not.
    again: Option<Box<Again>>,
    /// Subjects whose change makes it worthless.
    about: Vec<Box<str>>,
    /// The latest change that is known not to be about it: the one when it was asked about, or a later one.
    checked: Cell<u64>,
    /// The organizations that a person belongs to; `None` if it is no session.
    pub(super) memberships: Option<Box<[Arc<str>]>>,
    /// What rules said of it, by their numbers and the method.
    decided: RefCell<SmallVec<[Decided; 2]>>,
    /// What upstreams hear of it, by the policy that says so: written when it was first needed.
    shown: OnceCell<(Arc<Shown>, Fields)>,
    /// Tokens that upstreams get, one for each kind that was needed.
    tokens: RefCell<SmallVec<[Minted; 1]>>,
}

/// Fields as they are sent.
pub(crate) type Fields = SmallVec<[(HeaderName, HeaderValue); 6]>;

impl Known {
    /// By a credential that speaks for itself until it ends.
    pub(super) fn new(principal: Principal, ends_at: u64, signed: Option<Signed>) -> Rc<Self> {
        Rc::new(Self::speaking(principal, ends_at, signed))
    }

    /// The same, by a token of this installation.
    pub(super) fn own(
        principal: Principal,
        ends_at: u64,
        signed: Option<Signed>,
        revocable: Revocable,
    ) -> Rc<Self> {
        Rc::new(Self {
            revocable: Some(revocable),
            ..Self::speaking(principal, ends_at, signed)
        })
    }

    fn speaking(principal: Principal, ends_at: u64, signed: Option<Signed>) -> Self {
        Self {
            principal,
            ends_at,
            fresh_until: u64::MAX,
            signed,
            revocable: None,
            again: None,
            about: Vec::new(),
            checked: Cell::new(0),
            memberships: None,
            decided: RefCell::default(),
            shown: OnceCell::new(),
            tokens: RefCell::default(),
        }
    }

    /// By what somebody said of it who was asked at `now`, when `since` was the latest change.
    pub(super) fn told(good: Good, since: u64, now: u64) -> Rc<Self> {
        Rc::new(Self::of(good, since, now))
    }

    /// The same, of an opaque token: this is asked again if something that was opened with it lasts.
    pub(super) fn opaque(good: Good, question: Question, since: u64, now: u64) -> Rc<Self> {
        let known = Self::of(good, since, now);
        let again = Again::new(question, known.fresh_until);
        Rc::new(Self {
            again: Some(Box::new(again)),
            ..known
        })
    }

    /// The same, by a session.
    pub(super) fn person(
        good: Good,
        memberships: Box<[Arc<str>]>,
        since: u64,
        now: u64,
    ) -> Rc<Self> {
        Rc::new(Self {
            memberships: Some(memberships),
            ..Self::of(good, since, now)
        })
    }

    fn of(good: Good, since: u64, now: u64) -> Self {
        Self {
            principal: good.principal,
            ends_at: good.ends_at.unwrap_or(u64::MAX),
            fresh_until: now.saturating_add(good.fresh_for.as_secs()),
            signed: None,
            revocable: None,
            again: None,
            about: good.about,
            checked: Cell::new(since),
            memberships: None,
            decided: RefCell::default(),
            shown: OnceCell::new(),
            tokens: RefCell::default(),
        }
    }

    /// What kind of credential it is.
    pub(super) fn kind(&self) -> Option<CredentialKind> {
        match &self.memberships {
            Some(_) => Some(CredentialKind::Session),
            None => CredentialKind::of(self.principal.method),
        }
    }

    /// Whether this installation says who it is of, and for which organizations: none if it names none.
    pub(super) const fn is_of_one_of_ours(&self) -> bool {
        self.memberships.is_some() || self.revocable.is_some()
    }

    /// Whether it is still to be believed. `now` is in seconds since 1970.
    pub(super) fn is_good(&self, now: u64, changes: &Changes) -> bool {
        if self.ends_at <= now || self.fresh_until <= now {
            return false;
        }
        !self.is_taken_back() && self.is_unchanged(changes)
    }

    /// Whether what was let in with it may go on. Nobody is asked: it has not ended, and nothing that it is about
    /// changed. To be asked more often than [`Changes`] forgets.
    pub(super) fn may_go_on(&self, now: u64, changes: &Changes) -> bool {
        // A signature is good for a request, for as long as that may take to come; what it opened is another matter.
        let has_ended = self.ends_at <= now && self.principal.method != By::Signature;
        !has_ended && !self.is_taken_back() && self.is_unchanged(changes)
    }

    /// The question whether it is still good, if it takes one.
    pub(super) fn again(&self) -> Option<&Again> {
        self.again.as_deref()
    }

    /// Whether its issuer does not stand by it any more.
    fn is_taken_back(&self) -> bool {
        self.again().is_some_and(Again::is_over)
            || self.signed.as_ref().is_some_and(|key| !key.is_good())
            || self.revocable.as_ref().is_some_and(|one| !one.is_good())
    }

    /// Whether nothing that it is about has changed since it was asked about.
    fn is_unchanged(&self, changes: &Changes) -> bool {
        // What nobody was asked about is nothing that changes are told of.
        if self.about.is_empty() {
            return true;
        }
        let latest = changes.latest();
        if self.checked.get() != latest {
            // What changed before was looked at already.
            if !changes.is_good(self.checked.get(), &self.about) {
                return false;
            }
            self.checked.set(latest);
        }
        true
    }

    /// What rules said of it before.
    pub(super) fn decided(&self, rules: u64, method: &Method) -> Option<Verdict> {
        let method = number(method)?;
        let decided = self.decided.borrow();
        let mut same = decided
            .iter()
            .filter(|(by, of, _)| *by == rules && *of == method);
        same.next().map(|(.., verdict)| verdict.clone())
    }

    /// Remembers what rules say of it.
    pub(super) fn decide(&self, rules: u64, method: &Method, verdict: &Verdict) {
        let Some(method) = number(method) else {
            return;
        };
        let mut decided = self.decided.borrow_mut();
        // Those of former revisions go with the others: nothing is lost by them.
        if decided.len() >= MOST_DECISIONS {
            decided.clear();
        }
        decided.push((rules, method, verdict.clone()));
    }

    /// What the upstream hears by this policy.
    pub(crate) fn shown(&self, by: &Arc<Shown>) -> Fields {
        let (first, fields) = self
            .shown
            .get_or_init(|| (Arc::clone(by), by.render(&self.principal)));
        match Arc::ptr_eq(first, by) {
            true => fields.clone(),
            false => by.render(&self.principal),
        }
    }

    /// The token that the upstream gets, which ends before `most`. Times are in seconds since 1970.
    ///
    /// # Errors
    /// If there is none and none can be made: the word for logs.
    pub(super) fn token(
        &self,
        minter: &Minter,
        signer: &Signer,
        most: u64,
        now: u64,
    ) -> Result<HeaderValue, &'static str> {
        let signing = minter.signing(signer)?;
        let mut tokens = self.tokens.borrow_mut();
        let mut same = tokens.iter().filter(|token| token.is_of(minter));
        let ends_at = self.ends_at.min(most);
        let is_good = |token: &&Minted| token.is_good(&signing, ends_at, now);
        if let Some(token) = same.next().filter(is_good) {
            return Ok(token.value());
        }
        tokens.retain(|token| !token.is_of(minter));
        if tokens.len() >= MOST_TOKENS {
            tokens.clear();
        }
        let token = minter.mint(&signing, &self.principal, ends_at, now)?;
        let value = token.value();
        tokens.push(token);
        Ok(value)
    }

    /// How many tokens are kept.
    #[cfg(test)]
    pub(super) fn tokens(&self) -> usize {
        self.tokens.borrow().len()
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let memberships = self.memberships.iter().flatten();
        let memberships: usize = memberships
            .map(|one| one.len() + size_of::<Arc<str>>())
            .sum();
        let facts = self.revocable.as_ref().map_or(0, Revocable::size);
        let decided = MOST_DECISIONS * size_of::<Decided>();
        // What is shown repeats most of it, and a token does once more.
        let texts = 3 * texts_size(&self.principal, &self.about);
        size_of::<Self>() + memberships + facts + decided + texts
    }
}

/// The number of a method of RFC 9110 §9.3, or of `PATCH`. Others have none: they are as long as whoever sends them likes,
/// and nothing is remembered of them.
fn number(method: &Method) -> Option<u8> {
    match *method {
        Method::GET => Some(0),
        Method::HEAD => Some(1),
        Method::POST => Some(2),
        Method::PUT => Some(3),
        Method::DELETE => Some(4),
        Method::OPTIONS => Some(5),
        Method::PATCH => Some(6),
        Method::TRACE => Some(7),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use weir_core::principal::Method;
    use weir_jose::{Revoked, TokenFacts};

    use super::*;

    fn principal() -> Principal {
        Principal {
            method: Method::Key,
            issuer: None,
            subject: "ada".into(),
            organization: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            claims: serde_json::Map::new(),
        }
    }

    fn told(changes: &Changes) -> Rc<Known> {
        let good = Good {
            principal: principal(),
            ends_at: Some(1_000),
            fresh_for: Duration::from_secs(30),
            about: vec![Box::from("key_1")],
            person: None,
        };
        Known::told(good, changes.latest(), 100)
    }

    #[test]
    fn what_was_opened_with_it_ends_with_it_and_not_because_nobody_asked_lately() {
        let changes = Changes::default();
        let (token, key) = (Known::new(principal(), 1_000, None), told(&changes));
        assert!(key.may_go_on(500, &changes) && !key.is_good(500, &changes));
        assert!(key.may_go_on(999, &changes) && !key.may_go_on(1_000, &changes));
        assert!(token.may_go_on(999, &changes) && !token.may_go_on(1_000, &changes));
        // However much changes elsewhere, for as long as it is looked at.
        let now = Instant::now();
        for minute in 0..60_u64 {
            let other = Box::from(format!("key_of_{minute}"));
            changes.note([other], now + Duration::from_secs(60 * minute));
            assert!(key.may_go_on(500, &changes), "after {minute} min");
        }
        changes.note([Box::from("key_1")], now + Duration::from_secs(3_600));
        assert!(!key.may_go_on(500, &changes));
        let signed = Principal {
            method: By::Signature,
            ..principal()
        };
        assert!(Known::new(signed, 100, None).may_go_on(500, &changes));
    }

    #[test]
    fn a_token_of_ours_ends_with_all_it_opened_once_it_is_taken_back() {
        let revoked = Revoked::default();
        let token = |family: &str| {
            let facts = TokenFacts {
                kid: None,
                token: None,
                family: Some(family.into()),
                subject: None,
                issued_at: 100,
            };
            let generation = Cell::new(revoked.generation());
            let revocable = Revocable {
                revoked: revoked.clone(),
                facts,
                generation,
            };
            Known::own(principal(), 1_000, None, revocable)
        };
        let (ended, other) = (token("f"), token("g"));
        let changes = Changes::default();
        assert!(ended.is_good(500, &changes) && ended.may_go_on(500, &changes));
        revoked.tell(|token| token.family.as_deref() == Some("f"));
        assert!(!ended.is_good(500, &changes) && !ended.may_go_on(500, &changes));
        assert!(other.is_good(500, &changes) && other.may_go_on(500, &changes));
    }

    #[test]
    fn made_up_methods_are_not_remembered_and_decisions_are_bounded() {
        let known = Known::new(principal(), 1_000, None);
        let long = http::Method::from_bytes(&[b'x'; 14_000]).unwrap();
        known.decide(1, &long, &Ok(()));
        assert!(known.decided(1, &long).is_none());
        for rules in 0..100 {
            known.decide(rules, &http::Method::GET, &Ok(()));
            assert!(known.decided(rules, &http::Method::GET).is_some());
        }
        assert!(known.decided.borrow().len() <= MOST_DECISIONS);
    }

    #[test]
    fn what_speaks_for_itself_outlives_changes_and_what_was_told_does_not() {
        let changes = Changes::default();
        let (token, key) = (Known::new(principal(), 1_000, None), told(&changes));
        assert!(token.is_good(100, &changes) && key.is_good(100, &changes));
        changes.note([Box::from("key_2")], Instant::now());
        assert!(key.is_good(100, &changes), "it was about another one");
        changes.note([Box::from("key_1")], Instant::now());
        assert!(!key.is_good(100, &changes));
        let key = told(&changes);
        assert!(
            key.is_good(129, &changes) && !key.is_good(130, &changes),
            "to be asked for again"
        );
        changes.forget_all();
        assert!(!key.is_good(100, &changes));
        assert!(token.is_good(999, &changes) && !token.is_good(1_000, &changes));
    }
}
