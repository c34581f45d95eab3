//! The URL of a dry run, taken apart without changing what the gateway would judge.

use std::str::FromStr;

/// What a client would ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Host and port; empty if only a path was given.
    pub(super) authority: String,
    /// As it was given; `/` if there was none.
    pub(super) path: String,
    pub(super) query: Option<String>,
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
            Some((scheme, _)) if !scheme.contains(['/', '?']) => {
                return Err("not an http or https URL");
            }
            // `example.com/items` could be a path without its slash: not guessed.
            _ if !text.starts_with('/') => {
                return Err("write a URL (`http://example.com/items`) or a path (`/items`)");
            }
            _ => ("http", text),
        };
        // A fragment stays with the client (RFC 9110 §7.1).
        let rest = rest.split('#').next().unwrap_or_default();
        let (before, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query.to_owned())),
            None => (rest, None),
        };
        let slash = before.find('/').unwrap_or(before.len());
        let (authority, path) = before.split_at(slash);
        if authority.contains('@') {
            return Err("leave the user name out and send `-H 'authorization: …'`");
        }
        if authority.is_empty() && !text.starts_with('/') {
            return Err("the URL has no host");
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            scheme,
            authority: authority.to_owned(),
            path: path.to_owned(),
            query,
        })
    }
}

/// The host without its port, in lower case and without the root's dot.
pub(super) fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    // Of `[::1]` without port, too, the last colon was found.
    let host = if host.starts_with('[') && !host.ends_with(']') {
        authority
    } else {
        host
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<(&'static str, String, String, Option<String>), &'static str> {
        let Target {
            scheme,
            authority,
            path,
            query,
        } = text.parse()?;
        Ok((scheme, authority, path, query))
    }

    #[test]
    fn urls_and_paths_are_taken_apart_as_they_stand() {
        let of = |scheme, authority: &str, path: &str, query: Option<&str>| {
            Ok((
                scheme,
                authority.to_owned(),
                path.to_owned(),
                query.map(str::to_owned),
            ))
        };
        assert_eq!(
            parts("http://a.test/x/../y?q=1#f"),
            of("http", "a.test", "/x/../y", Some("q=1"))
        );
        assert_eq!(
            parts("HTTPS://A.test:8443"),
            of("https", "A.test:8443", "/", None)
        );
        assert_eq!(
            parts("http://a.test?q"),
            of("http", "a.test", "/", Some("q"))
        );
        assert_eq!(
            parts("/items?next=http://b.test/"),
            of("http", "", "/items", Some("next=http://b.test/"))
        );
        assert_eq!(parts("//evil/x"), of("http", "", "//evil/x", None));
        assert_eq!(
            parts("http://[::1]:80/%2f"),
            of("http", "[::1]:80", "/%2f", None)
        );
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "items",
            "example.com/items",
            "ftp://a/",
            "http:///x",
            "http://u:p@a/",
        ] {
            assert!(parts(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_lose_port_case_and_dot() {
        for (authority, host) in [
            ("Example.COM.:8080", "example.com"),
            ("example.com", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }
}
