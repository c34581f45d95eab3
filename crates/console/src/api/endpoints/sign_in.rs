//! Signing in and out.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Secret;
use weir_identity::{Password, Session, SignedIn, Step};

use crate::api::answer::{done, told};
use crate::api::body::Body;
use crate::api::guard::{Guard, Visitor};
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(sign_in))
        .routes(routes!(sign_in_second_factor))
        .routes(routes!(sign_out))
}

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[schema(example = "ada@acme.example")]
    email: String,
    password: Password,
}

/// A second factor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecondFactor {
    /// `second_factor_token` of the first step.
    token: String,
    /// What the authenticator shows, or a recovery code.
    #[schema(example = "123456")]
    code: String,
}

/// How far signing in has come.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Progress {
    /// All the way.
    SignedIn {
        /// What to send as `Authorization: Bearer` from now on; it is told only here.
        #[schema(example = "weir_session_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
        token: String,
        /// The session that has begun.
        session: Session,
    },
    /// The password is right; now a code is asked for.
    SecondFactor {
        /// To be sent with the code, within five minutes.
        #[schema(example = "weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
        second_factor_token: String,
    },
}

impl From<SignedIn> for Progress {
    fn from(signed_in: SignedIn) -> Self {
        Self::SignedIn {
            token: signed_in.token.expose().clone(),
            session: signed_in.session,
        }
    }
}

/// Sign in
///
/// Answers the same, in the same time, for a wrong password and for an address that is nobody's.
#[utoipa::path(
    post,
    path = "/v1/sign-in",
    tag = "sign-in",
    security(()),
    request_body = Credentials,
    responses((status = 200, description = "How far it has come.", body = Progress))
)]
async fn sign_in(visitor: Visitor, Body(body): Body<Credentials>) -> Result<Response, Problem> {
    let step = visitor
        .identity()
        .sign_in(visitor.caller(), &body.email, &body.password)
        .await?;
    Ok(told(&match step {
        Step::SignedIn(signed_in) => signed_in.into(),
        Step::SecondFactor(token) => Progress::SecondFactor {
            second_factor_token: token.expose().clone(),
        },
    }))
}

/// Sign in with a second factor
///
/// A wrong code may be tried again with the same token.
#[utoipa::path(
    post,
    path = "/v1/sign-in/second-factor",
    tag = "sign-in",
    security(()),
    request_body = SecondFactor,
    responses((status = 200, description = "The session.", body = Progress))
)]
async fn sign_in_second_factor(
    visitor: Visitor,
    Body(body): Body<SecondFactor>,
) -> Result<Response, Problem> {
    let token = Secret::new(body.token);
    let signed_in = visitor
        .identity()
        .sign_in_second(visitor.caller(), &token, &body.code)
        .await?;
    Ok(told(&Progress::from(signed_in)))
}

/// Sign out
///
/// Ends the session with which this is asked.
#[utoipa::path(
    post,
    path = "/v1/sign-out",
    tag = "sign-in",
    responses((status = 204, description = "The session has ended."))
)]
async fn sign_out(guard: Guard) -> Result<Response, Problem> {
    let who = guard.user()?;
    guard
        .identity()
        .revoke_session(guard.caller(), &who.user.id, &who.session.id)
        .await?;
    Ok(done())
}
