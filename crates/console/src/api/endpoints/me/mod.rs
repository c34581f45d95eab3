//! One's own account.

mod api_keys;
mod email;
mod second_factor;
mod sessions;
mod tokens;

use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_identity::{Belonging, Password, Proof, Session, User, UserUpdate};

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
        .merge(email::router())
        .merge(second_factor::router())
        .merge(sessions::router())
        .merge(api_keys::router())
        .merge(tokens::router())
}

/// Who asks.
#[derive(Serialize, ToSchema)]
struct Me {
    #[serde(flatten)]
    user: User,
    /// The address that takes the place of `email` once the link that was sent there is opened.
    pending_email: Option<String>,
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
    /// What the authenticator shows, or a recovery code; needed where there is a second factor.
    #[schema(example = "123456")]
    code: Option<String>,
}

/// What somebody shows before they change how they sign in: a session alone can be stolen.
fn proof(password: Password, code: Option<String>) -> Proof {
    Proof { password, code }
}

impl Me {
    async fn of(guard: &Guard, user: User) -> Result<Self, Problem> {
        let who = guard.user()?;
        Ok(Self {
            pending_email: guard.identity().pending_email(&user.id).await?,
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
/// A merge patch (RFC 7396). The address is changed by `PUT /v1/me/email`.
#[utoipa::path(
    patch,
    path = "/v1/me",
    tag = "me",
    params(IfMatch),
    request_body = MePatch,
    responses((status = 200, description = "The account as it is now.", body = Me))
)]
async fn update_me(guard: Guard, if_match: IfMatch, patch: Patch) -> Result<Response, Problem> {
    let before = &guard.user()?.user;
    let after = patch.onto(&MePatch {
        name: before.name.clone(),
    })?;
    let update = UserUpdate {
        email: None,
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
    responses(
        (status = 204, description = "It is set."),
        (status = 429, description = "Too many attempts; `Retry-After` says when to try again."),
    )
)]
async fn change_my_password(
    guard: Guard,
    Body(body): Body<NewPassword>,
) -> Result<Response, Problem> {
    let who = guard.user()?;
    let (user, session) = (&who.user.id, Some(&who.session.id));
    let proof = proof(body.present, body.code);
    guard
        .identity()
        .change_password(guard.caller(), user, session, &proof, &body.password)
        .await?;
    Ok(done())
}
