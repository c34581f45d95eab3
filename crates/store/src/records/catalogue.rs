//! What tables there are, asked of the engine itself, so that none can be forgotten.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::engine::{Engine, OnEngine};
use super::migrate;
use super::statement::Statement;
use crate::error::{Error, Result};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// Which of the columns are the primary key, in its order.
    pub(crate) key: Vec<usize>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a column holds; any may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Bool,
    Int,
    Text,
    Bytes,
}

impl Kind {
    /// Of a type's name, as either engine writes it.
    fn of(declared: &str) -> Option<Self> {
        Some(match declared.to_ascii_lowercase().as_str() {
            "boolean" => Self::Bool,
            "bigint" => Self::Int,
            "text" => Self::Text,
            "blob" | "bytea" => Self::Bytes,
            _ => return None,
        })
    }
}

const SQLITE_COLUMNS: &str = "
    SELECT tables.name AS table_name, columns.name AS column_name, columns.type AS declared,
        columns.pk AS key_place
    FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns
    WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite!_%' ESCAPE '!'
    ORDER BY tables.name, columns.cid";

// Places in an int2vector count from 0.
const POSTGRES_COLUMNS: &str = "
    SELECT tables.relname::text AS table_name, columns.attname::text AS column_name,
        format_type(columns.atttypid, NULL) AS declared,
        COALESCE(array_position(keys.indkey::int2[], columns.attnum) + 1, 0)::bigint AS key_place
    FROM pg_class AS tables
    JOIN pg_attribute AS columns ON columns.attrelid = tables.oid
        AND columns.attnum > 0 AND NOT columns.attisdropped AND columns.attgenerated = ''
    LEFT JOIN pg_index AS keys ON keys.indrelid = tables.oid AND keys.indisprimary
    WHERE tables.relnamespace = current_schema()::regnamespace
        AND tables.relkind IN ('r', 'p') AND NOT tables.relispartition
    ORDER BY tables.relname, columns.attnum";

const SQLITE_REFERENCES: &str = "
    SELECT DISTINCT tables.name AS child, keys.\"table\" AS parent
    FROM sqlite_schema AS tables JOIN pragma_foreign_key_list(tables.name) AS keys
    WHERE tables.type = 'table'";

const POSTGRES_REFERENCES: &str = "
    SELECT DISTINCT children.relname::text AS child, parents.relname::text AS parent
    FROM pg_constraint AS keys
    JOIN pg_class AS children ON children.oid = keys.conrelid
    JOIN pg_class AS parents ON parents.oid = keys.confrelid
    WHERE keys.contype = 'f' AND keys.connamespace = current_schema()::regnamespace";

/// The names of all tables, Weir's and others'.
pub(crate) async fn table_names(transaction: &mut OnEngine) -> Result<Vec<String>> {
    let statement = match transaction.engine() {
        Engine::Sqlite => {
            "SELECT name FROM sqlite_schema
             WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
        }
        Engine::Postgres => {
            "SELECT relname::text AS name FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
             ORDER BY relname"
        }
    };
    let rows = transaction.fetch(Statement::new(statement)).await?;
    rows.iter().map(|row| row.text("name")).collect()
}

/// All tables but the one of migrations; each behind those that its rows refer to.
pub(crate) async fn tables(transaction: &mut OnEngine) -> Result<Vec<Table>> {
    let (columns, references) = match transaction.engine() {
        Engine::Sqlite => (SQLITE_COLUMNS, SQLITE_REFERENCES),
        Engine::Postgres => (POSTGRES_COLUMNS, POSTGRES_REFERENCES),
    };
    let mut tables: BTreeMap<String, (Table, Vec<(i64, usize)>)> = BTreeMap::new();
    for row in transaction.fetch(Statement::new(columns)).await? {
        let name = row.text("table_name")?;
        if name == migrate::TABLE {
            continue;
        }
        let (column, declared) = (row.text("column_name")?, row.text("declared")?);
        let kind = Kind::of(&declared).ok_or_else(|| {
            Error::internal(format!("{name}.{column} is of the unknown type {declared}"))
        })?;
        let (table, key) = tables.entry(name.clone()).or_insert_with(|| {
            let table = Table {
                name,
                columns: Vec::new(),
                key: Vec::new(),
            };
            (table, Vec::new())
        });
        let place = row.int("key_place")?;
        if place > 0 {
            key.push((place, table.columns.len()));
        }
        table.columns.push(Column { name: column, kind });
    }
    let mut found = Vec::with_capacity(tables.len());
    for (mut table, mut key) in tables.into_values() {
        if key.is_empty() {
            let text = format!("table {} has no primary key", table.name);
            return Err(Error::internal(text));
        }
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, column)| column).collect();
        found.push(table);
    }
    let mut parents = Vec::new();
    for row in transaction.fetch(Statement::new(references)).await? {
        parents.push((row.text("child")?, row.text("parent")?));
    }
    in_order(found, &parents)
}

/// Puts each table behind those it refers to, and otherwise by name, so that the order does not depend
/// on the engine.
fn in_order(mut tables: Vec<Table>, references: &[(String, String)]) -> Result<Vec<Table>> {
    let mut ordered: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let is_ready = |table: &Table| {
            let mut parents = references
                .iter()
                .filter(|(child, _)| *child == table.name)
                .map(|(_, parent)| parent);
            parents.all(|parent| ordered.iter().any(|table| table.name == *parent))
        };
        let Some(next) = tables.iter().position(is_ready) else {
            let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
            let text = format!(
                "rows of {} refer to each other in a circle",
                names.join(", ")
            );
            return Err(Error::internal(text));
        };
        ordered.push(tables.remove(next));
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        Table {
            name: name.to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
        }
    }

    fn order(names: &[&str], references: &[(&str, &str)]) -> Result<Vec<String>> {
        let references: Vec<_> = references
            .iter()
            .map(|(child, parent)| (child.to_string(), parent.to_string()))
            .collect();
        let tables = names.iter().map(|name| table(name)).collect();
        let ordered = in_order(tables, &references)?;
        Ok(ordered.into_iter().map(|table| table.name).collect())
    }

    #[test]
    fn each_table_comes_behind_those_it_refers_to() {
        let ordered = order(
            &["audit", "roles", "scopes", "users"],
            &[("audit", "scopes"), ("roles", "users"), ("scopes", "users")],
        );
        assert_eq!(ordered.unwrap(), ["users", "roles", "scopes", "audit"]);
    }

    #[test]
    fn a_circle_is_told_of() {
        let error = order(&["a", "b", "c"], &[("a", "b"), ("b", "a")]).unwrap_err();
        assert_eq!(
            error.in_full(),
            "records failed: rows of a, b refer to each other in a circle"
        );
    }
}
