//! Lists come in pages.

use axum::http::HeaderMap;
use axum::http::header::{HeaderValue, LINK};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; null at the end.
    pub next: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// The answer, with a link to the next page (RFC 8288). `path` is the list's, with the rest of its
    /// query.
    pub fn into_answer(self, path: &str, limit: u32) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(next) = &self.next {
            let joint = if path.contains('?') { '&' } else { '?' };
            let link = format!("<{path}{joint}limit={limit}&cursor={next}>; rel=\"next\"");
            if let Ok(link) = HeaderValue::try_from(link) {
                headers.insert(LINK, link);
            }
        }
        (headers, axum::Json(self)).into_response()
    }
}
