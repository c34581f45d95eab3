//! Requests that took effect once, and what they were answered.

use weir_core::Id;
use weir_store::records::{Changes, Once, Value};

use crate::Identity;
use crate::error::Result;
use crate::tables::IDEMPOTENCY_KEYS;

/// A request that has taken effect.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Whether it is the same request, or another one with its key.
    pub is_same: bool,
    /// What it was about, or made.
    pub subject: Option<Id>,
    /// What it was answered; none if the process ended before that was written down.
    pub answer: Option<Vec<u8>>,
}

impl Identity {
    /// What is known of a request with this key.
    pub async fn remembered(&self, once: &Once) -> Result<Option<Remembered>> {
        let now = jiff::Timestamp::now();
        let select = IDEMPOTENCY_KEYS.rows().select().filter(
            "key_hash = ? AND expires_at >= ?",
            [Value::from(&once.key_hash[..]), Value::from(now)],
        );
        let Some(row) = self.records.first(select).await? else {
            return Ok(None);
        };
        let sealed = row.optional_bytes("sealed_answer")?;
        // It may have been sealed with a former key.
        let answer =
            sealed.and_then(|sealed| self.shared.sealer.open(&purpose(once), &sealed).ok());
        Ok(Some(Remembered {
            is_same: row.bytes("fingerprint")? == once.fingerprint,
            subject: row.optional_id("subject_id")?,
            answer: answer.map(|answer| answer.to_vec()),
        }))
    }

    /// Writes down what a request was answered, if it took effect. It is sealed: it may tell a secret.
    pub async fn keep_answer(&self, once: &Once, answer: &[u8]) -> Result<()> {
        let sealed = self.shared.sealer.seal(&purpose(once), answer)?;
        let mut write = self.records.write_unaudited().await?;
        let set = [("sealed_answer", Value::from(sealed))];
        let key = [&once.key_hash[..]];
        write
            .update_where(IDEMPOTENCY_KEYS.rows(), "key_hash = ?", key, set)
            .await?;
        Ok(write.commit().await?)
    }
}

/// Answers may tell of somebody who is erased: what they told is read again where it is still there.
pub(crate) async fn forget_answers(changes: &mut Changes) -> Result<u64> {
    let set = [("sealed_answer", Value::from(None::<&[u8]>))];
    let rows = IDEMPOTENCY_KEYS.rows();
    let condition = "sealed_answer IS NOT NULL";
    Ok(changes
        .update_where::<Value>(rows, condition, [], set)
        .await?)
}

/// So that one answer cannot be put in another's place.
fn purpose(once: &Once) -> String {
    let hash: String = once
        .key_hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("answer {hash}")
}
