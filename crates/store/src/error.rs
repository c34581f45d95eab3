//! What can go wrong with records, as callers tell it apart.

use std::borrow::Cow;
use std::error::Error as StdError;

use sqlx::error::{DatabaseError, ErrorKind};

use crate::records::{FileFault, fault};

/// The result of asking for records or changing them.
pub type Result<T> = std::result::Result<T, Error>;

/// Why records could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot be reached, or has no room or time: the same may succeed later. Nothing was
    /// changed.
    #[error("records are not available")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// The engine was lost while it was to commit: whether the change took effect is not known.
    #[error("whether the change took effect is unknown")]
    Unknown(#[source] Box<dyn StdError + Send + Sync>),
    /// No such record, or not for this tenant, or in the trash.
    #[error("no such record in {0}")]
    Missing(&'static str),
    /// The record is at another version than the one that was to be changed.
    #[error("a record in {table} is at version {version} by now")]
    Stale {
        /// Where it is.
        table: &'static str,
        /// The version that it has.
        version: i64,
    },
    /// A live record has this unique value already.
    #[error("the value is taken: {0}")]
    Taken(Unique),
    /// The database does not fit this program.
    #[error(transparent)]
    Schema(#[from] crate::records::SchemaMismatch),
    /// A mistake of this program or a damaged database.
    #[error("records failed")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

/// A unique index by the name that migrations give it: `users_by_email`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique(Cow<'static, str>);

impl Unique {
    /// Whether it is the index of this name.
    pub fn is(&self, name: &str) -> bool {
        self.0 == name
    }
}

impl std::fmt::Display for Unique {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Error {
    /// Whether the same request may succeed later, and did nothing now.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// What happened and everything that led to it, for the operator.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let said = error.to_string();
            // Some of the errors below repeat their source themselves.
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            source = error.source();
        }
        text
    }

    /// The error of a commit, of which the answer was lost.
    pub(crate) fn of_commit(error: sqlx::Error) -> Self {
        match Self::from(error) {
            Self::Unavailable(source) => Self::Unknown(source),
            other => other,
        }
    }

    /// What the matter is with the file of the database, if it is that.
    pub fn file_fault(&self) -> Option<FileFault> {
        fault::fault(self)
    }

    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into().into())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as Sqlx;

        match error {
            Sqlx::Database(error) => of_database(error),
            Sqlx::Io(_)
            | Sqlx::Tls(_)
            | Sqlx::PoolTimedOut
            | Sqlx::PoolClosed
            | Sqlx::WorkerCrashed
            | Sqlx::BeginFailed => Self::Unavailable(Box::new(error)),
            error => Self::Internal(Box::new(error)),
        }
    }
}

fn of_database(error: Box<dyn DatabaseError>) -> Error {
    if error.kind() == ErrorKind::UniqueViolation {
        return Error::Taken(unique_of(&*error));
    }
    let is_temporary = error.code().is_some_and(|code| is_temporary(&code));
    let source = fault::recognised(error);
    if is_temporary {
        Error::Unavailable(source)
    } else {
        Error::Internal(source)
    }
}

/// PostgreSQL names the index; SQLite lists its columns, from which the name is made by the rule that
/// migrations follow.
fn unique_of(error: &dyn DatabaseError) -> Unique {
    if let Some(name) = error.constraint() {
        return Unique(name.to_owned().into());
    }
    let message = error.message();
    let columns = message.rsplit(": ").next().unwrap_or_default();
    let mut table = "";
    let names: Vec<&str> = columns
        .split(", ")
        .map(|column| {
            let (of, name) = column.split_once('.').unwrap_or_default();
            table = of;
            name
        })
        .filter(|name| *name != "tenant_id")
        .collect();
    Unique(format!("{table}_by_{}", names.join("_")).into())
}

/// By SQLSTATE (PostgreSQL's appendix A), or by SQLite's extended result code.
fn is_temporary(code: &str) -> bool {
    match code {
        // Serialization failure, deadlock, lock not available, statement timeout, read-only server.
        "40001" | "40P01" | "55P03" | "57014" | "25006" => true,
        // BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN in the lowest byte.
        code if code.len() != 5 => code
            .parse::<u32>()
            .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14)),
        // Connection exceptions, insufficient resources, operator intervention, system errors.
        code => ["08", "53", "57", "58"]
            .iter()
            .any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_engines_tell_what_may_pass() {
        for code in ["40001", "08006", "53300", "57P01", "5", "517", "13", "10"] {
            assert!(is_temporary(code), "{code}");
        }
        for code in ["23505", "42601", "1", "19", "2067"] {
            assert!(!is_temporary(code), "{code}");
        }
    }
}
