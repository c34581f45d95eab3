//! One's own second factor.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Secret;

use crate::api::answer::{done, told};
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(enrol_my_authenticator, remove_my_authenticator))
        .routes(routes!(confirm_my_authenticator))
        .routes(routes!(renew_my_recovery_codes))
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
    responses(
        (status = 200, description = "What it must know.", body = Authenticator),
        (status = 409, description = "There is one already."),
    )
)]
async fn enrol_my_authenticator(guard: Guard) -> Result<Response, Problem> {
    let user = &guard.recent_user()?.user.id;
    let enrolment = guard.identity().enrol_totp(guard.caller(), user).await?;
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
    )
)]
async fn confirm_my_authenticator(
    guard: Guard,
    Body(body): Body<Code>,
) -> Result<Response, Problem> {
    let user = &guard.recent_user()?.user.id;
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
    delete,
    path = "/v1/me/totp",
    tag = "me",
    responses(
        (status = 204, description = "It is asked for no more."),
        (status = 404, description = "There is none."),
    )
)]
async fn remove_my_authenticator(guard: Guard) -> Result<Response, Problem> {
    let user = &guard.recent_user()?.user.id;
    guard.identity().remove_totp(guard.caller(), user).await?;
    Ok(done())
}

/// Make new recovery codes
///
/// In place of all there were.
#[utoipa::path(
    post,
    path = "/v1/me/recovery-codes",
    tag = "me",
    responses(
        (status = 200, description = "The codes.", body = RecoveryCodes),
        (status = 404, description = "There is no authenticator."),
    )
)]
async fn renew_my_recovery_codes(guard: Guard) -> Result<Response, Problem> {
    let user = &guard.recent_user()?.user.id;
    let identity = guard.identity();
    let codes = identity.renew_recovery_codes(guard.caller(), user).await?;
    Ok(told(&RecoveryCodes::from(codes)))
}
