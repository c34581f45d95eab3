//! Media types (RFC 9110 §8.3.1).

/// `type/subtype`, without parameters.
pub(crate) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether bodies of this type are JSON (RFC 8259, RFC 6839 §3.1).
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    let Some((_, subtype)) = essence.split_once('/') else {
        return false;
    };
    let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
    suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
        || subtype.eq_ignore_ascii_case("json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_many_names() {
        for name in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "application/merge-patch+json ;q=1",
            "text/json",
        ] {
            assert!(is_json(name), "{name}");
        }
        for name in [
            "",
            "json",
            "text/plain",
            "application/jsonp",
            "application/json+xml",
            "a/b;json",
        ] {
            assert!(!is_json(name), "{name}");
        }
    }
}
