//! `/v1/revision`: the configuration in effect, and the last one refused.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::SharedState;
use crate::log::timestamp::rfc3339;
use crate::serve;

/// A revision, as answers show it.
#[derive(Serialize)]
pub(super) struct Revision {
    number: u64,
    digest: String,
    since: String,
    file: String,
    environment: Option<String>,
    last_good: bool,
    /// The revision of the resources beside the file; 0 before the first.
    resources: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejection>,
}

/// A change that was refused.
#[derive(Serialize)]
pub(super) struct Rejection {
    at: String,
    message: String,
    diagnostics: Value,
}

impl From<serve::Revision> for Revision {
    fn from(revision: serve::Revision) -> Self {
        Self {
            number: revision.number,
            digest: revision.digest,
            since: rfc3339(revision.since),
            file: revision.file.display().to_string(),
            environment: revision.environment,
            last_good: revision.last_good,
            resources: revision.resources,
            rejected: None,
        }
    }
}

impl From<serve::Rejection> for Rejection {
    fn from(rejection: serve::Rejection) -> Self {
        Self {
            at: rfc3339(rejection.at),
            message: rejection.text,
            diagnostics: rejection.diagnostics,
        }
    }
}

pub(super) async fn show(State(shared): SharedState) -> Response {
    let rejected = shared.node.rejection().map(Rejection::from);
    super::json(&Revision {
        rejected,
        ..shared.node.revision().into()
    })
}
