//! How many connections each address has open.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex};

use super::{SHARDS, Source, lock};
use crate::overload::Overload;

/// Open connections by address, of the whole process.
///
/// Behind locks, since an address' connections are spread over the workers: one short lock when a
/// connection opens and one when it closes, none per request. An address without connections has no
/// entry, so that the table is never larger than the number of open connections.
#[derive(Debug)]
pub(crate) struct Connections {
    shards: Vec<Mutex<HashMap<Source, usize>>>,
    /// Keyed: nobody can choose addresses that meet in one shard.
    hasher: RandomState,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Connections {
    fn shard(&self, source: Source) -> &Mutex<HashMap<Source, usize>> {
        &self.shards[self.hasher.hash_one(source) as usize % SHARDS]
    }

    /// Counts a connection unless the address has as many as it may.
    fn open(&self, source: Source, most: usize) -> bool {
        let mut shard = lock(self.shard(source));
        let open = shard.get(&source).copied().unwrap_or(0);
        if open >= most {
            return false;
        }
        shard.insert(source, open + 1);
        true
    }

    fn close(&self, source: Source) {
        let mut shard = lock(self.shard(source));
        if let Entry::Occupied(mut entry) = shard.entry(source) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        // What a flood of addresses made the table grow to is not kept for ever.
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            shard.shrink_to_fit();
        }
    }
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    overload: Arc<Overload>,
    source: Source,
}

impl Held {
    /// Counts a connection; `None` if the address has `most` already.
    pub(crate) fn open(overload: &Arc<Overload>, source: Source, most: usize) -> Option<Self> {
        overload.connections.open(source, most).then(|| Self {
            overload: Arc::clone(overload),
            source,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.overload.connections.close(self.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    fn entries(overload: &Overload) -> usize {
        let shards = overload.connections.shards.iter();
        shards.map(|shard| lock(shard).len()).sum()
    }

    #[test]
    fn an_address_gets_as_many_connections_as_it_may() {
        let overload = Arc::default();
        let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
        let mut held: Vec<Held> = (0..3)
            .map(|_| Held::open(&overload, one, 3).unwrap())
            .collect();
        assert!(Held::open(&overload, one, 3).is_none());
        let another = Held::open(&overload, other, 3);
        assert!(another.is_some());
        held.pop();
        held.push(Held::open(&overload, one, 3).unwrap());
        assert!(Held::open(&overload, one, 3).is_none());
        // A lower limit holds for what comes, and cuts nothing that is there.
        assert!(Held::open(&overload, other, 1).is_none());
        assert_eq!(entries(&overload), 2);
        drop((held, another));
        assert_eq!(entries(&overload), 0);
    }

    #[test]
    fn hosts_of_one_ipv6_network_share_their_connections() {
        let overload = Arc::default();
        let _held = Held::open(&overload, source("2001:db8::1"), 1).unwrap();
        assert!(Held::open(&overload, source("2001:db8::2"), 1).is_none());
        assert!(Held::open(&overload, source("2001:db8:0:1::1"), 1).is_some());
    }

    #[test]
    fn threads_that_open_and_close_leave_nothing_behind() {
        let overload: Arc<Overload> = Arc::default();
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let overload = &overload;
                scope.spawn(move || {
                    for at in 0..2_000_u32 {
                        let held = Held::open(overload, Source::V4((at + thread) % 50), 100);
                        assert!(held.is_some());
                    }
                });
            }
        });
        assert_eq!(entries(&overload), 0);
    }
}
