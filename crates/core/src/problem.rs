//! Problem details for HTTP APIs (RFC 9457): the one shape of every error a client sees.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;

/// An error answer in the form of RFC 9457 §3.
///
/// `reason` is Weir's stable machine-readable word for what happened (`no_route`,
/// `upstream_timeout`); it also stands in the access log and in metrics. `detail` is written for the
/// client: it never carries internal addresses, file names or another party's error text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem<E = ()> {
    /// `urn:weir:problem:<reason>`; a URI that identifies the kind of problem (RFC 9457 §3.1.1).
    #[serde(rename = "type")]
    pub kind: String,
    /// The status code's standard phrase.
    pub title: &'static str,
    /// HTTP status code.
    pub status: u16,
    /// One sentence for whoever sent the request.
    pub detail: Cow<'static, str>,
    /// Extension member: the same word as in the access log.
    pub reason: &'static str,
    /// Extension member: what to quote when asking the operator.
    pub request_id: String,
    /// Extension member: what exactly is wrong, if that is more than one thing can tell (§3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<E>,
}

impl Problem {
    /// Media type of the serialised form.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// Builds the problem for a status, a stable reason and a sentence.
    pub fn new(
        status: StatusCode,
        reason: &'static str,
        detail: impl Into<Cow<'static, str>>,
        request_id: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("urn:weir:problem:{reason}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            reason,
            request_id: request_id.into(),
            errors: None,
        }
    }

    /// The same with what exactly is wrong.
    pub fn with_errors<E: Serialize>(self, errors: E) -> Problem<E> {
        let Self {
            kind,
            title,
            status,
            detail,
            reason,
            request_id,
            ..
        } = self;
        Problem {
            kind,
            title,
            status,
            detail,
            reason,
            request_id,
            errors: Some(errors),
        }
    }
}

impl<E: Serialize> Problem<E> {
    /// The JSON text that goes onto the wire.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serialises_with_the_members_of_rfc_9457() {
        let problem = Problem::new(StatusCode::BAD_GATEWAY, "upstream_reset", "it broke", "abc");
        assert_eq!(
            problem.to_json(),
            r#"{"type":"urn:weir:problem:upstream_reset","title":"Bad Gateway","status":502,"detail":"it broke","reason":"upstream_reset","request_id":"abc"}"#
        );
        let problem = problem.with_errors(["one", "two"]).to_json();
        assert!(problem.ends_with(r#""errors":["one","two"]}"#), "{problem}");
    }
}
