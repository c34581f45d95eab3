//! What is to be done now and then.

use std::time::Duration;

use crate::Identity;
use crate::caller::Caller;
use crate::error::Result;
use crate::session::remove_ended;
use crate::tables::{IDEMPOTENCY_KEYS, ONE_TIME_TOKENS, THROTTLES};

const ROUND: Duration = Duration::from_secs(5);
/// Every so many rounds: each hour.
const SWEEP: u64 = 720;

impl Identity {
    /// Does all of it, for as long as it is polled: activity of sessions is written down and mail
    /// delivered every few seconds, and what has run out is removed every hour. Several nodes may do so.
    pub async fn run(&self) {
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for round in 0_u64.. {
            rounds.tick().await;
            report("activity of sessions", self.flush_activity().await);
            report("mail", self.deliver_mail().await);
            if round.is_multiple_of(SWEEP) {
                report("what has run out", self.sweep().await);
                let retention = self.shared.options.retention;
                report("the trash", self.purge(&Caller::system(), retention).await);
            }
        }
    }

    /// Removes sessions, tokens, counts and remembered requests that mean nothing any more.
    pub async fn sweep(&self) -> Result<u64> {
        let mut write = self.records.write_unaudited().await?;
        let now = write.now();
        let mut gone = remove_ended(&mut write).await?;
        let tokens = ONE_TIME_TOKENS.rows();
        gone += write.remove(tokens, "expires_at < ?", [now]).await?;
        let throttles = THROTTLES.rows();
        gone += write.remove(throttles, "forgotten_at < ?", [now]).await?;
        let keys = IDEMPOTENCY_KEYS.rows();
        gone += write.remove(keys, "expires_at < ?", [now]).await?;
        write.commit().await?;
        Ok(gone)
    }
}

fn report<T>(what: &'static str, result: Result<T>) {
    if let Err(error) = result {
        tracing::warn!(what, %error, "upkeep of records failed; it is tried again");
    }
}
