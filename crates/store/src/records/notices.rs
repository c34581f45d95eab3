//! Notices: who keeps a picture of records hears that they were changed, by whichever process.

use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use super::Records;
use super::engine::{Pools, data_version};
use crate::error::Result;

/// PostgreSQL's channel for all of them.
pub(super) const CHANNEL: &str = "weir";

/// Notices that wait for their reader.
const ROOM: usize = 64;

/// How long to wait before a server that is gone is asked for again.
const PAUSE: Duration = Duration::from_millis(500);

/// How often a file of SQLite is asked whether another process has written to it.
const GLANCE: Duration = Duration::from_millis(500);

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// There is a new revision of resources.
    Revisions,
    /// Organizations came, went, or were suspended or resumed.
    Organizations,
    /// Credentials, or who they belong to, do not count as they did.
    Credentials,
}

impl Topic {
    const ALL: [Self; 3] = [Self::Revisions, Self::Organizations, Self::Credentials];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Revisions => "revisions",
            Self::Organizations => "organizations",
            Self::Credentials => "credentials",
        }
    }

    /// `None`: a newer program's.
    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// What a listener hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This was changed, and committed.
    Changed(Topic),
    /// Anything may have changed: the first notice of all, the first after [`Notice::Lost`], and what
    /// another process than this one did to a file.
    Anything,
    /// The server is gone. Nothing is heard until it is back.
    Lost,
}

/// Notices as they come. They hasten, and promise nothing: a connection that is dead without a sign
/// tells of nothing, so whoever must not miss a change looks from time to time by itself.
pub struct Notices {
    receiver: mpsc::Receiver<Notice>,
    task: AbortHandle,
}

impl Records {
    /// Listens to what is changed. It takes a connection of its own to a server.
    ///
    /// Must be called within a runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "not of the data plane, and ended with what is returned"
    )]
    pub fn notices(&self) -> Notices {
        let (sender, receiver) = mpsc::channel(ROOM);
        let task = match self.pools.clone() {
            Pools::Sqlite {
                writer, committed, ..
            } => tokio::spawn(of_sqlite(writer, committed.subscribe(), sender)),
            Pools::Postgres(pool) => tokio::spawn(of_postgres(pool, sender)),
        };
        Notices {
            receiver,
            task: task.abort_handle(),
        }
    }
}

impl Notices {
    /// Waits for the next one; `None` once records are closed. Nothing is lost if the waiting is given up.
    pub async fn next(&mut self) -> Option<Notice> {
        self.receiver.recv().await
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn of_postgres(pool: PgPool, notices: mpsc::Sender<Notice>) {
    loop {
        match hear(&pool, &notices).await {
            Ok(()) => tracing::debug!("the connection that listens to records is lost"),
            Err(error) => tracing::debug!(%error, "cannot listen to records"),
        }
        if pool.is_closed() || notices.send(Notice::Lost).await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until the connection is lost.
async fn hear(
    pool: &PgPool,
    notices: &mpsc::Sender<Notice>,
) -> std::result::Result<(), sqlx::Error> {
    // One of its own: who listens for good would otherwise have those who ask wait.
    let own = PoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(pool.options().get_acquire_timeout())
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    let mut listener = PgListener::connect_with(&own).await?;
    // After a loss the listener is made anew here, so that the first thing said is `Anything`.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    let mut next = Some(Notice::Anything);
    let mut closed = pool.close_event();
    loop {
        if let Some(notice) = next.take()
            && notices.send(notice).await.is_err()
        {
            return Ok(());
        }
        let Ok(heard) = closed.do_until(listener.try_recv()).await else {
            return Ok(());
        };
        let Some(notification) = heard? else {
            return Ok(());
        };
        next = Topic::of_name(notification.payload()).map(Notice::Changed);
    }
}

async fn of_sqlite(
    writer: sqlx::SqlitePool,
    mut committed: broadcast::Receiver<Topic>,
    notices: mpsc::Sender<Notice>,
) {
    let mut version = None;
    let mut glances = tokio::time::interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Some(Notice::Anything);
    while !writer.is_closed() {
        if let Some(notice) = next.take()
            && notices.send(notice).await.is_err()
        {
            return;
        }
        tokio::select! {
            heard = committed.recv() => {
                next = match heard {
                    Ok(topic) => Some(Notice::Changed(topic)),
                    Err(RecvError::Lagged(_)) => Some(Notice::Anything),
                    Err(RecvError::Closed) => return,
                };
            }
            _ = glances.tick() => {
                if glance(&writer, &mut version).await.unwrap_or(false) {
                    next = Some(Notice::Anything);
                }
            }
        }
    }
}

/// Whether another process has written to the file since the last glance. The connection that writes
/// is asked, for which this process's own changes do not count; one that was made anew since counts
/// from somewhere else, which is taken for a change.
async fn glance(writer: &sqlx::SqlitePool, version: &mut Option<i64>) -> Result<bool> {
    let now = data_version(writer).await?;
    let before = version.replace(now);
    Ok(before.is_some_and(|before| before != now))
}
