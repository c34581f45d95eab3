//! Requests that take effect once, however often they are sent.

use std::time::Duration;

use weir_core::Id;

use super::changes::Changes;
use super::table::PlatformTable;
use super::value::Value;
use crate::error::{Error, Result};

const KEYS: PlatformTable = PlatformTable::new("idempotency_keys");
/// For how long a request is known again.
const LIFETIME: Duration = Duration::from_secs(86_400);

/// A request that is to take effect once. It is written down in the transaction of what it does, so
/// that both are there or neither is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Of the key that the client gave it, and of whose key it is.
    pub key_hash: [u8; 32],
    /// Of the request: the same key with another request is a mistake.
    pub fingerprint: [u8; 32],
    /// The same as it would have been made with each former key of the installation.
    pub former_fingerprints: Vec<[u8; 32]>,
}

impl Once {
    /// Whether a request that has taken effect, and was kept with this fingerprint, is this one.
    pub fn is_same(&self, kept: &[u8]) -> bool {
        let mut all = std::iter::once(&self.fingerprint).chain(&self.former_fingerprints);
        all.any(|fingerprint| fingerprint == kept)
    }

    /// Writes it down. Of two at once, the second waits for the first.
    ///
    /// # Errors
    /// [`Error::Taken`] if it has taken effect already.
    pub(super) async fn remember(&self, changes: &mut Changes, subject: Option<&Id>) -> Result<()> {
        let now = changes.now();
        let expires_at = now
            .checked_add(LIFETIME)
            .map_err(|error| Error::internal(error.to_string()))?;
        let rows = KEYS.rows();
        let former = [Value::from(&self.key_hash[..]), Value::from(now)];
        let condition = "key_hash = ? AND expires_at < ?";
        changes.remove(rows, condition, former).await?;
        let values = [
            ("key_hash", Value::from(&self.key_hash[..])),
            ("fingerprint", Value::from(&self.fingerprint[..])),
            ("subject_id", Value::from(subject)),
            ("expires_at", Value::from(expires_at)),
        ];
        changes.insert(rows, &Id::new("idk"), values).await
    }
}
