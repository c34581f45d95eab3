//! Access policies: rules that narrow what roles give, of the platform and of organizations.

mod explain;

use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::TenantId;
use weir_identity::{AccessPolicy, Author, Permission};

use crate::api::answer::{created, done, shown};
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::list::{ByTime, List};
use crate::api::parameters::{IfMatch, IfNoneMatch, InOrganization, Path, Query};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_platform_access_policies))
        .routes(routes!(
            show_platform_access_policy,
            put_platform_access_policy,
            delete_platform_access_policy
        ))
        .routes(routes!(list_access_policies))
        .routes(routes!(
            show_access_policy,
            put_access_policy,
            delete_access_policy
        ))
        .merge(explain::router())
}

/// Which policy of the platform.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfPlatform {
    /// The policy's name.
    #[param(example = "office-hours")]
    policy: String,
}

/// Which policy of an organization.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfOrganization {
    /// The organization's identifier or slug.
    #[param(example = "acme")]
    organization: String,
    /// The policy's name.
    #[param(example = "office-hours")]
    policy: String,
}

/// What rules are to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAccessPolicy {
    /// Rules in the Cedar language, which forbid.
    #[schema(
        example = "forbid (principal, action in Action::\"write\", resource) when { context.level < 3 };"
    )]
    text: String,
}

/// How it is put.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Putting {
    /// Also if the rules would keep the caller from changing them back.
    #[serde(default)]
    force: bool,
}

/// List the platform's access policies
///
/// They hold for everybody but the operator, people and keys, in all organizations.
#[utoipa::path(
    get,
    path = "/v1/access-policies",
    tag = "access policies",
    params(List<ByTime>),
    responses((status = 200, description = "A page of them.", body = Page<AccessPolicy>))
)]
async fn list_platform_access_policies(
    guard: Guard,
    list: List<ByTime>,
) -> Result<Response, Problem> {
    guard.platform(Permission::AccessPolicyRead)?;
    let platform = TenantId::platform();
    list_of(&guard, &platform, &list).await
}

/// Show an access policy of the platform
#[utoipa::path(
    get,
    path = "/v1/access-policies/{policy}",
    tag = "access policies",
    params(OfPlatform),
    responses((status = 200, description = "The policy.", body = AccessPolicy))
)]
async fn show_platform_access_policy(
    guard: Guard,
    Path(path): Path<OfPlatform>,
) -> Result<Response, Problem> {
    guard.platform(Permission::AccessPolicyRead)?;
    show(&guard, &TenantId::platform(), &path.policy).await
}

/// Make or change an access policy of the platform
///
/// It holds on all nodes with the next request. Rules that would keep the caller from changing them back are refused, unless
/// `force` says otherwise; the operator is never kept out.
#[utoipa::path(
    put,
    path = "/v1/access-policies/{policy}",
    tag = "access policies",
    params(OfPlatform, Putting, IfMatch, IfNoneMatch),
    request_body = NewAccessPolicy,
    responses(
        (status = 200, description = "The policy as it is now.", body = AccessPolicy),
        (status = 201, description = "The policy, which is new.", body = AccessPolicy),
        (status = 409, description = "The rules would keep the caller out, or there are as many as there can be."),
    )
)]
async fn put_platform_access_policy(
    guard: Guard,
    Path(path): Path<OfPlatform>,
    Query(putting): Query<Putting>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    Body(new): Body<NewAccessPolicy>,
) -> Result<Response, Problem> {
    guard.platform(Permission::AccessPolicyWrite)?;
    let place = Place {
        tenant: &TenantId::platform(),
        slug: "platform",
        path: "/v1/access-policies".to_owned(),
    };
    let expected = expected(if_match, if_none_match);
    put(&guard, &place, &path.policy, &putting, expected, &new).await
}

/// Delete an access policy of the platform
///
/// It goes to the trash of the platform, and holds no longer.
#[utoipa::path(
    delete,
    path = "/v1/access-policies/{policy}",
    tag = "access policies",
    params(OfPlatform, IfMatch),
    responses((status = 204, description = "It is in the trash."))
)]
async fn delete_platform_access_policy(
    guard: Guard,
    Path(path): Path<OfPlatform>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    guard.platform(Permission::AccessPolicyWrite)?;
    delete(&guard, &TenantId::platform(), &path.policy, if_match).await
}

/// List access policies of an organization
///
/// They hold for what its own roles give; those of the platform hold as well. An owner of the organization who has signed in
/// in the last 15 minutes sees and changes them whatever they say.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/access-policies",
    tag = "access policies",
    params(InOrganization, List<ByTime>),
    responses((status = 200, description = "A page of them.", body = Page<AccessPolicy>))
)]
async fn list_access_policies(
    guard: Guard,
    Path(path): Path<InOrganization>,
    list: List<ByTime>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::AccessPolicyRead)
        .await?;
    list_of(&guard, &organization.id, &list).await
}

/// Show an access policy of an organization
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/access-policies/{policy}",
    tag = "access policies",
    params(OfOrganization),
    responses((status = 200, description = "The policy.", body = AccessPolicy))
)]
async fn show_access_policy(
    guard: Guard,
    Path(path): Path<OfOrganization>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::AccessPolicyRead)
        .await?;
    show(&guard, &organization.id, &path.policy).await
}

/// Make or change an access policy of an organization
///
/// It holds on all nodes with the next request. Rules that would keep the caller from changing them back are refused, unless
/// `force` says otherwise.
#[utoipa::path(
    put,
    path = "/v1/organizations/{organization}/access-policies/{policy}",
    tag = "access policies",
    params(OfOrganization, Putting, IfMatch, IfNoneMatch),
    request_body = NewAccessPolicy,
    responses(
        (status = 200, description = "The policy as it is now.", body = AccessPolicy),
        (status = 201, description = "The policy, which is new.", body = AccessPolicy),
        (
            status = 409,
            description = "The rules would keep the caller out, there are as many as there can be, or the organization is suspended."
        ),
    )
)]
async fn put_access_policy(
    guard: Guard,
    Path(path): Path<OfOrganization>,
    Query(putting): Query<Putting>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    Body(new): Body<NewAccessPolicy>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::AccessPolicyWrite)
        .await?;
    let place = Place {
        tenant: &organization.id,
        slug: &organization.slug,
        path: format!("/v1/organizations/{}/access-policies", organization.id),
    };
    let expected = expected(if_match, if_none_match);
    put(&guard, &place, &path.policy, &putting, expected, &new).await
}

/// Delete an access policy of an organization
///
/// It goes to the trash of the organization, and holds no longer.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization}/access-policies/{policy}",
    tag = "access policies",
    params(OfOrganization, IfMatch),
    responses(
        (status = 204, description = "It is in the trash."),
        (status = 409, description = "The organization is suspended."),
    )
)]
async fn delete_access_policy(
    guard: Guard,
    Path(path): Path<OfOrganization>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::AccessPolicyWrite)
        .await?;
    delete(&guard, &organization.id, &path.policy, if_match).await
}

/// Whose policies, and where they are.
struct Place<'a> {
    tenant: &'a TenantId,
    slug: &'a str,
    path: String,
}

async fn list_of(
    guard: &Guard,
    tenant: &TenantId,
    list: &List<ByTime>,
) -> Result<Response, Problem> {
    let listing = list.listing()?;
    let found = guard.identity().access_policies(tenant, &listing).await?;
    Ok(list.page(found))
}

async fn show(guard: &Guard, tenant: &TenantId, name: &str) -> Result<Response, Problem> {
    let policy = guard.identity().access_policy(tenant, name).await?;
    Ok(shown(policy.version, &policy))
}

/// The version before; 0 if there must be none.
fn expected(if_match: IfMatch, if_none_match: IfNoneMatch) -> Option<i64> {
    match if_none_match.0 {
        true => Some(0),
        false => if_match.version(),
    }
}

async fn put(
    guard: &Guard,
    place: &Place<'_>,
    name: &str,
    putting: &Putting,
    expected: Option<i64>,
    new: &NewAccessPolicy,
) -> Result<Response, Problem> {
    let identity = guard.identity();
    let author = match putting.force {
        true => None,
        false => author(guard, place.tenant, place.slug).await?,
    };
    let put = identity.put_access_policy(
        guard.caller(),
        place.tenant,
        name,
        expected,
        &new.text,
        author.as_ref(),
    );
    let (policy, is_new) = put.await?;
    Ok(match is_new {
        true => created(&format!("{}/{name}", place.path), policy.version, &policy),
        false => shown(policy.version, &policy).into_response(),
    })
}

/// Who must be able to change it back; nobody, if the rules do not hold for them.
pub(super) async fn author<'g>(
    guard: &'g Guard,
    tenant: &TenantId,
    slug: &'g str,
) -> Result<Option<Author<'g>>, Problem> {
    let platform = TenantId::platform();
    let rights = guard.principal().rights(&platform);
    let is_by_platform = *tenant != platform && rights.has(Permission::AccessPolicyWrite);
    let Some(asker) = guard.asker().filter(|_| !is_by_platform) else {
        return Ok(None);
    };
    let address = asker.address.map(|address| address.to_string());
    Ok(Some(Author {
        asker,
        slug,
        rights: guard.principal().rights(tenant),
        risk: guard
            .identity()
            .risk(asker.name, address.as_deref())
            .await?,
    }))
}

async fn delete(
    guard: &Guard,
    tenant: &TenantId,
    name: &str,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    guard
        .identity()
        .delete_access_policy(guard.caller(), tenant, name, if_match.version())
        .await?;
    Ok(done())
}
