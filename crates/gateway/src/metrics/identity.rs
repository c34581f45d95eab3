//! What is counted of credentials, by one worker.

use std::time::Duration;

use weir_core::principal::Method;

use super::{BUCKET_NANOS, Counter};

/// Credentials that a worker remembers, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// Tokens that somebody signed.
    Token,
    /// Keys of services.
    Key,
    /// Sessions of browsers.
    Session,
    /// Names and passwords.
    Password,
    /// Certificates of connections.
    Certificate,
}

impl CredentialKind {
    /// All of them, in the order of counters.
    pub const ALL: [Self; 5] = [
        Self::Token,
        Self::Key,
        Self::Session,
        Self::Password,
        Self::Certificate,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Key => "key",
            Self::Session => "session",
            Self::Password => "password",
            Self::Certificate => "certificate",
        }
    }

    /// That of somebody who showed it so; `None` for what is good for one request only.
    pub(crate) const fn of(method: Method) -> Option<Self> {
        match method {
            Method::Token => Some(Self::Token),
            Method::Key => Some(Self::Key),
            Method::Password | Method::TwoFactor => Some(Self::Password),
            Method::Certificate => Some(Self::Certificate),
            Method::Signature => None,
        }
    }
}

/// What is counted of credentials.
#[derive(Debug, Default)]
pub struct IdentityCounters {
    /// What a worker's memory did, in the order of [`CredentialKind::ALL`].
    pub remembered: [RememberedCounters; CredentialKind::ALL.len()],
    /// Credentials that are remembered now.
    pub entries: Counter,
    /// About how much memory they take.
    pub bytes: Counter,
    /// Questions about credentials, in the order of [`CredentialKind::ALL`].
    pub lookups: [LookupCounters; CredentialKind::ALL.len()],
    /// Credentials that waited for their turn, because the connection had shown a bad one.
    pub turns: Counter,
}

impl IdentityCounters {
    /// A credential of this kind was looked for; `None` for one that is never remembered.
    pub(crate) fn looked(&self, kind: Option<CredentialKind>, is_known: bool) {
        let Some(kind) = kind else {
            return;
        };
        let counters = &self.remembered[kind as usize];
        match is_known {
            true => counters.hits.add(1),
            false => counters.misses.add(1),
        }
    }
}

/// What a worker's memory did for one kind of credential.
#[derive(Debug, Default)]
pub struct RememberedCounters {
    /// The credential was known.
    pub hits: Counter,
    /// It was not; also of credentials that are not good.
    pub misses: Counter,
    /// It went so that others had room.
    pub evictions: Counter,
}

/// Questions that left the worker.
#[derive(Debug, Default)]
pub struct LookupCounters {
    /// Those that wait for an answer.
    pub waiting: Counter,
    /// The answer was: good, bad, or that nobody can say for now.
    pub outcomes: [Counter; 3],
    /// Waits by duration, not cumulative; one more than [`super::DURATION_BUCKETS`].
    pub durations: [Counter; 17],
    /// Sum of the waits in nanoseconds.
    pub duration_nanos: Counter,
}

impl LookupCounters {
    /// Words for the outcomes.
    pub const OUTCOMES: [&'static str; 3] = ["good", "bad", "unavailable"];

    /// One begins; it waits until this is dropped.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        self.waiting.add(1);
        Waiting(&self.waiting)
    }

    /// One was answered, by its place in [`Self::OUTCOMES`].
    pub(crate) fn record(&self, outcome: usize, waited: Duration) {
        self.outcomes[outcome].add(1);
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKET_NANOS.iter().position(|bound| nanos <= *bound);
        self.durations[bucket.unwrap_or(BUCKET_NANOS.len())].add(1);
        self.duration_nanos.add(nanos);
    }
}

/// Somebody waits; also whoever leaves has waited.
pub(crate) struct Waiting<'a>(&'a Counter);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Requests that a policy refused, by one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct DenialCounters {
    /// In the order of [`Self::REASONS`].
    pub by_reason: [Counter; 4],
}

impl DenialCounters {
    /// Words of the answers.
    pub const REASONS: [&'static str; 4] = [
        "credential_missing",
        "credential_refused",
        "forbidden",
        "identity_unavailable",
    ];

    pub(crate) fn count(&self, reason: &str) {
        if let Some(at) = Self::REASONS.iter().position(|known| *known == reason) {
            self.by_reason[at].add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_waits_no_more_and_what_was_answered_is_counted_once() {
        let counters = LookupCounters::default();
        let (first, second) = (counters.begin(), counters.begin());
        assert_eq!(counters.waiting.get(), 2);
        drop(first);
        counters.record(1, Duration::from_millis(3));
        drop(second);
        assert_eq!(counters.waiting.get(), 0);
        let outcomes = counters.outcomes.each_ref().map(Counter::get);
        assert_eq!(outcomes, [0, 1, 0]);
        assert_eq!(counters.durations[2].get(), 1);
        assert_eq!(counters.duration_nanos.get(), 3_000_000);
    }

    #[test]
    fn reasons_are_those_of_answers() {
        for word in DenialCounters::REASONS {
            assert!(crate::reason::find(word).is_some(), "{word}");
        }
        let counters = DenialCounters::default();
        counters.count("forbidden");
        counters.count("no_route");
        let counted = counters.by_reason.each_ref().map(Counter::get);
        assert_eq!(counted, [0, 0, 1, 0]);
    }
}
