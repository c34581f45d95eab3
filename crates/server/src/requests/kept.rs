//! Two rings of requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use weir_gateway::AccessRecord;

/// The latest requests, and the latest of those that are noted.
#[derive(Default)]
pub(super) struct Kept {
    recent: Ring,
    noted: Ring,
}

/// The latest ones, the earliest first.
#[derive(Default)]
struct Ring {
    most: usize,
    records: VecDeque<Arc<AccessRecord>>,
}

impl Kept {
    /// A smaller ring forgets its earliest at once.
    pub(super) fn resize(&mut self, recent: usize, noted: usize) {
        self.recent.resize(recent);
        self.noted.resize(noted);
    }

    /// Takes one up; one that is noted does not push out others.
    pub(super) fn add(&mut self, record: Arc<AccessRecord>) {
        if record.is_noted {
            self.noted.add(record);
        } else {
            self.recent.add(record);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<AccessRecord>> {
        let (recent, noted) = (&self.recent.records, &self.noted.records);
        recent.iter().chain(noted).map(Arc::clone).collect()
    }
}

/// When it was over.
pub(super) fn ended(record: &AccessRecord) -> SystemTime {
    record.time + record.duration
}

impl Ring {
    fn resize(&mut self, most: usize) {
        self.most = most;
        let over = self.records.len().saturating_sub(most);
        self.records.drain(..over);
        self.records.shrink_to(most);
    }

    fn add(&mut self, record: Arc<AccessRecord>) {
        if self.most == 0 {
            return;
        }
        // Workers tell of theirs each at its own time, so that one that ended earlier may come later.
        let mut place = self.records.len();
        while place > 0 && ended(&self.records[place - 1]) > ended(&record) {
            place -= 1;
        }
        self.records.insert(place, record);
        if self.records.len() > self.most {
            self.records.pop_front();
        }
    }
}
