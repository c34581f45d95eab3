//! What a backup says of itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use crate::records::{Column, Taken, pending};

/// How far a backup or a restore is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows done.
    pub rows: u64,
    /// Rows in all.
    pub total_rows: u64,
    /// Bytes of the file that were written or read.
    pub bytes: u64,
}

impl Progress {
    /// How large the file will be, or is, by what is known of its rows so far.
    pub fn total_bytes(&self) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(self.total_rows.max(self.rows));
        let total = bytes / u128::from(self.rows.max(1));
        u64::try_from(total).unwrap_or(u64::MAX).max(self.bytes)
    }
}

/// A backup that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which version of Weir made it.
    pub version: String,
    /// Of which engine, as its users write it.
    pub engine: String,
    /// When.
    pub created_at: Timestamp,
    /// Each table and how many rows it has.
    pub tables: Vec<(String, u64)>,
    /// The size of the file.
    pub bytes: u64,
    /// SHA-256 of everything.
    pub digest: [u8; 32],
}

impl Summary {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// The first frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) version: String,
    pub(super) engine: String,
    pub(super) created_at: Timestamp,
    pub(super) migrations: Vec<Taken>,
    pub(super) tables: Vec<TableHeader>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TableHeader {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
}

/// The last frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// As many as tables.
    pub(super) rows: Vec<u64>,
}

impl Header {
    /// Whether this program can tell what is in it.
    pub(super) fn check(&self) -> Result<()> {
        match pending(&self.migrations) {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Schema {
                version: self.version.clone(),
                source,
            }),
        }
    }

    pub(super) fn total_rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}
