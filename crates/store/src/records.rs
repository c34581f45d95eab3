//! Records: what must be transactional, on one of two engines.
//!
//! - **Isolation.** A [`Read`] sees one state of the whole database from its first query to its end.
//!   A [`Write`] belongs to a [`Scope`], an organization or the platform, and holds it from beginning
//!   to end: changes of one scope come one after another, and each statement sees all that was
//!   committed before. Uniqueness across scopes is the indexes' to hold. SQLite is stricter: it has
//!   one writer in all.
//! - **Durability.** A commit that was acknowledged has reached the disk.
//! - **Bounds.** Connections, waiting for one, and statements have an end; then the answer is
//!   [`Error::Unavailable`](crate::Error::Unavailable).

mod bulk;
mod catalogue;
mod changes;
mod columns;
mod engine;
pub(crate) mod fault;
mod list;
mod migrate;
mod notices;
mod once;
mod open;
mod row;
mod select;
mod statement;
mod table;
mod transaction;
mod value;

pub use changes::Changes;
pub use engine::Engine;
pub use fault::FileFault;
pub use migrate::{Migrated, SchemaMismatch, SchemaState};
pub use notices::{Notice, Notices, Topic};
pub use once::Once;
pub use open::{Address, BadAddress, Options};
pub use row::Row;
pub use select::Select;
pub use table::{PlatformTable, Rows, TenantTable};
pub use transaction::{NotAScope, Read, Scope, Unaudited, Write};
pub use value::Value;

pub(crate) use catalogue::{Column, Kind, Table, table_names, tables};
pub(crate) use engine::{OnEngine, Purpose};
pub(crate) use migrate::{TABLE as MIGRATIONS_TABLE, Taken, lock, pending, raise, taken};
pub(crate) use statement::Statement;

use std::error::Error as StdError;

use engine::Pools;

use crate::error::{Error, Result};

/// A handle on the records; clones share its connections.
#[derive(Clone, Debug)]
pub struct Records {
    pools: Pools,
}

impl Records {
    /// Which engine keeps them.
    pub const fn engine(&self) -> Engine {
        self.pools.engine()
    }

    /// All rows that a query finds.
    pub async fn all(&self, select: Select) -> Result<Vec<Row>> {
        self.pools.fetch(select.into_statement()).await
    }

    /// The first row that a query finds.
    pub async fn first(&self, select: Select) -> Result<Option<Row>> {
        Ok(self.all(select.limit(1)).await?.into_iter().next())
    }

    /// Whether the engine answers.
    pub async fn ping(&self) -> Result<()> {
        self.fetch(Statement::new("SELECT 1")).await.map(drop)
    }

    /// Folds SQLite's log into its file. It does no harm if that is only done later.
    pub(crate) async fn fold(&self) {
        if let Err(error) = self.pools.fold().await {
            tracing::warn!(%error, "the log of records is not folded into their file yet");
        }
    }

    /// Settles what was just restored.
    pub(crate) async fn settle(&self) {
        if let Err(error) = self.pools.settle().await {
            tracing::warn!(%error, "what was restored is not vacuumed yet; PostgreSQL does it in its own time");
        }
    }

    /// Leaves nothing of what was erased in the engine's own log; whether that could be done yet. It can
    /// be only once nobody reads what was before. PostgreSQL looks after its log by itself.
    pub async fn scrub(&self) -> Result<bool> {
        self.pools.fold_wholly().await
    }

    pub(crate) async fn begin(&self, purpose: Purpose) -> Result<OnEngine> {
        self.pools.begin(purpose).await
    }

    pub(crate) async fn fetch(&self, statement: Statement) -> Result<Vec<Row>> {
        self.pools.fetch(statement).await
    }

    /// What happened, for whoever has to put it right.
    pub fn in_words(&self, error: &Error) -> String {
        self.explain(error).unwrap_or_else(|| error.in_full())
    }

    /// Of an error that has to do with the file of the database: which one, what is wrong with it and what to do.
    pub fn explain(&self, error: &(dyn StdError + 'static)) -> Option<String> {
        fault::explained(error, self.pools.file()?)
    }

    /// Waits for what is under way and closes the connections.
    pub async fn close(&self) {
        self.pools.close().await;
    }
}
