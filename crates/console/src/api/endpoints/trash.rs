//! What was deleted, of organizations and of the platform.

mod discarded;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::{Id, TenantId};
use weir_identity::{Permission, Trashed};

use super::access_policies;
use crate::api::answer::done;
use crate::api::guard::Guard;
use crate::api::list::{List, Listed};
use crate::api::parameters::{InOrganization, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_trash))
        .routes(routes!(purge_trashed))
        .routes(routes!(restore_trashed))
        .routes(routes!(list_platform_trash))
        .routes(routes!(purge_platform_trashed))
        .routes(routes!(restore_platform_trashed))
}

/// Which thing in the trash of an organization.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfTrashed {
    /// The organization's identifier or slug.
    #[param(example = "acme")]
    organization: String,
    /// The thing's identifier.
    id: Id,
}

/// Which thing in the trash of the platform.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfPlatformTrashed {
    /// The thing's identifier.
    id: Id,
}

/// Everything in the trash.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ByDeletion {}

impl Listed for ByDeletion {
    type Order = ();

    const ORDERS: &'static [(&'static str, Self::Order)] = &[("deleted_at", ())];
    const GREATEST_FIRST: bool = true;
}

/// List what was deleted in an organization
///
/// Without what went with something else, and comes back with it.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/trash",
    tag = "trash",
    params(InOrganization, List<ByDeletion>),
    responses((status = 200, description = "A page of it.", body = Page<Trashed>))
)]
async fn list_trash(
    guard: Guard,
    Path(path): Path<InOrganization>,
    list: List<ByDeletion>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::TrashRead)
        .await?;
    list_of(&guard, &organization.id, &list).await
}

/// Bring something of an organization back
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/trash/{id}/restore",
    tag = "trash",
    params(OfTrashed),
    responses(
        (status = 204, description = "It is back."),
        (
            status = 409,
            description = "Another one has its name by now, its role is gone, it is an access policy that would keep the caller out, or the organization is suspended."
        ),
        (status = 422, description = "It is an access policy whose rules do not go with the others."),
    )
)]
async fn restore_trashed(guard: Guard, Path(path): Path<OfTrashed>) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::TrashWrite)
        .await?;
    let place = (&organization.id, organization.slug.as_str());
    restore(&guard, place, &path.id).await
}

/// Remove something of an organization for good
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization}/trash/{id}",
    tag = "trash",
    params(OfTrashed),
    responses(
        (status = 204, description = "It is gone."),
        (status = 409, description = "The organization is suspended."),
    )
)]
async fn purge_trashed(guard: Guard, Path(path): Path<OfTrashed>) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::TrashPurge)
        .await?;
    purge(&guard, &organization.id, &path.id).await
}

/// List what was deleted on the platform
///
/// Organizations, accounts, what the platform has as an organization itself, and resources of the kinds that the
/// caller may read.
#[utoipa::path(
    get,
    path = "/v1/trash",
    tag = "trash",
    params(List<ByDeletion>),
    responses((status = 200, description = "A page of it.", body = Page<Trashed>))
)]
async fn list_platform_trash(
    guard: Guard,
    State(services): State<Services>,
    list: List<ByDeletion>,
) -> Result<Response, Problem> {
    guard.platform(Permission::TrashRead)?;
    let listing = list.listing()?;
    let platform = TenantId::platform();
    let found = guard.identity().trash(&platform, &listing).await?;
    let resources = discarded::page(&guard, &services, &listing).await?;
    Ok(list.page(discarded::merged(found, resources, &listing)))
}

/// Bring something of the platform back
///
/// An organization with all that it had; an account with its memberships; a resource by a revision, which takes the
/// right to change its kind.
#[utoipa::path(
    post,
    path = "/v1/trash/{id}/restore",
    tag = "trash",
    params(OfPlatformTrashed),
    responses(
        (status = 204, description = "It is back."),
        (status = 409, description = "Another one has its slug, address or name by now, or it is an access policy that would keep the caller out."),
        (status = 412, description = "There is a resource of its name."),
        (status = 422, description = "With this resource the configuration would not load, or it is an access policy whose rules do not go with the others."),
    )
)]
async fn restore_platform_trashed(
    guard: Guard,
    State(services): State<Services>,
    Path(path): Path<OfPlatformTrashed>,
) -> Result<Response, Problem> {
    guard.platform(Permission::TrashWrite)?;
    if discarded::is_one(&path.id) {
        return discarded::restore(&guard, &services, &path.id).await;
    }
    restore(&guard, (&TenantId::platform(), "platform"), &path.id).await
}

/// Remove something of the platform for good
///
/// An organization with all that it had. What the audit says of a person stays: to remove that too, erase
/// them.
#[utoipa::path(
    delete,
    path = "/v1/trash/{id}",
    tag = "trash",
    params(OfPlatformTrashed),
    responses((status = 204, description = "It is gone."))
)]
async fn purge_platform_trashed(
    guard: Guard,
    State(services): State<Services>,
    Path(path): Path<OfPlatformTrashed>,
) -> Result<Response, Problem> {
    guard.platform(Permission::TrashPurge)?;
    if discarded::is_one(&path.id) {
        return discarded::purge(&guard, &services, &path.id).await;
    }
    purge(&guard, &TenantId::platform(), &path.id).await
}

async fn list_of(
    guard: &Guard,
    tenant: &TenantId,
    list: &List<ByDeletion>,
) -> Result<Response, Problem> {
    let found = guard.identity().trash(tenant, &list.listing()?).await?;
    Ok(list.page(found))
}

async fn restore(
    guard: &Guard,
    (tenant, slug): (&TenantId, &str),
    id: &Id,
) -> Result<Response, Problem> {
    hold(guard, tenant, id).await?;
    let (identity, caller) = (guard.identity(), guard.caller());
    if is_access_policy(id) {
        let author = access_policies::author(guard, tenant, slug).await?;
        let restored = identity.restore_access_policy(caller, tenant, id, author.as_ref());
        restored.await?;
    } else {
        identity.restore(caller, tenant, id).await?;
    }
    Ok(done())
}

async fn purge(guard: &Guard, tenant: &TenantId, id: &Id) -> Result<Response, Problem> {
    hold(guard, tenant, id).await?;
    let identity = guard.identity();
    identity.purge_one(guard.caller(), tenant, id).await?;
    Ok(done())
}

/// In the trash or not, accounts are for those who may change accounts, and access policies for those who may change them.
async fn hold(guard: &Guard, tenant: &TenantId, id: &Id) -> Result<(), Problem> {
    let is_platform = *tenant == TenantId::platform();
    match is_access_policy(id) {
        true if is_platform => guard.platform(Permission::AccessPolicyWrite),
        true => {
            let allowed = guard.organization(tenant.as_str(), Permission::AccessPolicyWrite);
            allowed.await.map(drop)
        }
        false if is_platform && id.prefix() == "usr" => guard.platform(Permission::UserWrite),
        false => Ok(()),
    }
}

fn is_access_policy(id: &Id) -> bool {
    id.prefix() == "acp"
}
