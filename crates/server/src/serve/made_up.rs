//! Keys that are made up: whoever sends them by the thousand, each with a good checksum, must not keep others waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use weir_gateway::Source;

/// Keys that there are not, as far as they are remembered.
const MOST: usize = 8192;
/// How long: a key that another node has made is known here after that.
const KEPT: Duration = Duration::from_secs(5);
/// Questions of one client address that are asked at a time; its others wait for these, and for nobody else's.
const OF_ONE: usize = 8;
/// Addresses beyond which those are forgotten that ask nothing.
const MANY: usize = 1024;

/// Keys that records do not have, by what would find them. A memory of its own: it puts no good key out.
pub(super) struct MadeUp(Cache<Box<str>, Asked>);

/// When records were asked.
#[derive(Clone, Copy)]
struct Asked {
    at: Instant,
    /// The latest change at that time.
    since: u64,
}

impl MadeUp {
    pub(super) fn new() -> Self {
        Self(Cache::new(MOST))
    }

    /// There was none when `since` was the latest change.
    pub(super) fn note(&self, public: &str, since: u64, now: Instant) {
        self.0.insert(Box::from(public), Asked { at: now, since });
    }

    /// Whether there is none, as far as is known; any change since may be that there is.
    pub(super) fn has(&self, public: &str, latest: u64, now: Instant) -> bool {
        let asked = self.0.get(public);
        asked.is_some_and(|asked| {
            asked.since == latest && now.saturating_duration_since(asked.at) < KEPT
        })
    }
}

/// Where those stand who wait for records, by client address.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<Source, Arc<Semaphore>>>);

impl Lines {
    /// The line of an address. Whoever is at its front holds a permit until they are answered.
    pub(super) fn of(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MANY {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let line = lines.entry(Source::from(client));
        Arc::clone(line.or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_is_known_for_a_moment_and_until_something_changes() {
        let (made_up, now) = (MadeUp::new(), Instant::now());
        assert!(!made_up.has("key", 3, now));
        made_up.note("key", 3, now);
        assert!(made_up.has("key", 3, now) && !made_up.has("other", 3, now));
        assert!(!made_up.has("key", 4, now), "it may have been made since");
        assert!(!made_up.has("key", 3, now + KEPT));
    }

    #[test]
    fn a_flood_of_made_up_keys_takes_a_bounded_memory() {
        let (made_up, now) = (MadeUp::new(), Instant::now());
        for number in 0..10 * MOST {
            made_up.note(&number.to_string(), 0, now);
        }
        assert!(made_up.0.len() <= MOST);
    }

    #[test]
    fn one_address_waits_for_itself_only_and_nobody_is_kept_who_asks_nothing() {
        let lines = Lines::default();
        let (flood, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let line = lines.of(flood);
        let permits: Vec<_> = (0..OF_ONE)
            .map(|_| Arc::clone(&line).try_acquire_owned().unwrap())
            .collect();
        assert!(lines.of(flood).try_acquire().is_err());
        assert!(lines.of(other).try_acquire().is_ok());
        for number in 0..10_000_u32 {
            drop(lines.of(IpAddr::from(number.to_be_bytes())));
        }
        assert!(lines.0.lock().unwrap().len() <= MANY);
        assert!(lines.of(flood).try_acquire().is_err(), "it still waits");
        drop(permits);
        assert!(lines.of(flood).try_acquire().is_ok());
    }
}
