//! The columns that this program knows of, read out of its own migrations.
//!
//! During an upgrade the next version adds columns while this one runs. A query for `*` would have them too: PostgreSQL
//! refuses to run a statement again that was prepared before and would answer with other columns now (SQLSTATE 0A000),
//! and in a transaction no second try helps. So whatever asks for a whole row names its columns.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::migrate::MIGRATIONS;

/// The columns of one table, as text of a query.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// `id, name`
    pub(super) plain: String,
    /// `base.id, base.name`
    pub(super) of_base: String,
}

static COLUMNS: LazyLock<HashMap<&str, Columns>> =
    LazyLock::new(|| of_scripts(MIGRATIONS.iter().map(|step| step.text)));

/// All columns of a table that this program's migrations make; of another one, of which nothing is known, `*`.
pub(super) fn columns(table: &str) -> &'static Columns {
    static UNKNOWN: LazyLock<Columns> = LazyLock::new(|| Columns {
        plain: "*".to_owned(),
        of_base: "base.*".to_owned(),
    });
    COLUMNS.get(table).unwrap_or(&UNKNOWN)
}

/// Follows what scripts make of tables. They have a column a line, and one of these at the beginning of a line:
/// `CREATE TABLE name (` … `);` and `ALTER TABLE name ADD COLUMN …;`
fn of_scripts(texts: impl Iterator<Item = &'static str>) -> HashMap<&'static str, Columns> {
    let mut tables: HashMap<_, Columns> = HashMap::new();
    for text in texts {
        let mut created = None;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let added = match (words.next(), created) {
                (Some("CREATE"), _) if words.next() == Some("TABLE") => {
                    created = words.next();
                    continue;
                }
                (Some("ALTER"), _) => match words.collect::<Vec<_>>()[..] {
                    ["TABLE", table, "ADD", "COLUMN", column, ..] => Some((table, column)),
                    _ => None,
                },
                (Some(");"), _) => {
                    created = None;
                    None
                }
                // `PRIMARY KEY (a, b)` and the like; comments.
                (Some(word), Some(table)) if is_name(word) => Some((table, word)),
                _ => None,
            };
            if let Some((table, column)) = added {
                tables.entry(table).or_default().add(column);
            }
        }
    }
    tables
}

/// Names are in small letters, keywords in capitals.
fn is_name(word: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.bytes().all(is_of_name)
}

impl Columns {
    fn add(&mut self, column: &str) {
        for (text, prefix) in [(&mut self.plain, ""), (&mut self.of_base, "base.")] {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(prefix);
            text.push_str(column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Address, Options, Purpose, Records, tables};

    #[test]
    fn tables_are_followed_through_the_steps() {
        let first = "-- CREATE TABLE no (\nCREATE TABLE a (\n    id {text} NOT NULL,\n    -- at least one\n    \
                     b2 BIGINT,\n    PRIMARY KEY (id, b2)\n);\nCREATE INDEX a_by_b2 ON a (\n    b2\n);\n";
        let second =
            "CREATE TABLE other (\n    id {text}\n);\nALTER TABLE a ADD COLUMN c {bytes};\n";
        let tables = of_scripts([first, second].into_iter());
        assert_eq!(tables["a"].plain, "id, b2, c");
        assert_eq!(tables["a"].of_base, "base.id, base.b2, base.c");
        assert_eq!(tables["other"].plain, "id");
        assert_eq!(tables.len(), 2);
    }

    #[tokio::test]
    async fn they_are_those_that_the_engine_has_then() {
        let directory = tempfile::tempdir().unwrap();
        let address = Address::Sqlite(directory.path().join("weir.db"));
        let records = Records::open(&Options::new(address)).unwrap();
        records.migrate().await.unwrap();
        let mut transaction = records.begin(Purpose::Read).await.unwrap();
        let tables = tables(&mut transaction).await.unwrap();
        assert_eq!(tables.len(), COLUMNS.len());
        for table in tables {
            let names: Vec<_> = table.columns.iter().map(|column| &*column.name).collect();
            assert_eq!(
                columns(&table.name).plain,
                names.join(", "),
                "{}",
                table.name
            );
        }
    }
}
