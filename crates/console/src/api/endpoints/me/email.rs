//! One's own address.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_identity::{EmailChange, Password};

use super::proof;
use crate::api::answer::done;
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(change_my_email, withdraw_my_email_change))
        .routes(routes!(request_verification))
}

/// Another address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEmail {
    #[schema(example = "ada@acme.example")]
    email: String,
    /// The account's, as it is now.
    password: Password,
    /// What the authenticator shows, or a recovery code; needed where there is a second factor.
    #[schema(example = "123456")]
    code: Option<String>,
}

/// Change one's own address
///
/// A letter with a link goes to the new address, and another one, which says so, to the present one. The
/// new address counts once its link was opened; until then it is shown as `pending_email`. The answer is the
/// same for an address that is somebody's. Without a mail server the address is changed at once, and all
/// other sessions end.
#[utoipa::path(
    put,
    path = "/v1/me/email",
    tag = "me",
    request_body = NewEmail,
    responses(
        (status = 202, description = "A letter is on its way to the new address."),
        (status = 204, description = "It is changed: no mail leaves this installation."),
        (
            status = 409,
            description = "It is the account's already; or, where no mail leaves this installation, somebody else's."
        ),
        (status = 429, description = "Too many attempts; `Retry-After` says when to try again."),
    )
)]
async fn change_my_email(guard: Guard, Body(body): Body<NewEmail>) -> Result<Response, Problem> {
    let who = guard.user()?;
    let (user, session) = (&who.user.id, Some(&who.session.id));
    let proof = proof(body.password, body.code);
    let change = guard
        .identity()
        .change_email(guard.caller(), user, session, &body.email, &proof)
        .await?;
    Ok(match change {
        EmailChange::Pending => StatusCode::ACCEPTED.into_response(),
        EmailChange::Done => done(),
    })
}

/// Take back the change of one's own address
///
/// The link that was sent to the new address opens nothing any more.
#[utoipa::path(
    delete,
    path = "/v1/me/email",
    tag = "me",
    responses(
        (status = 204, description = "The address stays."),
        (status = 404, description = "No other address waits."),
    )
)]
async fn withdraw_my_email_change(guard: Guard) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let identity = guard.identity();
    identity.withdraw_email_change(guard.caller(), user).await?;
    Ok(done())
}

/// Send a link to verify one's own address
#[utoipa::path(
    post,
    path = "/v1/me/email/verify",
    tag = "me",
    responses(
        (status = 202, description = "The letter is on its way."),
        (status = 409, description = "It is verified already, or no mail leaves this installation (`no_mail`)."),
        (status = 429, description = "Too many letters; `Retry-After` says when to try again."),
    )
)]
async fn request_verification(guard: Guard) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let identity = guard.identity();
    identity.request_verification(guard.caller(), user).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
