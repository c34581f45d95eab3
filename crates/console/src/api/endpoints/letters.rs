//! Links that are sent by mail: to verify an address, to set a forgotten password anew.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Secret;
use weir_identity::Password;

use crate::api::answer::done;
use crate::api::body::Body;
use crate::api::guard::{Guard, Visitor};
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(verify_email))
        .routes(routes!(request_password_reset))
        .routes(routes!(reset_password))
}

/// An address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    #[schema(example = "ada@acme.example")]
    email: String,
}

/// What stands behind `token=` in a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkToken {
    #[schema(example = "weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
}

/// A new password, by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reset {
    /// What stands behind `token=` in the link.
    #[schema(example = "weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
    password: Password,
}

/// Verify an address
///
/// Takes the token of a link that was sent there. If the address takes the place of another, one signs in
/// with it from now on, and all sessions end but that with which this is asked.
#[utoipa::path(
    post,
    path = "/v1/email/verify",
    tag = "sign-in",
    security((), ("bearer" = [])),
    request_body = LinkToken,
    responses(
        (status = 204, description = "It is verified."),
        (status = 409, description = "It became somebody else's address meanwhile."),
    )
)]
async fn verify_email(
    guard: Option<Guard>,
    visitor: Visitor,
    Body(body): Body<LinkToken>,
) -> Result<Response, Problem> {
    let token = Secret::new(body.token);
    let session = guard.as_ref().and_then(|guard| guard.user().ok());
    let session = session.map(|who| &who.session.id);
    visitor
        .identity()
        .verify_email(visitor.caller(), &token, session)
        .await?;
    Ok(done())
}

/// Send a link to set a forgotten password anew
///
/// Answers the same for an address that is nobody's. Where no mail leaves the installation nothing is looked at, and
/// everybody is told so.
#[utoipa::path(
    post,
    path = "/v1/password/forgotten",
    tag = "sign-in",
    security(()),
    request_body = Address,
    responses(
        (status = 202, description = "If the address is somebody's, a letter is on its way."),
        (status = 409, description = "No mail leaves this installation, whoever asks (`no_mail`)."),
    )
)]
async fn request_password_reset(
    visitor: Visitor,
    Body(body): Body<Address>,
) -> Result<Response, Problem> {
    let identity = visitor.identity();
    identity
        .request_reset(visitor.caller(), &body.email)
        .await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Set a forgotten password anew
///
/// All sessions end; a second factor stays.
#[utoipa::path(
    post,
    path = "/v1/password/reset",
    tag = "sign-in",
    security(()),
    request_body = Reset,
    responses((status = 204, description = "It is set; sign in with it."))
)]
async fn reset_password(visitor: Visitor, Body(body): Body<Reset>) -> Result<Response, Problem> {
    let token = Secret::new(body.token);
    visitor
        .identity()
        .reset_password(visitor.caller(), &token, &body.password)
        .await?;
    Ok(done())
}
