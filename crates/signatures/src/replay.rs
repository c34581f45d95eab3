//! Signatures that were used, so that nobody uses them again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::fault::Fault;

/// By what a signed request is known again: its key with its nonce, or with what was signed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplayId([u8; 16]);

impl ReplayId {
    /// A nonce is used once by each key.
    pub(crate) fn of_nonce(key_id: &str, nonce: &str) -> Self {
        Self::of(b'n', key_id.as_bytes(), nonce.as_bytes())
    }

    /// Without a nonce, the same content is the same request.
    pub(crate) fn of_content(key_id: &str, content: &[u8]) -> Self {
        Self::of(b'c', key_id.as_bytes(), content)
    }

    fn of(kind: u8, key_id: &[u8], rest: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[kind]);
        context.update(&(key_id.len() as u64).to_be_bytes());
        context.update(key_id);
        context.update(rest);
        let mut id = [0; 16];
        id.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(id)
    }
}

impl fmt::Debug for ReplayId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReplayId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Remembers what was used for as long as it would be accepted again, in bounded memory: about 100 bytes
/// for each.
///
/// Ask it only about what was verified, or anybody fills it. It protects what asks it: requests that
/// reach two guards can be used twice, so that all workers of a node share one, or a request is led to
/// one of several by its [`ReplayId`].
#[derive(Debug)]
pub struct ReplayGuard {
    capacity: usize,
    used: HashSet<ReplayId>,
    /// The same, the first to be forgotten on top.
    ends: BinaryHeap<Reverse<(u64, ReplayId)>>,
}

impl ReplayGuard {
    /// A guard that remembers this many at once.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            used: HashSet::new(),
            ends: BinaryHeap::new(),
        }
    }

    /// Has it remember this many at once from here on. If it has more, it keeps them until they are over.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Takes the request as used; `until` is the last second in which it would be accepted.
    ///
    /// # Errors
    /// [`Fault::Replayed`] if it was used before. [`Fault::ReplaysFull`] if there is no room: nothing is
    /// forgotten before its time, as that is what whoever sends many would want.
    pub fn admit(&mut self, id: ReplayId, until: u64, now: u64) -> Result<(), Fault> {
        self.forget(now);
        if self.used.contains(&id) {
            return Err(Fault::Replayed);
        }
        if self.used.len() >= self.capacity {
            return Err(Fault::ReplaysFull);
        }
        self.used.insert(id);
        self.ends.push(Reverse((until, id)));
        Ok(())
    }

    /// Whether it was used, as far as is remembered: for whoever is about to do something before [`admit`](Self::admit), which
    /// decides.
    pub fn was_used(&self, id: ReplayId) -> bool {
        self.used.contains(&id)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Lets go of what would be refused by its age.
    pub fn forget(&mut self, now: u64) {
        while let Some(Reverse((until, id))) = self.ends.peek().copied() {
            if until >= now {
                break;
            }
            self.ends.pop();
            self.used.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "alice";

    #[test]
    fn a_second_use_is_refused_until_it_would_be_refused_anyway() {
        let mut guard = ReplayGuard::new(8);
        let id = ReplayId::of_nonce(ALICE, "n1");
        assert_eq!(guard.admit(id, 100, 50), Ok(()));
        assert_eq!(guard.admit(id, 100, 50), Err(Fault::Replayed));
        assert_eq!(guard.admit(id, 100, 100), Err(Fault::Replayed));
        assert_eq!(guard.admit(id, 200, 101), Ok(()));
    }

    #[test]
    fn a_full_guard_refuses_and_never_forgets_early() {
        let mut guard = ReplayGuard::new(2);
        let ids = ["a", "b", "c"].map(|nonce| ReplayId::of_nonce(ALICE, nonce));
        assert_eq!(guard.admit(ids[0], 100, 0), Ok(()));
        assert_eq!(guard.admit(ids[1], 50, 0), Ok(()));
        assert_eq!(guard.admit(ids[2], 100, 0), Err(Fault::ReplaysFull));
        assert_eq!(guard.admit(ids[0], 100, 0), Err(Fault::Replayed));
        assert!(guard.was_used(ids[0]) && !guard.was_used(ids[2]));
        // The second one is over; the first is not.
        assert_eq!(guard.admit(ids[2], 100, 51), Ok(()));
        assert_eq!(guard.admit(ids[0], 100, 51), Err(Fault::Replayed));
        assert_eq!(guard.len(), 2);
    }

    #[test]
    fn a_guard_with_less_room_than_before_forgets_nothing_for_that() {
        let mut guard = ReplayGuard::new(2);
        let ids = ["a", "b", "c"].map(|nonce| ReplayId::of_nonce(ALICE, nonce));
        assert_eq!(guard.admit(ids[0], 50, 0), Ok(()));
        assert_eq!(guard.admit(ids[1], 100, 0), Ok(()));
        guard.set_capacity(1);
        assert_eq!(guard.admit(ids[0], 50, 0), Err(Fault::Replayed));
        assert_eq!(guard.admit(ids[2], 100, 51), Err(Fault::ReplaysFull));
        assert_eq!(guard.admit(ids[1], 100, 51), Err(Fault::Replayed));
        guard.set_capacity(2);
        assert_eq!(guard.admit(ids[2], 100, 51), Ok(()));
    }

    #[test]
    fn ids_of_different_keys_and_kinds_differ() {
        let ids = [
            ReplayId::of_nonce(ALICE, "x"),
            ReplayId::of_nonce("alic", "ex"),
            ReplayId::of_nonce("bob", "x"),
            ReplayId::of_content(ALICE, b"x"),
        ];
        assert_eq!(HashSet::from(ids).len(), 4);
    }
}
