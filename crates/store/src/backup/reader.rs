//! Reading a backup, without a database.

use std::io::Read;

use super::cell;
use super::error::Result;
use super::frame::{FrameKind, FrameReader};
use super::summary::{Header, Manifest, Progress, Summary};
use crate::records::Value;

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
