//! `/v1/upstreams/{name}/targets`: where targets announce themselves.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weir_console::Problem;
use weir_discovery::{Registered, Registration, RegistrationError};
use weir_identity::Caller;
use weir_store::audit::{Actor, Change};

use super::{Shared, SharedState};
use crate::deeds::{Action, Deed, members};

/// What a target says of itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announcement {
    address: String,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    zone: Option<String>,
}

fn one() -> u32 {
    1
}

#[derive(Serialize)]
struct Targets {
    targets: Vec<Target>,
}

#[derive(Serialize)]
struct Target {
    id: String,
    address: String,
    weight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    expires_in_ms: u128,
}

impl From<Registered> for Target {
    fn from(registered: Registered) -> Self {
        let Registered {
            id,
            target,
            expires_in,
        } = registered;
        let address = match target.host.contains(':') {
            true => format!("[{}]:{}", target.host, target.port),
            false => format!("{}:{}", target.host, target.port),
        };
        Self {
            id,
            address,
            weight: target.weight,
            zone: target.zone,
            expires_in_ms: expires_in.as_millis(),
        }
    }
}

type Outcome = Result<Response, Refusal>;

/// Why a request changed nothing.
pub(super) enum Refusal {
    Registration(RegistrationError),
    Request(Problem),
}

impl From<RegistrationError> for Refusal {
    fn from(error: RegistrationError) -> Self {
        Self::Registration(error)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Request(problem)
    }
}

pub(super) async fn list(State(shared): SharedState, Path(upstream): Path<String>) -> Outcome {
    let registered = shared.node.discoverer.registered(&upstream)?;
    Ok(super::json(&Targets {
        targets: registered.into_iter().map(Target::from).collect(),
    }))
}

pub(super) async fn show(
    State(shared): SharedState,
    Path((upstream, id)): Path<(String, String)>,
) -> Outcome {
    let registered = shared.node.discoverer.registered(&upstream)?;
    let found = registered.into_iter().find(|one| one.id == id);
    let target = found.ok_or(RegistrationError::NotRegistered)?;
    Ok(super::json(&Target::from(target)))
}

/// With a body it registers, or renews and perhaps changes what is registered; without one it
/// renews. To renew is always possible, also while a successor starts: if that fails, no target may have
/// expired meanwhile.
pub(super) async fn register(
    State(shared): SharedState,
    Path((upstream, id)): Path<(String, String)>,
    request: Request,
) -> Outcome {
    let discoverer = shared.node.discoverer.clone();
    let (parts, body) = request.into_parts();
    let caller = authorise(&shared, &upstream, &parts).await?;
    let body = super::read(body).await?;
    if body.trim_ascii().is_empty() {
        let renewed = discoverer.renew(&upstream, &id)?;
        return Ok(super::json(&Target::from(renewed)));
    }
    let Ok(announced) = serde_json::from_slice::<Announcement>(&body) else {
        let detail = "The request body must be empty, or a JSON object with `address` and perhaps \
                      `weight` and `zone`.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail).into());
    };
    let registration = Registration {
        address: announced.address,
        weight: announced.weight,
        zone: announced.zone,
    };
    if let Some(renewed) = discoverer.renew_as(&upstream, &id, &registration)? {
        return Ok(super::json(&Target::from(renewed)));
    }
    let permit = super::permit(&shared.node).await?;
    let deeds = Arc::clone(&shared.deeds);
    // To its end, and told, even if whoever asked has left.
    let registering = move || {
        let _permit = permit;
        let former = discoverer.registered(&upstream)?;
        let former = former.into_iter().find(|one| one.id == id);
        let (is_new, registered) = discoverer.register(&upstream, &id, &registration)?;
        let deed = Deed {
            action: Action::TargetRegister,
            change: Change {
                before: former.map(|one| state(&upstream, one)).unwrap_or_default(),
                after: state(&upstream, registered.clone()),
            },
        };
        Ok((is_new, registered, deeds.note(&caller, deed)))
    };
    let (is_new, registered, noted) = blocking(registering).await?;
    noted.settled().await;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, super::json(&Target::from(registered))).into_response())
}

pub(super) async fn deregister(
    State(shared): SharedState,
    Path((upstream, id)): Path<(String, String)>,
    request: Request,
) -> Outcome {
    let discoverer = shared.node.discoverer.clone();
    let (parts, _) = request.into_parts();
    let caller = authorise(&shared, &upstream, &parts).await?;
    let permit = super::permit(&shared.node).await?;
    let deeds = Arc::clone(&shared.deeds);
    let leaving = move || {
        let _permit = permit;
        let former = discoverer.registered(&upstream)?;
        let former = former.into_iter().find(|one| one.id == id);
        discoverer.deregister(&upstream, &id)?;
        let deed = Deed {
            action: Action::TargetDeregister,
            change: Change {
                before: former.map(|one| state(&upstream, one)).unwrap_or_default(),
                after: Map::new(),
            },
        };
        Ok(deeds.note(&caller, deed))
    };
    blocking(leaving).await?.settled().await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What the audit is told of a target.
fn state(upstream: &str, registered: Registered) -> Map<String, Value> {
    let Target {
        id,
        address,
        weight,
        zone,
        ..
    } = registered.into();
    members(json!({
        "upstream": upstream, "id": id, "address": address, "weight": weight, "zone": zone,
    }))
}

/// Whoever may change how this node runs, and whoever has the upstream's own token.
async fn authorise(shared: &Shared, upstream: &str, parts: &Parts) -> Result<Caller, Refusal> {
    if let Ok(caller) = super::admit(shared, parts).await {
        return Ok(caller);
    }
    // Without its token nobody hears whether there is such an upstream.
    let token = weir_console::bearer(&parts.headers);
    let is_right = |token| shared.node.discoverer.authorise(upstream, token).is_ok();
    if token.is_some_and(is_right) {
        Ok(weir_console::caller_as(parts, Actor::Target))
    } else {
        Err(RegistrationError::Unauthorised.into())
    }
}

/// A registration is on disk before it is confirmed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistrationError> + Send + 'static,
) -> Result<T, RegistrationError> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(RegistrationError::Storage(std::io::Error::other(error))))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Registration(error) => refuse(&error),
            Self::Request(problem) => problem.into_response(),
        }
    }
}

fn refuse(error: &RegistrationError) -> Response {
    use RegistrationError as Error;
    let (status, reason, detail) = match error {
        Error::NoSuchUpstream => (
            StatusCode::NOT_FOUND,
            "no_such_upstream",
            "There is no upstream of this name that takes registrations.",
        ),
        Error::NotRegistered => (
            StatusCode::NOT_FOUND,
            "not_registered",
            "No target is registered under this id; send its address to register it.",
        ),
        Error::Unauthorised => (
            StatusCode::UNAUTHORIZED,
            "unauthorised",
            "Registrations need the upstream's bearer token, or the operator's.",
        ),
        Error::Id => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_registration",
            "An id is up to 128 letters, digits, `.`, `_`, `:` and `-`.",
        ),
        Error::Address => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_registration",
            "`address` must be a host and a port such as `10.0.0.7:8080`.",
        ),
        Error::Weight => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_registration",
            "`weight` must be a number up to 1000000.",
        ),
        Error::Zone => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_registration",
            "`zone` must be 1 to 128 characters without controls.",
        ),
        Error::OutsideNetworks => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "outside_networks",
            "The address is not within the networks that the upstream allows.",
        ),
        Error::Full(_) => (
            StatusCode::CONFLICT,
            "full",
            "As many targets are registered as the upstream allows.",
        ),
        Error::Storage(error) => {
            tracing::error!(%error, "a registration cannot be kept");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "storage",
                "The registration cannot be kept.",
            )
        }
    };
    let mut response = Problem::new(status, reason, detail).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
