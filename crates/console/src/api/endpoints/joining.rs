//! What somebody does who was invited: look, and accept.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::{Secret, TenantId};
use weir_identity::{Error, NewMember, Offer, Password, User};

use crate::api::answer::told;
use crate::api::body::Body;
use crate::api::guard::{Guard, Visitor};
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(look_at_invitation))
        .routes(routes!(accept_invitation))
}

/// Which invitation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationToken {
    /// What stands behind `token=` in the link.
    #[schema(example = "weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
}

/// Who accepts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    /// What stands behind `token=` in the link.
    #[schema(example = "weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    token: String,
    /// Of a new account.
    #[schema(example = "Grace Hopper")]
    name: Option<String>,
    /// Of a new account.
    password: Option<Password>,
}

/// Who joined where.
#[derive(Serialize, ToSchema)]
struct Joined {
    /// The organization.
    organization: TenantId,
    /// The account that is a member now.
    user: User,
}

/// Look at an invitation
///
/// Where to, and whether its address has an account, which is to sign in before it accepts.
#[utoipa::path(
    post,
    path = "/v1/invitations/look",
    tag = "invitations",
    security(()),
    request_body = InvitationToken,
    responses(
        (status = 200, description = "What is offered.", body = Offer),
        (status = 409, description = "The organization is suspended, or was deleted."),
    )
)]
async fn look_at_invitation(
    visitor: Visitor,
    Body(body): Body<InvitationToken>,
) -> Result<Response, Problem> {
    let offer = visitor.identity().offer(&Secret::new(body.token)).await?;
    Ok(told(&offer))
}

/// Accept an invitation
///
/// With a session, as whose it is; without, with `name` and `password` of a new account.
#[utoipa::path(
    post,
    path = "/v1/invitations/accept",
    tag = "invitations",
    security((), ("bearer" = [])),
    request_body = Acceptance,
    responses(
        (status = 200, description = "Who is a member now, and where.", body = Joined),
        (
            status = 409,
            description = "The address has an account that is not signed in, the invitation is for another address, the organization is suspended or was deleted, or the limit is reached."
        ),
    )
)]
async fn accept_invitation(
    guard: Option<Guard>,
    visitor: Visitor,
    Body(body): Body<Acceptance>,
) -> Result<Response, Problem> {
    let caller = guard.as_ref().map_or(visitor.caller(), Guard::caller);
    let new = match (body.name, body.password) {
        (Some(name), Some(password)) => Some(NewMember { name, password }),
        (None, None) => None,
        (given, _) => {
            let field = if given.is_some() { "password" } else { "name" };
            let why = "is needed for a new account".to_owned();
            return Err(Error::Invalid { field, why }.into());
        }
    };
    let token = Secret::new(body.token);
    let (organization, user) = visitor
        .identity()
        .accept_invitation(caller, &token, new)
        .await?;
    Ok(told(&Joined { organization, user }))
}
