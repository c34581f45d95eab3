//! What comes out of a statement.

use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};
use weir_core::Id;

use super::catalogue::{Column, Kind};
use super::value::Value;
use crate::error::{Error, Result};

/// One row; columns are asked for by name.
pub struct Row(pub(super) OfEngine);

pub(super) enum OfEngine {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A value that may be null, or a mistake if the column is of another kind.
    fn get<'r, T>(&'r self, column: &str) -> Result<T>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        let value = match &self.0 {
            OfEngine::Sqlite(row) => row.try_get(column),
            OfEngine::Postgres(row) => row.try_get(column),
        };
        value.map_err(Error::from)
    }

    /// A value of any kind.
    pub(crate) fn value(&self, column: &Column) -> Result<Value> {
        let name = &column.name;
        Ok(match column.kind {
            Kind::Bool => Value::Bool(self.get(name)?),
            Kind::Int => Value::Int(self.get(name)?),
            Kind::Text => Value::Text(self.get(name)?),
            Kind::Bytes => Value::Bytes(self.get(name)?),
        })
    }

    /// Text.
    pub fn text(&self, column: &str) -> Result<String> {
        self.get(column)
    }

    /// Text or null.
    pub fn optional_text(&self, column: &str) -> Result<Option<String>> {
        self.get(column)
    }

    /// A whole number.
    pub fn int(&self, column: &str) -> Result<i64> {
        self.get(column)
    }

    /// A whole number or null.
    pub fn optional_int(&self, column: &str) -> Result<Option<i64>> {
        self.get(column)
    }

    /// A boolean.
    pub fn bool(&self, column: &str) -> Result<bool> {
        self.get(column)
    }

    /// Bytes.
    pub fn bytes(&self, column: &str) -> Result<Vec<u8>> {
        self.get(column)
    }

    /// Bytes or null.
    pub fn optional_bytes(&self, column: &str) -> Result<Option<Vec<u8>>> {
        self.get(column)
    }

    /// A point in time.
    pub fn time(&self, column: &str) -> Result<Timestamp> {
        time_of(self.int(column)?)
    }

    /// A point in time or null.
    pub fn optional_time(&self, column: &str) -> Result<Option<Timestamp>> {
        self.optional_int(column)?.map(time_of).transpose()
    }

    /// An identifier.
    pub fn id(&self, column: &str) -> Result<Id> {
        id_of(&self.text(column)?)
    }

    /// An identifier or null.
    pub fn optional_id(&self, column: &str) -> Result<Option<Id>> {
        self.optional_text(column)?
            .as_deref()
            .map(id_of)
            .transpose()
    }
}

fn time_of(microseconds: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(microseconds).map_err(|error| Error::Internal(error.into()))
}

fn id_of(text: &str) -> Result<Id> {
    text.parse()
        .map_err(|error| Error::Internal(Box::new(error)))
}
