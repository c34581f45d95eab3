//! Roles that organizations make for themselves.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::{NewRole, Permission, Permissions, Role, RoleUpdate};

use crate::api::answer::{created, done, shown};
use crate::api::body::{Body, Patch};
use crate::api::guard::Guard;
use crate::api::list::{ByTime, List};
use crate::api::parameters::{IfMatch, InOrganization, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_roles, create_role))
        .routes(routes!(show_role, update_role, delete_role))
}

/// Which role.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfRole {
    /// The organization's identifier or slug.
    #[param(example = "acme")]
    organization: String,
    /// The role's identifier.
    role: Id,
}

/// What of a role can be changed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RolePatch {
    #[schema(required = false, example = "releaser")]
    name: String,
    #[serde(default)]
    description: String,
    #[schema(required = false)]
    permissions: Permissions,
}

/// List roles
///
/// Those that the organization made; `owner`, `admin`, `editor` and `viewer` are always there.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/roles",
    tag = "roles",
    params(InOrganization, List<ByTime>),
    responses((status = 200, description = "A page of them.", body = Page<Role>))
)]
async fn list_roles(
    guard: Guard,
    Path(path): Path<InOrganization>,
    list: List<ByTime>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::RoleRead)
        .await?;
    let found = guard
        .identity()
        .roles(&organization.id, &list.listing()?)
        .await?;
    Ok(list.page(found))
}

/// Make a role
///
/// It can have no permission that the caller does not have.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/roles",
    tag = "roles",
    params(InOrganization),
    request_body = NewRole,
    responses(
        (status = 201, description = "The role.", body = Role),
        (
            status = 409,
            description = "Another one has this name, the limit is reached, or the organization is suspended."
        ),
    )
)]
async fn create_role(
    guard: Guard,
    Path(path): Path<InOrganization>,
    Body(new): Body<NewRole>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::RoleWrite)
        .await?;
    let tenant = &organization.id;
    let identity = guard.identity();
    let role = identity.create_role(guard.caller(), tenant, new).await?;
    let location = format!("/v1/organizations/{tenant}/roles/{}", role.id);
    Ok(created(&location, role.version, &role))
}

/// Show a role
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/roles/{role}",
    tag = "roles",
    params(OfRole),
    responses((status = 200, description = "The role.", body = Role))
)]
async fn show_role(guard: Guard, Path(path): Path<OfRole>) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::RoleRead)
        .await?;
    let role = guard.identity().role(&organization.id, &path.role).await?;
    Ok(shown(role.version, &role))
}

/// Change a role, for all who have it
///
/// A merge patch (RFC 7396). It can neither have nor have had a permission that the caller does not have.
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organization}/roles/{role}",
    tag = "roles",
    params(OfRole, IfMatch),
    request_body = RolePatch,
    responses(
        (status = 200, description = "The role as it is now.", body = Role),
        (status = 409, description = "Another one has this name, or the organization is suspended."),
    )
)]
async fn update_role(
    guard: Guard,
    Path(path): Path<OfRole>,
    if_match: IfMatch,
    patch: Patch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::RoleWrite)
        .await?;
    let (identity, tenant) = (guard.identity(), &organization.id);
    let change = || async {
        let before = identity.role(tenant, &path.role).await?;
        let after = patch.onto(&RolePatch {
            name: before.name,
            description: before.description,
            permissions: before.permissions,
        })?;
        let update = RoleUpdate {
            name: Some(after.name),
            description: Some(after.description),
            permissions: Some(after.permissions),
        };
        let expected = if_match.version().or(Some(before.version));
        Ok(identity
            .update_role(guard.caller(), tenant, &path.role, expected, update)
            .await?)
    };
    let role = if_match.on_latest(change).await?;
    Ok(shown(role.version, &role))
}

/// Delete a role that nobody has
///
/// It goes to the trash of the organization.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization}/roles/{role}",
    tag = "roles",
    params(OfRole, IfMatch),
    responses(
        (status = 204, description = "It is in the trash."),
        (
            status = 409,
            description = "A member or an invitation still has it, or the organization is suspended."
        ),
    )
)]
async fn delete_role(
    guard: Guard,
    Path(path): Path<OfRole>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::RoleWrite)
        .await?;
    let (tenant, expected) = (&organization.id, if_match.version());
    guard
        .identity()
        .delete_role(guard.caller(), tenant, &path.role, expected)
        .await?;
    Ok(done())
}
