//! Requests that took effect once, and what they were answered.

use weir_core::Id;
use weir_store::records::{Changes, Once, Value};

use crate::Identity;
use crate::error::Result;
use crate::tables::IDEMPOTENCY_KEYS;

/// Answers that are forgotten in one go.
const BATCH: i64 = 500;

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
    /// A request that is to take effect once, by its key and by what it says. Its body may have a password in it: without
    /// the installation's key nobody who has the records can try which.
    pub fn once(&self, key_hash: [u8; 32], parts: &[&[u8]]) -> Once {
        Once {
            key_hash,
            fingerprint: self.shared.sealer.recognise("request", parts),
            former_fingerprints: self.shared.sealer.recognised("request", parts),
        }
    }

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
        // It may have been sealed with a key that is not known any more.
        let answer = sealed.and_then(|sealed| {
            self.shared
                .sealer
                .open(&purpose(&once.key_hash), &sealed)
                .ok()
        });
        Ok(Some(Remembered {
            is_same: once.is_same(&row.bytes("fingerprint")?),
            subject: row.optional_id("subject_id")?,
            answer: answer.map(|answer| answer.to_vec()),
        }))
    }

    /// Writes down what a request was answered, if it took effect. It is sealed: it may tell a secret.
    pub async fn keep_answer(&self, once: &Once, answer: &[u8]) -> Result<()> {
        let sealed = self.shared.sealer.seal(&purpose(&once.key_hash), answer)?;
        let mut write = self.records.write_unaudited().await?;
        let set = [("sealed_answer", Value::from(sealed))];
        let key = [&once.key_hash[..]];
        write
            .update_where(IDEMPOTENCY_KEYS.rows(), "key_hash = ?", key, set)
            .await?;
        Ok(write.commit().await?)
    }

    /// Forgets the answers that are there by now, ahead of an erasure: a million of them must not hold up
    /// everybody else's changes until one transaction is through. What is kept from now on knows nothing of the person.
    pub(crate) async fn forget_answers_ahead(&self) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let mut write = self.records.write_unaudited().await?;
            let batch = forget_answers(&mut write, BATCH).await?;
            write.commit().await?;
            forgotten += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(forgotten);
            }
        }
    }
}

/// Forgets as many answers as this. They may tell of somebody who is erased, and are sealed: all have to go. What
/// they told is read again where it is still there.
async fn forget_answers(changes: &mut Changes, most: i64) -> Result<u64> {
    let set = [("sealed_answer", Value::from(None::<&[u8]>))];
    let rows = IDEMPOTENCY_KEYS.rows();
    let kept = "sealed_answer IS NOT NULL";
    let nothing: [Value; 0] = [];
    let forgotten = changes.update_first(rows, most, kept, nothing, set);
    Ok(forgotten.await?)
}

/// So that one answer cannot be put in another's place.
pub(crate) fn purpose(key_hash: &[u8]) -> String {
    let hash: String = key_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("answer {hash}")
}
