//! Which sessions were used: a request does not wait for a write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use weir_core::Id;
use weir_store::records::Value;

use crate::Identity;
use crate::error::Result;
use crate::tables::SESSIONS;

/// Sessions that were used since it was last written down.
#[derive(Default)]
pub(crate) struct Activity(Mutex<HashMap<Id, Timestamp>>);

impl Activity {
    /// What is known to be later stays.
    fn note(&self, session: &Id, time: Timestamp) {
        let mut seen = self.lock();
        let latest = seen.entry(session.clone()).or_insert(time);
        *latest = time.max(*latest);
    }

    pub(super) fn seen(&self, session: &Id) -> Option<Timestamp> {
        self.lock().get(session).copied()
    }

    fn take(&self) -> HashMap<Id, Timestamp> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Id, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    /// A session was used. Known here at once, and in the records after the next round of upkeep.
    pub fn note_session_used(&self, session: &Id, at: Timestamp) {
        self.shared.activity.note(session, at);
    }

    /// Writes down which sessions were used since the last time.
    pub async fn flush_activity(&self) -> Result<()> {
        let seen = self.shared.activity.take();
        if seen.is_empty() {
            return Ok(());
        }
        let written = self.write_activity(&seen).await;
        if written.is_err() {
            for (session, time) in seen {
                self.shared.activity.note(&session, time);
            }
        }
        written
    }

    async fn write_activity(&self, seen: &HashMap<Id, Timestamp>) -> Result<()> {
        let mut write = self.records.write_unaudited().await?;
        // In one order on every node, so that two that have seen the same do not block each other.
        let mut sorted: Vec<_> = seen.iter().collect();
        sorted.sort_unstable();
        for (session, time) in sorted {
            let values = [Value::from(session), Value::from(*time)];
            let set = [("last_seen_at", Value::from(*time))];
            write
                .update_where(SESSIONS.rows(), "id = ? AND last_seen_at < ?", values, set)
                .await?;
        }
        Ok(write.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_does_not_hide_what_was_seen_since() {
        let activity = Activity::default();
        let session = Id::new("ses");
        let at = |second| Timestamp::from_second(second).unwrap();
        activity.note(&session, at(1));
        let unwritten = activity.take();
        activity.note(&session, at(2));
        for (session, time) in unwritten {
            activity.note(&session, time);
        }
        assert_eq!(activity.seen(&session), Some(at(2)));
    }
}
