//! Addresses of APIs.

use super::HttpError;

/// Where an API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it begins with `https`.
    pub is_tls: bool,
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// The port, that of the scheme if none is written.
    pub port: u16,
    /// As the `Host` field has it.
    pub authority: String,
    /// Goes in front of every path; no slash at its end.
    pub base: String,
}

impl Endpoint {
    /// Reads `http://host:port` or `https://host:port`, perhaps with a path.
    ///
    /// # Errors
    /// If it is not of this form.
    pub fn parse(text: &str) -> Result<Self, HttpError> {
        let (endpoint, path) = Self::split(text)?;
        if path.contains('?') {
            return Err(HttpError::Url(
                "the address may have host, port and path only",
            ));
        }
        Ok(Self {
            base: path.trim_end_matches('/').to_owned(),
            ..endpoint
        })
    }

    /// Reads the URL of one document: where it is, and its path with its query, which begins with a slash.
    ///
    /// # Errors
    /// If it is not an `http` or `https` URL of host, port, path and query.
    pub fn split(text: &str) -> Result<(Self, String), HttpError> {
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
        if authority.as_str().contains('@') || text.contains('#') {
            return Err(HttpError::Url(
                "the address may have host, port, path and query only",
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
        if bare.is_none() && is_odd_address(&host) {
            return Err(HttpError::Url(
                "an IPv4 address must have four decimal numbers without leading zeros",
            ));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let endpoint = Self {
            is_tls,
            host,
            port: authority
                .port_u16()
                .unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            base: String::new(),
        };
        Ok((endpoint, path.to_owned()))
    }
}

/// Whether systems read a host as an IPv4 address that nobody would take for one, such as `2130706433`, `0x7f.1` or
/// `0177.0.0.1` (URL Standard, "ends in a number"): whoever writes one has something to hide.
fn is_odd_address(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let last = labels.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_number = match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    is_number && host.parse::<std::net::Ipv4Addr>().is_err()
}

/// A text as part of a path or of a query (RFC 3986 §2.1): everything but unreserved characters is
/// percent-encoded.
pub fn encode(text: &str) -> String {
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
    fn the_url_of_a_document_has_a_path_and_perhaps_a_query() {
        let (endpoint, path) = Endpoint::split("https://a.test/keys?p=one").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("a.test", 443));
        assert_eq!((endpoint.base.as_str(), path.as_str()), ("", "/keys?p=one"));
        assert_eq!(Endpoint::split("http://a.test").unwrap().1, "/");
        assert!(Endpoint::split("https://u@a.test/keys").is_err());
        assert!(Endpoint::split("https://a.test/keys#x").is_err());
    }

    #[test]
    fn odd_encodings_of_addresses_are_refused() {
        for odd in [
            "2130706433",
            "0x7f000001",
            "0X7F.0.0.1",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "127.0.0.0x1",
            "1.2.3.4.5",
            "256.0.0.1",
        ] {
            assert!(Endpoint::parse(&format!("http://{odd}/")).is_err(), "{odd}");
        }
        for plain in ["127.0.0.1", "a.test", "1.a.test", "a1", "0x7f.test"] {
            assert!(
                Endpoint::parse(&format!("http://{plain}/")).is_ok(),
                "{plain}"
            );
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
