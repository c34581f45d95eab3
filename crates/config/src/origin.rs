//! Origins (RFC 6454): whose page a browser's request comes from, and patterns for them.

use crate::value::Fault;
use crate::value::address::is_host;
use crate::{codes, suggest::quote};

/// An origin as a browser states it (RFC 6454 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// `https`; in whatever case it came.
    pub scheme: &'a str,
    /// Without brackets or port; in whatever case it came.
    pub host: &'a str,
    /// The port, be it stated or the scheme's own; `None` for a scheme that has none.
    pub port: Option<u16>,
}

impl<'a> Origin<'a> {
    /// Reads `scheme://host[:port]`; nothing else is an origin that could be compared, and `null`
    /// least of all.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let (host, port) = split_port(authority)?;
        let is_inner = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\,\"".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_inner) {
            return None;
        }
        let port = port.or_else(|| default_port(scheme));
        Some(Self { scheme, host, port })
    }

    /// Whether this is the origin of pages that come from an authority (`Host`), whatever the scheme.
    pub fn is_of(&self, authority: &str) -> bool {
        split_port(authority).is_some_and(|(host, port)| {
            host.eq_ignore_ascii_case(self.host)
                && port.or_else(|| default_port(self.scheme)) == self.port
        })
    }
}

/// Sites whose pages may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every one.
    Any,
    /// These; at least one.
    These(Vec<OriginPattern>),
}

/// Origins that are let in: one, or all below a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// In lower case, as browsers write it.
    scheme: String,
    /// `example.com`, or `.example.com` for every name below it.
    host: String,
    is_wildcard: bool,
    port: Option<u16>,
}

impl OriginPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let message = format!("{} is not an origin", quote(text));
        let fault = |help: &str| Fault::new(codes::BAD_ORIGIN, message.clone()).help(help);
        if text == "null" {
            return Err(fault(
                "sandboxed pages of every site have this origin; only `any` covers them",
            ));
        }
        if text.contains('*') && !text.contains("://*.") {
            return Err(fault(
                "a `*` stands for all subdomains, as in `https://*.example.com`; `any` is every origin",
            ));
        }
        let text = text.to_ascii_lowercase();
        let Some((scheme, authority)) = text.split_once("://") else {
            return Err(fault(&format!(
                "begin with the scheme, as in `https://{text}`"
            )));
        };
        if let Some(at) = authority.find(['/', '?', '#']) {
            let origin = &text[..scheme.len() + 3 + at];
            let help = format!("an origin has no path: write {}", quote(origin));
            return Err(fault(&help).at(origin.len()));
        }
        if !is_scheme(scheme) {
            return Err(fault("a scheme is a word such as `https`").at(0));
        }
        let (host, port) = split_port(authority)
            .filter(|_| !authority.is_empty() && !authority.contains('@'))
            .ok_or_else(|| {
                fault("write it as `scheme://host` or `scheme://host:port`, without user and path")
            })?;
        let (name, is_wildcard) = match host.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (host, false),
        };
        if !is_host(name) || name.ends_with('.') {
            return Err(if is_wildcard {
                fault("write a domain behind `*.`, as in `https://*.example.com`")
            } else {
                fault("the host is a name or an address; names beyond ASCII are written as `xn--…`")
            });
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host: host.strip_prefix('*').unwrap_or(host).to_owned(),
            is_wildcard,
            port: port.or_else(|| default_port(scheme)),
        })
    }

    /// The origin as a browser writes it (RFC 6454 §6.2), if it is one and not all below a name.
    pub fn exact(&self) -> Option<String> {
        let Self {
            scheme, host, port, ..
        } = self;
        if self.is_wildcard {
            return None;
        }
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        Some(match port.filter(|_| *port != default_port(scheme)) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        })
    }

    /// Whether an origin is among these.
    pub fn matches(&self, origin: &Origin<'_>) -> bool {
        let is_host = match origin.host.len().checked_sub(self.host.len()) {
            Some(at) if self.is_wildcard => {
                origin.host.is_char_boundary(at)
                    && origin.host[at..].eq_ignore_ascii_case(&self.host)
                    && is_name(&origin.host[..at])
            }
            _ => origin.host.eq_ignore_ascii_case(&self.host),
        };
        is_host && self.port == origin.port && self.scheme.eq_ignore_ascii_case(origin.scheme)
    }
}

/// Whether this can be what a wildcard stands for: labels, and nothing else.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(is_inner)
    };
    text.split('.').all(is_label)
}

fn is_scheme(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_inner)
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else {
        None
    }
}

/// Host and port of an authority; `None` if the port is no number.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(number(port)?))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(number(port)?))),
        None => Some((authority, None)),
    }
}

fn number(port: &str) -> Option<u16> {
    // `parse` alone would take a sign.
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| port.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_compared_with_a_host_by_name_and_port() {
        for (origin, authority, expected) in [
            ("https://example.com", "example.com", true),
            ("https://EXAMPLE.com", "example.COM", true),
            ("https://example.com:443", "example.com", true),
            ("https://example.com", "example.com:443", true),
            ("http://example.com", "example.com:80", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443", true),
            ("https://example.com", "example.com:8443", false),
            ("https://example.com:8443", "example.com", false),
            ("http://example.com", "example.com:443", false),
            ("https://example.com.evil.test", "example.com", false),
            ("https://evil.test", "example.com", false),
            ("https://sub.example.com", "example.com", false),
        ] {
            let parsed = Origin::parse(origin).unwrap();
            assert_eq!(parsed.is_of(authority), expected, "{origin} {authority}");
        }
    }

    #[test]
    fn what_is_no_origin_is_none() {
        for text in [
            "null",
            "",
            "https://",
            "example.com",
            "https://example.com/",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:port",
            "https://example.com:+80",
            "https://a, https://b",
            "://example.com",
            "ht tp://example.com",
            "https://[::1",
            "https://exa\u{e9}mple.com",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_take_one_origin_or_all_below_a_name() {
        let matches = |pattern: &str, origin: &str| {
            let pattern = OriginPattern::parse(pattern).unwrap();
            pattern.matches(&Origin::parse(origin).unwrap())
        };
        assert!(matches(
            "https://app.example.com",
            "https://APP.example.com"
        ));
        assert!(matches(
            "https://app.example.com:443",
            "https://app.example.com"
        ));
        assert!(matches("https://*.example.com", "https://a.b.example.com"));
        assert!(matches("capacitor://localhost", "capacitor://localhost"));
        assert!(matches("http://[::1]:3000", "http://[::1]:3000"));
        assert!(!matches("https://*.example.com", "https://example.com"));
        assert!(!matches("https://*.example.com", "https://evilexample.com"));
        assert!(!matches("https://*.example.com", "https://a..example.com"));
        assert!(!matches(
            "https://*.example.com",
            "https://a.example.com:8443"
        ));
        assert!(!matches(
            "https://*.example.com",
            "https://.example.com.evil.test"
        ));
        assert!(!matches(
            "https://app.example.com",
            "http://app.example.com"
        ));
        assert!(!matches(
            "https://app.example.com",
            "https://app.example.com:8443"
        ));
        assert!(!matches(
            "https://app.example.com",
            "https://app.example.com.evil.test"
        ));
    }

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        let exact = |text: &str| OriginPattern::parse(text).unwrap().exact();
        for (text, expected) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://a.test:443", "https://a.test"),
            ("http://a.test:443", "http://a.test:443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(exact(text).as_deref(), Some(expected));
        }
        assert_eq!(exact("https://*.example.com:8443"), None);
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://a.test/",
            "https://a.test/path",
            "https://a.test:",
            "https://a.test:x",
            "https://a.test:70000",
            "https://a.test:+1",
            "https://user@a.test",
            "https://*",
            "https://*.",
            "https://*.*.test",
            "https://a.*.test",
            "https://a b.test",
            "https://a.test\r\nx: y",
            "://a.test",
            "https://é.test",
            "https://a.test.",
            "https://a.test?x",
            "https://[::1",
            "https://*example.com",
            "https://.example.com",
            "https://-",
        ] {
            assert!(OriginPattern::parse(text).is_err(), "{text:?}");
        }
    }
}
