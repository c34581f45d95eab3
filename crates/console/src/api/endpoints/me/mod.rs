//! One's own account.

mod second_factor;
mod sessions;

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_identity::{Belonging, Password, Session, User, UserUpdate};

use crate::api::answer::{done, shown};
use crate::api::body::{Body, Patch};
use crate::api::guard::Guard;
use crate::api::parameters::IfMatch;
use crate::api::services::Services;
use crate::problem::Problem;

pub(super) use sessions::{Ended, Sessions};

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(show_me, update_me))
        .routes(routes!(change_my_password))
        .merge(second_factor::router())
        .merge(sessions::router())
}

/// Who asks.
#[derive(Serialize, ToSchema)]
struct Me {
    #[serde(flatten)]
    user: User,
    /// Whether a second factor is asked for at sign-in.
    has_second_factor: bool,
    /// The organizations that they belong to.
    organizations: Vec<Belonging>,
    /// The session with which this is asked.
    session: Session,
}

/// What of one's own account can be changed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MePatch {
    /// Another address is to be verified again; it needs a sign-in of the last 15 minutes.
    #[schema(required = false, example = "ada@acme.example")]
    email: String,
    #[schema(required = false, example = "Ada Lovelace")]
    name: String,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The one that it takes the place of.
    present: Password,
    password: Password,
}

impl Me {
    async fn of(guard: &Guard, user: User) -> Result<Self, Problem> {
        let who = guard.user()?;
        Ok(Self {
            has_second_factor: guard.identity().has_second_factor(&user.id).await?,
            user,
            organizations: who.belongings.clone(),
            session: who.session.clone(),
        })
    }
}

/// Show one's own account
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "me",
    responses((status = 200, description = "The account.", body = Me))
)]
async fn show_me(guard: Guard) -> Result<Response, Problem> {
    let me = Me::of(&guard, guard.user()?.user.clone()).await?;
    Ok(shown(me.user.version, &me))
}

/// Change one's own account
///
/// A merge patch (RFC 7396).
#[utoipa::path(
    patch,
    path = "/v1/me",
    tag = "me",
    params(IfMatch),
    request_body = MePatch,
    responses(
        (status = 200, description = "The account as it is now.", body = Me),
        (status = 409, description = "Somebody else has this address."),
    )
)]
async fn update_me(guard: Guard, if_match: IfMatch, patch: Patch) -> Result<Response, Problem> {
    let before = &guard.user()?.user;
    let after = patch.onto(&MePatch {
        email: before.email.clone(),
        name: before.name.clone(),
    })?;
    // Links by which a new password is set go to the address.
    if after.email != before.email {
        guard.recent_user()?;
    }
    let update = UserUpdate {
        email: Some(after.email).filter(|email| *email != before.email),
        name: Some(after.name).filter(|name| *name != before.name),
    };
    let user = guard
        .identity()
        .update_user(guard.caller(), &before.id, if_match.version(), update)
        .await?;
    let me = Me::of(&guard, user).await?;
    Ok(shown(me.user.version, &me))
}

/// Set another password
///
/// All other sessions end.
#[utoipa::path(
    put,
    path = "/v1/me/password",
    tag = "me",
    request_body = NewPassword,
    responses((status = 204, description = "It is set."))
)]
async fn change_my_password(
    guard: Guard,
    Body(body): Body<NewPassword>,
) -> Result<Response, Problem> {
    let who = guard.recent_user()?;
    let (user, session) = (&who.user.id, Some(&who.session.id));
    guard
        .identity()
        .change_password(guard.caller(), user, session, &body.present, &body.password)
        .await?;
    Ok(done())
}
