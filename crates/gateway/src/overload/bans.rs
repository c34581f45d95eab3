//! Addresses that are not served for a while, because of the errors that they caused.

mod table;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weir_config::model;

use super::{SHARDS, Source, lock};
use table::Table;

/// Addresses that are kept, those with errors and those that are banned each.
const MOST: usize = 100_000;

/// An address that is banned, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub source: Source,
    /// What is left of it.
    pub left: Duration,
}

/// The bans of the process.
///
/// Only errors, and checks while somebody is banned, lock a shard. It outlives revisions and ends with
/// the process.
#[derive(Debug)]
pub(crate) struct Bans {
    shards: Vec<Mutex<Table>>,
    /// Keyed: nobody can choose addresses that meet in one shard.
    hasher: RandomState,
    /// Addresses that are banned now, or were a moment ago.
    active: AtomicUsize,
    /// Bans that there ever were: a connection whose address was not banned at some number is not
    /// banned as long as the number stays.
    given: AtomicU64,
}

impl Default for Bans {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS)
                .map(|_| Mutex::new(Table::new(MOST / SHARDS)))
                .collect(),
            hasher: RandomState::new(),
            active: AtomicUsize::new(0),
            given: AtomicU64::new(0),
        }
    }
}

impl Bans {
    fn shard(&self, source: Source) -> &Mutex<Table> {
        &self.shards[self.hasher.hash_one(source) as usize % SHARDS]
    }

    /// Does something to a table and keeps the count of bans right.
    fn change<R>(&self, shard: &Mutex<Table>, change: impl FnOnce(&mut Table) -> R) -> R {
        let mut table = lock(shard);
        let before = table.banned();
        let result = change(&mut table);
        // Wraps around where the number falls.
        let difference = table.banned().wrapping_sub(before);
        self.active.fetch_add(difference, Ordering::Relaxed);
        result
    }

    /// Counts an error of an address, and bans it if that was one too many.
    pub(crate) fn error(&self, source: Source, settings: &model::Bans, now: Instant) {
        let error = |table: &mut Table| table.error(source, settings, now);
        if !self.change(self.shard(source), error) {
            return;
        }
        // Behind the entry and its count: who sees the number finds both.
        self.given.fetch_add(1, Ordering::Release);
        tracing::warn!(
            address = %source,
            ban_for = ?settings.ban_for,
            "address banned: it caused {} errors within {:?}",
            settings.errors,
            settings.within
        );
    }

    /// What is left of an address' ban. Nobody is banned most of the time: that costs one load.
    pub(crate) fn left(&self, source: Source, now: Instant) -> Option<Duration> {
        if self.active.load(Ordering::Relaxed) == 0 {
            return None;
        }
        lock(self.shard(source)).left(source, now)
    }

    /// Bans that there ever were.
    pub(crate) fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// Addresses that are banned now.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Lifts a ban; tells whether there was one. The errors that led to it are forgotten.
    pub(crate) fn lift(&self, source: Source, now: Instant) -> bool {
        let is_banned = self.change(self.shard(source), |table| {
            let is_banned = table.left(source, now).is_some();
            table.forget(source);
            is_banned
        });
        if is_banned {
            tracing::info!(address = %source, "ban lifted");
        }
        is_banned
    }

    /// Everybody who is banned, the longest first.
    pub(crate) fn list(&self, now: Instant) -> Vec<Ban> {
        let mut bans = Vec::new();
        for shard in &self.shards {
            lock(shard).list(now, &mut bans);
        }
        bans.sort_by_key(|ban| (std::cmp::Reverse(ban.left), ban.source));
        bans
    }

    /// Forgets bans that are over.
    pub(super) fn expire(&self, now: Instant) {
        if self.active.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut ended = Vec::new();
        for shard in &self.shards {
            self.change(shard, |table| table.expire(now, &mut ended));
        }
        for source in ended {
            tracing::info!(address = %source, "ban ended");
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            self.change(shard, Table::clear);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: model::Bans = model::Bans {
        errors: 3,
        within: Duration::from_secs(8),
        ban_for: Duration::from_secs(60),
        statuses: Vec::new(),
    };

    #[test]
    fn a_ban_begins_is_listed_and_ends_exactly_when_it_should() {
        let bans = Bans::default();
        let (source, now) = (Source::V4(1), Instant::now());
        for _ in 0..2 {
            bans.error(source, &SETTINGS, now);
            assert_eq!(bans.left(source, now), None);
        }
        assert_eq!((bans.active(), bans.given()), (0, 0));
        bans.error(source, &SETTINGS, now);
        assert_eq!((bans.active(), bans.given()), (1, 1));
        assert_eq!(bans.left(source, now), Some(SETTINGS.ban_for));
        assert_eq!(bans.left(Source::V4(2), now), None);
        let left = Duration::from_nanos(1);
        let end = now + SETTINGS.ban_for;
        assert_eq!(bans.left(source, end - left), Some(left));
        assert_eq!(bans.list(end - left), [Ban { source, left }]);
        assert_eq!(bans.left(source, end), None);
        assert_eq!(bans.list(end), []);
        bans.expire(end - left);
        assert_eq!(bans.active(), 1);
        bans.expire(end);
        assert_eq!(bans.active(), 0);
    }

    #[test]
    fn errors_while_banned_do_not_make_it_longer() {
        let bans = Bans::default();
        let (source, now) = (Source::V4(1), Instant::now());
        for second in 0..30 {
            bans.error(source, &SETTINGS, now + Duration::from_secs(second));
        }
        assert_eq!(bans.given(), 1);
        assert_eq!(
            bans.left(source, now + Duration::from_secs(30)),
            Some(Duration::from_secs(32))
        );
        // A new one needs as many errors as the first did, also if nobody has noticed the end.
        let end = now + Duration::from_secs(62);
        for number in 1..=3 {
            assert_eq!(bans.left(source, end), None);
            bans.error(source, &SETTINGS, end);
            assert_eq!(bans.given(), 1 + u64::from(number == 3));
        }
        assert_eq!(bans.active(), 1);
        bans.expire(end + SETTINGS.ban_for);
        assert_eq!(bans.active(), 0);
    }

    #[test]
    fn a_ban_can_be_lifted_once() {
        let bans = Bans::default();
        let (source, now) = (Source::V6(1), Instant::now());
        for _ in 0..3 {
            bans.error(source, &SETTINGS, now);
        }
        assert!(bans.lift(source, now));
        assert!(!bans.lift(source, now));
        assert_eq!((bans.active(), bans.left(source, now)), (0, None));
        bans.error(source, &SETTINGS, now);
        assert_eq!(bans.active(), 0);
    }

    #[test]
    fn a_flood_of_addresses_with_errors_take_bounded_memory() {
        let bans = Bans::default();
        let now = Instant::now();
        for address in 0..250_000 {
            bans.error(Source::V4(address), &SETTINGS, now);
        }
        let kept: usize = bans.shards.iter().map(|shard| lock(shard).len()).sum();
        assert!((MOST / 2..=MOST).contains(&kept), "{kept}");
        // Banned ones are bounded, too.
        let settings = model::Bans {
            errors: 1,
            ..SETTINGS
        };
        for address in 0..130_000 {
            bans.error(Source::V4(address), &settings, now);
        }
        let active = bans.active();
        assert!((MOST / 2..=MOST).contains(&active), "{active}");
        assert_eq!(bans.list(now).len(), active);
        bans.clear();
        assert_eq!(bans.active(), 0);
    }
}
