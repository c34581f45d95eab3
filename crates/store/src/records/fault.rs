//! What is the matter with the file of SQLite, in the words of whoever has to put it right.

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use sqlx::error::DatabaseError;

/// Why the file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// It begins with something else.
    NotADatabase,
    /// Parts of it are missing, or are not what they were.
    Damaged,
    /// There is a directory of its name.
    Directory,
    /// Its directory is not there.
    NoDirectory,
    /// This user may not read or write it.
    NotAllowed,
    /// It, or what is beside it, cannot be opened.
    CannotOpen,
    /// Nothing can be written into it.
    ReadOnly,
    /// There is no room.
    Full,
    /// The disk does not do what it is told.
    Failing,
}

const RESTORE: &str = "stop Weir, move the file and what is beside it (-wal, -shm) away, and bring the latest backup back \
                       with `weir restore`";

impl FileFault {
    /// Whether waiting does not help.
    pub const fn is_lasting(self) -> bool {
        matches!(self, Self::NotADatabase | Self::Damaged)
    }

    /// By SQLite's extended result code: the lowest byte says what it is about.
    fn of_code(code: u32) -> Option<Self> {
        Some(match code & 0xff {
            8 => Self::ReadOnly,
            10 => Self::Failing,
            11 => Self::Damaged,
            13 => Self::Full,
            14 => Self::CannotOpen,
            26 => Self::NotADatabase,
            _ => return None,
        })
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind;

        match error.kind() {
            ErrorKind::IsADirectory => Self::Directory,
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::NoDirectory,
            ErrorKind::PermissionDenied => Self::NotAllowed,
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Failing,
        }
    }

    /// What is so, and what to do about it.
    fn words(self, file: &str) -> String {
        match self {
            Self::NotADatabase => {
                format!("{file} is no database of SQLite, or its beginning is damaged: {RESTORE}")
            }
            Self::Damaged => format!("{file} is damaged: {RESTORE}"),
            Self::Directory => format!(
                "{file} is a directory, and the database is to be a file there: move it away"
            ),
            Self::NoDirectory => format!(
                "the directory of {file} is not there: make it, or choose another one with --data-dir"
            ),
            Self::NotAllowed => format!(
                "this user may not read and write {file}: give it and what is beside it (-wal, -shm) to the user that Weir runs \
                 as, with `chown` and `chmod u+rw`"
            ),
            Self::CannotOpen => format!(
                "{file}, or what SQLite has beside it (-wal, -shm), cannot be opened: they are to be files that the user \
                 of Weir may read and write, in a directory in which it may make some"
            ),
            Self::ReadOnly => format!(
                "{file}, or what is beside it (-wal, -shm), cannot be written: give them and their directory to the user that \
                 Weir runs as, with `chown` and `chmod u+rw`, and see that the file system is not read-only"
            ),
            Self::Full => {
                format!("there is no room for {file}: free some, and Weir goes on by itself")
            }
            Self::Failing => format!(
                "reading or writing {file} fails: look at the disk, and at what the system says of it"
            ),
        }
    }
}

/// An error of the engine that tells something of the file.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
struct OfFile {
    fault: FileFault,
    /// The engine's own words.
    said: String,
}

/// The same error, recognised as one of the file if it is.
pub(crate) fn recognised(error: Box<dyn DatabaseError>) -> Box<dyn StdError + Send + Sync> {
    // A SQLSTATE has five characters, and other meanings.
    let code = error.code().filter(|code| code.len() != 5);
    match code.and_then(|code| FileFault::of_code(code.parse().ok()?)) {
        Some(fault) => {
            let said = error.to_string();
            Box::new(OfFile { fault, said })
        }
        None => error.into(),
    }
}

/// A file that could not be made.
pub(crate) fn of_io(error: &io::Error) -> Box<dyn StdError + Send + Sync> {
    Box::new(OfFile {
        fault: FileFault::of_io(error),
        said: error.to_string(),
    })
}

/// What an error, or one that led to it, says of the file.
pub(crate) fn fault(error: &(dyn StdError + 'static)) -> Option<FileFault> {
    find(error).map(|found| found.fault)
}

/// The same in words, with the engine's.
pub(crate) fn explained(error: &(dyn StdError + 'static), file: &Path) -> Option<String> {
    let OfFile { fault, said } = find(error)?;
    let words = fault.words(&file.display().to_string());
    Some(format!("{words} ({said})"))
}

fn find<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e OfFile> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_codes_are_of_what_their_lowest_byte_says() {
        for (code, fault) in [
            (26, FileFault::NotADatabase),
            (11, FileFault::Damaged),
            // SQLITE_CORRUPT_INDEX, SQLITE_CANTOPEN_DIRTYWAL, SQLITE_READONLY_DIRECTORY.
            (779, FileFault::Damaged),
            (1_294, FileFault::CannotOpen),
            (1_544, FileFault::ReadOnly),
        ] {
            assert_eq!(FileFault::of_code(code), Some(fault), "{code}");
        }
        // SQLITE_BUSY, SQLITE_CONSTRAINT_UNIQUE.
        for code in [5, 2_067] {
            assert_eq!(FileFault::of_code(code), None, "{code}");
        }
    }
}
