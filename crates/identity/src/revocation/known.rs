//! What this node knows of revocations: read once, and from then on only those that are new.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use weir_core::Id;
use weir_store::records::Value;

use super::{Revocation, Revocations};
use crate::Identity;
use crate::error::Result;
use crate::tables::REVOCATIONS;

/// How many are read at once.
const MOST: i64 = 1_000;
/// After this all are read again: what is over is forgotten, and what older records do not have.
const ANEW: Duration = Duration::from_secs(600);

/// What this node knows.
#[derive(Default)]
pub(crate) struct Revoked {
    known: RwLock<Arc<Revocations>>,
    /// How far records were read; whoever reads on holds it.
    read: Mutex<Option<Read>>,
}

/// How far records were read.
#[derive(Clone, Copy)]
struct Read {
    /// The change up to which every revocation is known: each is committed with one.
    sequence: i64,
    /// When all were read.
    all_at: Timestamp,
}

/// Where new revocations are.
enum News {
    None,
    /// All were made at this time or later, by the clock of whoever made them.
    Since(Timestamp),
}

impl Revoked {
    fn get(&self) -> Arc<Revocations> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, revocations: Revocations) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(revocations);
    }
}

impl Identity {
    /// What is to be refused, from memory: as the records had it a second ago at most, or when they could last be asked.
    pub fn revocations(&self) -> Arc<Revocations> {
        self.shared.revoked.get()
    }

    /// What was refused when this process, or the one before it, last knew: for a start without records.
    pub fn recall_revocations(&self, kept: Vec<Revocation>) {
        let known = self.shared.revoked.get();
        let all = known.all.iter().cloned().chain(kept).collect();
        let now = Timestamp::now();
        self.shared.revoked.set(Revocations::of(all, now));
        self.shared.verification.send_replace(());
    }

    /// Reads what else is to be refused, and tells whether that is something else than before.
    pub(crate) async fn refresh_revocations(&self) -> Result<bool> {
        let revoked = &self.shared.revoked;
        let mut read = revoked.read.lock().await;
        let now = Timestamp::now();
        let is_recent = |read: &Read| now.duration_since(read.all_at).unsigned_abs() < ANEW;
        let latest = self.latest_change().await?;
        // Fewer changes than were seen: older records were restored.
        let known = read.filter(|read| is_recent(read) && read.sequence <= latest);
        let Some(before) = known else {
            let all = self.revocations_from(None).await?;
            *read = Some(Read {
                sequence: latest,
                all_at: now,
            });
            return Ok(self.know(Revocations::of(all, now)));
        };
        let (sequence, news) = self.news(before.sequence).await?;
        let is_changed = match news {
            News::None => false,
            News::Since(time) => {
                let new = self.revocations_from(Some(time)).await?;
                let all = revoked.get().all.iter().cloned().chain(new).collect();
                self.know(Revocations::of(all, now))
            }
        };
        *read = Some(Read { sequence, ..before });
        Ok(is_changed)
    }

    fn know(&self, fresh: Revocations) -> bool {
        let is_changed = self.shared.revoked.get().all != fresh.all;
        if is_changed {
            self.shared.revoked.set(fresh);
            self.shared.verification.send_replace(());
        }
        is_changed
    }

    /// What was committed behind a change, and the number of the last one.
    async fn news(&self, mut sequence: i64) -> Result<(i64, News)> {
        let mut news = News::None;
        loop {
            let changes = self.changes_since(sequence).await?;
            let Some(last) = changes.last() else {
                return Ok((sequence, news));
            };
            sequence = last.sequence;
            let earliest = changes.iter().map(|change| change.at).min();
            let earliest = earliest.unwrap_or(last.at);
            news = match news {
                News::None => News::Since(earliest),
                News::Since(time) => News::Since(time.min(earliest)),
            };
        }
    }

    /// Those that were made at this time or later, or all.
    async fn revocations_from(&self, time: Option<Timestamp>) -> Result<Vec<Revocation>> {
        let mut all = Vec::new();
        let mut after: Option<(Timestamp, Id)> = None;
        loop {
            let mut select = REVOCATIONS.rows().select().order(["created_at", "id"]);
            if let Some(time) = time {
                select = select.filter("created_at >= ?", [time]);
            }
            if let Some((time, id)) = &after {
                select = select.after([Value::from(*time), Value::from(id)]);
            }
            let rows = self.records.all(select.limit(MOST)).await?;
            for row in &rows {
                all.extend(Revocation::of(row)?);
            }
            match rows.last().filter(|_| rows.len() as i64 == MOST) {
                Some(last) => after = Some((last.time("created_at")?, last.id("id")?)),
                None => return Ok(all),
            }
        }
    }
}
