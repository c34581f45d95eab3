//! Keys and sessions that are made up: whoever sends them by the thousand, each of a good form, must not keep others waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use tokio::sync::Semaphore;
use weir_gateway::Source;

use super::kept::Name;

/// Credentials that there are not, as far as they are remembered.
const MOST: usize = 8192;
/// How long: one that another node has made is known here after that.
const KEPT: Duration = Duration::from_secs(5);
/// Questions of one client address that are asked at a time; its others wait for these, and for nobody else's.
const OF_ONE: usize = 8;
/// Those in its line, with these. More are refused: they would fill the places of everybody else.
const MOST_OF_ONE: usize = 256;
/// Addresses beyond which those are forgotten that ask nothing.
const MANY: usize = 1024;

/// Credentials that records do not have, by what would find them. A memory of its own: it puts no good one out.
pub(super) struct MadeUp(Cache<Name, Asked>);

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
    pub(super) fn note(&self, name: Name, since: u64, now: Instant) {
        self.0.insert(name, Asked { at: now, since });
    }

    /// Whether there is none, as far as is known; any change since may be that there is.
    pub(super) fn has(&self, name: &Name, latest: u64, now: Instant) -> bool {
        let asked = self.0.get(name);
        asked.is_some_and(|asked| {
            asked.since == latest && now.saturating_duration_since(asked.at) < KEPT
        })
    }
}

/// Where those stand who wait for records, by client address.
#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<Source, Arc<Semaphore>>>);

impl Lines {
    /// The line of an address, for one more question, which stands in it for as long as it holds this; `None` if it is too
    /// long. Whoever is at its front holds a permit until they are answered.
    pub(super) fn join(&self, client: IpAddr) -> Option<Arc<Semaphore>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MANY {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let line = lines.entry(Source::from(client));
        let line = line.or_insert_with(|| Arc::new(Semaphore::new(OF_ONE)));
        // One of them is the table's.
        (Arc::strong_count(line) <= MOST_OF_ONE).then(|| Arc::clone(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(public: &str) -> Name {
        Name::Key(Box::from(public))
    }

    #[test]
    fn what_is_made_up_is_known_for_a_moment_and_until_something_changes() {
        let (made_up, now) = (MadeUp::new(), Instant::now());
        let session = Name::Session([7; 32]);
        assert!(!made_up.has(&key("key"), 3, now));
        made_up.note(key("key"), 3, now);
        assert!(made_up.has(&key("key"), 3, now) && !made_up.has(&key("other"), 3, now));
        assert!(!made_up.has(&session, 3, now));
        made_up.note(session.clone(), 3, now);
        for name in [&key("key"), &session] {
            assert!(made_up.has(name, 3, now));
            assert!(!made_up.has(name, 4, now), "it may have been made since");
            assert!(!made_up.has(name, 3, now + KEPT));
        }
    }

    #[test]
    fn a_flood_of_made_up_credentials_takes_a_bounded_memory() {
        let (made_up, now) = (MadeUp::new(), Instant::now());
        for number in 0..10 * MOST {
            made_up.note(key(&number.to_string()), 0, now);
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_be_bytes());
            made_up.note(Name::Session(hash), 0, now);
        }
        assert!(made_up.0.len() <= MOST);
    }

    #[test]
    fn one_address_waits_for_itself_only_and_nobody_is_kept_who_asks_nothing() {
        let lines = Lines::default();
        let (flood, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let is_free = |client| {
            lines
                .join(client)
                .is_some_and(|line| line.try_acquire().is_ok())
        };
        let line = lines.join(flood).unwrap();
        let permits: Vec<_> = (0..OF_ONE)
            .map(|_| Arc::clone(&line).try_acquire_owned().unwrap())
            .collect();
        assert!(!is_free(flood));
        assert!(is_free(other));
        for number in 0..10_000_u32 {
            drop(lines.join(IpAddr::from(number.to_be_bytes())));
        }
        assert!(lines.0.lock().unwrap().len() <= MANY);
        assert!(!is_free(flood), "it still waits");
        drop(permits);
        assert!(is_free(flood));
    }

    #[test]
    fn a_line_has_an_end() {
        let lines = Lines::default();
        let (flood, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut waiting: Vec<_> = (0..MOST_OF_ONE)
            .map(|_| lines.join(flood).unwrap())
            .collect();
        assert!(lines.join(flood).is_none());
        assert!(lines.join(other).is_some());
        waiting.pop();
        assert!(lines.join(flood).is_some());
    }
}
