//! Origins of web pages, as browsers write them (RFC 6454 §6.2, Fetch §3.1).

use super::{Fault, address};
use crate::codes;
use crate::model::Origin;
use crate::shape::Text;
use crate::suggest::quote;

pub(crate) static ORIGIN: Text = Text {
    what: "`any`, or an origin such as `https://app.example.com`",
    pattern: None,
    examples: &["any", "https://app.example.com", "https://*.example.com"],
    loose: false,
};

pub(crate) fn origin(text: &str) -> Result<Origin, Fault> {
    let fault = || {
        Fault::new(
            codes::BAD_ORIGIN,
            format!("{} is not an origin", quote(text)),
        )
    };
    if text == "null" {
        return Err(fault().help(
            "sandboxed pages of every site have this origin; only `any` covers them, without credentials",
        ));
    }
    if text.contains('*') && !text.contains("://*.") {
        return Err(fault().help(
            "a `*` stands for all subdomains, as in `https://*.example.com`; `any` is every origin",
        ));
    }
    let text = text.to_ascii_lowercase();
    let Some((scheme, authority)) = text.split_once("://") else {
        return Err(fault().help(format!("begin with the scheme, as in `https://{text}`")));
    };
    if let Some(at) = authority.find(['/', '?', '#']) {
        let origin = &text[..scheme.len() + 3 + at];
        return Err(fault()
            .help(format!("an origin has no path: write {}", quote(origin)))
            .at(origin.len()));
    }
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character));
    if !is_scheme {
        return Err(fault().help("a scheme is a word such as `https`").at(0));
    }
    let (host, port) = split_port(authority).ok_or_else(|| {
        fault().help("write it as `scheme://host` or `scheme://host:port`, without user and path")
    })?;
    // Browsers leave the default out, so that it would never be equal.
    let port = match (scheme, port) {
        ("https", Some(443)) | ("http", Some(80)) | (_, None) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    let is_host = |host: &str| {
        let name = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        address::is_host(name) && !host.ends_with('.')
    };
    if let Some(domain) = host.strip_prefix("*.") {
        if !is_host(domain) || domain.contains('*') {
            return Err(fault().help("write a domain behind `*.`, as in `https://*.example.com`"));
        }
        return Ok(Origin::Subdomains {
            scheme: format!("{scheme}://"),
            domain: format!(".{domain}{port}"),
        });
    }
    if !is_host(host) {
        return Err(fault()
            .help("the host is a name or an address; names beyond ASCII are written as `xn--…`"));
    }
    Ok(Origin::Exact(format!("{scheme}://{host}{port}")))
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let is_bare_v6 = authority.ends_with(']');
    match authority.rsplit_once(':').filter(|_| !is_bare_v6) {
        Some((host, port)) => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|_| digits)?;
            Some((host, Some(port)))
        }
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> String {
        match origin(text).unwrap() {
            Origin::Exact(origin) => origin,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        assert_eq!(exact("https://App.Example.com"), "https://app.example.com");
        assert_eq!(exact("https://a.test:443"), "https://a.test");
        assert_eq!(exact("http://a.test:443"), "http://a.test:443");
        assert_eq!(exact("http://[::1]:3000"), "http://[::1]:3000");
        assert_eq!(exact("capacitor://localhost"), "capacitor://localhost");
        let wild = Origin::Subdomains {
            scheme: "https://".into(),
            domain: ".example.com:8443".into(),
        };
        assert_eq!(origin("https://*.example.com:8443").unwrap(), wild);
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
        ] {
            assert!(origin(text).is_err(), "{text:?}");
        }
    }
}
