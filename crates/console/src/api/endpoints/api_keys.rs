//! Keys of programs.

use std::time::Duration;

use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::{
    ApiKey, ApiKeyFilter, ApiKeyOrder, ApiKeyUpdate, Expiry, KeyOwner, MadeApiKey, NewApiKey,
    Permission, Permissions, Rotated, Scopes,
};

use crate::api::answer::{created, done, shown};
use crate::api::body::{Body, Patch};
use crate::api::guard::Guard;
use crate::api::list::{List, Listed};
use crate::api::parameters::{IfMatch, InOrganization, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_api_keys, create_api_key))
        .routes(routes!(show_api_key, update_api_key, delete_api_key))
        .routes(routes!(rotate_api_key))
        .routes(routes!(revoke_api_key))
}

/// Which key.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfApiKey {
    /// The organization's identifier or slug.
    #[param(example = "acme")]
    organization: String,
    /// The key's identifier.
    api_key: Id,
}

/// Which keys.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ApiKeys {
    /// Those whose name begins with this.
    name: Option<String>,
    /// Those of this person.
    user: Option<Id>,
}

impl Listed for ApiKeys {
    type Order = ApiKeyOrder;

    const ORDERS: &'static [(&'static str, Self::Order)] = &[
        ("created_at", ApiKeyOrder::Created),
        ("name", ApiKeyOrder::Name),
    ];
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedApiKey {
    #[serde(flatten)]
    key: ApiKey,
    /// The key itself, for the program. It is told only here.
    #[schema(example = "weir_key_063UfDVRKBz00000000001LygHa16AHYF0005gOMDDhc1pgR8X")]
    secret: String,
}

impl From<MadeApiKey> for CreatedApiKey {
    fn from(made: MadeApiKey) -> Self {
        Self {
            secret: made.text.expose().clone(),
            key: made.key,
        }
    }
}

/// A key that took another one's place.
#[derive(Serialize, ToSchema)]
pub(super) struct RotatedApiKey {
    #[serde(flatten)]
    new: CreatedApiKey,
    /// The one before, with its end.
    former: ApiKey,
}

impl From<Rotated> for RotatedApiKey {
    fn from(rotated: Rotated) -> Self {
        Self {
            new: rotated.new.into(),
            former: rotated.former,
        }
    }
}

/// How a key is to be replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// For how long the former one goes on working: a day if this is left out, at most 30 days.
    #[serde(default = "Rotation::day")]
    #[schema(example = 86_400)]
    overlap_seconds: u32,
}

impl Rotation {
    const fn day() -> u32 {
        86_400
    }

    pub(super) fn overlap(&self) -> Duration {
        Duration::from_secs(self.overlap_seconds.into())
    }
}

/// What of a key can be changed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiKeyPatch {
    #[schema(required = false, example = "nightly import")]
    name: String,
    /// Fewer than it has.
    #[serde(default)]
    permissions: Permissions,
    /// Fewer than it has.
    #[serde(default)]
    scopes: Scopes,
    /// Not later than it is; null is never.
    #[serde(default)]
    #[schema(required = false)]
    expires_at: Option<Timestamp>,
}

/// List keys
///
/// The organization's own and those of its members; also such as do not work any more.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/api-keys",
    tag = "api-keys",
    params(InOrganization, List<ApiKeys>),
    responses((status = 200, description = "A page of them.", body = Page<ApiKey>))
)]
async fn list_api_keys(
    guard: Guard,
    Path(path): Path<InOrganization>,
    list: List<ApiKeys>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::ApiKeyRead)
        .await?;
    let filter = ApiKeyFilter {
        name: list.filter.name.clone(),
        user: list.filter.user.clone(),
    };
    let (identity, listing) = (guard.identity(), list.listing()?);
    let found = identity.api_keys(&organization.id, &filter, list.order, &listing);
    Ok(list.page(found.await?))
}

/// Make a key of the organization's own
///
/// It can have no permission that the caller does not have. A person must have signed in within the last 15 minutes: a key
/// outlives the session that it was made with.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/api-keys",
    tag = "api-keys",
    params(InOrganization),
    request_body = NewApiKey,
    responses(
        (status = 201, description = "The key.", body = CreatedApiKey),
        (status = 409, description = "The limit is reached, or the organization is suspended."),
    )
)]
async fn create_api_key(
    guard: Guard,
    Path(path): Path<InOrganization>,
    Body(new): Body<NewApiKey>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::ApiKeyWrite)
        .await?;
    guard.recent()?;
    let (tenant, owner) = (&organization.id, KeyOwner::Organization);
    let made = guard
        .identity()
        .create_api_key(guard.caller(), tenant, owner, new)
        .await?;
    let location = format!("/v1/organizations/{tenant}/api-keys/{}", made.key.id);
    let version = made.key.version;
    Ok(created(&location, version, &CreatedApiKey::from(made)))
}

/// Show a key, but not what it is
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/api-keys/{api_key}",
    tag = "api-keys",
    params(OfApiKey),
    responses((status = 200, description = "The key.", body = ApiKey))
)]
async fn show_api_key(guard: Guard, Path(path): Path<OfApiKey>) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::ApiKeyRead)
        .await?;
    let key = guard
        .identity()
        .api_key(&organization.id, &path.api_key)
        .await?;
    Ok(shown(key.version, &key))
}

/// Change a key: its name, less than it may, an earlier end
///
/// A merge patch (RFC 7396). What a key did not have it does not get.
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organization}/api-keys/{api_key}",
    tag = "api-keys",
    params(OfApiKey, IfMatch),
    request_body = ApiKeyPatch,
    responses(
        (status = 200, description = "The key as it is now.", body = ApiKey),
        (status = 409, description = "The organization is suspended."),
    )
)]
async fn update_api_key(
    guard: Guard,
    Path(path): Path<OfApiKey>,
    if_match: IfMatch,
    patch: Patch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::ApiKeyWrite)
        .await?;
    let (identity, tenant) = (guard.identity(), &organization.id);
    let change = || async {
        let before = identity.api_key(tenant, &path.api_key).await?;
        let after = patch.onto(&ApiKeyPatch {
            name: before.name,
            permissions: before.permissions,
            scopes: before.scopes,
            expires_at: before.expires_at,
        })?;
        let has_other_end = after.expires_at != before.expires_at;
        let end = after.expires_at.map_or(Expiry::Never, Expiry::At);
        let update = ApiKeyUpdate {
            name: Some(after.name),
            permissions: Some(after.permissions),
            scopes: Some(after.scopes),
            expires_at: has_other_end.then_some(end),
        };
        let expected = if_match.version().or(Some(before.version));
        Ok(identity
            .update_api_key(guard.caller(), tenant, &path.api_key, expected, update)
            .await?)
    };
    let key = if_match.on_latest(change).await?;
    Ok(shown(key.version, &key))
}

/// Have another key take one's place
///
/// The new one has the same name, permissions, scopes and lifetime, of which none may be beyond the caller's; the former works
/// until the overlap ends.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/api-keys/{api_key}/rotate",
    tag = "api-keys",
    params(OfApiKey, IfMatch),
    request_body = Rotation,
    responses(
        (status = 201, description = "The new key, and the former one.", body = RotatedApiKey),
        (
            status = 409,
            description = "The key does not work any more or was replaced before, or the organization is suspended."
        ),
    )
)]
async fn rotate_api_key(
    guard: Guard,
    Path(path): Path<OfApiKey>,
    if_match: IfMatch,
    Body(rotation): Body<Rotation>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::ApiKeyWrite)
        .await?;
    guard.recent()?;
    let (tenant, expected) = (&organization.id, if_match.version());
    let overlap = rotation.overlap();
    let rotated = guard
        .identity()
        .rotate_api_key(guard.caller(), tenant, &path.api_key, expected, overlap)
        .await?;
    let (id, version) = (&rotated.new.key.id, rotated.new.key.version);
    let location = format!("/v1/organizations/{tenant}/api-keys/{id}");
    Ok(created(&location, version, &RotatedApiKey::from(rotated)))
}

/// Revoke a key
///
/// It is refused from now on, on every node within a second, and stays in the list.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/api-keys/{api_key}/revoke",
    tag = "api-keys",
    params(OfApiKey, IfMatch),
    responses(
        (status = 200, description = "The key as it is now.", body = ApiKey),
        (status = 409, description = "The organization is suspended."),
    )
)]
async fn revoke_api_key(
    guard: Guard,
    Path(path): Path<OfApiKey>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::ApiKeyWrite)
        .await?;
    let (tenant, expected) = (&organization.id, if_match.version());
    let key = guard
        .identity()
        .revoke_api_key(guard.caller(), tenant, &path.api_key, expected)
        .await?;
    Ok(shown(key.version, &key))
}

/// Delete a key
///
/// It is revoked, and goes to the trash of the organization. One that is brought back is still revoked.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization}/api-keys/{api_key}",
    tag = "api-keys",
    params(OfApiKey, IfMatch),
    responses(
        (status = 204, description = "It is in the trash."),
        (status = 409, description = "The organization is suspended."),
    )
)]
async fn delete_api_key(
    guard: Guard,
    Path(path): Path<OfApiKey>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::ApiKeyWrite)
        .await?;
    let (tenant, expected) = (&organization.id, if_match.version());
    guard
        .identity()
        .delete_api_key(guard.caller(), tenant, &path.api_key, expected)
        .await?;
    Ok(done())
}
