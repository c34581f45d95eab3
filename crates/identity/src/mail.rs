//! Mail: first into the outbox, in the transaction of what it is about; then to the server, as often as
//! it takes. A server that is down loses nothing.

mod message;
mod transport;

pub(crate) use message::Letter;
pub use transport::{MailOptions, MailTls};

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_core::Id;
use weir_store::records::{Changes, Row, Value};

use crate::Identity;
use crate::error::{Error, Result};
use crate::membership::count;
use crate::tables::MAIL_OUTBOX;
use crate::throttle::later;

/// How many letters may wait.
const MOST: i64 = 10_000;
/// How many are taken in hand at once.
const BATCH: i64 = 20;
/// For how long one belongs to the node that has it in hand; longer than a server may take.
const LEASE: Duration = Duration::from_secs(300);
const FIRST_DELAY: Duration = Duration::from_secs(30);
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);
/// After so long, what a letter says has run out.
const PATIENCE: Duration = Duration::from_secs(3 * 86_400);
const MOST_ERROR: usize = 500;

/// What a round of delivery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Letters that the server took.
    pub sent: u64,
    /// Letters that will be tried again.
    pub deferred: u64,
    /// Letters that were given up after three days.
    pub dropped: u64,
}

/// A letter as it is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    subject: String,
    text: String,
}

impl Identity {
    /// Whether mail can leave.
    pub fn sends_mail(&self) -> bool {
        self.shared.options.mail.is_some()
    }

    /// Puts a letter into the outbox.
    pub(crate) async fn post(
        &self,
        changes: &mut Changes,
        recipient: &str,
        letter: &Letter<'_>,
    ) -> Result<()> {
        let rows = MAIL_OUTBOX.rows();
        if count(changes, rows.select().count()).await? >= MOST {
            return Err(Error::Busy("mail"));
        }
        let id = Id::new("eml");
        let sealed = Sealed {
            subject: letter.subject().to_owned(),
            text: letter.text(),
        };
        let text = zeroize::Zeroizing::new(serde_json::to_vec(&sealed).map_err(Error::internal)?);
        let values = [
            ("recipient", Value::from(recipient)),
            (
                "sealed_message",
                Value::from(self.shared.sealer.seal(&purpose(&id), &text)?),
            ),
            ("attempts", Value::from(0_i64)),
            ("next_attempt_at", Value::from(changes.now())),
        ];
        Ok(changes.insert(rows, &id, values).await?)
    }

    /// Tries to hand over the letters whose turn it is. Several nodes may do so at once.
    pub async fn deliver_mail(&self) -> Result<Delivered> {
        let Some(options) = &self.shared.options.mail else {
            return Ok(Delivered::default());
        };
        let due = MAIL_OUTBOX
            .rows()
            .select()
            .filter("next_attempt_at <= ?", [Timestamp::now()])
            .order(["next_attempt_at", "id"])
            .limit(BATCH);
        let mut delivered = Delivered::default();
        let rows = self.records.all(due).await?;
        if rows.is_empty() {
            return Ok(delivered);
        }
        let transport = options.transport()?;
        for row in rows {
            let id = row.id("id")?;
            if !self.claim(&row, &id).await? {
                continue;
            }
            match self.send(options, &transport, &row, &id).await {
                Ok(()) => {
                    self.forget_letter(&id).await?;
                    delivered.sent += 1;
                }
                Err(error) if is_hopeless(&row)? => {
                    let error = error.in_full();
                    tracing::error!(letter = %id, error, "mail given up after three days");
                    self.forget_letter(&id).await?;
                    delivered.dropped += 1;
                }
                Err(error) => {
                    let why = error.in_full();
                    tracing::warn!(letter = %id, error = why, "mail deferred");
                    self.defer(&row, &id, &error).await?;
                    delivered.deferred += 1;
                }
            }
        }
        Ok(delivered)
    }

    /// Takes a letter in hand, unless another node was faster.
    async fn claim(&self, row: &Row, id: &Id) -> Result<bool> {
        let mut write = self.records.write_unaudited().await?;
        let until = later(write.now(), LEASE)?;
        let values = [Value::from(id), Value::from(row.int("version")?)];
        let set = [("next_attempt_at", Value::from(until))];
        let claimed = write
            .update_where(MAIL_OUTBOX.rows(), "id = ? AND version = ?", values, set)
            .await?;
        write.commit().await?;
        Ok(claimed == 1)
    }

    async fn send(
        &self,
        options: &MailOptions,
        transport: &transport::Transport,
        row: &Row,
        id: &Id,
    ) -> Result<()> {
        let sealed = row.bytes("sealed_message")?;
        let text = self.shared.sealer.open(&purpose(id), &sealed)?;
        let letter: Sealed = serde_json::from_slice(&text).map_err(Error::internal)?;
        let recipient = row.text("recipient")?;
        let message = options.message(id, &recipient, letter.subject, letter.text)?;
        transport::send(transport, message).await
    }

    async fn forget_letter(&self, id: &Id) -> Result<()> {
        let mut write = self.records.write_unaudited().await?;
        write.remove(MAIL_OUTBOX.rows(), "id = ?", [id]).await?;
        Ok(write.commit().await?)
    }

    async fn defer(&self, row: &Row, id: &Id, error: &Error) -> Result<()> {
        let attempts = row.int("attempts")? + 1;
        let mut write = self.records.write_unaudited().await?;
        let said: String = error.in_full().chars().take(MOST_ERROR).collect();
        let set = [
            ("attempts", Value::from(attempts)),
            (
                "next_attempt_at",
                Value::from(later(write.now(), delay(attempts))?),
            ),
            ("last_error", Value::from(said)),
        ];
        write
            .update_where(MAIL_OUTBOX.rows(), "id = ?", [id], set)
            .await?;
        Ok(write.commit().await?)
    }
}

pub(crate) fn purpose(id: &Id) -> String {
    format!("mail {id}")
}

fn delay(attempts: i64) -> Duration {
    let doublings = (attempts - 1).clamp(0, 16);
    (FIRST_DELAY * (1 << doublings)).min(LONGEST_DELAY)
}

fn is_hopeless(row: &Row) -> Result<bool> {
    let age = Timestamp::now().duration_since(row.time("created_at")?);
    Ok(age.unsigned_abs() > PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_down_is_asked_less_and_less_often() {
        let seconds: Vec<_> = (1..=9).map(|attempts| delay(attempts).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!(delay(i64::MAX).as_secs(), 3_600);
    }
}
