//! Keys that sign the installation's tokens.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_identity::{Permission, Rotation, SigningKey};

use crate::api::answer::{done, told};
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::parameters::Path;
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_signing_keys, rotate_signing_key))
        .routes(routes!(revoke_signing_key))
}

/// Keys.
#[derive(Serialize, ToSchema)]
struct SigningKeys {
    /// The latest first.
    items: Vec<SigningKey>,
}

/// How the next key takes its place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotate {
    /// Whether it signs at once. Otherwise it signs once every verifier can know it, after 15 minutes.
    #[serde(default)]
    now: bool,
}

/// Which key.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfKey {
    /// How tokens name it in their header.
    #[param(example = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")]
    kid: String,
}

/// List the keys that sign tokens
#[utoipa::path(
    get,
    path = "/v1/signing-keys",
    tag = "signing keys",
    responses((status = 200, description = "Those of the latest time, without what is secret.", body = SigningKeys))
)]
async fn list_signing_keys(guard: Guard) -> Result<Response, Problem> {
    guard.platform(Permission::SigningKeyRead)?;
    let items = guard.identity().signing_keys().await?;
    Ok(told(&SigningKeys { items }))
}

/// Make the next key that signs tokens
///
/// It is published at once. The one before it stays published until the last token that it has signed is over.
#[utoipa::path(
    post,
    path = "/v1/signing-keys",
    tag = "signing keys",
    request_body = Rotate,
    responses(
        (status = 200, description = "The key that signs next.", body = SigningKey),
        (status = 409, description = "The next one waits for its time already.")
    )
)]
async fn rotate_signing_key(guard: Guard, Body(body): Body<Rotate>) -> Result<Response, Problem> {
    guard.platform(Permission::SigningKeyWrite)?;
    let rotation = match body.now {
        true => Rotation::Now,
        false => Rotation::Soon,
    };
    let key = guard
        .identity()
        .rotate_signing_key(guard.caller(), rotation);
    Ok(told(&key.await?))
}

/// Take a key out at once
///
/// For a key that somebody else may have: nothing that it has signed is good any more, and another one signs.
#[utoipa::path(
    post,
    path = "/v1/signing-keys/{kid}/revoke",
    tag = "signing keys",
    params(OfKey),
    responses(
        (status = 204, description = "It is out of the published set."),
        (status = 409, description = "It was already.")
    )
)]
async fn revoke_signing_key(guard: Guard, Path(path): Path<OfKey>) -> Result<Response, Problem> {
    guard.platform(Permission::SigningKeyWrite)?;
    let identity = guard.identity();
    identity
        .revoke_signing_key(guard.caller(), &path.kid)
        .await?;
    Ok(done())
}
