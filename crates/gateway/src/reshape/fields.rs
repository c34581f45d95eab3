//! Which bodies are JSON, and the fields of bodies that were changed.

use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_TYPE, ETAG, TRAILER};
use http::{HeaderName, HeaderValue};

use crate::fields::Fields;

/// What is about bytes that are not sent any more: digests (RFC 9530; RFC 1864 and RFC 3230, obsolete but
/// seen), the coding, that parts could be asked for, and what stood behind them.
const OUTDATED: [HeaderName; 7] = [
    CONTENT_ENCODING,
    ACCEPT_RANGES,
    TRAILER,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// `application/json`, and every type that says to be JSON (RFC 6839 §3.1). Messages of gRPC may be JSON
/// (`application/grpc+json`), but bodies of several with their lengths are not.
pub(crate) fn is_json(fields: &Fields) -> bool {
    let mut values = fields.get_all(&CONTENT_TYPE);
    let Some(value) = values.next() else {
        return false;
    };
    let value = value.as_bytes();
    let end = value.iter().position(|byte| *byte == b';');
    let essence = value[..end.unwrap_or(value.len())].trim_ascii();
    let essence = essence.to_ascii_lowercase();
    // Two types are none: whoever is behind may believe the other one.
    values.next().is_none()
        && (essence == b"application/json"
            || essence == b"text/json"
            || (essence.ends_with(b"+json") && !essence.starts_with(b"application/grpc")))
}

/// Puts the fields right for other bytes than they told of.
pub(super) fn replace(fields: &mut Fields, content_type: Option<&HeaderValue>) {
    fields.retain(|name, _| !OUTDATED.contains(name));
    if let Some(kind) = content_type {
        fields.set(CONTENT_TYPE, kind.clone());
    }
    // A strong tag names bytes; what it stands for is the same (RFC 9110 §8.8.1).
    if let Some(tag) = fields.get(&ETAG)
        && tag.as_bytes().starts_with(b"\"")
    {
        let weak = [b"W/", tag.as_bytes()].concat();
        match HeaderValue::from_bytes(&weak) {
            Ok(weak) => fields.set(ETAG, weak),
            Err(_) => drop(fields.remove(&ETAG)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[&'static str]) -> Fields {
        let mut fields = Fields::new();
        for value in values {
            fields.append(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        fields
    }

    #[test]
    fn types_that_say_so_are_json() {
        for kind in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "application/vnd.api+json;v=1",
            "text/json",
        ] {
            assert!(is_json(&with(&[kind])), "{kind}");
        }
        for kinds in [
            &[][..],
            &["text/plain"],
            &["application/jsonl"],
            &["application/x-ndjson"],
            &["application/grpc+json"],
            &["application/grpc-web+json"],
            &["application/json", "text/html"],
        ] {
            assert!(!is_json(&with(kinds)), "{kinds:?}");
        }
    }

    #[test]
    fn nothing_tells_of_bytes_that_are_gone() {
        let mut fields = with(&["application/json"]);
        for (name, value) in [
            ("content-encoding", "gzip"),
            ("etag", "\"a\""),
            ("content-md5", "x"),
            ("accept-ranges", "bytes"),
            ("trailer", "x-sum"),
            ("repr-digest", "x"),
            ("x-kept", "1"),
        ] {
            fields.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        replace(&mut fields, Some(&HeaderValue::from_static("text/html")));
        let left: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            left,
            ["content-type: text/html", "etag: W/\"a\"", "x-kept: 1"]
        );
    }
}
