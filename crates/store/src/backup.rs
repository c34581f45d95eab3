//! A copy of all records in one file, and back: onto either engine, whichever it came from.
//!
//! ```text
//! file   = "weir-backup\n" version:u32 frame…
//! frame  = kind:u8 length:u32 stored:u32 digest:[32] payload        numbers big-endian
//!          digest  = SHA-256(digest of the frame before ‖ kind ‖ length ‖ stored ‖ payload)
//!          payload = Zstandard (RFC 8878), `stored` bytes here, `length` bytes unpacked
//! H      = JSON: who made it, when, the migrations of its schema, tables and their columns
//! R      = table:u16 row…               rows of one table, in the order of its key
//! E      = JSON: rows of each table     the last frame, and nothing behind it
//! ```
//!
//! Tables are found in the engine's catalogue and come in an order in which what refers stands behind
//! what it refers to. The digest of the last frame is one of everything before it: it tells damage, not
//! forgery, since whoever can write the file can also compute it.
//!
//! - **Consistent.** A backup is one state of the whole database, whatever others write meanwhile.
//! - **Flat.** Neither direction holds more than a frame or a row, whichever is larger.
//! - **Whole.** A file is checked to its end before a restore changes anything, and a restore is one
//!   transaction, in which the audit is verified before it is committed.
//! - **Of use later.** What belongs to its moment stays out: sessions, links, counted attempts.
//!
//! A backup is as secret as the database: it has hashes of passwords in it.

mod cell;
mod error;
mod file;
mod frame;
mod passing;
mod reader;
mod restore;
mod save;
mod summary;

pub use error::{Error, Result};
pub use reader::check;
pub use summary::{Progress, Summary};
