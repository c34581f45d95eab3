//! Invitations of an organization, as those see them who invite.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::{Assigned, Invitation, Invited, Permission};

use crate::api::answer::{created, done, shown};
use crate::api::body::Body;
use crate::api::guard::Guard;
use crate::api::list::{ByEmail, List};
use crate::api::parameters::{IfMatch, InOrganization, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_invitations, create_invitation))
        .routes(routes!(show_invitation, revoke_invitation))
        .routes(routes!(resend_invitation))
}

/// Which invitation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfInvitation {
    /// The organization's identifier or slug.
    #[param(example = "acme")]
    organization: String,
    /// The invitation's identifier.
    invitation: Id,
}

/// Who is invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInvitation {
    #[schema(example = "grace@acme.example")]
    email: String,
    role: Assigned,
}

/// An invitation that was sent.
#[derive(Serialize, ToSchema)]
struct SentInvitation {
    #[serde(flatten)]
    invitation: Invitation,
    /// For whoever invites to hand over; null if a letter has it. It is told only here.
    #[schema(
        example = "http://127.0.0.1:9900/accept?token=weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )]
    link: Option<String>,
}

impl From<Invited> for SentInvitation {
    fn from(invited: Invited) -> Self {
        Self {
            link: invited.link.map(|link| link.expose().clone()),
            invitation: invited.invitation,
        }
    }
}

/// List invitations
///
/// Those that wait, and those that were accepted.
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/invitations",
    tag = "invitations",
    params(InOrganization, List<ByEmail>),
    responses((status = 200, description = "A page of them.", body = Page<Invitation>))
)]
async fn list_invitations(
    guard: Guard,
    Path(path): Path<InOrganization>,
    list: List<ByEmail>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::InvitationRead)
        .await?;
    let identity = guard.identity();
    let (email, listing) = (list.filter.email.as_deref(), list.listing()?);
    let found = identity.invitations(&organization.id, email, &listing);
    Ok(list.page(found.await?))
}

/// Invite somebody
///
/// They need no account. The link works once, within seven days.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/invitations",
    tag = "invitations",
    params(InOrganization),
    request_body = NewInvitation,
    responses(
        (status = 201, description = "The invitation.", body = SentInvitation),
        (
            status = 409,
            description = "The address is a member's or was invited, the limit is reached, or the organization is suspended."
        ),
    )
)]
async fn create_invitation(
    guard: Guard,
    Path(path): Path<InOrganization>,
    Body(new): Body<NewInvitation>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::InvitationWrite)
        .await?;
    let tenant = &organization.id;
    let sent: SentInvitation = guard
        .identity()
        .invite(guard.caller(), tenant, &new.email, &new.role)
        .await?
        .into();
    let id = &sent.invitation.id;
    let location = format!("/v1/organizations/{tenant}/invitations/{id}");
    Ok(created(&location, sent.invitation.version, &sent))
}

/// Show an invitation
#[utoipa::path(
    get,
    path = "/v1/organizations/{organization}/invitations/{invitation}",
    tag = "invitations",
    params(OfInvitation),
    responses((status = 200, description = "The invitation.", body = Invitation))
)]
async fn show_invitation(
    guard: Guard,
    Path(path): Path<OfInvitation>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::InvitationRead)
        .await?;
    let identity = guard.identity();
    let invitation = identity.invitation(&organization.id, &path.invitation);
    let invitation = invitation.await?;
    Ok(shown(invitation.version, &invitation))
}

/// Take an invitation back
///
/// Its link opens nothing any more.
#[utoipa::path(
    delete,
    path = "/v1/organizations/{organization}/invitations/{invitation}",
    tag = "invitations",
    params(OfInvitation, IfMatch),
    responses(
        (status = 204, description = "It is in the trash."),
        (status = 409, description = "It was accepted, or the organization is suspended."),
    )
)]
async fn revoke_invitation(
    guard: Guard,
    Path(path): Path<OfInvitation>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::InvitationWrite)
        .await?;
    let (tenant, expected) = (&organization.id, if_match.version());
    guard
        .identity()
        .revoke_invitation(guard.caller(), tenant, &path.invitation, expected)
        .await?;
    Ok(done())
}

/// Send an invitation again
///
/// For another seven days. The link before it opens nothing any more.
#[utoipa::path(
    post,
    path = "/v1/organizations/{organization}/invitations/{invitation}/resend",
    tag = "invitations",
    params(OfInvitation),
    responses(
        (status = 200, description = "The invitation.", body = SentInvitation),
        (status = 409, description = "It was accepted, or the organization is suspended."),
    )
)]
async fn resend_invitation(
    guard: Guard,
    Path(path): Path<OfInvitation>,
) -> Result<Response, Problem> {
    let organization = guard
        .organization(&path.organization, Permission::InvitationWrite)
        .await?;
    let sent: SentInvitation = guard
        .identity()
        .resend_invitation(guard.caller(), &organization.id, &path.invitation)
        .await?
        .into();
    Ok(shown(sent.invitation.version, &sent))
}
