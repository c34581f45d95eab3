//! What a backup says of itself, and reading one without a database.

use std::io::Read;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cell;
use super::error::{Error, Result};
use super::frame::{FrameKind, FrameReader};
use crate::records::{Column, Taken, Value, pending};

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
    fn check(&self) -> Result<()> {
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

/// Reads rows and counts them.
pub(super) struct BackupReader<R> {
    frames: FrameReader<R>,
    pub(super) header: Header,
    counts: Vec<u64>,
    table: usize,
}

/// Rows of one table.
pub(super) struct Batch {
    pub(super) table: usize,
    pub(super) rows: Vec<Vec<Value>>,
}

impl<R: Read> BackupReader<R> {
    pub(super) fn open(reader: R) -> Result<Self> {
        let mut frames = FrameReader::new(reader)?;
        let (FrameKind::Header, content) = frames.read()? else {
            return Err(frames.damaged());
        };
        let header: Header = serde_json::from_slice(&content).map_err(|_| frames.damaged())?;
        header.check()?;
        Ok(Self {
            counts: vec![0; header.tables.len()],
            frames,
            header,
            table: 0,
        })
    }

    /// The next rows; none at the end of a backup that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        let (kind, content) = self.frames.read()?;
        match kind {
            FrameKind::Rows => {
                let batch = self.batch(&content).ok_or_else(|| self.frames.damaged())?;
                self.table = batch.table;
                self.counts[batch.table] += batch.rows.len() as u64;
                Ok(Some(batch))
            }
            FrameKind::End => {
                let manifest: Option<Manifest> = serde_json::from_slice(&content).ok();
                let is_whole = manifest.is_some_and(|manifest| manifest.rows == self.counts);
                is_whole
                    .then_some(None)
                    .ok_or_else(|| self.frames.damaged())
            }
            FrameKind::Header => Err(self.frames.damaged()),
        }
    }

    fn batch(&self, content: &[u8]) -> Option<Batch> {
        let (table, mut rest) = content.split_first_chunk()?;
        let table = usize::from(u16::from_be_bytes(*table));
        let columns = &self.header.tables.get(table)?.columns;
        if table < self.table || columns.is_empty() {
            return None;
        }
        let mut rows = Vec::new();
        while !rest.is_empty() {
            let row: Option<Vec<Value>> = columns
                .iter()
                .map(|column| cell::decode(column.kind, &mut rest))
                .collect();
            rows.push(row?);
        }
        Some(Batch { table, rows })
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            rows: self.counts.iter().sum(),
            total_rows: self.header.total_rows(),
            bytes: self.frames.read_bytes(),
        }
    }

    /// After the last rows.
    pub(super) fn finish(mut self) -> Result<(Summary, R)> {
        let digest = self.frames.end()?;
        let summary = Summary {
            version: self.header.version,
            engine: self.header.engine,
            created_at: self.header.created_at,
            tables: (self.header.tables.into_iter())
                .map(|table| table.name)
                .zip(self.counts)
                .collect(),
            bytes: self.frames.read_bytes(),
            digest,
        };
        Ok((summary, self.frames.into_inner()))
    }
}

/// Reads a backup to its end, without a database. It waits for the file, so it does not belong on a
/// thread that others wait for.
///
/// # Errors
/// Whatever would keep it from being restored into an empty database.
pub fn check(reader: impl Read, mut progress: impl FnMut(&Progress)) -> Result<Summary> {
    let mut backup = BackupReader::open(reader)?;
    while backup.next()?.is_some() {
        progress(&backup.progress());
    }
    Ok(backup.finish()?.0)
}
