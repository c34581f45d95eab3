//! `POST /v1/reload`: read the configuration again.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::SharedState;
use super::problem::Problem;
use super::revision::Revision;
use crate::log::timestamp::rfc3339;
use crate::serve::Reloaded;

/// Bytes of a body.
const BODY_BYTES: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

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
    let bytes = read(body).await?;
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

/// Reads a request's body, within bounds.
pub(super) async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = timeout(BODY_TIMEOUT, to_bytes(body, BODY_BYTES))
        .await
        .map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                "The request body did not arrive in time.",
            )
        })?;
    read.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The request body is larger than allowed.",
        )
    })
}
