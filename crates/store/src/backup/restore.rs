//! From a file to a database.

use std::io::{Read, Seek};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::{Error, Result};
use super::passing::{passing, push_made};
use super::reader::{BackupReader, Batch, check};
use super::summary::{Header, Progress, Summary, TableHeader};
use crate::Records;
use crate::audit;
use crate::records::{
    MIGRATIONS_TABLE, OnEngine, Purpose, Read as ReadRecords, Scope, Statement, Table, Value, lock,
    raise, table_names, tables, taken,
};

/// Rows of one statement at most, a power of two: statements of few lengths are prepared once each. Far
/// from what either engine takes (65,535 values).
const MOST_ROWS: usize = 64;

impl Records {
    /// Fills an empty database from a backup, of either engine. Everything is as it was then or, after
    /// an error, as before: empty. The schema is brought to that of the backup, then to this
    /// program's.
    ///
    /// # Errors
    /// Whatever [`check`] finds, and [`Error::NotEmpty`]; both before anything is written.
    pub async fn restore<R: Read + Seek + Send + 'static>(
        &self,
        mut reader: R,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Summary> {
        let checked = spawn_blocking(move || {
            reader.rewind()?;
            let summary = check(&mut reader, |_| ())?;
            reader.rewind()?;
            Ok::<_, Error>((summary, reader))
        });
        let (summary, reader) = join(checked).await?;
        let (header, mut source) = Source::open(reader).await?;

        let mut transaction = self.begin(Purpose::Write).await?;
        lock(&mut transaction).await?;
        transaction.without_bounds().await?;
        check_empty(&mut transaction).await?;
        raise(&mut transaction, &header.migrations)
            .await
            .map_err(|error| of_schema(error, &header))?;
        let there = tables(&mut transaction).await?;
        check_tables(&header, &there)?;
        // What migrations put there comes with the backup.
        for table in there.iter().rev() {
            let mut statement = Statement::new("DELETE FROM ");
            statement.push_name(&table.name);
            transaction.execute(statement).await?;
        }
        while let Some((batch, state)) = source.next().await {
            let table = &header.tables[batch.table];
            insert(&mut transaction, table, batch.rows).await?;
            progress(&state);
        }
        // Backups of older versions have what is of the moment.
        for table in &there {
            if let Some(condition) = passing(&table.name) {
                let mut statement = Statement::new("DELETE FROM ");
                statement
                    .push_name(&table.name)
                    .push(" WHERE ")
                    .push(condition);
                transaction.execute(statement).await?;
            }
        }
        if source.finish().await? != summary {
            return Err(Error::Damaged {
                from: 0,
                to: summary.bytes,
            });
        }
        transaction.learn().await?;
        let transaction = verify(transaction).await?;
        transaction.commit().await?;
        self.fold().await;
        self.settle().await;
        self.migrate().await?;
        Ok(summary)
    }
}

/// Nobody's records, and no other program's tables.
async fn check_empty(transaction: &mut OnEngine) -> Result<()> {
    let is_ours = !taken(transaction).await?.is_empty();
    for name in table_names(transaction).await? {
        if name == MIGRATIONS_TABLE {
            continue;
        }
        if !is_ours {
            return Err(Error::NotEmpty(name));
        }
        transaction.lock_table(&name).await?;
        let mut statement = Statement::new("SELECT 1 FROM ");
        statement.push_name(&name);
        if is_ours {
            statement.push(" WHERE ");
            push_made(&mut statement, &name);
        }
        statement.push(" LIMIT 1");
        if !transaction.fetch(statement).await?.is_empty() {
            return Err(Error::NotEmpty(name));
        }
    }
    Ok(())
}

fn of_schema(error: crate::Error, header: &Header) -> Error {
    match error {
        crate::Error::Schema(source) => Error::Schema {
            version: header.version.clone(),
            source,
        },
        error => error.into(),
    }
}

fn check_tables(header: &Header, there: &[Table]) -> Result<()> {
    let is_same = |ours: &Table, table: &TableHeader| {
        ours.name == table.name && ours.columns == table.columns
    };
    for at in 0..header.tables.len().max(there.len()) {
        match (header.tables.get(at), there.get(at)) {
            (Some(table), Some(ours)) if is_same(ours, table) => {}
            (Some(TableHeader { name, .. }), _) | (None, Some(Table { name, .. })) => {
                return Err(Error::OtherTable(name.clone()));
            }
            (None, None) => {}
        }
    }
    Ok(())
}

async fn insert(
    transaction: &mut OnEngine,
    table: &TableHeader,
    rows: Vec<Vec<Value>>,
) -> Result<()> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let count = (1 << rows.len().ilog2()).min(MOST_ROWS);
        let mut statement = Statement::new("INSERT INTO ");
        statement.push_name(&table.name).push(" (");
        for (at, column) in table.columns.iter().enumerate() {
            statement.push(if at > 0 { ", " } else { "" });
            statement.push_name(&column.name);
        }
        statement.push(") VALUES ");
        for (number, row) in rows.by_ref().take(count).enumerate() {
            statement.push(if number > 0 { ", (" } else { "(" });
            for (at, value) in row.into_iter().enumerate() {
                statement.push(if at > 0 { ", " } else { "" });
                statement.push_value(value);
            }
            statement.push(")");
        }
        transaction.execute(statement).await?;
    }
    Ok(())
}

/// Goes through each chain of the audit.
async fn verify(transaction: OnEngine) -> Result<OnEngine> {
    let mut read = ReadRecords::within(transaction);
    let scopes = read
        .fetch(Statement::new("SELECT id FROM scopes ORDER BY id"))
        .await?;
    for row in scopes {
        let name = row.text("id")?;
        let scope = Scope::of_name(&name)?;
        if let Err(broken) = audit::verify(&mut read, &scope, &mut |_| ()).await? {
            return Err(Error::Audit {
                scope: name,
                broken,
            });
        }
    }
    Ok(read.into_transaction())
}

/// Rows on their way from a thread that may wait for the file. At most two batches are on it.
struct Source {
    batches: mpsc::Receiver<(Batch, Progress)>,
    thread: JoinHandle<Result<Summary>>,
}

impl Source {
    async fn open<R: Read + Send + 'static>(reader: R) -> Result<(Header, Self)> {
        let mut backup = join(spawn_blocking(move || BackupReader::open(reader))).await?;
        let header = backup.header.clone();
        let (sender, batches) = mpsc::channel(1);
        let thread = spawn_blocking(move || {
            while let Some(batch) = backup.next()? {
                if sender.blocking_send((batch, backup.progress())).is_err() {
                    return Err(Error::internal("a restore was given up"));
                }
            }
            Ok(backup.finish()?.0)
        });
        Ok((header, Self { batches, thread }))
    }

    /// Nothing at the end, whichever it is: [`finish`](Self::finish) tells.
    async fn next(&mut self) -> Option<(Batch, Progress)> {
        self.batches.recv().await
    }

    async fn finish(self) -> Result<Summary> {
        join(self.thread).await
    }
}

async fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread
        .await
        .map_err(|error| Error::internal(error.to_string()))?
}
