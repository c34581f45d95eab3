//! What a transaction can do to rows.

use jiff::Timestamp;
use weir_core::Id;

use super::engine::{Held, OnEngine};
use super::row::Row;
use super::select::Select;
use super::statement::Statement;
use super::table::Rows;
use super::value::Value;
use crate::error::{Error, Result};

/// Changes that take effect together or not at all.
pub struct Changes {
    pub(super) transaction: OnEngine,
    pub(super) now: Timestamp,
}

impl Changes {
    pub(super) fn new(transaction: OnEngine) -> Self {
        let now = Timestamp::now();
        Self {
            transaction,
            // As it is read back.
            now: Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now),
        }
    }

    /// The time at which all of this happens.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// All rows that a query finds, as they are within this transaction.
    pub async fn all(&mut self, select: Select) -> Result<Vec<Row>> {
        self.transaction.fetch(select.into_statement()).await
    }

    /// The first row that a query finds, as it is within this transaction.
    pub async fn first(&mut self, select: Select) -> Result<Option<Row>> {
        Ok(self.all(select.limit(1)).await?.into_iter().next())
    }

    /// Adds a row at version 1.
    ///
    /// # Errors
    /// [`Error::Taken`] if a unique value is another live row's.
    pub async fn insert(
        &mut self,
        rows: Rows<'_>,
        id: &Id,
        values: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<()> {
        let mut columns = Statement::default();
        columns.push("INSERT INTO ").push(rows.table);
        columns.push(" (id, created_at, updated_at, version");
        let mut given: Vec<Value> = vec![id.into(), self.now.into(), self.now.into(), 1_i64.into()];
        if let Some(tenant) = rows.tenant {
            columns.push(", tenant_id");
            given.push(tenant.into());
        }
        for (column, value) in values {
            columns.push(", ").push(column);
            given.push(value);
        }
        columns.push(") VALUES (");
        for (at, value) in given.into_iter().enumerate() {
            columns.push(if at > 0 { ", " } else { "" });
            columns.push_value(value);
        }
        columns.push(")");
        self.transaction.execute(columns).await?;
        Ok(())
    }

    /// Changes columns of a live row, and tells its new version. `expected` is the version that the
    /// caller saw; without one, whatever is there is changed.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Stale`], [`Error::Taken`].
    pub async fn update(
        &mut self,
        rows: Rows<'_>,
        id: &Id,
        expected: Option<i64>,
        values: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<i64> {
        let mut statement = self.update_of(rows);
        for (column, value) in values {
            statement.push(", ").push(column).push(" = ");
            statement.push_value(value);
        }
        statement.push(" WHERE deleted_at IS NULL");
        self.change_one(statement, rows, id, expected).await
    }

    /// Changes columns of all live rows for which `condition` holds, and tells how many they are. What
    /// may happen once only is decided here: of two who try, one finds the condition true no more.
    pub async fn update_where<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
        set: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<u64> {
        let mut statement = self.update_of(rows);
        for (column, value) in set {
            statement.push(", ").push(column).push(" = ");
            statement.push_value(value);
        }
        statement.push(" WHERE deleted_at IS NULL AND (");
        statement.push(condition).push(")");
        for value in values {
            statement.bind(value);
        }
        own(&mut statement, rows);
        self.transaction.execute(statement).await
    }

    /// The same for what is no part of the rows' state, such as when they were last used: their version stays, so that
    /// nobody's change fails for it.
    pub async fn note_where<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
        set: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<u64> {
        let mut statement = Statement::new("UPDATE ");
        statement.push(rows.table).push(" SET ");
        for (at, (column, value)) in set.into_iter().enumerate() {
            statement.push(if at > 0 { ", " } else { "" });
            statement.push(column).push(" = ").push_value(value);
        }
        statement.push(" WHERE deleted_at IS NULL AND (");
        statement.push(condition).push(")");
        for value in values {
            statement.bind(value);
        }
        own(&mut statement, rows);
        self.transaction.execute(statement).await
    }

    /// The same as [`update_where`](Self::update_where) for at most so many rows, those with the least identifiers. Of two who change the same rows
    /// at once one waits for the other, whatever else they do: nobody's rows are taken up in another order.
    pub async fn update_first<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        most: i64,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
        set: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<u64> {
        let (before, behind) = self.transaction.engine().taken_up(Held::Awaited);
        let mut statement = self.update_of(rows);
        for (column, value) in set {
            statement.push(", ").push(column).push(" = ");
            statement.push_value(value);
        }
        statement
            .push(before)
            .push("SELECT id FROM ")
            .push(rows.table);
        statement.push(" WHERE deleted_at IS NULL AND (");
        statement.push(condition).push(")");
        for value in values {
            statement.bind(value);
        }
        own(&mut statement, rows);
        statement.push(" ORDER BY id LIMIT ").push_value(most);
        statement.push(behind);
        self.transaction.execute(statement).await
    }

    /// Puts a live row into the trash.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Stale`].
    pub async fn trash(&mut self, rows: Rows<'_>, id: &Id, expected: Option<i64>) -> Result<i64> {
        let mut statement = self.update_of(rows);
        statement.push(", deleted_at = ").push_value(self.now);
        statement.push(", deleted_with = ").push_value(id);
        statement.push(" WHERE deleted_at IS NULL");
        self.change_one(statement, rows, id, expected).await
    }

    /// Puts all live rows for which `condition` holds into the trash, as part of what happens to
    /// `with`: what brings that back brings them back. Tells how many they are.
    pub async fn trash_with<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        with: &Id,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<u64> {
        let mut statement = self.update_of(rows);
        statement.push(", deleted_at = ").push_value(self.now);
        statement.push(", deleted_with = ").push_value(with);
        statement.push(" WHERE deleted_at IS NULL AND (");
        statement.push(condition).push(")");
        for value in values {
            statement.bind(value);
        }
        own(&mut statement, rows);
        self.transaction.execute(statement).await
    }

    /// Changes columns of a row in the trash: what comes back is to be different. No if it is not there.
    pub async fn update_trashed(
        &mut self,
        rows: Rows<'_>,
        id: &Id,
        set: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<bool> {
        let mut statement = self.update_of(rows);
        for (column, value) in set {
            statement.push(", ").push(column).push(" = ");
            statement.push_value(value);
        }
        statement.push(" WHERE deleted_at IS NOT NULL AND id = ");
        statement.push_value(id);
        own(&mut statement, rows);
        Ok(self.transaction.execute(statement).await? == 1)
    }

    /// Brings back all that went into the trash with `with`, itself included if it is of this table.
    ///
    /// # Errors
    /// [`Error::Taken`] if a unique value belongs to a live row by now.
    pub async fn restore_with(&mut self, rows: Rows<'_>, with: &Id) -> Result<u64> {
        let mut statement = self.update_of(rows);
        statement.push(", deleted_at = NULL, deleted_with = NULL");
        statement.push(" WHERE deleted_at IS NOT NULL AND deleted_with = ");
        statement.push_value(with);
        own(&mut statement, rows);
        self.transaction.execute(statement).await
    }

    /// Removes rows for good: of those in the trash, the ones for which `condition` holds.
    pub async fn purge<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<u64> {
        self.delete(
            rows,
            " WHERE deleted_at IS NOT NULL AND (",
            condition,
            values,
            Held::Awaited,
        )
        .await
    }

    /// Removes rows for good that never were in the trash: what has run out (sessions, tokens), and
    /// what somebody has the right to have erased.
    pub async fn remove<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<u64> {
        self.delete(rows, " WHERE (", condition, values, Held::Awaited)
            .await
    }

    /// The same for what goes now and then: rows that somebody else is changing are left for the next time,
    /// so that nobody waits for whoever cleans up, nor the other way round.
    pub async fn remove_idle<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<u64> {
        self.delete(rows, " WHERE (", condition, values, Held::Left)
            .await
    }

    /// Puts the same in another form in place of what a column has, live or in the trash; whether it still had that.
    /// Nobody who looks sees a change: version and times stay.
    pub async fn exchange(
        &mut self,
        rows: Rows<'_>,
        id: &Id,
        column: &'static str,
        (before, after): (Value, Value),
    ) -> Result<bool> {
        let mut statement = Statement::new("UPDATE ");
        statement.push(rows.table).push(" SET ").push(column);
        statement.push(" = ").push_value(after);
        statement.push(" WHERE id = ").push_value(id);
        statement.push(" AND ").push(column).push(" = ");
        statement.push_value(before);
        own(&mut statement, rows);
        Ok(self.transaction.execute(statement).await? == 1)
    }

    async fn delete<V: Into<Value>>(
        &mut self,
        rows: Rows<'_>,
        which: &'static str,
        condition: &'static str,
        values: impl IntoIterator<Item = V>,
        held: Held,
    ) -> Result<u64> {
        let (before, behind) = self.transaction.engine().taken_up(held);
        let mut statement = Statement::new("DELETE FROM ");
        statement.push(rows.table).push(before);
        statement.push("SELECT id FROM ").push(rows.table);
        statement.push(which).push(condition).push(")");
        for value in values {
            statement.bind(value);
        }
        own(&mut statement, rows);
        statement.push(" ORDER BY id").push(behind);
        self.transaction.execute(statement).await
    }

    pub(super) fn update_of(&self, rows: Rows<'_>) -> Statement {
        let mut statement = Statement::new("UPDATE ");
        statement.push(rows.table).push(" SET updated_at = ");
        statement.push_value(self.now);
        statement.push(", version = version + 1");
        statement
    }

    async fn change_one(
        &mut self,
        mut statement: Statement,
        rows: Rows<'_>,
        id: &Id,
        expected: Option<i64>,
    ) -> Result<i64> {
        statement.push(" AND id = ").push_value(id);
        own(&mut statement, rows);
        if let Some(version) = expected {
            statement.push(" AND version = ").push_value(version);
        }
        statement.push(" RETURNING version");
        if let Some(row) = self.transaction.fetch(statement).await?.first() {
            return row.int("version");
        }
        let found = self.first(rows.select().with_id(id)).await?;
        let row = found.ok_or(Error::Missing(rows.table))?;
        Err(Error::Stale {
            table: rows.table,
            version: row.int("version")?,
        })
    }
}

/// Nothing beyond the tenant's rows.
pub(super) fn own(statement: &mut Statement, rows: Rows<'_>) {
    if let Some(tenant) = rows.tenant {
        statement.push(" AND tenant_id = ").push_value(tenant);
    }
}
