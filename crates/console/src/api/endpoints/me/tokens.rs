//! Applications that act for oneself.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::Family;

use crate::api::answer::{done, told};
use crate::api::guard::Guard;
use crate::api::parameters::Path;
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_my_tokens))
        .routes(routes!(revoke_my_token))
}

/// Families of refresh tokens, one for each login.
#[derive(Serialize, ToSchema)]
struct Families {
    /// The latest first.
    items: Vec<Family>,
}

/// Which family.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfFamily {
    /// The family's identifier: `sid` of its access tokens.
    family: Id,
}

/// List who has refresh tokens of one's own
#[utoipa::path(
    get,
    path = "/v1/me/tokens",
    tag = "me",
    responses((status = 200, description = "Those that have not ended.", body = Families))
)]
async fn list_my_tokens(guard: Guard) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let items = guard.identity().token_families(user).await?;
    Ok(told(&Families { items }))
}

/// Revoke the tokens of a login of one's own
#[utoipa::path(
    delete,
    path = "/v1/me/tokens/{family}",
    tag = "me",
    params(OfFamily),
    responses((status = 204, description = "They are not good any more."))
)]
async fn revoke_my_token(guard: Guard, Path(path): Path<OfFamily>) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let identity = guard.identity();
    identity
        .revoke_family(guard.caller(), user, &path.family)
        .await?;
    Ok(done())
}
