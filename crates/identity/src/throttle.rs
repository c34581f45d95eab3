//! Who tries too often: attempts are counted in the records, and each failure behind the free ones
//! doubles the time until the next attempt.
//!
//! What is counted is an account together with the network that tries, so that nobody's guessing keeps
//! others out; the account as a whole, for guesses from many networks, which holds not where its owner has signed
//! in [lately](crate::familiar); and the network, for guesses at many accounts.
//!
//! Where the owner signs in is nobody's to find out. So everybody is counted alike, and whoever is wrong is answered alike,
//! after the same work: only the right password shows a difference.
//!
//! An attempt counts as a failure before it is looked at, so that many at once are not more than one
//! after another; success takes it back.

mod risk;

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use weir_core::Id;
use weir_store::Error as StoreError;
use weir_store::records::{Changes, Row, Unaudited, Value};

use crate::Identity;
use crate::error::{Error, Result};
use crate::membership::count as count_rows;
use crate::tables::THROTTLES;

/// For how long a failure counts.
const MEMORY: Duration = Duration::from_secs(86_400);
/// How many counts are looked at together.
const BATCH: i64 = 10_000;

/// From where something is tried: an address, of IPv6 the network of a subscriber (RFC 6177).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network(Vec<u8>);

impl Network {
    pub(crate) fn of(address: Option<&str>) -> Option<Self> {
        Some(Self(
            match address?.parse::<IpAddr>().ok()?.to_canonical() {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets()[..8].to_vec(),
            },
        ))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An attempt to show who one is.
#[derive(Clone, Debug)]
pub(crate) struct Guess {
    email: String,
    network: Option<Network>,
    is_familiar: bool,
    /// For how long the account as a whole has to wait; then this was not counted of it.
    waits: Option<Duration>,
}

impl Guess {
    /// What was counted of it, in the order in which everybody takes it up.
    pub(crate) fn counted(&self) -> Vec<Counted> {
        let mut counted = vec![Counted::place(&self.email, self.network.as_ref())];
        if self.waits.is_none() {
            counted.push(Counted::account(&self.email));
        }
        counted.extend(self.network());
        counted
    }

    /// Whether the right answer is let in: while others guess, only from where the owner has signed in.
    pub(crate) const fn is_let_in(&self) -> bool {
        self.is_familiar || self.waits.is_none()
    }

    /// What whoever is not let in hears: while the account waits, the same wherever they are.
    pub(crate) fn refusal(&self, usual: Error) -> Error {
        match self.waits {
            Some(retry_after) => Error::Throttled { retry_after },
            None => usual,
        }
    }

    /// Goes on if the right answer is let in.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn admit(self) -> Result<Self> {
        match self.waits {
            Some(retry_after) if !self.is_familiar => Err(Error::Throttled { retry_after }),
            _ => Ok(self),
        }
    }

    /// What the network is counted by.
    pub(crate) fn network(&self) -> Option<Counted> {
        self.network.as_ref().map(Counted::network)
    }
}

/// What is counted, and how patiently.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    subject: [u8; 32],
    /// The account that it is about, if it is about one among other things.
    account: Option<[u8; 32]>,
    /// Attempts without a delay.
    free: i64,
    /// The longest delay.
    most: Duration,
}

impl Counted {
    /// Attempts on one account from one network, whether there is such an account or not.
    fn place(email: &str, network: Option<&Network>) -> Self {
        let network = network.map(Network::bytes).unwrap_or_default();
        let of = [email.as_bytes(), &[0], network].concat();
        Self {
            subject: subject("place", &of),
            account: Some(account(email)),
            free: 5,
            // Long enough to make guessing hopeless, and no way to keep somebody out for a day.
            most: Duration::from_secs(900),
        }
    }

    /// Attempts on one account from all networks together.
    fn account(email: &str) -> Self {
        Self {
            subject: account(email),
            account: None,
            free: 20,
            most: Duration::from_secs(900),
        }
    }

    /// Attempts from one network.
    fn network(network: &Network) -> Self {
        Self {
            subject: subject("address", network.bytes()),
            account: None,
            // Many people may share one.
            free: 50,
            most: Duration::from_secs(3_600),
        }
    }

    /// Letters that were asked for from one network, by whoever: it is not a guess, and keeps nobody from signing in.
    pub(crate) fn letters(address: Option<&str>) -> Option<Self> {
        let network = Network::of(address)?;
        Some(Self {
            subject: subject("letters", network.bytes()),
            account: None,
            // Many people may share one.
            free: 20,
            most: Duration::from_secs(3_600),
        })
    }

    /// Reports of keys that are nobody's, from one network: it is not a guess at anybody's account.
    pub(crate) fn reports(address: Option<&str>) -> Option<Self> {
        let network = Network::of(address)?;
        Some(Self {
            subject: subject("reports", network.bytes()),
            account: None,
            // Scanners find much that only looks like a key.
            free: 100,
            most: Duration::from_secs(60),
        })
    }

    /// Wishes of one person for another address.
    pub(crate) fn wish(user: &Id) -> Self {
        Self {
            subject: subject("wish", user.as_str().as_bytes()),
            account: None,
            free: 5,
            most: Duration::from_secs(3_600),
        }
    }

    /// Mail sent to one address because somebody asked for it.
    pub(crate) fn mail(email: &str) -> Self {
        Self {
            subject: mail(email),
            account: None,
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
fn account(email: &str) -> [u8; 32] {
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
    /// An attempt on the account of an address, from somewhere, counted, unless it is too early for one from there.
    ///
    /// # Errors
    /// [`Error::Throttled`]; then nothing was counted.
    pub(crate) async fn guess(&self, email: &str, address: Option<&str>) -> Result<Guess> {
        let network = Network::of(address);
        let is_familiar = match &network {
            Some(network) => self.is_familiar(email, network).await?,
            None => false,
        };
        let mut guess = Guess {
            email: email.to_owned(),
            network,
            is_familiar,
            waits: None,
        };
        loop {
            let mut write = self.records.write_unaudited().await?;
            match count_guess(&mut write, &guess).await {
                Ok(waits) => {
                    write.commit().await?;
                    guess.waits = waits;
                    return Ok(guess);
                }
                Err(Error::Internal(error)) if is_taken(&*error) => {}
                Err(error) => return Err(error),
            }
        }
    }

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

/// Counts an attempt on an account; tells for how long the account as a whole has to wait.
async fn count_guess(write: &mut Unaudited, guess: &Guess) -> Result<Option<Duration>> {
    count(write, &Counted::place(&guess.email, guess.network.as_ref())).await?;
    let waits = match count(write, &Counted::account(&guess.email)).await {
        Ok(()) => None,
        Err(Error::Throttled { retry_after }) => Some(retry_after),
        Err(error) => return Err(error),
    };
    if let Some(network) = guess.network() {
        count(write, &network).await?;
    }
    Ok(waits)
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
            (
                "account",
                Value::from(counted.account.as_ref().map(|one| &one[..])),
            ),
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

/// Success: what failed there before was its owner, and is not held against the account.
pub(crate) async fn forgive(changes: &mut Changes, guess: &Guess) -> Result<()> {
    let place = Counted::place(&guess.email, guess.network.as_ref());
    let failures = match held(changes, &place).await? {
        Some(row) => row.int("failures")?,
        None => 0,
    };
    let subject = [&place.subject[..]];
    changes
        .remove(THROTTLES.rows(), "subject = ?", subject)
        .await?;
    // Who signs in while others guess does not help them.
    if guess.waits.is_none() {
        lessen(changes, &Counted::account(&guess.email), failures).await?;
    }
    match guess.network() {
        Some(network) => take_back(changes, &network).await,
        None => Ok(()),
    }
}

/// Forgets all attempts on an account, from wherever they were, and tells how many counts they were.
pub(crate) async fn forget_account(changes: &mut Changes, email: &str) -> Result<u64> {
    let rows = THROTTLES.rows();
    let subject = account(email);
    // The account as a whole comes last, as in every attempt: so nobody waits for each other.
    let mut gone = 0;
    for condition in ["account = ?", "subject = ?"] {
        gone += changes.remove(rows, condition, [&subject[..]]).await?;
    }
    Ok(gone)
}

/// One attempt was no failure.
pub(crate) async fn take_back(changes: &mut Changes, counted: &Counted) -> Result<()> {
    lessen(changes, counted, 1).await
}

async fn lessen(changes: &mut Changes, counted: &Counted, by: i64) -> Result<()> {
    let rows = THROTTLES.rows();
    if let Some(row) = held(changes, counted).await? {
        let values = [
            ("failures", Value::from((row.int("failures")? - by).max(0))),
            ("blocked_until", Value::from(0_i64)),
        ];
        changes.update(rows, &row.id("id")?, None, values).await?;
    }
    Ok(())
}

/// Removes what is forgotten and, if there are more than `most`, those that would be forgotten next.
pub(crate) async fn sweep(changes: &mut Changes, most: i64) -> Result<u64> {
    let rows = THROTTLES.rows();
    let now = changes.now();
    let mut gone = changes.remove_idle(rows, "forgotten_at < ?", [now]).await?;
    let mut beyond = count_rows(changes, rows.select().count()).await? - most;
    while beyond > 0 {
        let oldest = rows.select().columns("forgotten_at");
        let oldest = oldest.order(["forgotten_at", "id"]);
        let oldest = changes.all(oldest.limit(beyond.min(BATCH))).await?;
        let Some(last) = oldest.last() else { break };
        let until = last.int("forgotten_at")?;
        let removed = changes
            .remove_idle(rows, "forgotten_at <= ?", [until])
            .await?;
        if removed == 0 {
            break;
        }
        beyond -= i64::try_from(removed).unwrap_or(i64::MAX);
        gone += removed;
    }
    Ok(gone)
}

pub(crate) fn later(now: Timestamp, by: Duration) -> Result<Timestamp> {
    now.checked_add(by).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_their_bound() {
        let place = Counted::place("a@b", None);
        let seconds: Vec<_> = (1..=18).map(|n| place.delay(n).as_secs()).collect();
        assert_eq!(
            seconds,
            [
                0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900
            ]
        );
        assert_eq!(place.delay(i64::MAX).as_secs(), 900);
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let network = |text| Network::of(Some(text));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("not an address"), None);
    }

    #[test]
    fn what_is_counted_is_not_taken_for_something_else() {
        let network = Network::of(Some("192.0.2.1"));
        let place = |email, network| Counted::place(email, network).subject;
        let subjects = [
            place("a@b", None),
            place("a@b", network.as_ref()),
            place("a@c", network.as_ref()),
            account("a@b"),
            mail("a@b"),
        ];
        for (at, subject) in subjects.iter().enumerate() {
            assert!(!subjects[..at].contains(subject));
        }
    }
}
