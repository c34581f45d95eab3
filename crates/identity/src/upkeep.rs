//! What is to be done now and then.

use std::time::Duration;

use tokio::time::sleep;
use weir_store::records::{Notice, Notices, Topic};

use crate::Identity;
use crate::caller::Caller;
use crate::credential_change;
use crate::error::{Error, Result};
use crate::refresh;
use crate::session::remove_ended;
use crate::tables::{FAMILIAR_PLACES, FORMER_SESSION_TOKENS, IDEMPOTENCY_KEYS, ONE_TIME_TOKENS};
use crate::throttle;

/// How often activity of sessions and keys is written down.
const ACTIVITY: Duration = Duration::from_secs(5);
/// How often mail is looked for.
const MAIL: Duration = Duration::from_secs(5);
/// How often erasures are looked for of which nobody is about.
const ERASURES: Duration = Duration::from_secs(15);
/// How often it is looked whether another key is to sign tokens.
const KEYS: Duration = Duration::from_secs(60);
/// How often it is looked what was revoked although nothing was said: a notice can be lost.
const LOOK: Duration = Duration::from_secs(1);
/// How often what has run out is removed, and what has been in the trash for long enough.
const SWEEP: Duration = Duration::from_secs(3_600);

/// After a failure; doubled with each further one, up to its usual pace.
const RETRY: Duration = Duration::from_secs(5);
/// What is usually done more often than this waits so long at most.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl Identity {
    /// Does all of it, for as long as it is polled, each at its own pace: none waits for another. Several
    /// nodes may do so.
    pub async fn run(&self) {
        tokio::join!(
            again("activity of sessions", ACTIVITY, || self.flush_activity()),
            again("activity of keys", ACTIVITY, || self.flush_key_activity()),
            again("mail", MAIL, || self.deliver_mail()),
            again("erasures", ERASURES, || self.resume_erasures()),
            again("keys that sign tokens", KEYS, || self.rotate_if_due()),
            self.follow_credentials(),
            again("what has run out", SWEEP, || self.sweep()),
            again("the trash", SWEEP, || self.purge_old()),
        );
    }

    /// Has this node know of keys and revocations what the records have, as soon as it is heard.
    async fn follow_credentials(&self) {
        let mut notices = self.records.notices();
        let mut is_told = false;
        loop {
            match self.refresh_credentials().await {
                Ok(()) => is_told = false,
                Err(error) if !std::mem::replace(&mut is_told, true) => {
                    let error = error.in_full();
                    tracing::warn!(error, "revocations and keys stay as they were last known");
                }
                Err(_) => {}
            }
            if !is_due(&mut notices).await {
                return;
            }
        }
    }

    /// Reads which keys sign and what is revoked, as this node does whenever it hears of a change.
    pub async fn refresh_credentials(&self) -> Result<()> {
        // Before keys: whoever knows a key knows what is revoked of it.
        let revocations = self.refresh_revocations().await;
        self.refresh_keys().await?;
        revocations.map(drop)
    }

    async fn purge_old(&self) -> Result<()> {
        let retention = self.shared.options.retention;
        let purged = self.purge(&Caller::system(), retention).await?;
        match purged.failed {
            0 => Ok(()),
            failed => {
                let what = format!("{failed} of what was to go are still there");
                Err(Error::internal(what))
            }
        }
    }

    /// Removes sessions, tokens, counts and remembered requests that mean nothing any more.
    pub async fn sweep(&self) -> Result<u64> {
        let mut write = self.records.write_unaudited().await?;
        let now = write.now();
        let mut gone = remove_ended(&mut write, self.shared.options.sessions.idle).await?;
        for table in [
            FORMER_SESSION_TOKENS,
            ONE_TIME_TOKENS,
            FAMILIAR_PLACES,
            IDEMPOTENCY_KEYS,
        ] {
            let ended = write.remove_idle(table.rows(), "expires_at < ?", [now]);
            gone += ended.await?;
        }
        let most = i64::from(self.shared.options.most_counts);
        gone += throttle::sweep(&mut write, most).await?;
        gone += credential_change::prune(&mut write).await?;
        gone += refresh::remove_over(&mut write).await?;
        write.commit().await?;
        Ok(gone)
    }
}

/// Waits until it is time to look; no when records are closed.
async fn is_due(notices: &mut Notices) -> bool {
    let late = sleep(LOOK);
    tokio::pin!(late);
    loop {
        tokio::select! {
            heard = notices.next() => match heard {
                Some(Notice::Changed(Topic::Credentials) | Notice::Anything) => return true,
                Some(Notice::Changed(_) | Notice::Lost) => {}
                None => return false,
            },
            () = &mut late => return true,
        }
    }
}

/// Does something for ever.
async fn again<T, W: Future<Output = Result<T>>>(
    what: &'static str,
    pace: Duration,
    work: impl Fn() -> W,
) {
    let mut failures = 0_u32;
    loop {
        let pause = match work().await {
            Ok(_) => {
                failures = 0;
                pace
            }
            Err(error) => {
                failures += 1;
                let pause = retry(failures, pace);
                let (error, retry_in) = (error.in_full(), pause.as_secs());
                tracing::warn!(what, error, failures, retry_in, "upkeep of records failed");
                pause
            }
        };
        sleep(pause).await;
    }
}

fn retry(failures: u32, pace: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (RETRY * (1 << doublings)).min(pace.max(LONGEST_RETRY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_soon_and_then_less_often() {
        let seconds = |pace| {
            let retry = |failures| retry(failures, pace).as_secs();
            (1..=12).map(retry).collect::<Vec<_>>()
        };
        assert_eq!(
            seconds(ACTIVITY),
            [5, 10, 20, 40, 60, 60, 60, 60, 60, 60, 60, 60]
        );
        assert_eq!(
            seconds(SWEEP),
            [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]
        );
        assert_eq!(retry(u32::MAX, SWEEP), SWEEP);
    }
}
