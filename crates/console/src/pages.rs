//! The pages on which people sign in and look after their account: written here, whole, without a script.
//!
//! What they do is what the API does. Each `POST` comes with a token that the page before it had
//! (`visit.rs`), and is answered with a page that says what is wrong, or sends on with 303, so that nothing is
//! sent twice. Links of letters are opened once (`links.rs`): their token goes into a cookie, and the address
//! that is left in the browser opens nothing.

mod account;
mod authenticator;
mod brand;
mod forgot;
mod links;
mod sign_in;
mod view;
mod visit;
mod words;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use crate::api::Services;
use crate::problem::Problem;

/// The pages, and what they are made of. They expect what the endpoints expect, and
/// [`keep_session`](crate::keep_session) around them.
pub fn pages(services: Services) -> Router {
    Router::new()
        .merge(sign_in::router())
        .merge(forgot::router())
        .merge(links::router())
        .merge(account::router())
        .merge(authenticator::router())
        .route(
            "/pages/style.css",
            get(async || style(include_str!("pages/style.css").to_owned())),
        )
        .route("/pages/brand/{organization}", get(brand_style))
        .with_state(services)
}

/// Whether forms are sent to this path, which are not in JSON.
pub fn is_page(path: &str) -> bool {
    let is_account = path == "/account" || path.starts_with("/account/");
    is_account
        || sign_in::PATHS.contains(&path)
        || links::PATHS.contains(&path)
        || path == forgot::PATH
}

async fn brand_style(
    State(services): State<Services>,
    Path(organization): Path<String>,
) -> Result<Response, Problem> {
    let identity = services.people().get()?;
    let organization = identity.find_organization(&organization).await?;
    let color = organization.settings.branding.primary_color;
    let text = color.as_deref().and_then(brand::style);
    Ok(style(text.ok_or_else(Problem::not_found)?))
}

fn style(text: String) -> Response {
    let media_type = HeaderValue::from_static("text/css; charset=utf-8");
    ([(CONTENT_TYPE, media_type)], text).into_response()
}
