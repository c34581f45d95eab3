//! The latest requests, kept in memory: what `weir requests` shows.
//!
//! The log's thread brings them here, whether the log's output takes their lines or not; nothing of this is
//! on a request's path. Those in the access log and those that are noted (they failed, were refused or took long) have
//! a ring each, so that the few that matter outlast the many that do not.

mod filter;
mod kept;

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use weir_config::model::KeptRequests;
use weir_core::RequestId;
use weir_gateway::AccessRecord;

pub(crate) use filter::{Filter, FilterError};
use kept::{Kept, ended};

use crate::redact::Redactor;

/// Requests that may wait for one who looks on.
const WAITING: usize = 4 * 1024;

/// The latest requests, and those who look on as more end.
#[derive(Default)]
pub(crate) struct Journal {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Kept,
    redactor: Arc<Redactor>,
    onlookers: Vec<Onlooker>,
}

/// The first digits of an id: enough of them to tell requests apart, and a person has to copy less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdStart {
    value: u128,
    digits: usize,
}

impl IdStart {
    /// Fewest digits.
    pub(crate) const LEAST: usize = 8;

    /// `None` for what is not 8 to 32 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_id = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_long_enough = (Self::LEAST..=RequestId::TEXT_LENGTH).contains(&text.len());
        let value = u128::from_str_radix(text, 16).ok()?;
        (is_id && is_long_enough).then_some(Self {
            value,
            digits: text.len(),
        })
    }

    fn begins(self, id: u128) -> bool {
        id >> (4 * (RequestId::TEXT_LENGTH - self.digits)) == self.value
    }
}

struct Onlooker {
    filter: Filter,
    seen: Sender<Seen>,
    /// Requests that found the queue full, since one was told last.
    missed: u64,
}

/// What an onlooker is told.
pub(crate) enum Seen {
    /// A request has ended.
    Ended(Arc<AccessRecord>),
    /// So many ended while the onlooker was too slow to hear of them.
    Missed(u64),
}

impl Journal {
    /// How much is kept from now on, and what nobody may be shown of it.
    pub(crate) fn configure(&self, settings: &KeptRequests, redactor: Arc<Redactor>) {
        let mut state = self.state();
        state.kept.resize(settings.recent, settings.noted);
        state.redactor = redactor;
    }

    /// What nobody may be shown of a request.
    pub(crate) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.state().redactor)
    }

    /// Takes up requests that have ended.
    pub(crate) fn add(&self, records: impl IntoIterator<Item = impl Into<Arc<AccessRecord>>>) {
        // Each worker tells of its own one after the other. Put in order together, each finds its place
        // among those that are kept at once.
        let mut records: Vec<Arc<AccessRecord>> = records.into_iter().map(Into::into).collect();
        records.sort_by_key(|record| ended(record));
        let mut state = self.state();
        let State {
            kept, onlookers, ..
        } = &mut *state;
        for record in records {
            for onlooker in onlookers.iter_mut() {
                onlooker.tell(&record);
            }
            kept.add(record);
        }
        onlookers.retain(|onlooker| !onlooker.seen.is_closed());
    }

    /// The latest requests that pass the filter, the latest first.
    pub(crate) fn latest(&self, filter: &Filter, most: usize) -> Vec<Arc<AccessRecord>> {
        let records = self.state().kept.all();
        // The lock is not held for this: the log's thread waits for it.
        let mut records: Vec<_> = records
            .into_iter()
            .filter(|record| filter.takes(record))
            .collect();
        records.sort_by_key(|record| Reverse(ended(record)));
        records.truncate(most);
        records
    }

    /// Requests whose id, or whose trace's, is this or begins like this; the earliest first.
    pub(crate) fn find(&self, id: IdStart) -> Vec<Arc<AccessRecord>> {
        let records = self.state().kept.all();
        let mut found: Vec<_> = records
            .into_iter()
            .filter(|record| {
                id.begins(record.request_id.number())
                    || record.trace.is_some_and(|ids| id.begins(ids.trace_id))
            })
            .collect();
        found.sort_by_key(|record| record.time);
        found
    }

    /// Tells of each request that ends from now on and passes the filter; `None` if as many look on as
    /// may.
    pub(crate) fn look_on(&self, filter: Filter, most: usize) -> Option<Receiver<Seen>> {
        let mut state = self.state();
        state
            .onlookers
            .retain(|onlooker| !onlooker.seen.is_closed());
        if state.onlookers.len() >= most {
            return None;
        }
        let (seen, told) = channel(WAITING);
        state.onlookers.push(Onlooker {
            filter,
            seen,
            missed: 0,
        });
        Some(told)
    }

    /// How many look on now.
    pub(crate) fn onlookers(&self) -> usize {
        let state = self.state();
        let onlookers = state.onlookers.iter();
        onlookers
            .filter(|onlooker| !onlooker.seen.is_closed())
            .count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic leaves is a list with some entries more or less.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Onlooker {
    fn tell(&mut self, record: &Arc<AccessRecord>) {
        if !self.filter.takes(record) {
            return;
        }
        if self.missed > 0 && self.seen.try_send(Seen::Missed(self.missed)).is_ok() {
            self.missed = 0;
        }
        if self.missed > 0 || self.seen.try_send(Seen::Ended(Arc::clone(record))).is_err() {
            self.missed += 1;
        }
    }
}

#[cfg(test)]
mod tests;
