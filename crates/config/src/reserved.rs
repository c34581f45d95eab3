//! Header fields that header rules may not touch.

use http::HeaderName;

/// Whether a field frames the message or belongs to one connection (RFC 9110 §7.6.1 and §10.1.1,
/// RFC 9112 §6): Weir writes these itself, and a rule that changed one could make two parsers
/// disagree on where a message ends.
pub fn forbidden(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// [`forbidden`], and `Host`, which has a key of its own on a route.
pub fn forbidden_in_request(name: &HeaderName) -> bool {
    forbidden(name) || *name == http::header::HOST
}

/// Whether requests have a field of this name for something else than who is calling: credentials, where a request
/// came from, what it is part of, what it carries and what it asks for. Weir writes some of these itself.
pub fn has_another_meaning(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 6] = ["accept", "content-", "if-", "proxy", "sec-", "signature"];
    let name = name.as_str();
    matches!(
        name,
        "authorization"
            | "cache-control"
            | "cookie"
            | "date"
            | "forwarded"
            | "origin"
            | "range"
            | "referer"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "via"
            | "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-proto"
            | "x-real-ip"
            | "x-request-id"
    ) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT, EXPECT, HOST, TRANSFER_ENCODING};

    #[test]
    fn framing_is_reserved_everywhere_and_host_in_requests() {
        assert!(forbidden(&TRANSFER_ENCODING) && forbidden_in_request(&TRANSFER_ENCODING));
        assert!(forbidden(&EXPECT) && forbidden_in_request(&EXPECT));
        assert!(!forbidden(&HOST) && forbidden_in_request(&HOST));
        assert!(!forbidden(&ACCEPT) && !forbidden_in_request(&ACCEPT));
    }
}
