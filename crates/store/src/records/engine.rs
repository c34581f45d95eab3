//! The two engines. Every difference between them is in this file, in [`super::open`], in [`super::list`] and
//! in [`super::catalogue`].

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgPool};
use sqlx::sqlite::{SqliteArguments, SqlitePool};
use sqlx::{
    Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, Sqlite, SqliteConnection,
    Transaction, Type,
};
use tokio::sync::broadcast;

use super::notices::{CHANNEL, Topic};
use super::row::{OfEngine, Row};
use super::statement::{Bound, Statement};
use super::value::Value;
use crate::error::{Error, Result};

/// Which engine keeps the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite 3 in a file of the data directory, within the process.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl Engine {
    /// Its name as its users write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// What stands around a query for the identifiers of rows that are changed together. SQLite has one writer; where
    /// there are several, rows are taken up in the order of the query, so that two never wait for each other.
    pub(super) const fn taken_up(self, held: Held) -> (&'static str, &'static str) {
        match (self, held) {
            (Self::Sqlite, _) => (" WHERE id IN (", ")"),
            // An array is made once, whatever is done with it.
            (Self::Postgres, Held::Awaited) => (" WHERE id = ANY(ARRAY(", " FOR UPDATE))"),
            (Self::Postgres, Held::Left) => (" WHERE id = ANY(ARRAY(", " FOR UPDATE SKIP LOCKED))"),
        }
    }

    /// A type or phrase that the engines write differently, by the name that shared SQL uses for it.
    pub(super) fn phrase(self, name: &str) -> Option<&'static str> {
        Some(match (name, self) {
            ("bytes", Self::Sqlite) => "BLOB",
            ("bytes", Self::Postgres) => "BYTEA",
            // Byte order on both: pages continue where they ended whatever the server's language is.
            ("text", Self::Sqlite) => "TEXT",
            ("text", Self::Postgres) => "TEXT COLLATE \"C\"",
            ("no_hash", Self::Sqlite) => {
                "X'0000000000000000000000000000000000000000000000000000000000000000'"
            }
            ("no_hash", Self::Postgres) => {
                "'\\x0000000000000000000000000000000000000000000000000000000000000000'::bytea"
            }
            _ => return None,
        })
    }
}

/// What of rows that somebody else is changing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    /// They are waited for.
    Awaited,
    /// They stay.
    Left,
}

/// Connections, as many as their bounds allow.
#[derive(Clone, Debug)]
pub(super) enum Pools {
    /// SQLite has one writer at a time: here they line up without `SQLITE_BUSY`.
    Sqlite {
        file: PathBuf,
        readers: SqlitePool,
        writer: SqlitePool,
        /// What this process has committed.
        committed: broadcast::Sender<Topic>,
    },
    Postgres(PgPool),
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One consistent view, whatever others write meanwhile.
    Read,
    Write,
}

impl Pools {
    pub(super) const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite { .. } => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Where SQLite has them.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite { file, .. } => Some(file),
            Self::Postgres(_) => None,
        }
    }

    /// Has connections to a file be opened anew: one that was opened while the file could not be written never writes.
    pub(super) async fn renew(&self) -> Result<()> {
        if let Self::Sqlite {
            readers, writer, ..
        } = self
        {
            // There is one, and whoever has it is about to give it back.
            acquire_first(writer).await?.close().await?;
            while let Some(idle) = readers.try_acquire() {
                idle.close().await?;
            }
        }
        Ok(())
    }

    pub(super) async fn begin(&self, purpose: Purpose) -> Result<OnEngine> {
        let transaction = match (self, purpose) {
            (Self::Sqlite { readers, .. }, Purpose::Read) => {
                OnEngine::Sqlite(readers.begin().await?)
            }
            (Self::Sqlite { writer, .. }, Purpose::Write) => {
                OnEngine::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            (Self::Postgres(pool), Purpose::Read) => OnEngine::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
            (Self::Postgres(pool), Purpose::Write) => OnEngine::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
                    .await?,
            ),
        };
        Ok(transaction)
    }

    /// One statement that only reads, without a transaction around it.
    pub(super) async fn fetch(&self, statement: Statement) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite { readers, .. } => {
                fetch_sqlite(&mut *readers.acquire().await?, statement).await
            }
            Self::Postgres(pool) => fetch_postgres(&mut *pool.acquire().await?, statement).await,
        }
    }

    /// Folds SQLite's log into the file, which could not be as long as somebody read what was before.
    /// A reader does it, since a writer would have others wait; who still reads is not waited for.
    pub(super) async fn fold(&self) -> Result<()> {
        if let Self::Sqlite { readers, .. } = self {
            let statement = Statement::new("PRAGMA wal_checkpoint(PASSIVE)");
            fetch_sqlite(&mut *readers.acquire().await?, statement).await?;
        }
        Ok(())
    }

    /// Has PostgreSQL go through all that it was just given: otherwise whoever reads a page first writes it once
    /// more, and those who commit meanwhile wait for that.
    pub(super) async fn settle(&self) -> Result<()> {
        if let Self::Postgres(pool) = self {
            // It takes longer than a statement may, and is not done within a transaction.
            let mut connection = pool.acquire().await?;
            for text in ["SET statement_timeout = 0", "VACUUM"] {
                sqlx::raw_sql(text).execute(&mut *connection).await?;
            }
            connection.close().await?;
        }
        Ok(())
    }

    /// Folds SQLite's log into the file and leaves none of it; whether that could be done yet. Whoever reads
    /// what was before is waited for, but not for long: nobody else writes meanwhile.
    pub(super) async fn fold_wholly(&self) -> Result<bool> {
        let Self::Sqlite { writer, .. } = self else {
            return Ok(true);
        };
        let mut acquired = writer.acquire().await?;
        let connection = &mut *acquired;
        let first = |rows: Vec<Row>| rows.into_iter().next();
        let usual = Statement::new("PRAGMA busy_timeout");
        let usual = first(fetch_sqlite(&mut *connection, usual).await?);
        let usual = usual.map_or(Ok(0), |row| row.int("timeout"))?;
        fetch_sqlite(
            &mut *connection,
            Statement::new("PRAGMA busy_timeout = 500"),
        )
        .await?;
        let folded = Statement::new("PRAGMA wal_checkpoint(TRUNCATE)");
        let folded = fetch_sqlite(&mut *connection, folded).await;
        let back = AssertSqlSafe(format!("PRAGMA busy_timeout = {usual}"));
        sqlx::query(back).execute(connection).await?;
        Ok(first(folded?).map_or(Ok(1), |row| row.int("busy"))? == 0)
    }

    /// What tells of commits within this process; a server tells of them by itself.
    pub(super) fn committed(&self) -> Option<broadcast::Sender<Topic>> {
        match self {
            Self::Sqlite { committed, .. } => Some(committed.clone()),
            Self::Postgres(_) => None,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite {
                readers, writer, ..
            } => {
                readers.close().await;
                // The last to leave folds the write-ahead log into the file.
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction; dropped without a commit, it is undone.
pub(crate) enum OnEngine {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl OnEngine {
    pub(crate) async fn fetch(&mut self, statement: Statement) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(transaction) => fetch_sqlite(transaction, statement).await,
            Self::Postgres(transaction) => fetch_postgres(transaction, statement).await,
        }
    }

    /// The rows of a query one by one, as they come: a query of large rows takes no more memory.
    pub(crate) fn stream(&mut self, statement: Statement) -> Result<BoxStream<'_, Result<Row>>> {
        let (text, values) = statement.into_parts();
        let text = AssertSqlSafe(text);
        Ok(match self {
            Self::Sqlite(transaction) => {
                sqlx::query_with(text, arguments::<SqliteArguments>(values)?)
                    .fetch(&mut **transaction)
                    .map(|row| Ok(Row(OfEngine::Sqlite(row?))))
                    .boxed()
            }
            Self::Postgres(transaction) => {
                sqlx::query_with(text, arguments::<PgArguments>(values)?)
                    .fetch(&mut **transaction)
                    .map(|row| Ok(Row(OfEngine::Postgres(row?))))
                    .boxed()
            }
        })
    }

    /// Lifts the server's bounds on this transaction: it goes through everything there is, and waits
    /// for a disk in between.
    pub(crate) async fn without_bounds(&mut self) -> Result<()> {
        if self.engine() == Engine::Postgres {
            let text = "SET LOCAL statement_timeout = 0; \
                        SET LOCAL idle_in_transaction_session_timeout = 0";
            self.script(text.to_owned()).await?;
        }
        Ok(())
    }

    /// Keeps others from writing to a table until the end; SQLite's write transaction does it by itself.
    pub(crate) async fn lock_table(&mut self, name: &str) -> Result<()> {
        if self.engine() == Engine::Postgres {
            let mut statement = Statement::new("LOCK TABLE ");
            statement.push_name(name).push(" IN EXCLUSIVE MODE");
            self.execute(statement).await?;
        }
        Ok(())
    }

    /// Has PostgreSQL look at what it was given, so that it plans for it and not for empty tables.
    pub(crate) async fn learn(&mut self) -> Result<()> {
        match self.engine() {
            Engine::Sqlite => Ok(()),
            Engine::Postgres => self.script("ANALYZE".to_owned()).await,
        }
    }

    /// Tells how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64> {
        let (text, values) = statement.into_parts();
        Ok(match self {
            Self::Sqlite(transaction) => {
                let arguments = arguments::<SqliteArguments>(values)?;
                sqlx::query_with(AssertSqlSafe(text), arguments)
                    .execute(&mut **transaction)
                    .await?
                    .rows_affected()
            }
            Self::Postgres(transaction) => {
                let arguments = arguments::<PgArguments>(values)?;
                sqlx::query_with(AssertSqlSafe(text), arguments)
                    .execute(&mut **transaction)
                    .await?
                    .rows_affected()
            }
        })
    }

    /// Several statements of a migration.
    pub(crate) async fn script(&mut self, text: String) -> Result<()> {
        let script = sqlx::raw_sql(AssertSqlSafe(text));
        match self {
            Self::Sqlite(transaction) => script.execute(&mut **transaction).await.map(|_| ())?,
            Self::Postgres(transaction) => script.execute(&mut **transaction).await.map(|_| ())?,
        }
        Ok(())
    }

    pub(crate) const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Has a server tell of this once it is committed.
    pub(crate) async fn notify(&mut self, topic: Topic) -> Result<()> {
        if self.engine() == Engine::Postgres {
            let statement = Statement::new("SELECT pg_notify(?, ?)");
            self.execute(statement.with(CHANNEL).with(topic.name()))
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
        .map_err(Error::of_commit)
    }
}

/// Between two tries for a file that others open as well.
const PAUSE: Duration = Duration::from_millis(10);

/// A connection that writes. The first one to a new file has SQLite keep a log beside it; of several processes that do
/// so at once, SQLite refuses all but one without waiting, whatever its busy timeout is. Those try again for as long
/// as a connection may be waited for.
async fn acquire_first(writer: &SqlitePool) -> sqlx::Result<PoolConnection<Sqlite>> {
    let deadline = Instant::now() + writer.options().get_acquire_timeout();
    loop {
        match writer.acquire().await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether another connection has locked what is asked for: `SQLITE_BUSY` in the lowest byte of the extended code.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// A number that changes when another connection than the pool's only one has written to the file.
pub(super) async fn data_version(writer: &SqlitePool) -> Result<i64> {
    let statement = Statement::new("PRAGMA data_version");
    let rows = fetch_sqlite(&mut *writer.acquire().await?, statement).await?;
    let row = rows
        .first()
        .ok_or_else(|| Error::internal("no data version"))?;
    row.int("data_version")
}

async fn fetch_sqlite(connection: &mut SqliteConnection, statement: Statement) -> Result<Vec<Row>> {
    let (text, values) = statement.into_parts();
    let rows = sqlx::query_with(AssertSqlSafe(text), arguments::<SqliteArguments>(values)?)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row(OfEngine::Sqlite(row)))
        .collect())
}

async fn fetch_postgres(connection: &mut PgConnection, statement: Statement) -> Result<Vec<Row>> {
    let (text, values) = statement.into_parts();
    let rows = sqlx::query_with(AssertSqlSafe(text), arguments::<PgArguments>(values)?)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Row(OfEngine::Postgres(row)))
        .collect())
}

/// PostgreSQL keeps no NUL within text, so neither engine is given one.
fn refuse_nul(values: &[Bound]) -> Result<()> {
    let is_refused =
        |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
    let is_any_refused = |bound: &Bound| match bound {
        Bound::One(value) => is_refused(value),
        Bound::Column(values) => values.iter().any(is_refused),
    };
    if values.iter().any(is_any_refused) {
        return Err(Error::internal("text with a NUL cannot be kept"));
    }
    Ok(())
}

/// Whether and how an engine takes a column of many rows.
trait Columns {
    fn add_column(&mut self, values: Vec<Value>) -> std::result::Result<(), BoxDynError>;
}

impl Columns for SqliteArguments {
    fn add_column(&mut self, _: Vec<Value>) -> std::result::Result<(), BoxDynError> {
        Err("SQLite has no arrays".into())
    }
}

impl Columns for PgArguments {
    fn add_column(&mut self, values: Vec<Value>) -> std::result::Result<(), BoxDynError> {
        macro_rules! of_kind {
            ($kind:ident) => {{
                let of_kind = values.into_iter().map(|value| match value {
                    Value::$kind(value) => Ok(value),
                    _ => Err("values of one column are of several kinds"),
                });
                of_kind.collect::<std::result::Result<Vec<_>, _>>()?
            }};
        }
        match values.first() {
            Some(Value::Bool(_)) => self.add(of_kind!(Bool)),
            Some(Value::Int(_)) => self.add(of_kind!(Int)),
            Some(Value::Bytes(_)) => self.add(of_kind!(Bytes)),
            Some(Value::Text(_)) | None => self.add(of_kind!(Text)),
        }
    }
}

fn arguments<A: Arguments + Columns>(values: Vec<Bound>) -> Result<A>
where
    Option<bool>: Encode<'static, A::Database> + Type<A::Database>,
    Option<i64>: Encode<'static, A::Database> + Type<A::Database>,
    Option<String>: Encode<'static, A::Database> + Type<A::Database>,
    Option<Vec<u8>>: Encode<'static, A::Database> + Type<A::Database>,
{
    refuse_nul(&values)?;
    let mut arguments = A::default();
    for value in values {
        match value {
            Bound::One(Value::Bool(value)) => arguments.add(value),
            Bound::One(Value::Int(value)) => arguments.add(value),
            Bound::One(Value::Text(value)) => arguments.add(value),
            Bound::One(Value::Bytes(value)) => arguments.add(value),
            Bound::Column(values) => arguments.add_column(values),
        }
        .map_err(Error::Internal)?;
    }
    Ok(arguments)
}
