//! The first start: the link that makes whoever follows it the owner.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Secret;
use weir_identity::{FirstOwner, Password, User};

use crate::api::answer::{created, told};
use crate::api::body::Body;
use crate::api::guard::{Guard, Visitor};
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(set_up))
        .routes(routes!(make_setup_link))
}

/// The first account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// What stands behind `token=` in the link.
    #[schema(example = "weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
    #[schema(example = "ada@acme.example")]
    email: String,
    #[schema(example = "Ada Lovelace")]
    name: String,
    password: Password,
}

/// A link to set up this installation.
#[derive(Serialize, ToSchema)]
struct SetupLink {
    /// Good for a day, and once; it is told only here.
    #[schema(
        example = "http://127.0.0.1:9900/setup?token=weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )]
    link: String,
}

/// Make the first account
///
/// Takes the token of the set-up link that the first start prints, and makes the owner of the platform.
#[utoipa::path(
    post,
    path = "/v1/setup",
    tag = "setup",
    security(()),
    request_body = SetUp,
    responses(
        (status = 201, description = "The account; sign in with it.", body = User),
        (status = 409, description = "There is an owner already."),
    )
)]
async fn set_up(visitor: Visitor, Body(body): Body<SetUp>) -> Result<Response, Problem> {
    let owner = FirstOwner {
        email: body.email,
        name: body.name,
        password: body.password,
    };
    let token = Secret::new(body.token);
    let user = visitor
        .identity()
        .set_up(visitor.caller(), &token, owner)
        .await?;
    Ok(created("/v1/me", user.version, &user))
}

/// Make another set-up link
///
/// For the operator, while the platform has no owner. The links before it open nothing any more.
#[utoipa::path(
    post,
    path = "/v1/setup/link",
    tag = "setup",
    responses(
        (status = 200, description = "The link.", body = SetupLink),
        (status = 409, description = "There is an owner already."),
    )
)]
async fn make_setup_link(guard: Guard) -> Result<Response, Problem> {
    guard.operator()?;
    match guard.identity().begin_setup_anew().await? {
        Some(token) => Ok(told(&SetupLink {
            link: guard.identity().link("setup", &token).expose().clone(),
        })),
        None => Err(weir_identity::Error::Conflict("the platform has an owner").into()),
    }
}
