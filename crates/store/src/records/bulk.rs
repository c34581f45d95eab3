//! Changes of many rows at once: a statement for hundreds of rows instead of one for each.

use weir_core::Id;

use super::changes::{Changes, own};
use super::statement::Statement;
use super::table::Rows;
use super::value::Value;
use crate::error::Result;

/// Values of one statement. Engines take more, but SQLite looks for each `$n` among all before it.
const VALUES: usize = 2_000;

/// Values that each row has besides those that are given: identifier, times, version, tenant.
const OWN: usize = 5;

impl Changes {
    /// Adds rows at version 1; each has a value for each of `columns`.
    ///
    /// # Errors
    /// [`Error::Taken`](crate::Error::Taken) if a unique value is another live row's.
    pub async fn insert_many<const N: usize>(
        &mut self,
        rows: Rows<'_>,
        columns: [&'static str; N],
        new: Vec<(Id, [Value; N])>,
    ) -> Result<()> {
        let mut new = new.into_iter().peekable();
        while new.peek().is_some() {
            let mut statement = Statement::new("INSERT INTO ");
            statement.push(rows.table);
            statement.push(" (id, created_at, updated_at, version");
            statement.push(if rows.tenant.is_some() {
                ", tenant_id"
            } else {
                ""
            });
            for column in columns {
                statement.push(", ").push(column);
            }
            statement.push(") VALUES ");
            for (at, (id, values)) in new.by_ref().take(VALUES / (OWN + N)).enumerate() {
                statement.push(if at > 0 { ", (" } else { "(" });
                statement.push_value(id);
                statement.push(", ").push_value(self.now);
                statement.push(", ").push_value(self.now);
                statement.push(", ").push_value(1_i64);
                if let Some(tenant) = rows.tenant {
                    statement.push(", ").push_value(tenant);
                }
                for value in values {
                    statement.push(", ").push_value(value);
                }
                statement.push(")");
            }
            self.transaction.execute(statement).await?;
        }
        Ok(())
    }

    /// Changes one column of many live rows, each to a text of its own, and other columns of all of them
    /// to the same. Tells how many rows were changed: those that are not there are left out.
    pub async fn update_many(
        &mut self,
        rows: Rows<'_>,
        column: &'static str,
        texts: Vec<(Id, String)>,
        same: &[(&'static str, Value)],
    ) -> Result<u64> {
        let mut changed = 0;
        let mut texts = texts.into_iter().peekable();
        while texts.peek().is_some() {
            let mut statement = self.update_of(rows);
            for (column, value) in same {
                statement.push(", ").push(column).push(" = ");
                statement.push_value(value.clone());
            }
            // Both engines call the columns of such a list so.
            statement
                .push(", ")
                .push(column)
                .push(" = given.column2 FROM (VALUES ");
            for (at, (id, text)) in texts.by_ref().take(VALUES / 2).enumerate() {
                statement.push(if at > 0 { ", (" } else { "(" });
                statement.push_value(id);
                statement.push(", ").push_value(text).push(")");
            }
            statement.push(") AS given WHERE deleted_at IS NULL AND id = given.column1");
            own(&mut statement, rows);
            changed += self.transaction.execute(statement).await?;
        }
        Ok(changed)
    }

    /// Puts many live rows into the trash, each by itself. Tells how many they are.
    pub async fn trash_many(&mut self, rows: Rows<'_>, ids: Vec<Id>) -> Result<u64> {
        let mut trashed = 0;
        let mut ids = ids.into_iter().peekable();
        while ids.peek().is_some() {
            let mut statement = self.update_of(rows);
            statement.push(", deleted_at = ").push_value(self.now);
            statement.push(", deleted_with = id WHERE deleted_at IS NULL AND id IN (");
            for (at, id) in ids.by_ref().take(VALUES).enumerate() {
                statement.push(if at > 0 { ", " } else { "" });
                statement.push_value(id);
            }
            statement.push(")");
            own(&mut statement, rows);
            trashed += self.transaction.execute(statement).await?;
        }
        Ok(trashed)
    }
}
