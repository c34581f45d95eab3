//! `POST /v1/reload`: read the configuration again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use weir_console::Problem;
use weir_identity::Caller;
use weir_store::audit::Change;

use super::revision::Revision;
use super::{Shared, SharedState};
use crate::deeds::{Action, Deed, Noted, members};
use crate::log::timestamp::rfc3339;
use crate::serve::{self, Reloaded};

#[derive(Serialize)]
struct Outcome {
    outcome: &'static str,
    revision: Revision,
}

pub(super) async fn reload(
    State(shared): SharedState,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Response, Problem> {
    expect_no_members(body).await?;
    let ending = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ending",
            "The process is about to end.",
        )
    };
    // It goes on if whoever asked has left, and so it is told.
    let reloading = Handle::current().spawn(ask(Arc::clone(&shared), caller));
    let (reloaded, noted) = reloading.await.ok().flatten().ok_or_else(ending)?;
    if let Some(noted) = noted {
        noted.settled().await;
    }
    let (outcome, revision) = match reloaded {
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

/// Reloads, and notes what came of it, if something did.
async fn ask(shared: Arc<Shared>, caller: Caller) -> Option<(Reloaded, Option<Noted>)> {
    let former = shared.node.revision();
    let reloaded = shared.node.reload().await?;
    let Reloaded::Applied(revision) = &reloaded else {
        return Some((reloaded, None));
    };
    let state = |revision: &serve::Revision| {
        members(json!({ "number": revision.number, "digest": revision.digest }))
    };
    let deed = Deed {
        action: Action::Reload,
        change: Change {
            before: state(&former),
            after: state(revision),
        },
    };
    let noted = shared.deeds.note(&caller, deed);
    Some((reloaded, Some(noted)))
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
