//! Organizations.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_identity::{
    NewOrganization, Organization, OrganizationFilter, OrganizationOrder, OrganizationUpdate,
    Permission, Settings,
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
        .routes(routes!(list_organizations, create_organization))
        .routes(routes!(
            show_organization,
            update_organization,
            delete_organization
        ))
        .routes(routes!(suspend_organization))
        .routes(routes!(resume_organization))
}

/// Which organizations.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Organizations {
    /// Those whose slug begins with this.
    slug: Option<String>,
    /// Those whose name begins with this.
    name: Option<String>,
    /// Those that are suspended, or those that are not.
    suspended: Option<bool>,
}

impl Listed for Organizations {
    type Order = OrganizationOrder;

    const ORDERS: &'static [(&'static str, Self::Order)] = &[
        ("created_at", OrganizationOrder::Created),
        ("name", OrganizationOrder::Name),
        ("slug", OrganizationOrder::Slug),
    ];
}

/// An organization that was made.
#[derive(Serialize, ToSchema)]
struct MadeOrganization {
    #[serde(flatten)]
    organization: Organization,
    /// What should be looked at, in sentences; left out if there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(
        required = false,
        example = json!(["Routes of this node name this slug already, and carry its traffic from now on: shop."])
    )]
    warnings: Vec<String>,
}

/// What of an organization can be changed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrganizationPatch {
    #[schema(required = false, example = "Acme Works")]
    name: String,
    #[serde(default)]
    settings: Settings,
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suspension {
    #[schema(example = "unpaid invoices")]
    pub(super) reason: String,
}

/// List organizations
///
/// Whoever may read all of the platform's sees all; everybody else, those to which they belong.
#[utoipa::path(
    get,
    path = "/v1/organizations",
    tag = "organizations",
    params(List<Organizations>),
    responses((status = 200, description = "A page of them.", body = Page<Organization>))
)]
async fn list_organizations(guard: Guard, list: List<Organizations>) -> Result<Response, Problem> {
    let sees_all = guard.platform_rights().has(Permission::OrganizationRead);
    let filter = OrganizationFilter {
        slug: list.filter.slug.clone(),
        name: list.filter.name.clone(),
        is_suspended: list.filter.suspended,
        member: match sees_all {
            true => None,
            false => Some(guard.user()?.user.id.clone()),
        },
        is_deleted: false,
    };
    let identity = guard.identity();
    let listing = list.listing()?;
    let found = identity.organizations(&filter, list.order, &listing);
    Ok(list.page(found.await?))
}

/// Make an organization
///
/// A slug stays that of an organization in the trash until that is removed for good. If routes of the node that is asked
/// name the slug already, `warnings` says so: they carry the traffic of the new organization.
#[utoipa::path(
    post,
    path = "/v1/organizations",
    tag = "organizations",
    request_body = NewOrganization,
    responses(
        (status = 201, description = "The organization.", body = MadeOrganization),
        (status = 409, description = "Another one has this slug, or one in the trash."),
    )
)]
async fn create_organization(
    guard: Guard,
    State(services): State<Services>,
    Body(new): Body<NewOrganization>,
) -> Result<Response, Problem> {
    guard.platform(Permission::OrganizationCreate)?;
    let identity = guard.identity();
    let organization = identity.create_organization(guard.caller(), new).await?;
    let location = format!("/v1/organizations/{}", organization.id);
    let version = organization.version;
    let made = MadeOrganization {
        warnings: carried(&guard, &services, &organization.slug)
            .into_iter()
            .collect(),
        organization,
    };
    Ok(created(&location, version, &made))
}

/// What to say if routes name a new organization already: they may be left from another one of this slug.
fn carried(guard: &Guard, services: &Services, slug: &str) -> Option<String> {
    let running = services.configuration().running.borrow();
    let routes = running.of_organizations.get(slug)?;
    let rights = guard.platform_rights();
    let which = match rights.has(Permission::RouteRead) {
        true => routes.join(", "),
        // Their names are not for everybody.
        false => routes.len().to_string(),
    };
    Some(format!(
        "Routes of this node name this slug already, and carry its traffic from now on: {which}."
    ))
}

/// Show an organization
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}",
    tag = "organizations",
    params(InOrganization),
    responses((status = 200, description = "The organization.", body = Organization))
)]
async fn show_organization(
    guard: Guard,
    Path(path): Path<InOrganization>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::OrganizationRead)
        .await?;
    Ok(shown(organization.version, &organization))
}

/// Change an organization
///
/// A merge patch (RFC 7396): members that are not named stay as they are, null removes.
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organization}",
    tag = "organizations",
    params(InOrganization, IfMatch),
    request_body = OrganizationPatch,
    responses(
        (status = 200, description = "The organization as it is now.", body = Organization),
        (status = 409, description = "It is suspended."),
    )
)]
async fn update_organization(
    guard: Guard,
    Path(path): Path<InOrganization>,
    if_match: IfMatch,
    patch: Patch,
) -> Result<Response, Problem> {
    let change = || async {
        let before = guard
            .organization(&path.organization, Permission::OrganizationWrite)
            .await?;
        let limits = before.settings.limits.clone();
        let after = patch.onto(&OrganizationPatch {
            name: before.name,
            settings: before.settings,
        })?;
        // They are set for an organization, not by it.
        if after.settings.limits != limits {
            let set = guard.platform(Permission::OrganizationWrite);
            set.map_err(|problem| {
                problem.saying(
                    "An organization's limits are set by those who run the platform: this needs the permission \
                     organization:write there. What else is to be changed can be, without them."
                        .to_owned(),
                )
            })?;
        }
        let update = OrganizationUpdate {
            name: Some(after.name),
            settings: Some(after.settings),
        };
        let expected = if_match.version().or(Some(before.version));
        let identity = guard.identity();
        Ok(identity
            .update_organization(guard.caller(), &before.id, expected, update)
            .await?)
    };
    let organization = if_match.on_latest(change).await?;
    Ok(shown(organization.version, &organization))
}

/// Delete an organization
///
/// It goes to the trash of the platform with all that it has, and can be brought back from there.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization}",
    tag = "organizations",
    params(InOrganization, IfMatch),
    responses(
        (status = 204, description = "It is in the trash."),
        (status = 409, description = "It is suspended, or the installation itself."),
    )
)]
async fn delete_organization(
    guard: Guard,
    Path(path): Path<InOrganization>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::OrganizationDelete)
        .await?;
    guard
        .identity()
        .delete_organization(guard.caller(), &organization.id, if_match.version())
        .await?;
    Ok(done())
}

/// Suspend an organization
///
/// Its traffic is refused, and its members can look at it but not change it.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/suspend",
    tag = "organizations",
    params(InOrganization, IfMatch),
    request_body = Suspension,
    responses(
        (status = 200, description = "The organization as it is now.", body = Organization),
        (status = 409, description = "It is the installation itself."),
    )
)]
async fn suspend_organization(
    guard: Guard,
    Path(path): Path<InOrganization>,
    if_match: IfMatch,
    Body(body): Body<Suspension>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::OrganizationSuspend)
        .await?;
    let expected = if_match.version();
    let organization = guard
        .identity()
        .suspend_organization(guard.caller(), &organization.id, expected, &body.reason)
        .await?;
    Ok(shown(organization.version, &organization))
}

/// End a suspension
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/resume",
    tag = "organizations",
    params(InOrganization, IfMatch),
    responses((status = 200, description = "The organization as it is now.", body = Organization))
)]
async fn resume_organization(
    guard: Guard,
    Path(path): Path<InOrganization>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::OrganizationSuspend)
        .await?;
    let organization = guard
        .identity()
        .resume_organization(guard.caller(), &organization.id, if_match.version())
        .await?;
    Ok(shown(organization.version, &organization))
}
