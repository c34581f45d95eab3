//! Addresses of APIs.

use super::HttpError;

/// Where an API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) is_tls: bool,
    /// Name or address, IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// As the `Host` field has it.
    pub(crate) authority: String,
    /// Goes in front of every path; no slash at its end.
    pub(crate) base: String,
}

impl Endpoint {
    /// Reads `http://host:port` or `https://host:port`, perhaps with a path.
    pub(crate) fn parse(text: &str) -> Result<Self, HttpError> {
        let (is_tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => {
                return Err(HttpError::Url(
                    "the address must begin with http:// or https://",
                ));
            }
        };
        let uri: http::Uri = format!("http://{rest}")
            .parse()
            .map_err(|_| HttpError::Url("the address is no URL"))?;
        let authority = uri
            .authority()
            .ok_or(HttpError::Url("the address has no host"))?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(HttpError::Url(
                "the address may have host, port and path only",
            ));
        }
        let host = authority.host();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_owned();
        if host.is_empty() {
            return Err(HttpError::Url("the address has no host"));
        }
        Ok(Self {
            is_tls,
            host,
            port: authority
                .port_u16()
                .unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// A text as part of a path or of a query (RFC 3986 §2.1): everything but unreserved characters is
/// percent-encoded.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_host_a_port_and_perhaps_a_path() {
        let endpoint = Endpoint::parse("https://[::1]:8501/consul/").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("::1", 8501));
        assert_eq!(endpoint.authority, "[::1]:8501");
        assert_eq!(endpoint.base, "/consul");
        let endpoint = Endpoint::parse("http://consul.internal").unwrap();
        assert_eq!((endpoint.port, endpoint.base.as_str()), (80, ""));
        for text in [
            "consul:8500",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://a?b",
            "http://a b",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_its_part_of_a_url() {
        assert_eq!(
            encode("a/../b?c=d&e#f ä"),
            "a%2F..%2Fb%3Fc%3Dd%26e%23f%20%C3%A4"
        );
    }
}
