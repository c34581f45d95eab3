//! Where records are, and how the engine there is spoken to.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::Sqlite;
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::broadcast;
use weir_core::Secret;

use super::Records;
use super::engine::Pools;
use super::fault;
use crate::error::{Error, Result};

/// Notices within this process that wait for the slowest of their readers.
const NOTICES: usize = 64;

/// Where records are.
#[derive(Clone, Debug)]
pub enum Address {
    /// A file, made if it is not there. Its directory must be.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database?sslmode=verify-full`
    Postgres(Secret<String>),
}

/// Text that is no address of a PostgreSQL server. What it was is not repeated: it may have a
/// password in it.
#[derive(Debug, thiserror::Error)]
#[error(
    "not an address of a PostgreSQL server; it reads postgres://user:password@host:5432/database"
)]
pub struct BadAddress;

/// How records are opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where they are.
    pub address: Address,
    /// Connections at once, at least 2; with SQLite, of those that read.
    pub connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long one statement may take, with the waiting for locks.
    pub statement_timeout: Duration,
}

impl Options {
    /// The usual bounds.
    pub const fn new(address: Address) -> Self {
        Self {
            address,
            connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

impl Address {
    /// Whether it can be an address at all.
    pub fn check(&self) -> std::result::Result<(), BadAddress> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(url) => postgres(url).map(drop),
        }
    }
}

fn postgres(url: &Secret<String>) -> std::result::Result<PgConnectOptions, BadAddress> {
    let url = url.expose();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(BadAddress);
    }
    PgConnectOptions::from_str(url).map_err(|_| BadAddress)
}

impl Records {
    /// Opens records. Nothing is asked of the engine yet, so that a start does not depend on it; a file that is not
    /// there is made, and whether that could be done is said by whatever asks first.
    pub fn open(options: &Options) -> Result<Self> {
        let pools = match &options.address {
            Address::Sqlite(path) => {
                if let Err(error) = make(path) {
                    tracing::debug!(%error, file = %path.display(), "the file of records cannot be made");
                }
                let connection = SqliteConnectOptions::new()
                    .filename(path)
                    // In WAL mode only this reaches the disk with every commit.
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    // What is deleted is overwritten, also in pages that are free then: who is erased is
                    // not to be read out of the file.
                    .pragma("secure_delete", "ON")
                    // A log that grew while somebody read for long does not keep the room.
                    .pragma("journal_size_limit", "67108864")
                    // Prepared anew each time: see `knowing_the_schema`.
                    .statement_cache_capacity(0)
                    .busy_timeout(options.acquire_timeout)
                    .disable_statement_logging();
                Pools::Sqlite {
                    file: path.clone(),
                    writer: knowing_the_schema(options)
                        .max_connections(1)
                        // It is the file's from then on, for those who read as well.
                        .connect_lazy_with(connection.clone().journal_mode(SqliteJournalMode::Wal)),
                    readers: knowing_the_schema(options)
                        .connect_lazy_with(connection.pragma("query_only", "ON")),
                    committed: broadcast::Sender::new(NOTICES),
                }
            }
            Address::Postgres(url) => {
                let timeout = options.statement_timeout.as_millis().to_string();
                let connection = postgres(url)
                    .map_err(|error| Error::Internal(Box::new(error)))?
                    .application_name("weir")
                    .options([
                        ("statement_timeout", timeout.as_str()),
                        ("idle_in_transaction_session_timeout", timeout.as_str()),
                        ("timezone", "UTC"),
                    ])
                    .disable_statement_logging();
                Pools::Postgres(pool(options).connect_lazy_with(connection))
            }
        };
        Ok(Self { pools })
    }
}

/// Makes the file if it is not there, and looks whether it can be written if it is.
pub(super) fn make(file: &Path) -> Result<()> {
    // Hashes of passwords are nobody else's to read; what SQLite puts beside the file gets the same mode.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(|error| Error::Unavailable(fault::of_io(&error)))?;
    Ok(())
}

/// A pool whose connections look at the schema before they are used.
///
/// Another process may add a column while this one runs, as the next version does in an upgrade. A statement that was
/// prepared before has more columns then than sqlx knows of, which ends in a panic; so does one that is prepared by a
/// connection that has not heard of the column. Whatever reads the file makes it hear.
fn knowing_the_schema(options: &Options) -> PoolOptions<Sqlite> {
    pool(options).before_acquire(|connection, _| {
        Box::pin(async move {
            // What is wrong with the file is said by whoever asks something of it.
            let _ = sqlx::query("SELECT 1 FROM sqlite_schema LIMIT 1")
                .execute(connection)
                .await;
            Ok(true)
        })
    })
}

fn pool<DB: sqlx::Database>(options: &Options) -> PoolOptions<DB> {
    PoolOptions::new()
        .max_connections(options.connections.max(2))
        .acquire_timeout(options.acquire_timeout)
}
