//! When keys were last used: written down in batches, so that no request waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use weir_core::{Id, TenantId};
use weir_store::records::Value;

use crate::Identity;
use crate::error::Result;
use crate::tables::API_KEYS;

/// Keys that are written down together: others wait for no more.
const BATCH: usize = 500;

/// Keys of which is known that they were used, until it is written down: a few MiB. A key for which there is no room is
/// noted when it is used again.
const MOST: usize = 50_000;

/// Keys that were used since it was last written down.
#[derive(Default)]
pub(crate) struct KeyActivity(Mutex<HashMap<Id, Use>>);

#[derive(Clone)]
struct Use {
    tenant: TenantId,
    at: Timestamp,
    address: Option<String>,
}

impl KeyActivity {
    /// What is known to be later stays.
    fn note(&self, key: &Id, used: Use) {
        let mut keys = self.lock();
        let has_room = keys.len() < MOST;
        match keys.get_mut(key) {
            Some(latest) if latest.at > used.at => {}
            Some(latest) => *latest = used,
            None if has_room => drop(keys.insert(key.clone(), used)),
            None => {}
        }
    }

    fn take(&self) -> Vec<(Id, Use)> {
        std::mem::take(&mut *self.lock()).into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    /// Remembers that a key was used; it is written down some seconds later.
    pub fn note_key_used(&self, tenant: &TenantId, key: &Id, address: Option<&str>, at: Timestamp) {
        let used = Use {
            tenant: tenant.clone(),
            at,
            address: address.map(str::to_owned),
        };
        self.shared.key_activity.note(key, used);
    }

    /// Writes down which keys were used since the last time.
    pub async fn flush_key_activity(&self) -> Result<()> {
        let mut used = self.shared.key_activity.take();
        // In one order on every node, so that two that have seen the same do not block each other.
        used.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut left = used.chunks(BATCH);
        while let Some(batch) = left.next() {
            if let Err(error) = self.write_uses(batch).await {
                for (key, used) in batch.iter().chain(left.flatten()) {
                    self.shared.key_activity.note(key, used.clone());
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn write_uses(&self, batch: &[(Id, Use)]) -> Result<()> {
        let mut write = self.records.write_unaudited().await?;
        for (key, used) in batch {
            let rows = API_KEYS.of(&used.tenant);
            let condition = "id = ? AND (last_used_at IS NULL OR last_used_at < ?)";
            let values = [Value::from(key), Value::from(used.at)];
            let set = [
                ("last_used_at", Value::from(used.at)),
                ("last_used_address", Value::from(used.address.as_ref())),
            ];
            write.note_where(rows, condition, values, set).await?;
        }
        Ok(write.commit().await?)
    }
}
