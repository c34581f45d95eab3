//! What is wrong with a message, in words for whoever sent it.

use serde::Serialize;

/// Most violations that are told of one message.
pub(crate) const MOST: usize = 20;
/// Longest text of a violation, in bytes.
const LONGEST_DETAIL: usize = 200;
/// Longest pointer, in bytes.
const LONGEST_POINTER: usize = 300;

/// Which part of a message it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The path, or a parameter in it.
    Path,
    /// A parameter of the query.
    Query,
    /// A header field.
    Header,
    /// A cookie.
    Cookie,
    /// The body.
    Body,
    /// The content type of the body.
    ContentType,
    /// The method.
    Method,
    /// The status of a response.
    Status,
}

impl Place {
    /// Every place, in order.
    pub const ALL: [Self; 8] = [
        Self::Path,
        Self::Query,
        Self::Header,
        Self::Cookie,
        Self::Body,
        Self::ContentType,
        Self::Method,
        Self::Status,
    ];

    /// The stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Body => "body",
            Self::ContentType => "content_type",
            Self::Method => "method",
            Self::Status => "status",
        }
    }
}

/// One thing that is wrong. Values of the message are never repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which part of the message.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Where in the value (RFC 6901); empty stands for the whole.
    pub pointer: Box<str>,
    /// One sentence without a full stop.
    pub detail: Box<str>,
}

impl Violation {
    /// About a part as a whole.
    pub fn new(place: Place, detail: impl Into<String>) -> Self {
        Self {
            place,
            name: None,
            pointer: "".into(),
            detail: bounded(detail.into()),
        }
    }

    /// About a value within the part.
    pub(crate) fn at(place: Place, pointer: &str, detail: impl Into<String>) -> Self {
        Self {
            pointer: ancestor(pointer).into(),
            ..Self::new(place, detail)
        }
    }

    /// The same about a parameter.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Names of members come from the client.
fn bounded(mut text: String) -> Box<str> {
    if text.len() > LONGEST_DETAIL {
        text.truncate(text.floor_char_boundary(LONGEST_DETAIL));
        text.push('…');
    }
    text.into()
}

/// The pointer, or if it is too long one to the nearest value around it whose pointer is not.
fn ancestor(pointer: &str) -> &str {
    if pointer.len() <= LONGEST_POINTER {
        return pointer;
    }
    let front = &pointer[..pointer.floor_char_boundary(LONGEST_POINTER)];
    front.rfind('/').map_or("", |end| &front[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_client_wrote_makes_a_violation_long() {
        let long = "é".repeat(10_000);
        let violation = Violation::at(Place::Body, &format!("/a/{long}/b"), long.clone());
        assert_eq!(&*violation.pointer, "/a");
        assert!(violation.detail.len() < 210, "{}", violation.detail.len());
        assert_eq!(ancestor("/a/b"), "/a/b");
        assert_eq!(ancestor(&format!("/{long}")), "");
    }

    #[test]
    fn it_is_serialised_by_its_names() {
        let violation = Violation {
            name: Some("limit".into()),
            ..Violation::new(Place::Query, "it is missing")
        };
        let text = serde_json::to_string(&violation).unwrap();
        assert_eq!(
            text,
            r#"{"in":"query","name":"limit","pointer":"","detail":"it is missing"}"#
        );
        for place in Place::ALL {
            let text = serde_json::to_string(&place).unwrap();
            assert_eq!(text.trim_matches('"'), place.as_str());
        }
    }
}
