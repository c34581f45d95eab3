//! The page that links in letters, and the one of the first start, lead to.
//!
//! It is the same for everybody and knows nothing: what stands behind `#` stays in the browser, whose
//! script sends it to the API.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

/// Nothing but what is ours, and nobody frames it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

/// The pages of links, as [`weir_identity::Identity::link`] writes them, and what they are made of.
pub fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = async || part("text/html; charset=utf-8", include_str!("pages/link.html"));
    let style = async || part("text/css; charset=utf-8", include_str!("pages/link.css"));
    let script = async || {
        part(
            "text/javascript; charset=utf-8",
            include_str!("pages/link.js"),
        )
    };
    Router::new()
        .route("/setup", get(page))
        .route("/accept", get(page))
        .route("/reset", get(page))
        .route("/verify", get(page))
        .route("/pages/link.css", get(style))
        .route("/pages/link.js", get(script))
}

fn part(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let fields: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    ];
    (fields, text)
}
