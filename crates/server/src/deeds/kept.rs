//! What the audit does not have yet, on disk: a process that is killed leaves it to the next one.
//!
//! Each process appends to files of its own, which it locks: during an upgrade there are two processes. Files
//! that nobody locks are of processes that are gone, and are taken over. A file goes when the audit has all of it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use weir_core::Id;
use weir_store::audit::Entry;

use super::line;

const DIRECTORY: &str = "audit-waiting";
const ENDING: &str = "jsonl";
/// Lines of a file, after which there is another one: the former goes once they are told.
const MOST_LINES: usize = 200;
/// Largest file that is read back.
const LARGEST: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Kept {
    directory: PathBuf,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    all: Vec<Locked>,
    next: u64,
}

/// A file that is this process's to write and to remove.
#[derive(Debug)]
struct Locked {
    path: PathBuf,
    file: File,
    /// Numbers of the entries in it that the audit does not have.
    left: BTreeSet<u64>,
    lines: usize,
    is_own: bool,
}

/// An entry in a file, by its number.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) entry: Entry,
    pub(super) at: Timestamp,
}

impl Kept {
    pub(super) fn new(data: &Path) -> Self {
        Self {
            directory: data.join(DIRECTORY),
            files: Mutex::default(),
        }
    }

    /// For an entry that is about to be kept.
    pub(super) fn number(&self) -> u64 {
        self.files().number()
    }

    /// Writes an entry down, durably.
    pub(super) fn append(&self, number: u64, entry: &Entry, at: Timestamp) -> io::Result<()> {
        let text = line::write(entry, at)?;
        let mut files = self.files();
        let has_room = |file: &Locked| file.is_own && file.lines < MOST_LINES;
        let place = match files.all.iter().position(has_room) {
            Some(place) => place,
            None => {
                files.all.push(make(&self.directory)?);
                files.all.len() - 1
            }
        };
        let file = &mut files.all[place];
        let before = file.file.metadata()?.len();
        let written = file.file.write_all(&text);
        if let Err(error) = written.and_then(|()| file.file.sync_data()) {
            // Half a line would spoil the next one.
            file.file.set_len(before)?;
            return Err(error);
        }
        file.lines += 1;
        file.left.insert(number);
        Ok(())
    }

    /// Forgets an entry that the audit has, or will never have.
    pub(super) fn forget(&self, number: u64) -> io::Result<()> {
        let mut files = self.files();
        let Some(at) = files.all.iter().position(|one| one.left.contains(&number)) else {
            return Ok(());
        };
        let file = &mut files.all[at];
        file.left.remove(&number);
        if !file.left.is_empty() {
            return Ok(());
        }
        if file.is_own && file.lines < MOST_LINES {
            // The next entry goes into it.
            file.lines = 0;
            file.file.set_len(0)?;
            return file.file.sync_data();
        }
        fs::remove_file(&files.all.swap_remove(at).path)
    }

    /// What processes that are gone have left, the oldest first.
    pub(super) fn take_over(&self) -> io::Result<Vec<Found>> {
        let mut paths = match fs::read_dir(&self.directory) {
            Ok(entries) => entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // Names begin with the time.
        paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
        paths.sort();
        let mut found = Vec::new();
        for path in paths {
            match self.take(&path) {
                Ok(taken) => found.extend(taken),
                // What the others have is told all the same, and this one is tried again.
                Err(error) => {
                    let file = path.display();
                    tracing::warn!(%error, %file, "changes that wait for the audit cannot be read");
                }
            }
        }
        Ok(found)
    }

    /// What is in a file, if nobody has it; from then on it is this process's.
    fn take(&self, path: &Path) -> io::Result<Vec<Found>> {
        let mut files = self.files();
        if files.all.iter().any(|one| one.path == path) {
            return Ok(Vec::new());
        }
        let file = match File::open(path) {
            Ok(file) => file,
            // Whoever had it has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if file.try_lock().is_err() {
            return Ok(Vec::new());
        }
        let text = weir_files::read(path, LARGEST)?.unwrap_or_default();
        // What stands behind the last end of a line was never acknowledged: its process ended meanwhile.
        let end = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = text[..end].split(|byte| *byte == b'\n');
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        let read: Vec<_> = lines.iter().filter_map(|line| line::read(line)).collect();
        if read.len() < lines.len() {
            tracing::error!(
                lines = lines.len() - read.len(),
                file = %path.display(),
                "the audit will miss changes that cannot be read"
            );
        }
        if read.is_empty() {
            weir_files::remove(path)?;
            return Ok(Vec::new());
        }
        let found = read.into_iter().map(|(entry, at)| Found {
            number: files.number(),
            entry,
            at,
        });
        let found: Vec<_> = found.collect();
        files.all.push(Locked {
            path: path.to_owned(),
            file,
            left: found.iter().map(|one| one.number).collect(),
            lines: MOST_LINES,
            is_own: false,
        });
        Ok(found)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of nothing, nothing is left.
impl Drop for Kept {
    fn drop(&mut self) {
        let files = self.files.get_mut().unwrap_or_else(PoisonError::into_inner);
        for file in files.all.iter().filter(|file| file.left.is_empty()) {
            let _ = fs::remove_file(&file.path);
        }
    }
}

impl Files {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// A new file, locked before anybody can see it.
fn make(directory: &Path) -> io::Result<Locked> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let name = Id::new("adt");
    let hidden = directory.join(format!(".{name}"));
    let file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(&hidden)?;
    file.lock()?;
    let path = directory.join(format!("{name}.{ENDING}"));
    fs::rename(&hidden, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(Locked {
        path,
        file,
        left: BTreeSet::new(),
        lines: 0,
        is_own: true,
    })
}

#[cfg(test)]
mod tests;
