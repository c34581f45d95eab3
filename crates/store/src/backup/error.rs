//! Why there is no backup, or no restoring it.

use std::io;

use crate::audit::Broken;
use crate::records::SchemaMismatch;

/// The result of backing up or restoring.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no backup, or why one was not restored. Whichever it is, no database was changed and no
/// half file is left under its name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a file that Weir made.
    #[error("not a backup of weir")]
    Foreign,
    /// A form that this program does not know.
    #[error(
        "the backup is of format {0}, which this version of weir does not know: use the version that made it, or a newer one"
    )]
    Format(u32),
    /// It ends too early.
    #[error("the backup is cut off: it ends within what begins at byte {0}; use another copy")]
    CutOff(u64),
    /// It is not what was written.
    #[error("the backup is damaged between byte {from} and byte {to}; use another copy")]
    Damaged {
        /// Where the part begins that is not what it was.
        from: u64,
        /// Where it ends.
        to: u64,
    },
    /// Something stands behind its end.
    #[error("the backup ends at byte {0}, but the file goes on; use another copy")]
    GoesOn(u64),
    /// The database it is of does not fit this program.
    #[error(
        "the backup was made by weir {version}, and its schema does not fit this one: {source}"
    )]
    Schema {
        /// Of the program that made it.
        version: String,
        /// What does not fit.
        source: SchemaMismatch,
    },
    /// There are records already.
    #[error(
        "there are records already, in table {0}; a backup is only restored into an empty database"
    )]
    NotEmpty(String),
    /// The same schema has other tables or columns here than there.
    #[error("table {0} of the backup is not the one of this database")]
    OtherTable(String),
    /// The audit in the backup was broken when it was made.
    #[error("the audit of {scope} is broken in the backup: {broken}")]
    Audit {
        /// The name of the chain's scope.
        scope: String,
        /// Where.
        broken: Broken,
    },
    /// The file could not be written or read.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The database could not be read or written.
    #[error(transparent)]
    Records(#[from] crate::Error),
}

impl Error {
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::Records(crate::Error::internal(text))
    }
}
