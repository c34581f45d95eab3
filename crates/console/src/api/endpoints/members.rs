//! Who belongs to an organization.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::{Id, TenantId};
use weir_identity::{Assigned, Membership, Permission};

use crate::api::answer::{done, shown};
use crate::api::body::Patch;
use crate::api::guard::Guard;
use crate::api::list::{ByEmail, List};
use crate::api::parameters::{IfMatch, InOrganization, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_members))
        .routes(routes!(show_member, update_member, remove_member))
}

/// Which member.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfMember {
    /// The organization's identifier or slug.
    #[param(example = "acme")]
    organization: String,
    /// The person's identifier.
    user: Id,
}

/// What of a membership can be changed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MemberPatch {
    #[schema(required = false)]
    role: Assigned,
}

/// List members
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/members",
    tag = "members",
    params(InOrganization, List<ByEmail>),
    responses((status = 200, description = "A page of them.", body = Page<Membership>))
)]
async fn list_members(
    guard: Guard,
    Path(path): Path<InOrganization>,
    list: List<ByEmail>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::MemberRead)
        .await?;
    let found = guard
        .identity()
        .members(
            &organization.id,
            list.filter.email.as_deref(),
            &list.listing()?,
        )
        .await?;
    Ok(list.page(found))
}

/// Show a member
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/members/{user}",
    tag = "members",
    params(OfMember),
    responses((status = 200, description = "The member.", body = Membership))
)]
async fn show_member(guard: Guard, Path(path): Path<OfMember>) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::MemberRead)
        .await?;
    let identity = guard.identity();
    let member = identity.member_of(&organization.id, &path.user).await?;
    Ok(shown(member.version, &member))
}

/// Give a member another role
///
/// Nobody gives or takes a role with rights that they do not have.
#[utoipa::path(
    patch,
    path = "/v1/organizations/{organization}/members/{user}",
    tag = "members",
    params(OfMember, IfMatch),
    request_body = MemberPatch,
    responses(
        (status = 200, description = "The member as they are now.", body = Membership),
        (status = 409, description = "This is the last owner, or the organization is suspended."),
    )
)]
async fn update_member(
    guard: Guard,
    Path(path): Path<OfMember>,
    if_match: IfMatch,
    patch: Patch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::MemberWrite)
        .await?;
    let identity = guard.identity();
    let change = || async {
        let before = identity.member_of(&organization.id, &path.user).await?;
        let after = patch.onto(&MemberPatch { role: before.role })?;
        let expected = if_match.version().or(Some(before.version));
        let (tenant, id) = (&organization.id, &before.id);
        Ok(identity
            .set_member_role(guard.caller(), tenant, id, expected, &after.role)
            .await?)
    };
    let member = if_match.on_latest(change).await?;
    Ok(shown(member.version, &member))
}

/// Take a member out
///
/// Everybody may take out themselves.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization}/members/{user}",
    tag = "members",
    params(OfMember, IfMatch),
    responses(
        (status = 204, description = "They are no member any more; the membership is in the trash."),
        (status = 409, description = "This is the last owner, or the organization is suspended."),
    )
)]
async fn remove_member(
    guard: Guard,
    Path(path): Path<OfMember>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let tenant = match own_organization(&guard, &path) {
        Some(tenant) => tenant,
        None => {
            let organization = guard
                .organization(&path.organization, Permission::MemberWrite)
                .await?;
            organization.id
        }
    };
    let identity = guard.identity();
    let member = identity.member_of(&tenant, &path.user).await?;
    identity
        .remove_member(guard.caller(), &tenant, &member.id, if_match.version())
        .await?;
    Ok(done())
}

/// Of which organization somebody takes out themselves: that needs no permission, whatever became of
/// the organization.
fn own_organization(guard: &Guard, path: &OfMember) -> Option<TenantId> {
    let who = guard.user().ok().filter(|who| who.user.id == path.user)?;
    let own = who.belongings.iter().find(|own| {
        own.slug == path.organization || own.organization.as_str() == path.organization
    });
    own.map(|own| own.organization.clone())
}
