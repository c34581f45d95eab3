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
