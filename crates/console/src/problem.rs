//! Error answers: problem details (RFC 9457).

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use weir_core::RequestId;
use weir_store::Error;

/// Where an answer says which request it is for; logs and the audit name it too.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Seconds after which records are likely to be back.
const SOON: u16 = 2;

/// What is said of a path at which there is nothing, or nothing for the caller.
pub const NOTHING_HERE: &str = "There is nothing at this path.";

/// An error answer.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    reason: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON Pointer into the body (RFC 6901), or the name of a parameter of the query.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

impl Problem {
    /// `reason` is a stable word, as in the answers of the data plane; `detail` a sentence for whoever
    /// sent the request.
    pub fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            reason,
            detail: detail.into(),
            errors: Vec::new(),
            members: Map::new(),
            headers: Vec::new(),
        }))
    }

    /// There is no such thing, or not for this caller: the two look alike.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", NOTHING_HERE)
    }

    /// Parts of the request are not as they must be.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "Parts of the request are not valid; `errors` says which.",
        );
        problem.0.errors = errors;
        problem
    }

    /// It was changed since the caller read it.
    pub fn stale(version: i64) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "stale",
            "It was changed since: read it again, and send its ETag as If-Match.",
        )
        .with("version", version)
    }

    /// A change in an organization that is suspended.
    pub fn suspended() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "organization_suspended",
            "The organization is suspended: it can be looked at, but not changed.",
        )
    }

    /// A request that another site's page may have made a browser send.
    pub fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "The request comes from another site's page.",
        )
    }

    /// A change of which no browser says that one of our own pages sent it.
    pub(crate) fn of_unknown_page() -> Self {
        Self::cross_site()
            .saying("The request does not say that it comes from a page of this host.".to_owned())
    }

    /// A mistake of this program.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something failed that should not have; the log says what.",
        )
    }

    /// Whether it was changed since the caller read it.
    pub fn is_stale(&self) -> bool {
        self.0.reason == "stale"
    }

    /// The sentence for whoever sent the request.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong with which part.
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// What it is answered with.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Its stable word.
    pub(crate) fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// After how many seconds to ask again.
    pub(crate) fn wait(&self) -> Option<u64> {
        let mut fields = self.0.headers.iter();
        let (_, value) = fields.find(|(name, _)| *name == RETRY_AFTER)?;
        value.to_str().ok()?.parse().ok()
    }

    /// As it is sent, but for the request's id.
    #[cfg(test)]
    pub(crate) fn to_json(&self) -> Value {
        serde_json::from_slice(&self.body(None)).unwrap_or_default()
    }

    /// The same in other words.
    #[must_use]
    pub fn saying(mut self, detail: String) -> Self {
        self.0.detail = detail;
        self
    }

    /// Says which part of the request it is about.
    #[must_use]
    pub fn at(mut self, error: FieldError) -> Self {
        self.0.errors.push(error);
        self
    }

    /// Adds an extension member (RFC 9457 §3.2).
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(member.to_owned(), value.into());
        self
    }

    /// Says after how many seconds to ask again (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(self, seconds: u16) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Adds a field to the answer's head.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        let parts = &self.0;
        let members = Details {
            kind: format!("urn:weir:problem:{}", parts.reason),
            title: parts.status.canonical_reason().unwrap_or("Error"),
            status: parts.status.as_u16(),
            detail: &parts.detail,
            reason: parts.reason,
            request_id,
            errors: &parts.errors,
            others: &parts.members,
        };
        // Strings and JSON values can always be written.
        serde_json::to_vec(&members).unwrap_or_default()
    }
}

/// What went wrong (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Details<'a> {
    /// `reason` as a URN.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is wrong, and what would help, in a sentence.
    detail: &'a str,
    /// A stable word.
    reason: &'static str,
    /// The request, as logs and the audit name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// What is wrong with which parts of the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    #[serde(flatten)]
    #[schema(ignore)]
    others: &'a Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let media_type = HeaderValue::from_static(weir_core::Problem::MEDIA_TYPE);
        let body = self.body(None);
        let mut response = (self.0.status, [(CONTENT_TYPE, media_type)], body).into_response();
        response
            .headers_mut()
            .extend(self.0.headers.iter().cloned());
        // So that the request's id can be put into it where that is known.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let unavailable = |detail: &str| {
            Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "records_unavailable",
                detail,
            )
            .retry_after(SOON)
        };
        match error {
            Error::Missing(_) => Self::not_found(),
            Error::Stale { version, .. } => Self::stale(version),
            Error::Taken(_) => Self::new(
                StatusCode::CONFLICT,
                "taken",
                "Another one has this name already.",
            ),
            Error::Unavailable(_) => {
                tracing::warn!(error = error.in_full(), "the admin API has no records");
                unavailable("Records cannot be reached for now; nothing was changed.")
            }
            Error::Unknown(_) => {
                tracing::warn!(error = error.in_full(), "a commit was not answered");
                unavailable(
                    "Records were lost in the middle of it: look whether it took effect before asking again.",
                )
            }
            Error::Schema(mismatch) => unavailable(&format!("Records cannot be used: {mismatch}.")),
            Error::Internal(_) => {
                tracing::error!(error = error.in_full(), "the admin API failed");
                Self::internal()
            }
        }
    }
}

/// Gives each request an id, and each answer the id of its request. The outermost layer but one that
/// indents JSON.
pub async fn finish(mut request: Request, next: Next) -> Response {
    let id = RequestId::generate();
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    let text = id.to_string();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let body = problem.body(Some(&text));
        let (mut parts, _) = response.into_parts();
        parts.headers.remove(axum::http::header::CONTENT_LENGTH);
        response = Response::from_parts(parts, body.into());
    }
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_the_standard_and_its_own() {
        let problem = Problem::invalid(vec![FieldError {
            pointer: "/slug".to_owned(),
            detail: "must not be empty".to_owned(),
        }])
        .with("limit", 3);
        let body: Value = serde_json::from_slice(&problem.body(Some("abc"))).unwrap_or_default();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:weir:problem:invalid",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "Parts of the request are not valid; `errors` says which.",
                "reason": "invalid",
                "request_id": "abc",
                "errors": [{ "pointer": "/slug", "detail": "must not be empty" }],
                "limit": 3
            })
        );
    }
}
