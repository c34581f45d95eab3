//! Backups under a name.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use super::error::{Error, Result};
use super::frame::MAGIC;
use super::summary::{Progress, Summary};
use crate::Records;

/// How much may wait in memory for the disk. A commit of records waits for whatever the file system has
/// still to write; left to itself, that would be hundreds of megabytes now and then.
const UNWRITTEN: usize = 4 * 1024 * 1024;

impl Records {
    /// Writes a backup under this name, readable by nobody else. The name, and what was there before,
    /// is only touched when all of it has reached the disk. Only a backup is replaced.
    pub async fn backup_to_file(
        &self,
        path: &Path,
        progress: impl FnMut(&Progress),
    ) -> Result<Summary> {
        let directory = directory_of(path);
        // Made for the owner alone; dropped, it is removed.
        let partial = tempfile::Builder::new()
            .prefix(".weir-backup-")
            .tempfile_in(&directory)?;
        refuse_to_replace(path)?;
        let file = Steady {
            file: partial.reopen()?,
            unwritten: 0,
        };
        let (summary, file) = self.backup(file, progress).await?;
        let path = path.to_owned();
        spawn_blocking(move || publish(&file.file, partial, &path, &directory))
            .await
            .map_err(|error| Error::internal(error.to_string()))??;
        Ok(summary)
    }

    /// Restores from the file of this name.
    pub async fn restore_from_file(
        &self,
        path: &Path,
        progress: impl FnMut(&Progress),
    ) -> Result<Summary> {
        let file = BufReader::new(File::open(path)?);
        self.restore(file, progress).await
    }
}

/// What is there and is no backup stays: it may be the database itself, or its key.
fn refuse_to_replace(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut head = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut head)?;
    if head.is_empty() || head == MAGIC {
        return Ok(());
    }
    let why = "there is a file of this name that is no backup; choose another name";
    Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn publish(file: &File, partial: NamedTempFile, path: &Path, directory: &Path) -> io::Result<()> {
    file.sync_all()?;
    partial.persist(path).map_err(|error| error.error)?;
    // The name itself.
    File::open(directory)?.sync_all()
}

/// A file that is written to the disk as it grows.
struct Steady {
    file: File,
    unwritten: usize,
}

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unwritten += written;
        if self.unwritten >= UNWRITTEN {
            self.file.sync_data()?;
            self.unwritten = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
