//! A revision, and how making one went.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use weir_config::{Diagnostic, ResourceKind};
use weir_store::records::Row;

use crate::back::Staying;
use crate::diff::Difference;
use crate::error::Result;

/// A revision that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// Counts up from 1.
    pub number: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it: `user`, `operator` or `system`.
    pub author_kind: String,
    /// Which person, by identifier; the name stands with the person.
    pub author_id: Option<String>,
    /// Why, in the author's words.
    pub comment: String,
    /// The revision that it went back to.
    pub rolled_back_to: Option<i64>,
    /// How many resources it changed.
    pub changes: i64,
    /// Fingerprint of all resources as they are from then on.
    pub digest: String,
}

/// How making a revision went.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The new revision; none if nothing was to be changed, or to be only tried.
    pub revision: Option<Revision>,
    /// The latest revision from now on.
    pub latest: i64,
    /// What it changes, by kind and name. Of more than 100 changes that are not only tried, the documents and
    /// the places of secrets are left out.
    pub differences: Vec<Difference>,
    /// Certificates that going back leaves as they are.
    pub staying: Vec<Staying>,
    /// What should be looked at all the same.
    pub warnings: Vec<Diagnostic>,
    /// Kinds of resources whose secrets go elsewhere by it.
    pub lent: BTreeSet<ResourceKind>,
}

impl Revision {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            number: row.int("number")?,
            created_at: row.time("created_at")?,
            author_kind: row.text("author_kind")?,
            author_id: row.optional_text("author_id")?,
            comment: row.text("comment")?,
            rolled_back_to: row.optional_int("rolled_back_to")?,
            changes: row.int("changes")?,
            digest: row.text("digest")?,
        })
    }
}
