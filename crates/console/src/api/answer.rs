//! Answers that went well.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::precondition::entity_tag;

/// 200, with the version as entity tag.
pub(crate) fn shown<T: Serialize>(version: i64, thing: &T) -> Response {
    ([(ETAG, entity_tag(version))], Json(thing)).into_response()
}

/// 201, with where it is from now on.
pub(crate) fn created<T: Serialize>(location: &str, version: i64, thing: &T) -> Response {
    let mut response = (StatusCode::CREATED, shown(version, thing)).into_response();
    // Paths of ours are made of identifiers.
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// 200 with what has no version.
pub(crate) fn told<T: Serialize>(thing: &T) -> Response {
    Json(thing).into_response()
}

/// 204.
pub(crate) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
