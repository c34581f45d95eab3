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
/// Bits of a place that hold the score.
const SCORE_BITS: u32 = 16;
/// Places that the addresses of one IPv6 network of 48 bits have: as many are one site's (RFC 6177 §2), and who has
/// 65,536 networks makes nobody else look worse.
const PLACES_OF_A_SITE: usize = 16;

/// Scores of addresses.
#[derive(Debug)]
pub(crate) struct Risk {
    /// Milliseconds since `begun` in the upper 48 bits, the score at that time below. One word, so that neither is
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
        place.store(
            self.millis(now) << SCORE_BITS | hundredths,
            Ordering::Relaxed,
        );
    }

    fn score(&self, place: u64, now: Instant) -> f64 {
        let (at, hundredths) = (place >> SCORE_BITS, place & ((1 << SCORE_BITS) - 1));
        let seconds = self.millis(now).saturating_sub(at) as f64 / 1e3;
        hundredths as f64 / SCALE * (-seconds / HALF_LIFE_SECONDS).exp2()
    }

    /// Enough for 8,900 years.
    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_millis() as u64
    }

    fn place(&self, client: IpAddr) -> &AtomicU64 {
        let source = Source::from(client);
        let own = self.seed.hash_one(source) as usize;
        let place = match source {
            Source::V4(_) => own,
            Source::V6(network) => {
                let site = self.seed.hash_one(network >> 16) as usize;
                site.wrapping_mul(PLACES_OF_A_SITE) + own % PLACES_OF_A_SITE
            }
        };
        &self.places[place % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_old_score_does_not_come_back() {
        let (risk, now) = (Risk::default(), Instant::now());
        let guesser = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..10 {
            risk.failed(guesser, now);
        }
        let wrapped = Duration::from_millis(1 << 32);
        for seconds in [0, 10, 60] {
            let later = now + wrapped + Duration::from_secs(seconds);
            assert_eq!(risk.of(guesser, later), 0, "{seconds} s after 49 days");
        }
    }

    #[test]
    fn who_has_many_networks_makes_few_others_look_worse() {
        let (risk, now) = (Risk::default(), Instant::now());
        for network in 0..20_000_u16 {
            let address = IpAddr::from([0x2001, 0xdb8, 1, network, 0, 0, 0, 1]);
            risk.failed(address, now);
        }
        let taken = risk.places.iter();
        let taken = taken.filter(|place| place.load(Ordering::Relaxed) > 0);
        assert!(taken.count() <= PLACES_OF_A_SITE);
        assert!(risk.of(IpAddr::from([0x2001, 0xdb8, 1, 7, 0, 0, 0, 9]), now) > 0);
    }

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
