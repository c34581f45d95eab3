//! Problem details (RFC 9457) with extension members.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// An error answer of the admin listener.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: &'static str,
    /// Seconds after which the same may be asked again (RFC 9110 §10.2.3).
    retry_after: Option<u16>,
    members: Option<Box<Map<String, Value>>>,
}

impl Problem {
    /// `reason` is a stable word, as in the answers of the data plane; `detail` a sentence.
    pub(super) fn new(status: StatusCode, reason: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            reason,
            detail,
            retry_after: None,
            members: None,
        }
    }

    /// Says when to ask again.
    pub(super) fn retry_after(mut self, seconds: u16) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds an extension member (RFC 9457 §3.2).
    pub(super) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members
            .get_or_insert_default()
            .insert(member.to_owned(), value.into());
        self
    }
}

/// What goes onto the wire.
#[derive(Serialize)]
struct Members<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'static str,
    reason: &'static str,
    #[serde(flatten)]
    others: Option<&'a Map<String, Value>>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let members = Members {
            r#type: format!("urn:weir:problem:{}", self.reason),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            reason: self.reason,
            others: self.members.as_deref(),
        };
        let media_type = HeaderValue::from_static(weir_core::Problem::MEDIA_TYPE);
        // Strings and JSON values can always be written.
        let text = serde_json::to_vec(&members).unwrap_or_default();
        let mut response = (self.status, [(CONTENT_TYPE, media_type)], text).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
