//! Many rows within one statement.

use super::engine::Engine;
use super::statement::Statement;
use super::value::Value;

/// Values of one statement on SQLite, which looks for each `$n` among all before it.
const VALUES: usize = 2_000;

/// Rows of one statement on PostgreSQL, which is handed an array for each column: to read a placeholder for each
/// value takes it longer than to keep the row.
const ROWS: usize = 2_000;

impl Engine {
    /// How many rows of this many values one statement should have.
    pub(super) fn most_rows(self, values: usize) -> usize {
        match self {
            Self::Sqlite => (VALUES / values.max(1)).max(1),
            Self::Postgres => ROWS,
        }
    }
}

impl Statement {
    /// Goes on with rows to read from, whose columns are called `column1`, `column2` and so on. All have as many
    /// values as the first, and in each column values of one kind.
    pub(super) fn push_rows(&mut self, engine: Engine, rows: Vec<Vec<Value>>) -> &mut Self {
        match engine {
            Engine::Sqlite => self.push_values(rows),
            Engine::Postgres => self.push_arrays(rows),
        }
    }

    fn push_values(&mut self, rows: Vec<Vec<Value>>) -> &mut Self {
        self.push("(VALUES ");
        for (at, row) in rows.into_iter().enumerate() {
            self.push(if at > 0 { ", (" } else { "(" });
            for (at, value) in row.into_iter().enumerate() {
                self.push(if at > 0 { ", " } else { "" });
                self.push_value(value);
            }
            self.push(")");
        }
        self.push(")")
    }

    fn push_arrays(&mut self, rows: Vec<Vec<Value>>) -> &mut Self {
        let width = rows.first().map_or(0, Vec::len);
        let mut columns = vec![Vec::with_capacity(rows.len()); width];
        for row in rows {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        self.push("(SELECT * FROM UNNEST(");
        for (at, column) in columns.into_iter().enumerate() {
            let of = match column.first() {
                Some(Value::Bool(_)) => "::BOOLEAN[]",
                Some(Value::Int(_)) => "::BIGINT[]",
                Some(Value::Bytes(_)) => "::BYTEA[]",
                Some(Value::Text(_)) | None => "::TEXT[]",
            };
            self.push(if at > 0 { ", " } else { "" });
            self.push_column(column).push(of);
        }
        self.push(") AS given (");
        for number in 1..=width {
            self.push(if number > 1 { ", " } else { "" });
            self.push_name(&format!("column{number}"));
        }
        self.push("))")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_gets_the_rows_as_it_reads_them_fastest() {
        let rows = || vec![vec![Value::from("a"), Value::from(1_i64)]; 2];
        let text = |engine| {
            let mut statement = Statement::new("SELECT * FROM ");
            statement.push_rows(engine, rows()).push(" AS given");
            statement.into_parts().0
        };
        assert_eq!(
            text(Engine::Sqlite),
            "SELECT * FROM (VALUES ($1, $2), ($3, $4)) AS given"
        );
        assert_eq!(
            text(Engine::Postgres),
            "SELECT * FROM (SELECT * FROM UNNEST($1::TEXT[], $2::BIGINT[]) AS given (\"column1\", \"column2\")) AS given"
        );
    }
}
