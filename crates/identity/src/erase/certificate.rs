//! What was erased, to be shown later.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use weir_core::Id;

use super::job::Job;
use crate::error::{Error, Result};
use crate::user;

/// What was erased. It names nobody but by identifiers, which lead nowhere any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Certificate {
    /// The accounts that were erased; none if the person had none.
    pub users: Vec<Id>,
    /// When.
    pub at: Timestamp,
    /// How many rows were removed, by table. `answers` are kept answers to requests with an `Idempotency-Key`, which
    /// were forgotten: they are sealed, so that nobody can tell whom they are about, and all that were there
    /// go, whosever they were.
    pub rows: BTreeMap<String, u64>,
    /// What was taken out of the audit.
    pub audit: Vec<ErasedChain>,
    /// SHA-256 of the above as JSON, in hexadecimal; the audit's entry `user.erase` has it as well.
    pub digest: String,
}

/// What was taken out of one audit chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedChain {
    /// Of the platform, or of which organization.
    pub scope: String,
    /// The numbers of the entries of which origin and change were removed.
    pub entries: Vec<i64>,
    /// The numbers of the entries that tell so.
    pub told_by: Vec<i64>,
}

impl Certificate {
    pub(super) fn new(job: &Job, at: Timestamp) -> Result<Self> {
        let mut certificate = Self {
            users: accounts(&job.person.ids),
            at,
            rows: job.rows.clone(),
            audit: job.audit.clone(),
            digest: String::new(),
        };
        let text = json!({
            "users": certificate.users,
            "at": certificate.at,
            "rows": certificate.rows,
            "audit": certificate.audit,
        });
        let text = serde_json::to_string(&text).map_err(Error::internal)?;
        for byte in Sha256::digest(text) {
            let _ = write!(certificate.digest, "{byte:02x}");
        }
        Ok(certificate)
    }
}

/// Without their keys, which the audit knows by identifiers as well.
fn accounts(ids: &[Id]) -> Vec<Id> {
    let is_account = |id: &&Id| id.prefix() == user::PREFIX;
    ids.iter().filter(is_account).cloned().collect()
}
