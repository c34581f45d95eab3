//! The audit as it is told: one entry, the forms of many, and a stream of all.

mod csv;
mod export;
mod form;

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use weir_store::audit::{Change, Origin, Recorded};

pub use export::Lasting;
pub(crate) use export::export;
pub(crate) use form::Form;

/// Something that was done. The fields have the same names in every form.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Its number in the chain of the organization or platform, from 1 and without gaps.
    #[schema(example = 12)]
    sequence: i64,
    /// When.
    at: Timestamp,
    /// What: the kind of thing and a verb.
    #[schema(example = "organization.suspend")]
    action: String,
    /// Who: `user`, `system` (Weir itself), `operator` (whoever is at the machine), `target`
    /// (one that registers itself), `anonymous`.
    #[schema(example = "user")]
    actor_kind: String,
    /// The person's identifier.
    actor_id: Option<String>,
    /// Their e-mail address at that time.
    actor_name: Option<String>,
    /// To what kind of thing.
    #[schema(example = "organization")]
    subject_kind: String,
    /// To which one; null if it is the installation.
    subject_id: Option<String>,
    /// From which IP address.
    address: Option<String>,
    /// With which program.
    agent: Option<String>,
    /// The request, as logs name it.
    request_id: Option<String>,
    /// What is no more, or is different now, as it was; without secrets.
    #[schema(value_type = Option<Object>)]
    before: Option<Map<String, Value>>,
    /// What is new, or is different now, as it became; without secrets.
    #[schema(value_type = Option<Object>)]
    after: Option<Map<String, Value>>,
    /// The number of the entry that tells that name, address, agent, before and after of this one were
    /// erased.
    erased_by: Option<i64>,
    /// SHA-256 of the chain up to here, in hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    hash: String,
}

impl From<Recorded> for AuditEntry {
    fn from(entry: Recorded) -> Self {
        // Text of another form would be a later version's; what of it is not known is left out.
        let origin: Origin = read(entry.origin);
        let change: Change = read(entry.change);
        Self {
            sequence: entry.sequence,
            at: entry.at,
            action: entry.action,
            actor_kind: entry.actor_kind,
            actor_id: entry.actor_id,
            actor_name: origin.name,
            subject_kind: entry.subject_kind,
            subject_id: entry.subject_id,
            address: origin.address,
            agent: origin.agent,
            request_id: entry.request_id,
            before: Some(change.before).filter(|members| !members.is_empty()),
            after: Some(change.after).filter(|members| !members.is_empty()),
            erased_by: entry.erased_by,
            hash: hexadecimal(&entry.hash),
        }
    }
}

fn read<T: serde::de::DeserializeOwned + Default>(text: Option<Value>) -> T {
    text.and_then(|text| serde_json::from_value(text).ok())
        .unwrap_or_default()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Strings take everything.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
