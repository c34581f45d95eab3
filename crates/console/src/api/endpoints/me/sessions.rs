//! One's own sessions.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::Session;

use crate::api::answer::{done, told};
use crate::api::guard::Guard;
use crate::api::parameters::Path;
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_my_sessions, end_my_other_sessions))
        .routes(routes!(end_my_session))
}

/// Sessions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// The latest first.
    pub(crate) items: Vec<Session>,
}

/// How many.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ended {
    /// Sessions that have ended.
    pub(crate) ended: u64,
}

/// Which session.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfSession {
    /// The session's identifier.
    session: Id,
}

/// List one's own sessions
#[utoipa::path(
    get,
    path = "/v1/me/sessions",
    tag = "me",
    responses((status = 200, description = "Those that are alive.", body = Sessions))
)]
async fn list_my_sessions(guard: Guard) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let items = guard.identity().sessions(user).await?;
    Ok(told(&Sessions { items }))
}

/// End all other sessions of one's own
///
/// All but the one with which this is asked.
#[utoipa::path(
    delete,
    path = "/v1/me/sessions",
    tag = "me",
    responses((status = 200, description = "They have ended.", body = Ended))
)]
async fn end_my_other_sessions(guard: Guard) -> Result<Response, Problem> {
    let who = guard.recent_user()?;
    let (user, session) = (&who.user.id, &who.session.id);
    let identity = guard.identity();
    let ended = identity.revoke_sessions(guard.caller(), user, Some(session));
    let ended = ended.await?;
    Ok(told(&Ended { ended }))
}

/// End a session of one's own
#[utoipa::path(
    delete,
    path = "/v1/me/sessions/{session}",
    tag = "me",
    params(OfSession),
    responses((status = 204, description = "It has ended."))
)]
async fn end_my_session(guard: Guard, Path(path): Path<OfSession>) -> Result<Response, Problem> {
    let user = &guard.recent_user()?.user.id;
    guard
        .identity()
        .revoke_session(guard.caller(), user, &path.session)
        .await?;
    Ok(done())
}
