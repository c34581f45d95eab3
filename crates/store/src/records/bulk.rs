//! Changes of many rows at once: a statement for hundreds of rows instead of one for each.

use weir_core::Id;

use super::changes::{Changes, own};
use super::statement::Statement;
use super::table::Rows;
use super::value::Value;
use crate::error::Result;

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
        let engine = self.transaction.engine();
        let mut new = new.into_iter().peekable();
        while new.peek().is_some() {
            let mut statement = Statement::new("INSERT INTO ");
            statement.push(rows.table);
            statement.push(" (id, created_at, updated_at, version");
            statement.push(match rows.tenant {
                Some(_) => ", tenant_id",
                None => "",
            });
            for column in columns {
                statement.push(", ").push(column);
            }
            let some = new.by_ref().take(engine.most_rows(OWN + N));
            let some = some.map(|(id, values)| {
                let now = Value::from(self.now);
                let mut row = Vec::with_capacity(OWN + N);
                row.extend([id.into(), now.clone(), now, 1_i64.into()]);
                row.extend(rows.tenant.map(Value::from));
                row.extend(values);
                row
            });
            statement.push(") SELECT * FROM ");
            statement.push_rows(engine, some.collect());
            statement.push(" AS given");
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
        let engine = self.transaction.engine();
        let mut changed = 0;
        let mut texts = texts.into_iter().peekable();
        while texts.peek().is_some() {
            let mut statement = self.update_of(rows);
            for (column, value) in same {
                statement.push(", ").push(column).push(" = ");
                statement.push_value(value.clone());
            }
            statement.push(", ").push(column);
            statement.push(" = given.column2 FROM ");
            let some = texts.by_ref().take(engine.most_rows(2));
            let some = some.map(|(id, text)| vec![id.into(), text.into()]);
            statement.push_rows(engine, some.collect());
            statement.push(" AS given WHERE deleted_at IS NULL AND id = given.column1");
            own(&mut statement, rows);
            changed += self.transaction.execute(statement).await?;
        }
        Ok(changed)
    }

    /// Puts many live rows into the trash, each by itself. Tells how many they are.
    pub async fn trash_many(&mut self, rows: Rows<'_>, ids: Vec<Id>) -> Result<u64> {
        let engine = self.transaction.engine();
        let mut trashed = 0;
        let mut ids = ids.into_iter().peekable();
        while ids.peek().is_some() {
            let mut statement = self.update_of(rows);
            statement.push(", deleted_at = ").push_value(self.now);
            statement.push(
                ", deleted_with = id WHERE deleted_at IS NULL AND id IN (SELECT column1 FROM ",
            );
            let some = ids.by_ref().take(engine.most_rows(1));
            let some = some.map(|id| vec![id.into()]);
            statement.push_rows(engine, some.collect());
            statement.push(" AS given)");
            own(&mut statement, rows);
            trashed += self.transaction.execute(statement).await?;
        }
        Ok(trashed)
    }
}
