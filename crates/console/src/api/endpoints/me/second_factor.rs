//! One's own second factor.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Secret;
use weir_identity::Password;

use super::proof;
use crate::api::answer::{done, told};
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(enrol_my_authenticator))
        .routes(routes!(confirm_my_authenticator))
        .routes(routes!(remove_my_authenticator))
        .routes(routes!(renew_my_recovery_codes))
}

/// What a session alone is not enough for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// The account's, as it is now.
    password: Password,
    /// What the authenticator shows, or a recovery code; needed where there is a second factor.
    #[schema(example = "123456")]
    code: Option<String>,
}

/// What an authenticator must know; it is told only here.
#[derive(Serialize, ToSchema)]
struct Authenticator {
    /// In base 32, to be typed.
    #[schema(example = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    secret: String,
    /// To be shown as a QR code.
    #[schema(
        example = "otpauth://totp/Weir:ada@acme.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Weir"
    )]
    url: String,
}

/// A code of the authenticator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    #[schema(example = "123456")]
    code: String,
}

/// Each signs in once in place of the authenticator; they are told only here.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

impl From<Secret<Vec<String>>> for RecoveryCodes {
    fn from(codes: Secret<Vec<String>>) -> Self {
        Self {
            recovery_codes: codes.expose().clone(),
        }
    }
}

/// Begin to set up an authenticator
///
/// It counts once a code of it was confirmed.
#[utoipa::path(
    post,
    path = "/v1/me/totp",
    tag = "me",
    request_body = Shown,
    responses(
        (status = 200, description = "What it must know.", body = Authenticator),
        (status = 409, description = "There is one already."),
        (status = 429, description = "Too many attempts; `Retry-After` says when to try again."),
    )
)]
async fn enrol_my_authenticator(
    guard: Guard,
    Body(body): Body<Shown>,
) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let proof = proof(body.password, body.code);
    let identity = guard.identity();
    let enrolment = identity.enrol_totp(guard.caller(), user, &proof).await?;
    Ok(told(&Authenticator {
        secret: enrolment.secret.expose().clone(),
        url: enrolment.url.expose().clone(),
    }))
}

/// Confirm an authenticator
#[utoipa::path(
    post,
    path = "/v1/me/totp/confirm",
    tag = "me",
    request_body = Code,
    responses(
        (status = 200, description = "From now on it is asked for.", body = RecoveryCodes),
        (status = 404, description = "None was begun to be set up."),
        (status = 429, description = "Too many attempts; `Retry-After` says when to try again."),
    )
)]
async fn confirm_my_authenticator(
    guard: Guard,
    Body(body): Body<Code>,
) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let identity = guard.identity();
    let codes = identity
        .confirm_totp(guard.caller(), user, &body.code)
        .await?;
    Ok(told(&RecoveryCodes::from(codes)))
}

/// Remove one's own authenticator
///
/// And the recovery codes with it.
#[utoipa::path(
    post,
    path = "/v1/me/totp/remove",
    tag = "me",
    request_body = Shown,
    responses(
        (status = 204, description = "It is asked for no more."),
        (status = 404, description = "There is none."),
        (status = 429, description = "Too many attempts; `Retry-After` says when to try again."),
    )
)]
async fn remove_my_authenticator(
    guard: Guard,
    Body(body): Body<Shown>,
) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let proof = proof(body.password, body.code);
    let identity = guard.identity();
    identity.remove_totp(guard.caller(), user, &proof).await?;
    Ok(done())
}

/// Make new recovery codes
///
/// In place of all there were.
#[utoipa::path(
    post,
    path = "/v1/me/recovery-codes",
    tag = "me",
    request_body = Shown,
    responses(
        (status = 200, description = "The codes.", body = RecoveryCodes),
        (status = 404, description = "There is no authenticator."),
        (status = 429, description = "Too many attempts; `Retry-After` says when to try again."),
    )
)]
async fn renew_my_recovery_codes(
    guard: Guard,
    Body(body): Body<Shown>,
) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let proof = proof(body.password, body.code);
    let codes = guard
        .identity()
        .renew_recovery_codes(guard.caller(), user, &proof)
        .await?;
    Ok(told(&RecoveryCodes::from(codes)))
}
