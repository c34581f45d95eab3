//! Entity tags and what is asked of them (RFC 9110 §8.8.3, §13.1).

use axum::http::header::{HeaderValue, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};

use crate::problem::Problem;

/// What `If-Match` asks of the version that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing was said, or that it must be there, which it must be anyway.
    Any,
    /// This one.
    Version(i64),
}

impl Expected {
    /// For the change of a record.
    pub const fn version(self) -> Option<i64> {
        match self {
            Self::Any => None,
            Self::Version(version) => Some(version),
        }
    }
}

/// The entity tag of a version: the number in quotes.
pub fn entity_tag(version: i64) -> HeaderValue {
    // Digits and quotes are always allowed.
    HeaderValue::try_from(format!("\"{version}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

/// Reads `If-Match`: `*`, or one strong entity tag. Several cannot be meant: a change is made on what
/// its author saw.
pub fn expected_version(headers: &HeaderMap) -> Result<Expected, Problem> {
    let mut fields = headers.get_all(IF_MATCH).iter();
    let Some(field) = fields.next() else {
        return Ok(Expected::Any);
    };
    let text = field.to_str().unwrap_or_default().trim();
    if fields.next().is_none() {
        if text == "*" {
            return Ok(Expected::Any);
        }
        let digits = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let is_ours = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(version) = digits
            .filter(is_ours)
            .and_then(|digits| digits.parse().ok())
        {
            return Ok(Expected::Version(version));
        }
    }
    // Another tag, even a well-formed one, is none of a version here (§13.1.1).
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "stale",
        "If-Match is not the ETag of any version: read it again, and send the ETag of that answer.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_strong_tag_or_an_asterisk_is_understood() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            expected_version(&headers).ok()
        };
        assert_eq!(read(&[]), Some(Expected::Any));
        assert_eq!(read(&["*"]), Some(Expected::Any));
        assert_eq!(read(&["\"7\""]), Some(Expected::Version(7)));
        assert_eq!(entity_tag(7), "\"7\"");
        for bad in [
            "7",
            "W/\"7\"",
            "\"7\", \"8\"",
            "\"\"",
            "\"-1\"",
            "\"abc\"",
            "\"99999999999999999999\"",
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
        assert_eq!(read(&["\"7\"", "\"7\""]), None);
    }
}
