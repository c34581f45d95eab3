//! Who tries too often: attempts are counted by account and by address, in the records, and each
//! failure behind the free ones doubles the time until the next attempt.
//!
//! An attempt counts as a failure before it is looked at, so that many at once are not more than one
//! after another; success takes it back.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use weir_core::Id;
use weir_store::Error as StoreError;
use weir_store::records::{Changes, Row, Unaudited, Value};

use crate::Identity;
use crate::error::{Error, Result};
use crate::tables::THROTTLES;

/// For how long a failure counts.
const MEMORY: Duration = Duration::from_secs(86_400);

/// What is counted, and how patiently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    subject: [u8; 32],
    /// Attempts without a delay.
    free: i64,
    /// The longest delay.
    most: Duration,
}

impl Counted {
    /// Attempts to sign in to one account, whether there is such an account or not.
    pub(crate) fn account(email: &str) -> Self {
        Self {
            subject: account(email),
            free: 5,
            // Long enough to make guessing hopeless, and no way to keep somebody out for a day.
            most: Duration::from_secs(900),
        }
    }

    /// Attempts from one address: of IPv6, one network of a subscriber (RFC 6177).
    pub(crate) fn address(address: Option<&str>) -> Option<Self> {
        let address = match address?.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        };
        Some(Self {
            subject: subject("address", &address),
            // Many people may share one.
            free: 50,
            most: Duration::from_secs(3_600),
        })
    }

    /// Mail sent to one address because somebody asked for it.
    pub(crate) fn mail(email: &str) -> Self {
        Self {
            subject: mail(email),
            free: 3,
            most: Duration::from_secs(3_600),
        }
    }

    /// Until when no further attempt is looked at; none while attempts are free. Of two at once, the
    /// one that waits for the other has the earlier time: it must not be taken for too early.
    fn blocked_until(&self, failures: i64, now: Timestamp) -> Result<Value> {
        match self.delay(failures) {
            Duration::ZERO => Ok(Value::from(0_i64)),
            delay => Ok(Value::from(later(now, delay)?)),
        }
    }

    /// How long to wait after so many failures.
    fn delay(&self, failures: i64) -> Duration {
        match (failures - self.free).clamp(0, 30) {
            0 => Duration::ZERO,
            beyond => Duration::from_secs(1 << (beyond - 1)).min(self.most),
        }
    }
}

/// By what attempts on one account are counted.
pub(crate) fn account(email: &str) -> [u8; 32] {
    subject("account", email.as_bytes())
}

/// By what mail to one address is counted.
pub(crate) fn mail(email: &str) -> [u8; 32] {
    subject("mail", email.as_bytes())
}

fn subject(kind: &str, of: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update("weir.throttle.")
        .chain_update(kind)
        .chain_update([0])
        .chain_update(of)
        .finalize()
        .into()
}

impl Identity {
    /// Counts an attempt, unless it is too early for one.
    ///
    /// # Errors
    /// [`Error::Throttled`]; then nothing was counted.
    pub(crate) async fn attempt(&self, counted: &[Counted]) -> Result<()> {
        loop {
            let mut write = self.records.write_unaudited().await?;
            match count_all(&mut write, counted).await {
                Ok(()) => return Ok(write.commit().await?),
                // Somebody else's first attempt was faster: now the row is there.
                Err(Error::Internal(error)) if is_taken(&*error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes back what was counted of an attempt that nobody could look at.
    pub(crate) async fn forget_attempt(&self, counted: &[Counted]) -> Result<()> {
        let mut write = self.records.write_unaudited().await?;
        for one in counted {
            take_back(&mut write, one).await?;
        }
        Ok(write.commit().await?)
    }
}

fn is_taken(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Taken(_)))
}

async fn count_all(write: &mut Unaudited, counted: &[Counted]) -> Result<()> {
    for one in counted {
        count(write, one).await?;
    }
    Ok(())
}

async fn count(changes: &mut Changes, counted: &Counted) -> Result<()> {
    let now = changes.now();
    let rows = THROTTLES.rows();
    let forgotten_at = later(now, MEMORY)?;
    let Some(row) = held(changes, counted).await? else {
        let values = [
            ("subject", Value::from(&counted.subject[..])),
            ("failures", Value::from(1_i64)),
            ("blocked_until", counted.blocked_until(1, now)?),
            ("forgotten_at", Value::from(forgotten_at)),
        ];
        return Ok(changes.insert(rows, &Id::new("thr"), values).await?);
    };
    let blocked_until = row.time("blocked_until")?;
    if blocked_until > now {
        let retry_after = blocked_until.duration_since(now).unsigned_abs();
        return Err(Error::Throttled { retry_after });
    }
    let failures = match row.time("forgotten_at")? < now {
        true => 1,
        false => row.int("failures")? + 1,
    };
    let values = [
        ("failures", Value::from(failures)),
        ("blocked_until", counted.blocked_until(failures, now)?),
        ("forgotten_at", Value::from(forgotten_at)),
    ];
    changes.update(rows, &row.id("id")?, None, values).await?;
    Ok(())
}

/// The row of what is counted. Whoever changes it first has it: it is changed here, if only in its
/// version, so that what is read stays so until the end.
async fn held(changes: &mut Changes, counted: &Counted) -> Result<Option<Row>> {
    let rows = THROTTLES.rows();
    let subject = [&counted.subject[..]];
    let touch: [(&str, Value); 0] = [];
    let touched = changes
        .update_where(rows, "subject = ?", subject, touch)
        .await?;
    if touched == 0 {
        return Ok(None);
    }
    let select = rows.select().filter("subject = ?", subject);
    Ok(changes.first(select).await?)
}

/// Success: the account begins anew, and its address did nothing wrong this time.
pub(crate) async fn forgive(
    changes: &mut Changes,
    email: &str,
    address: Option<&str>,
) -> Result<()> {
    let rows = THROTTLES.rows();
    let subject = account(email);
    changes.remove(rows, "subject = ?", [&subject[..]]).await?;
    match Counted::address(address) {
        Some(counted) => take_back(changes, &counted).await,
        None => Ok(()),
    }
}

/// One attempt was no failure.
pub(crate) async fn take_back(changes: &mut Changes, counted: &Counted) -> Result<()> {
    let rows = THROTTLES.rows();
    if let Some(row) = held(changes, counted).await? {
        let values = [
            ("failures", Value::from((row.int("failures")? - 1).max(0))),
            ("blocked_until", Value::from(0_i64)),
        ];
        changes.update(rows, &row.id("id")?, None, values).await?;
    }
    Ok(())
}

pub(crate) fn later(now: Timestamp, by: Duration) -> Result<Timestamp> {
    now.checked_add(by).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_their_bound() {
        let account = Counted::account("a@b");
        let seconds: Vec<_> = (1..=18).map(|n| account.delay(n).as_secs()).collect();
        assert_eq!(
            seconds,
            [
                0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900
            ]
        );
        assert_eq!(account.delay(i64::MAX).as_secs(), 900);
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let subject = |text| Counted::address(Some(text)).map(|counted| counted.subject);
        assert_eq!(subject("2001:db8::1"), subject("2001:db8::ffff:2"));
        assert_ne!(subject("2001:db8::1"), subject("2001:db8:0:1::1"));
        assert_eq!(subject("192.0.2.1"), subject("::ffff:192.0.2.1"));
        assert_ne!(subject("192.0.2.1"), subject("192.0.2.2"));
        assert_eq!(subject("not an address"), None);
        assert_ne!(account("a@b"), mail("a@b"));
    }
}
