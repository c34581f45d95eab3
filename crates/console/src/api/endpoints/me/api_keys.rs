//! One's own keys: what programs do in one's own name.

use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::{ApiKey, Expiry, KeyOwner, NewApiKey, Permission, Permissions, Scopes};

use crate::api::answer::{created, done, shown};
use crate::api::body::Body;
use crate::api::endpoints::api_keys::{CreatedApiKey, RotatedApiKey, Rotation};
use crate::api::guard::Guard;
use crate::api::list::{ByTime, List};
use crate::api::parameters::{IfMatch, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_my_api_keys, create_my_api_key))
        .routes(routes!(show_my_api_key, delete_my_api_key))
        .routes(routes!(rotate_my_api_key))
        .routes(routes!(revoke_my_api_key))
}

/// Which key.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfApiKey {
    /// The key's identifier.
    api_key: Id,
}

/// A key of one's own to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOwnApiKey {
    /// In which organization it counts: its identifier or slug.
    #[schema(example = "acme")]
    organization: String,
    /// What it is for.
    #[schema(example = "laptop")]
    name: String,
    /// What it may do in the admin API: nothing that one's role there does not give.
    #[serde(default)]
    permissions: Permissions,
    /// What it may ask of routes, which is for those to say who may write keys.
    #[serde(default)]
    scopes: Scopes,
    /// When it ends: a year from now if this is left out, and never if it is null.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Expiry,
}

/// List one's own keys
#[utoipa::path(
    get,
    path = "/v1/me/api-keys",
    tag = "me",
    params(List<ByTime>),
    responses((status = 200, description = "A page of them.", body = Page<ApiKey>))
)]
async fn list_my_api_keys(guard: Guard, list: List<ByTime>) -> Result<Response, Problem> {
    let user = &guard.user()?.user.id;
    let found = guard.identity().api_keys_of(user, &list.listing()?).await?;
    Ok(list.page(found))
}

/// Make a key of one's own
///
/// It counts in one organization that one belongs to, and never does more than one can do there oneself at the time. It takes a
/// sign-in of the last 15 minutes.
#[utoipa::path(
    post,
    path = "/v1/me/api-keys",
    tag = "me",
    request_body = NewOwnApiKey,
    responses(
        (status = 201, description = "The key.", body = CreatedApiKey),
        (status = 404, description = "One does not belong to this organization."),
        (status = 409, description = "The limit is reached, or the organization is suspended."),
    )
)]
async fn create_my_api_key(
    guard: Guard,
    Body(new): Body<NewOwnApiKey>,
) -> Result<Response, Problem> {
    let user = guard.recent_user()?.user.id.clone();
    let organization = guard
        .organization(&new.organization, Permission::OrganizationRead)
        .await?;
    if organization.suspended_at.is_some() {
        return Err(Problem::suspended());
    }
    let (tenant, owner) = (&organization.id, KeyOwner::Member(&user));
    let new = NewApiKey {
        name: new.name,
        permissions: new.permissions,
        scopes: new.scopes,
        expires_at: new.expires_at,
    };
    let made = guard
        .identity()
        .create_api_key(guard.caller(), tenant, owner, new)
        .await?;
    let location = format!("/v1/me/api-keys/{}", made.key.id);
    let version = made.key.version;
    Ok(created(&location, version, &CreatedApiKey::from(made)))
}

/// Show a key of one's own, but not what it is
#[utoipa::path(
    get,
    path = "/v1/me/api-keys/{api_key}",
    tag = "me",
    params(OfApiKey),
    responses((status = 200, description = "The key.", body = ApiKey))
)]
async fn show_my_api_key(guard: Guard, Path(path): Path<OfApiKey>) -> Result<Response, Problem> {
    let key = own(&guard, &path.api_key).await?;
    Ok(shown(key.version, &key))
}

/// Have another key take the place of one's own
///
/// As with keys of organizations. It takes a sign-in of the last 15 minutes.
#[utoipa::path(
    post,
    path = "/v1/me/api-keys/{api_key}/rotate",
    tag = "me",
    params(OfApiKey, IfMatch),
    request_body = Rotation,
    responses(
        (status = 201, description = "The new key, and the former one.", body = RotatedApiKey),
        (status = 409, description = "The key does not work any more, or was replaced before."),
    )
)]
async fn rotate_my_api_key(
    guard: Guard,
    Path(path): Path<OfApiKey>,
    if_match: IfMatch,
    Body(rotation): Body<Rotation>,
) -> Result<Response, Problem> {
    guard.recent_user()?;
    let key = own(&guard, &path.api_key).await?;
    let (tenant, expected) = (&key.organization, if_match.version());
    let rotated = guard
        .identity()
        .rotate_api_key(
            guard.caller(),
            tenant,
            &key.id,
            expected,
            rotation.overlap(),
        )
        .await?;
    let (id, version) = (&rotated.new.key.id, rotated.new.key.version);
    let location = format!("/v1/me/api-keys/{id}");
    Ok(created(&location, version, &RotatedApiKey::from(rotated)))
}

/// Revoke a key of one's own
///
/// It is refused from now on, on every node within a second, and stays in the list.
#[utoipa::path(
    post,
    path = "/v1/me/api-keys/{api_key}/revoke",
    tag = "me",
    params(OfApiKey, IfMatch),
    responses((status = 200, description = "The key as it is now.", body = ApiKey))
)]
async fn revoke_my_api_key(
    guard: Guard,
    Path(path): Path<OfApiKey>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let key = own(&guard, &path.api_key).await?;
    let (tenant, expected) = (&key.organization, if_match.version());
    let key = guard
        .identity()
        .revoke_api_key(guard.caller(), tenant, &key.id, expected)
        .await?;
    Ok(shown(key.version, &key))
}

/// Delete a key of one's own
///
/// It is revoked, and goes to the trash of the organization.
#[utoipa::path(
    delete,
    path = "/v1/me/api-keys/{api_key}",
    tag = "me",
    params(OfApiKey, IfMatch),
    responses((status = 204, description = "It is in the trash."))
)]
async fn delete_my_api_key(
    guard: Guard,
    Path(path): Path<OfApiKey>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let key = own(&guard, &path.api_key).await?;
    let (tenant, expected) = (&key.organization, if_match.version());
    guard
        .identity()
        .delete_api_key(guard.caller(), tenant, &key.id, expected)
        .await?;
    Ok(done())
}

async fn own(guard: &Guard, id: &Id) -> Result<ApiKey, Problem> {
    let user = &guard.user()?.user.id;
    Ok(guard.identity().api_key_of(user, id).await?)
}
