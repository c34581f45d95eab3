//! `POST /v1/reload`: read the configuration again.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use weir_console::Problem;

use super::SharedState;
use super::revision::Revision;
use crate::log::timestamp::rfc3339;
use crate::serve::Reloaded;

#[derive(Serialize)]
struct Outcome {
    outcome: &'static str,
    revision: Revision,
}

pub(super) async fn reload(State(shared): SharedState, body: Body) -> Result<Response, Problem> {
    expect_no_members(body).await?;
    let ending = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ending",
            "The process is about to end.",
        )
    };
    let (outcome, revision) = match shared.node.reload().await.ok_or_else(ending)? {
        Reloaded::Applied(revision) => ("applied", revision),
        Reloaded::Unchanged(revision) => ("unchanged", revision),
        Reloaded::Rejected(rejection) => {
            let problem = Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "configuration_rejected",
                "The configuration cannot be used; the running revision stays.",
            );
            return Ok(problem
                .with("at", rfc3339(rejection.at))
                .with("message", rejection.text)
                .with("diagnostics", rejection.diagnostics)
                .into_response());
        }
    };
    Ok(super::json(&Outcome {
        outcome,
        revision: revision.into(),
    }))
}

/// There are no parameters yet; ignoring some would be a lie.
async fn expect_no_members(body: Body) -> Result<(), Problem> {
    let bytes = super::read(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<Map<String, Value>>(&bytes) {
        Ok(members) if members.is_empty() => Ok(()),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_body",
            "The request body must be empty, or a JSON object without members.",
        )),
    }
}
