//! One's own sessions.

use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::{Session, TokenState};

use crate::api::answer::{done, told};
use crate::api::guard::Guard;
use crate::api::parameters::Path;
use crate::api::services::Services;
use crate::authenticate::{bearer, unauthenticated};
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_my_sessions, end_my_other_sessions))
        .routes(routes!(end_my_session))
        .routes(routes!(renew_my_session))
}

/// Sessions.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// The latest first.
    items: Vec<Listed>,
}

/// A session among others.
#[derive(Serialize, ToSchema)]
struct Listed {
    #[serde(flatten)]
    session: Session,
    /// Whether it is the one with which this is asked.
    is_current: bool,
}

impl Sessions {
    pub(crate) fn of(sessions: Vec<Session>, current: Option<&Id>) -> Self {
        let listed = |session: Session| Listed {
            is_current: current == Some(&session.id),
            session,
        };
        Self {
            items: sessions.into_iter().map(listed).collect(),
        }
    }
}

/// What a client shows from now on.
#[derive(Serialize, ToSchema)]
struct Renewed {
    /// In the place of the one with which this was asked; it is told only here.
    #[schema(example = "weir_session_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
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
    let who = guard.user()?;
    let sessions = guard.identity().sessions(&who.user.id).await?;
    Ok(told(&Sessions::of(sessions, Some(&who.session.id))))
}

/// Take another token for one's own session
///
/// The session stays, with its end. The former token is worth nothing from then on, nor for requests that are under way. A client
/// asks when an answer has `weir-session-token: due`, which is once an hour and when one's rights change; for browsers the pages do
/// it. Whoever lost the answer to a token that was due asks again with the former one within `identity.sessions.overlap`, and is told the
/// same.
#[utoipa::path(
    post,
    path = "/v1/me/session/token",
    tag = "me",
    responses(
        (status = 200, description = "The token.", body = Renewed),
        (status = 409, description = "It was asked with a token that another one has just taken the place of."),
    )
)]
async fn renew_my_session(guard: Guard, headers: HeaderMap) -> Result<Response, Problem> {
    let who = guard.user()?;
    let (identity, caller) = (guard.identity(), guard.caller());
    let token = match bearer(&headers) {
        // Of a token that was replaced for another reason, whoever shows it is not told the successor.
        Some(token) if who.token != TokenState::Current => {
            let successor = identity.rotate_session(caller, token).await?;
            successor.ok_or_else(unauthenticated)?
        }
        _ => identity.renew_session(caller, who).await?,
    };
    Ok(told(&Renewed {
        token: token.expose().clone(),
    }))
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
