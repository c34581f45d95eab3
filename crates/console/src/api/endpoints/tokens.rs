//! Access and refresh tokens.

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_core::Secret;
use weir_identity::{Error, Issued, Permission, Scope, Wanted};

use crate::api::answer::{done, told};
use crate::api::body::Body;
use crate::api::guard::{Guard, Visitor};
use crate::api::services::Services;
use crate::problem::Problem;

/// What asks here is no client of its own.
const CLIENT: &str = "weir";

pub(super) fn router() -> OpenApiRouter<Services> {
    OpenApiRouter::default()
        .routes(routes!(issue_token))
        .routes(routes!(refresh_token))
        .routes(routes!(revoke_token))
}

/// Which tokens.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    /// For whom they are: the API that is to take them, `aud`.
    #[schema(example = "https://api.acme.example")]
    audience: String,
    /// The identifier or slug of the organization that they are for.
    #[schema(example = "acme")]
    organization: Option<String>,
    /// What they may do there: permissions that one's role gives, separated by spaces.
    #[serde(default)]
    #[schema(example = "route:read")]
    scope: String,
    /// Whether the refresh token stays good when the session ends. It needs a sign-in of the last 15 minutes.
    #[serde(default)]
    offline: bool,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    /// What the last answer had.
    refresh_token: String,
    /// Less than it may do, for the next access token.
    scope: Option<String>,
}

/// A token that is not to be good any more.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revoke {
    /// An access token, or a refresh token, with which all goes that came from the same login.
    token: String,
}

/// Tokens (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// A JWT (RFC 9068), which verifies by the keys of `/.well-known/jwks.json`.
    access_token: String,
    /// How it is sent.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// For how many seconds it is good.
    #[schema(example = 300)]
    expires_in: u64,
    /// What gets the next access token, once; it is told only here.
    #[schema(
        example = "weir_refresh_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    )]
    refresh_token: String,
    /// What the access token may do.
    scope: String,
}

impl From<Issued> for Tokens {
    fn from(issued: Issued) -> Self {
        Self {
            access_token: issued.access_token.expose().clone(),
            token_type: "Bearer",
            expires_in: issued.expires_in.as_secs(),
            refresh_token: issued.refresh_token.expose().clone(),
            scope: issued.scope.to_string(),
        }
    }
}

/// Get tokens for an API
///
/// For whoever has signed in: an access token, which says who they are and what their role is, and a refresh token, which
/// gets the next one.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    tag = "tokens",
    request_body = Login,
    responses((status = 200, description = "The tokens.", body = Tokens))
)]
async fn issue_token(guard: Guard, Body(body): Body<Login>) -> Result<Response, Problem> {
    let who = match body.offline {
        // What outlives a session is not for whoever has stolen it.
        true => guard.recent_user()?,
        false => guard.user()?,
    };
    let organization = match &body.organization {
        Some(name) => {
            let found = guard.organization(name, Permission::OrganizationRead);
            Some(found.await.map_err(of_body)?.id)
        }
        None => None,
    };
    let wanted = Wanted {
        audience: body.audience,
        organization,
        scope: Scope::parse(&body.scope)?,
        client_id: CLIENT.to_owned(),
        is_offline: body.offline,
    };
    let issued = guard.identity().issue(guard.caller(), who, wanted).await?;
    Ok(not_kept(issued))
}

/// An organization that the body names is not what the path leads to.
fn of_body(problem: Problem) -> Problem {
    match problem.status() {
        StatusCode::NOT_FOUND => Error::no_member().into(),
        _ => problem,
    }
}

/// Get the next access token
///
/// The refresh token is used up by it; its successor is in the answer. One that was used before, but for some seconds in
/// which the same successor is told again, ends all that came from the login.
#[utoipa::path(
    post,
    path = "/v1/tokens/refresh",
    tag = "tokens",
    security(()),
    request_body = Refresh,
    responses((status = 200, description = "The tokens.", body = Tokens))
)]
async fn refresh_token(visitor: Visitor, Body(body): Body<Refresh>) -> Result<Response, Problem> {
    let scope = body.scope.as_deref().map(Scope::parse).transpose()?;
    let token = Secret::new(body.refresh_token);
    let identity = visitor.identity();
    let issued = identity.refresh(visitor.caller(), &token, scope.as_ref());
    Ok(not_kept(issued.await?))
}

/// Revoke a token
///
/// Whoever has it may do so. What is no token, or none any more, is answered alike (RFC 7009 §2.2).
#[utoipa::path(
    post,
    path = "/v1/tokens/revoke",
    tag = "tokens",
    security(()),
    request_body = Revoke,
    responses((status = 204, description = "It is not good any more."))
)]
async fn revoke_token(visitor: Visitor, Body(body): Body<Revoke>) -> Result<Response, Problem> {
    let token = Secret::new(body.token);
    let identity = visitor.identity();
    identity.revoke_token(visitor.caller(), &token).await?;
    Ok(done())
}

/// RFC 6749 §5.1: no cache keeps tokens.
fn not_kept(issued: Issued) -> Response {
    let mut response = told(&Tokens::from(issued)).into_response();
    let fields = response.headers_mut();
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
