//! `POST /v1/match`: what would happen to a request, by all that runs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::task::spawn_blocking;
use weir_config::{ResourceKind, ResourceName};
use weir_console::{FieldError, Problem};

use super::SharedState;
use crate::command::dry_run::{Answer, Owner, Question};

pub(super) async fn show(State(shared): SharedState, body: Body) -> Result<Response, Problem> {
    let bytes = super::read(body).await?;
    let question: Question = serde_json::from_slice(&bytes).map_err(|error| {
        let problem = Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_body",
            "The request body must be a JSON object with `method` and `url`, and maybe `headers` and `claims`.",
        );
        problem.with("message", error.to_string())
    })?;
    let asked = question.read();
    let asked = asked
        .map_err(|(pointer, detail)| Problem::invalid(vec![FieldError { pointer, detail }]))?;
    let config = Arc::clone(&shared.node.gateway.snapshot().config);
    let file = shared.node.running().file;
    // Tables of thousands of routes are built for it.
    let answer = spawn_blocking(move || {
        Answer::of(&asked, &config).owned(|route| {
            let name = ResourceName {
                kind: ResourceKind::Route,
                name: route.to_owned(),
            };
            match file.document(&name) {
                Some(_) => Owner::File,
                None => Owner::Api,
            }
        })
    });
    let answer = answer.await.map_err(|_| Problem::internal())?;
    Ok(super::json(&answer))
}
