//! What recent failures of an address come to: rules can ask for more of somebody who has just guessed.
//!
//! A fixed table of scores that fade, shared by all workers: each refused credential adds to its address' score, and half of a score is gone
//! after five minutes. Two addresses may share a place, which makes one look worse than it is; the seed is random, so that nobody
//! can choose whose place they share.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::overload::Source;

const PLACES: usize = 1 << 14;
/// Each failure adds this much; ten in a row are as bad as it gets.
const STEP: f64 = 10.0;
const MOST: f64 = 100.0;
const HALF_LIFE_SECONDS: f64 = 300.0;
/// Of a score in its place: hundredths.
const SCALE: f64 = 100.0;

/// Scores of addresses.
#[derive(Debug)]
pub(crate) struct Risk {
    /// Milliseconds since `begun` above, the score at that time below; both 32 bits. One word, so that neither is
    /// read without the other; two failures at the same moment may count as one.
    places: Box<[AtomicU64]>,
    seed: RandomState,
    begun: Instant,
}

impl Default for Risk {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            seed: RandomState::new(),
            begun: Instant::now(),
        }
    }
}

impl Risk {
    /// The score of an address, from 0 to 100.
    pub(crate) fn of(&self, client: IpAddr, now: Instant) -> u8 {
        let place = self.place(client).load(Ordering::Relaxed);
        // At most 100.
        self.score(place, now).round() as u8
    }

    /// A credential of this address was refused.
    pub(crate) fn failed(&self, client: IpAddr, now: Instant) {
        let place = self.place(client);
        let score = self.score(place.load(Ordering::Relaxed), now) + STEP;
        let hundredths = (score.min(MOST) * SCALE) as u64;
        place.store(self.millis(now) << 32 | hundredths, Ordering::Relaxed);
    }

    fn score(&self, place: u64, now: Instant) -> f64 {
        let (at, hundredths) = (place >> 32, place & u64::from(u32::MAX));
        let seconds = self.millis(now).saturating_sub(at) as f64 / 1e3;
        hundredths as f64 / SCALE * (-seconds / HALF_LIFE_SECONDS).exp2()
    }

    /// Of 49 days; the clock is back at 0 then, and scores are what they were for a while.
    fn millis(&self, now: Instant) -> u64 {
        now.duration_since(self.begun).as_millis() as u64 & u64::from(u32::MAX)
    }

    fn place(&self, client: IpAddr) -> &AtomicU64 {
        let hash = self.seed.hash_one(Source::from(client));
        &self.places[hash as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn failures_add_up_and_fade() {
        let (risk, now) = (Risk::default(), Instant::now());
        let (guesser, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert_eq!(risk.of(guesser, now), 0);
        for _ in 0..3 {
            risk.failed(guesser, now);
        }
        assert_eq!(risk.of(guesser, now), 30);
        assert_eq!(risk.of(guesser, now + Duration::from_secs(300)), 15);
        assert_eq!(risk.of(guesser, now + Duration::from_secs(86_400)), 0);
        assert_eq!(risk.of(other, now), 0);
        for _ in 0..50 {
            risk.failed(guesser, now);
        }
        assert_eq!(risk.of(guesser, now), 100);
    }
}
