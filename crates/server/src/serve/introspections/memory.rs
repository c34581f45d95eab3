//! What is known of tokens.
//!
//! Good ones and others have a place each: made-up tokens by the thousand put no good one out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Kept;

/// Room for good tokens, in bytes; what comes again stays.
const BYTES: u64 = 64 << 20;
/// About how large one is, for the first table.
const USUAL: usize = 2048;
/// Tokens that are known not to be good.
const MOST_BAD: usize = 4096;
/// How long that is believed. A client that sends the same dead token again and again asks the server once in this time;
/// and one whose token was refused a moment too early, since not all of the server's machines knew it yet, does not wait long.
const BAD_FOR: Duration = Duration::from_secs(2);

/// By what a token is known again: its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// Of one server's tokens.
pub(super) struct Memory {
    good: Cache<Digest, Arc<Kept>, Bytes>,
    bad: Cache<Digest, Instant>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Digest, Arc<Kept>> for Bytes {
    fn weight(&self, _: &Digest, kept: &Arc<Kept>) -> u64 {
        // In memory, JSON takes a multiple of what it takes as text.
        let claims = kept.claims.as_map();
        let text: usize = claims
            .iter()
            .map(|(name, value)| name.len() + value.to_string().len())
            .sum();
        (size_of::<Kept>() + 4 * text) as u64
    }
}

impl Memory {
    pub(super) fn new() -> Self {
        Self::with_room(BYTES)
    }

    fn with_room(bytes: u64) -> Self {
        let entries = usize::try_from(bytes).unwrap_or(usize::MAX) / USUAL;
        Self {
            good: Cache::with_weighter(entries, bytes, Bytes),
            bad: Cache::new(MOST_BAD),
        }
    }

    pub(super) fn good(&self, digest: &Digest) -> Option<Arc<Kept>> {
        self.good.get(digest)
    }

    pub(super) fn keep(&self, digest: Digest, kept: &Arc<Kept>) {
        self.bad.remove(&digest);
        self.good.insert(digest, Arc::clone(kept));
    }

    pub(super) fn forget(&self, digest: &Digest) {
        self.good.remove(digest);
    }

    pub(super) fn keep_bad(&self, digest: Digest, now: Instant) {
        self.bad.insert(digest, now);
    }

    pub(super) fn is_bad(&self, digest: &Digest, now: Instant) -> bool {
        let since = self.bad.get(digest);
        since.is_some_and(|since| now.saturating_duration_since(since) < BAD_FOR)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_jose::Claims;

    use super::*;

    fn kept(text: &str) -> Arc<Kept> {
        let claims = json!({"sub": text}).as_object().cloned().unwrap();
        Arc::new(Kept {
            claims: Claims::from(claims),
            at: Instant::now(),
        })
    }

    #[test]
    fn made_up_tokens_put_no_good_one_out_and_are_not_believed_to_be_bad_for_long() {
        let (memory, now) = (Memory::new(), Instant::now());
        let good = Digest::of("good");
        memory.keep(good, &kept("ada"));
        for number in 0..3 * MOST_BAD {
            memory.keep_bad(Digest::of(&number.to_string()), now);
        }
        assert!(memory.good(&good).is_some());
        assert!(memory.bad.len() <= MOST_BAD);
        let bad = Digest::of("bad");
        memory.keep_bad(bad, now);
        assert!(memory.is_bad(&bad, now));
        assert!(!memory.is_bad(&bad, now + BAD_FOR));
        memory.keep(bad, &kept("eva"));
        assert!(
            !memory.is_bad(&bad, now),
            "the server says otherwise by now"
        );
    }

    #[test]
    fn large_answers_take_more_of_the_room() {
        let memory = Memory::with_room(1 << 20);
        let large = "x".repeat(60 << 10);
        for number in 0..100 {
            memory.keep(Digest::of(&number.to_string()), &kept(&large));
        }
        assert!(memory.good.weight() <= 1 << 20, "{}", memory.good.weight());
        assert!(memory.good.len() < 5, "{}", memory.good.len());
    }
}
