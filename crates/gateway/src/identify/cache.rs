//! A credential that was found to be good is not looked at again before it ends.
//!
//! One cache for each worker, so that nothing is shared and nothing waits. It holds good credentials only: who sends
//! made-up ones by the thousand puts none out of it. It is bounded in bytes, and which one goes is decided by
//! use (S3-FIFO): credentials that came once go before those that come again.

use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, Weighter};

use super::changes::Changes;
use super::known::Known;
use crate::metrics::WorkerCounters;

/// Which of the configuration's ways to identify it was, and the credential itself.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    by: u64,
    credential: Box<[u8]>,
}

/// The same, borrowed.
#[derive(Hash)]
struct Asked<'a> {
    by: u64,
    credential: &'a [u8],
}

impl Equivalent<Key> for Asked<'_> {
    /// The table comes here only behind a hash with a random seed; how far two credentials are alike is not
    /// told by the time all the same.
    fn equivalent(&self, key: &Key) -> bool {
        self.by == key.by && verify_slices_are_equal(self.credential, &key.credential).is_ok()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bytes;

impl Weighter<Key, Rc<Known>> for Bytes {
    fn weight(&self, key: &Key, known: &Rc<Known>) -> u64 {
        // One that is asked about again is there once more.
        let copies = 1 + usize::from(known.again().is_some());
        (size_of::<Key>() + copies * key.credential.len() + known.size()) as u64
    }
}

/// Counts those that go so that others have room.
struct Evictions(Arc<WorkerCounters>);

impl Lifecycle<Key, Rc<Known>> for Evictions {
    type RequestState = ();

    fn on_evict(&self, _: &mut (), _: Key, known: Rc<Known>) {
        if let Some(kind) = known.kind() {
            let remembered = &self.0.identity.remembered;
            remembered[kind as usize].evictions.add(1);
        }
    }
}

type Entries = Cache<Key, Rc<Known>, Bytes, DefaultHashBuilder, Evictions>;

/// What a worker knows of credentials.
pub(crate) struct Verified {
    cache: RefCell<Entries>,
    counters: Arc<WorkerCounters>,
}

/// About how large one is, for the first table.
const USUAL: u64 = 2048;

impl Verified {
    /// With room for so many bytes; it counts for this worker.
    pub(crate) fn new(bytes: u64, counters: &Arc<WorkerCounters>) -> Self {
        let entries = usize::try_from(bytes / USUAL).unwrap_or(usize::MAX);
        let evictions = Evictions(Arc::clone(counters));
        let cache = Cache::with(entries, bytes, Bytes, Default::default(), evictions);
        Self {
            cache: RefCell::new(cache),
            counters: Arc::clone(counters),
        }
    }

    /// Who showed it, if that is known and still to be believed. `now` is in seconds since 1970.
    pub(super) fn get(
        &self,
        by: u64,
        credential: &[u8],
        now: u64,
        changes: &Changes,
    ) -> Option<Rc<Known>> {
        let asked = Asked { by, credential };
        let mut cache = self.cache.borrow_mut();
        let known = cache.get(&asked)?;
        if known.is_good(now, changes) {
            return Some(Rc::clone(known));
        }
        cache.remove(&asked);
        self.count(&cache);
        None
    }

    /// Remembers a good credential.
    pub(super) fn keep(&self, by: u64, credential: &[u8], known: &Rc<Known>) {
        let key = Key {
            by,
            credential: credential.into(),
        };
        let mut cache = self.cache.borrow_mut();
        cache.insert(key, Rc::clone(known));
        self.count(&cache);
    }

    /// Gives it room for so many bytes; what is too much goes.
    pub(crate) fn resize(&self, bytes: u64) {
        let mut cache = self.cache.borrow_mut();
        cache.set_capacity(bytes);
        self.count(&cache);
    }

    fn count(&self, cache: &Entries) {
        let identity = &self.counters.identity;
        identity.entries.set(cache.len() as u64);
        identity.bytes.set(cache.weight());
    }
}

#[cfg(test)]
mod tests {
    use weir_core::Principal;
    use weir_core::principal::Method;

    use super::*;
    use crate::metrics::CredentialKind;

    fn known(subject: &str, ends_at: u64) -> Rc<Known> {
        let principal = Principal {
            method: Method::Token,
            issuer: None,
            subject: subject.into(),
            organization: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            claims: serde_json::Map::new(),
        };
        Known::new(principal, ends_at, None)
    }

    #[test]
    fn a_credential_is_known_until_it_ends_and_only_where_it_was_good() {
        let cache = Verified::new(1 << 20, &Arc::default());
        cache.keep(1, b"token", &known("ada", 100));
        let subject = |by, credential: &[u8], now| {
            cache
                .get(by, credential, now, &Changes::default())
                .map(|known| known.principal.subject.to_string())
        };
        assert_eq!(subject(1, b"token", 99).as_deref(), Some("ada"));
        assert_eq!(subject(2, b"token", 99), None, "by another policy");
        assert_eq!(subject(1, b"tokem", 99), None);
        assert_eq!(subject(1, b"token", 100), None, "ended");
        assert_eq!(subject(1, b"token", 99), None, "and forgotten");
    }

    #[test]
    fn its_memory_is_bounded_and_what_comes_again_stays() {
        let counters = Arc::<WorkerCounters>::default();
        let (cache, changes) = (Verified::new(96 << 10, &counters), Changes::default());
        cache.keep(1, b"regular", &known("ada", 100));
        for number in 0_u32..20_000 {
            assert!(
                cache.get(1, b"regular", 0, &changes).is_some(),
                "after {number}"
            );
            cache.keep(1, &number.to_be_bytes(), &known("once", 100));
        }
        let cache = cache.cache.borrow();
        assert!(cache.weight() <= 96 << 10, "{}", cache.weight());
        assert!(cache.len() > 50, "{}", cache.len());
        let counted = &counters.identity;
        let of_tokens = &counted.remembered[CredentialKind::Token as usize];
        assert_eq!(counted.entries.get(), cache.len() as u64);
        assert_eq!(counted.bytes.get(), cache.weight());
        assert_eq!(of_tokens.evictions.get() + counted.entries.get(), 20_001);
    }
}
