//! Everybody's accounts, for those who run the platform.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Id;
use weir_identity::{Certificate, NewUser, Permission, User, UserFilter, UserOrder, UserUpdate};

use super::me::{Ended, Sessions};
use super::organizations::Suspension;
use crate::api::answer::{created, done, shown, told};
use crate::api::body::{Body, Patch};
use crate::api::guard::Guard;
use crate::api::list::{List, Listed};
use crate::api::parameters::{IfMatch, Path};
use crate::api::services::Services;
use crate::page::Page;
use crate::problem::Problem;

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(list_users, create_user))
        .routes(routes!(show_user, update_user, delete_user))
        .routes(routes!(suspend_user))
        .routes(routes!(resume_user))
        .routes(routes!(list_user_sessions, end_user_sessions))
        .routes(routes!(make_reset_link))
        .routes(routes!(remove_user_authenticator))
        .routes(routes!(erase_user))
        .routes(routes!(erase_address))
}

/// Whose account.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OfUser {
    /// The person's identifier.
    user: Id,
}

/// Which accounts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Users {
    /// Those whose address begins with this.
    email: Option<String>,
    /// Those that are suspended, or those that are not.
    suspended: Option<bool>,
}

impl Listed for Users {
    type Order = UserOrder;

    const ORDERS: &'static [(&'static str, Self::Order)] = &[
        ("created_at", UserOrder::Created),
        ("email", UserOrder::Email),
    ];
}

/// What of an account can be changed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserPatch {
    #[schema(required = false, example = "grace@acme.example")]
    email: String,
    #[schema(required = false, example = "Grace Hopper")]
    name: String,
}

/// List accounts
#[utoipa::path(
    get,
    path = "/v1/users",
    tag = "users",
    params(List<Users>),
    responses((status = 200, description = "A page of them.", body = Page<User>))
)]
async fn list_users(guard: Guard, list: List<Users>) -> Result<Response, Problem> {
    guard.platform(Permission::UserRead)?;
    let filter = UserFilter {
        email: list.filter.email.clone(),
        is_suspended: list.filter.suspended,
        is_deleted: false,
    };
    let identity = guard.identity();
    let listing = list.listing()?;
    Ok(list.page(identity.users(&filter, list.order, &listing).await?))
}

/// Make an account
///
/// Nobody can sign in with it until its owner has set a password, by the letter for a forgotten one.
#[utoipa::path(
    post,
    path = "/v1/users",
    tag = "users",
    request_body = NewUser,
    responses(
        (status = 201, description = "The account.", body = User),
        (status = 409, description = "Another one has this address."),
    )
)]
async fn create_user(guard: Guard, Body(new): Body<NewUser>) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    let user = guard.identity().create_user(guard.caller(), new).await?;
    let location = format!("/v1/users/{}", user.id);
    Ok(created(&location, user.version, &user))
}

/// Show an account
#[utoipa::path(
    get,
    path = "/v1/users/{user}",
    tag = "users",
    params(OfUser),
    responses((status = 200, description = "The account.", body = User))
)]
async fn show_user(guard: Guard, Path(path): Path<OfUser>) -> Result<Response, Problem> {
    guard.platform(Permission::UserRead)?;
    let user = guard.identity().user(&path.user).await?;
    Ok(shown(user.version, &user))
}

/// Change an account
///
/// Another address is to be verified again, and links that were sent to the former one open nothing any
/// more. Nobody changes the account of somebody with rights that they do not have themselves, nor their own
/// address here: `PUT /v1/me/email` does.
#[utoipa::path(
    patch,
    path = "/v1/users/{user}",
    tag = "users",
    params(OfUser, IfMatch),
    request_body = UserPatch,
    responses(
        (status = 200, description = "The account as it is now.", body = User),
        (status = 409, description = "Another one has this address."),
    )
)]
async fn update_user(
    guard: Guard,
    Path(path): Path<OfUser>,
    if_match: IfMatch,
    patch: Patch,
) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    let identity = guard.identity();
    let change = || async {
        let before = identity.user(&path.user).await?;
        let after = patch.onto(&UserPatch {
            email: before.email,
            name: before.name,
        })?;
        let update = UserUpdate {
            email: Some(after.email),
            name: Some(after.name),
        };
        let expected = if_match.version().or(Some(before.version));
        Ok(identity
            .update_user(guard.caller(), &path.user, expected, update)
            .await?)
    };
    let user = if_match.on_latest(change).await?;
    Ok(shown(user.version, &user))
}

/// Delete an account
///
/// It goes to the trash of the platform with its memberships, and can be brought back from there; its
/// sessions end.
#[utoipa::path(
    delete,
    path = "/v1/users/{user}",
    tag = "users",
    params(OfUser, IfMatch),
    responses(
        (status = 204, description = "It is in the trash."),
        (status = 409, description = "This is the last owner of an organization."),
    )
)]
async fn delete_user(
    guard: Guard,
    Path(path): Path<OfUser>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    guard
        .identity()
        .delete_user(guard.caller(), &path.user, if_match.version())
        .await?;
    Ok(done())
}

/// Suspend an account
///
/// It cannot sign in, and its sessions end.
#[utoipa::path(
    post,
    path = "/v1/users/{user}/suspend",
    tag = "users",
    params(OfUser, IfMatch),
    request_body = Suspension,
    responses(
        (status = 200, description = "The account as it is now.", body = User),
        (status = 409, description = "This is the last owner of an organization."),
    )
)]
async fn suspend_user(
    guard: Guard,
    Path(path): Path<OfUser>,
    if_match: IfMatch,
    Body(body): Body<Suspension>,
) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    let expected = if_match.version();
    let user = guard
        .identity()
        .suspend_user(guard.caller(), &path.user, expected, &body.reason)
        .await?;
    Ok(shown(user.version, &user))
}

/// End the suspension of an account
#[utoipa::path(
    post,
    path = "/v1/users/{user}/resume",
    tag = "users",
    params(OfUser, IfMatch),
    responses((status = 200, description = "The account as it is now.", body = User))
)]
async fn resume_user(
    guard: Guard,
    Path(path): Path<OfUser>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    let user = guard
        .identity()
        .resume_user(guard.caller(), &path.user, if_match.version())
        .await?;
    Ok(shown(user.version, &user))
}

/// List the sessions of somebody
#[utoipa::path(
    get,
    path = "/v1/users/{user}/sessions",
    tag = "users",
    params(OfUser),
    responses((status = 200, description = "Those that are alive.", body = Sessions))
)]
async fn list_user_sessions(guard: Guard, Path(path): Path<OfUser>) -> Result<Response, Problem> {
    guard.platform(Permission::UserRead)?;
    let user = guard.identity().user(&path.user).await?;
    let sessions = guard.identity().sessions(&user.id).await?;
    Ok(told(&Sessions::of(sessions, None)))
}

/// End all sessions of somebody
///
/// Needs a sign-in of the last 15 minutes. Nobody ends those of somebody with rights that they do not have
/// themselves.
#[utoipa::path(
    delete,
    path = "/v1/users/{user}/sessions",
    tag = "users",
    params(OfUser),
    responses((status = 200, description = "They have ended.", body = Ended))
)]
async fn end_user_sessions(guard: Guard, Path(path): Path<OfUser>) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    recently(&guard)?;
    let user = guard.identity().user(&path.user).await?;
    let identity = guard.identity();
    let ended = identity.revoke_sessions(guard.caller(), &user.id, None);
    let ended = ended.await?;
    Ok(told(&Ended { ended }))
}

/// A link to hand over.
#[derive(Serialize, ToSchema)]
struct ResetLink {
    /// Sets another password, once, within an hour. It is told only here.
    #[schema(
        example = "http://127.0.0.1:9900/reset?token=weir_once_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )]
    link: String,
}

/// Make a link to set somebody's password
///
/// For somebody who cannot get a letter, to be handed over. It ends nothing by itself: the password stays
/// until the link is used, and a second factor after that. Links that were made or sent before open nothing
/// any more. Needs a sign-in of the last 15 minutes; one's own password is changed by `PUT /v1/me/password`.
#[utoipa::path(
    post,
    path = "/v1/users/{user}/reset-link",
    tag = "users",
    params(OfUser),
    responses(
        (status = 200, description = "The link.", body = ResetLink),
        (status = 409, description = "The account is suspended."),
    )
)]
async fn make_reset_link(guard: Guard, Path(path): Path<OfUser>) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    recently(&guard)?;
    let identity = guard.identity();
    let link = identity.issue_reset(guard.caller(), &path.user).await?;
    let link = link.expose().clone();
    Ok(told(&ResetLink { link }))
}

/// Remove the authenticator of somebody
///
/// For somebody who lost it, with the recovery codes. Their sessions end, and a letter tells them. Needs a
/// sign-in of the last 15 minutes; one's own is removed by `POST /v1/me/totp/remove`.
#[utoipa::path(
    delete,
    path = "/v1/users/{user}/totp",
    tag = "users",
    params(OfUser),
    responses((status = 204, description = "They are asked for a password only."))
)]
async fn remove_user_authenticator(
    guard: Guard,
    Path(path): Path<OfUser>,
) -> Result<Response, Problem> {
    guard.platform(Permission::UserWrite)?;
    recently(&guard)?;
    let identity = guard.identity();
    identity.remove_totp_of(guard.caller(), &path.user).await?;
    Ok(done())
}

/// Erase a person
///
/// All that records have of them goes for good, in the trash or not, also if the account is gone already; the
/// audit keeps what was done, but not by whom or from where. Asked for again, an erasure that was interrupted
/// goes on. Needs a sign-in of the last 15 minutes.
#[utoipa::path(
    post,
    path = "/v1/users/{user}/erase",
    tag = "users",
    params(OfUser),
    responses(
        (status = 200, description = "What was erased.", body = Certificate),
        (
            status = 409,
            description = "This is the last owner of an organization, or the erasure is under way."
        ),
    )
)]
async fn erase_user(guard: Guard, Path(path): Path<OfUser>) -> Result<Response, Problem> {
    guard.platform(Permission::UserErase)?;
    recently(&guard)?;
    let identity = guard.identity();
    let certificate = identity.erase_user(guard.caller(), &path.user).await?;
    Ok(told(&certificate))
}

/// Whose data is to go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Erased {
    #[schema(example = "grace@acme.example")]
    email: String,
}

/// Erase whoever has an address
///
/// With an account or without: somebody who was only invited, or whose address somebody mistyped. If it is
/// the address of an account, live or in the trash, that is erased. Otherwise as the erasure of a person.
#[utoipa::path(
    post,
    path = "/v1/erasures",
    tag = "users",
    request_body = Erased,
    responses(
        (status = 200, description = "What was erased.", body = Certificate),
        (
            status = 409,
            description = "This is the last owner of an organization, or the erasure is under way."
        ),
        (status = 404, description = "Records know nothing of this address."),
    )
)]
async fn erase_address(guard: Guard, Body(body): Body<Erased>) -> Result<Response, Problem> {
    guard.platform(Permission::UserErase)?;
    recently(&guard)?;
    let identity = guard.identity();
    match identity.erase_email(guard.caller(), &body.email).await {
        Ok(certificate) => Ok(told(&certificate)),
        // Nothing must look like an erasure that was none.
        Err(weir_identity::Error::Missing(_)) => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "Records know nothing of this address; is it spelled right? Nothing was erased.",
        )),
        Err(error) => Err(error.into()),
    }
}

/// What a stolen session must not do. The operator has none.
fn recently(guard: &Guard) -> Result<(), Problem> {
    guard
        .operator()
        .or_else(|_| guard.recent_user().map(|_| ()))
}
