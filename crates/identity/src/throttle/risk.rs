//! What recent failures come to, for rules that ask.

use jiff::Timestamp;

use super::{Counted, Network};
use crate::Identity;
use crate::error::Result;
use crate::tables::THROTTLES;

impl Identity {
    /// What recent failures at an account, if there is one, and from an address come to: 0 none, 50 where an attempt begins
    /// to have to wait, 100 at most. What weighs most counts.
    pub async fn risk(&self, email: Option<&str>, address: Option<&str>) -> Result<u8> {
        let network = Network::of(address);
        let mut counted = Vec::with_capacity(3);
        if let Some(email) = email {
            counted.push(Counted::place(email, network.as_ref()));
            counted.push(Counted::account(email));
        }
        counted.extend(network.as_ref().map(Counted::network));
        let now = Timestamp::now();
        let mut read = self.records.read().await?;
        let mut risk = 0;
        for one in &counted {
            let select = THROTTLES.rows().select();
            let select = select.filter("subject = ?", [&one.subject[..]]);
            let Some(row) = read.first(select).await? else {
                continue;
            };
            if row.time("forgotten_at")? >= now {
                risk = risk.max(one.risk(row.int("failures")?));
            }
        }
        Ok(risk)
    }
}

impl Counted {
    /// So many failures, of a hundred.
    fn risk(&self, failures: i64) -> u8 {
        let risk = failures.clamp(0, 2 * self.free) * 50 / self.free;
        u8::try_from(risk).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_grows_with_failures_to_its_bound() {
        let place = Counted::place("a@b", None);
        let risks: Vec<_> = [0, 1, 5, 9, 10, 11]
            .map(|failures| place.risk(failures))
            .into();
        assert_eq!(risks, [0, 10, 50, 90, 100, 100]);
        assert_eq!(place.risk(i64::MAX), 100);
        assert_eq!(Counted::account("a@b").risk(i64::MIN), 0);
    }
}
