//! One shard of the bans: who caused how many errors of late, and who is banned.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use weir_config::model;

use super::{Ban, Source};

/// Parts into which the time is cut in which errors count together.
const PARTS: usize = 8;

/// Errors of one address. Those of the current part and the seven before it count: never one that is
/// older than the whole time, and always those of seven eighths of it.
#[derive(Clone, Copy, Debug)]
struct Errors {
    parts: [u32; PARTS],
    /// Number of the current part since the table began.
    part: u64,
}

impl Errors {
    fn add(&mut self, part: u64) -> u32 {
        for skipped in (self.part + 1..=part).take(PARTS) {
            self.parts[skipped as usize % PARTS] = 0;
        }
        // Workers read the clock each for itself: one may be a little behind.
        self.part = self.part.max(part);
        let now = &mut self.parts[self.part as usize % PARTS];
        *now = now.saturating_add(1);
        let sum = |sum: u32, part: &u32| sum.saturating_add(*part);
        self.parts.iter().fold(0, sum)
    }
}

/// Bounded: when it is full the address that came first gives way.
#[derive(Debug)]
pub(super) struct Table {
    most: usize,
    began: Instant,
    /// Over which errors count together; those of another time are forgotten.
    within: Duration,
    errors: HashMap<Source, Errors>,
    /// In the order of their coming.
    coming: VecDeque<Source>,
    /// Ends of bans.
    banned: HashMap<Source, Instant>,
    /// In the order in which they were given; ends of settings past may be out of order.
    given: VecDeque<(Source, Instant)>,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            began: Instant::now(),
            within: Duration::ZERO,
            errors: HashMap::new(),
            coming: VecDeque::new(),
            banned: HashMap::new(),
            given: VecDeque::new(),
        }
    }

    /// Counts an error; tells whether it was the one too many. A banned address is not counted on.
    pub(super) fn error(&mut self, source: Source, settings: &model::Bans, now: Instant) -> bool {
        if self.left(source, now).is_some() {
            return false;
        }
        if self.within != settings.within {
            self.within = settings.within;
            self.errors.clear();
            self.coming.clear();
        }
        let part_length = (settings.within.as_nanos() / PARTS as u128).max(1);
        let since = now.saturating_duration_since(self.began).as_nanos();
        let part = u64::try_from(since / part_length).unwrap_or(u64::MAX);
        if !self.errors.contains_key(&source) {
            self.make_room();
            self.coming.push_back(source);
        }
        let none = Errors {
            parts: [0; PARTS],
            part,
        };
        let errors = self.errors.entry(source).or_insert(none);
        if errors.add(part) < settings.errors {
            return false;
        }
        self.forget_errors(source);
        self.evict_ban();
        let end = now + settings.ban_for;
        self.banned.insert(source, end);
        self.given.push_back((source, end));
        true
    }

    fn make_room(&mut self) {
        while self.errors.len() >= self.most {
            let Some(oldest) = self.coming.pop_front() else {
                return;
            };
            self.errors.remove(&oldest);
        }
    }

    fn evict_ban(&mut self) {
        while self.banned.len() >= self.most {
            let Some((source, end)) = self.given.pop_front() else {
                return;
            };
            self.end(source, end);
        }
    }

    /// Ends a ban unless it was lifted or replaced meanwhile.
    fn end(&mut self, source: Source, end: Instant) -> bool {
        let is_current = self.banned.get(&source) == Some(&end);
        if is_current {
            self.banned.remove(&source);
        }
        is_current
    }

    fn forget_errors(&mut self, source: Source) {
        if self.errors.remove(&source).is_some() {
            self.coming.retain(|known| *known != source);
        }
    }

    pub(super) fn left(&self, source: Source, now: Instant) -> Option<Duration> {
        let end = self.banned.get(&source)?;
        let left = end.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn forget(&mut self, source: Source) {
        self.forget_errors(source);
        self.banned.remove(&source);
    }

    pub(super) fn list(&self, now: Instant, bans: &mut Vec<Ban>) {
        let sources = self.banned.keys().copied();
        bans.extend(sources.filter_map(|source| {
            let left = self.left(source, now)?;
            Some(Ban { source, left })
        }));
    }

    /// Takes out the bans that are over.
    pub(super) fn expire(&mut self, now: Instant, ended: &mut Vec<Source>) {
        let mut given = std::mem::take(&mut self.given);
        given.retain(|(source, end)| {
            if *end > now {
                return true;
            }
            if self.end(*source, *end) {
                ended.push(*source);
            }
            false
        });
        self.given = given;
        if self.banned.is_empty() {
            // What a flood made it grow to is not kept for ever.
            self.banned = HashMap::new();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.most);
    }

    /// Addresses that are banned, or were when [`Table::expire`] was called last.
    pub(super) fn banned(&self) -> usize {
        self.banned.len()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.errors.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: model::Bans = model::Bans {
        errors: 10,
        within: Duration::from_secs(8),
        ban_for: Duration::from_secs(60),
        statuses: Vec::new(),
    };

    #[test]
    fn only_errors_that_are_close_together_ban() {
        let source = Source::V4(1);
        let banned_after = |gap: u64| {
            let mut table = Table::new(10);
            let begin = table.began;
            (1..100).find(|at| {
                let now = begin + Duration::from_millis(at * gap);
                table.error(source, &SETTINGS, now)
            })
        };
        assert_eq!(banned_after(0), Some(10));
        assert_eq!(banned_after(700), Some(10));
        // Nine of them in eight seconds are one too few, however long it goes on.
        assert_eq!(banned_after(900), None);
        assert_eq!(banned_after(100_000), None);
    }

    #[test]
    fn what_happened_before_a_pause_is_forgotten() {
        let mut table = Table::new(10);
        let begin = table.began;
        let source = Source::V4(1);
        for at in [0, 1, 2, 3, 4, 5, 6, 7, 8] {
            assert!(!table.error(source, &SETTINGS, begin + Duration::from_millis(at)));
        }
        let later = begin + Duration::from_secs(8);
        assert!(!table.error(source, &SETTINGS, later));
        // The clock may stand still, or another thread may have read it earlier.
        assert!(!table.error(source, &SETTINGS, begin));
    }

    #[test]
    fn the_address_that_came_first_gives_way() {
        let mut table = Table::new(2);
        let now = table.began;
        let settings = model::Bans {
            errors: 2,
            ..SETTINGS
        };
        for address in [1, 2, 3] {
            assert!(!table.error(Source::V4(address), &settings, now));
        }
        assert!(table.error(Source::V4(3), &settings, now));
        assert!(table.error(Source::V4(2), &settings, now));
        assert!(!table.error(Source::V4(1), &settings, now));
        assert!(table.error(Source::V4(1), &settings, now));
        assert_eq!(table.banned(), 2);
        assert_eq!(table.left(Source::V4(3), now), None);
        assert!(table.left(Source::V4(1), now).is_some());
    }
}
