//! What protects the admin listener from web pages that an operator's browser has open.
//!
//! A page can make the browser send requests to loopback. By DNS rebinding (its own name suddenly
//! leads to 127.0.0.1) it can even read the answers; then the `Host` is its name. Without rebinding
//! it can only send: requests that change something must be such that a browser would ask first.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, Method, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use weir_console::{FromOwnPage, Problem};
use weir_core::ApiKeyText;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// In what a body must be.
#[derive(Clone, Copy)]
struct MediaType {
    name: &'static str,
    /// The word for a body in something else.
    reason: &'static str,
}

const JSON: MediaType = MediaType {
    name: "application/json",
    reason: "json_required",
};
const FORM: MediaType = MediaType {
    name: "application/x-www-form-urlencoded",
    reason: "form_required",
};

/// Where people reach the listener by a name: `admin.public_url`, and names of organizations' sign-in pages. Origins.
#[derive(Clone, Debug)]
pub(super) struct Public(Arc<[String]>);

impl Public {
    pub(super) fn new(url: Option<&str>, hosts: impl Iterator<Item = impl fmt::Display>) -> Self {
        let hosts = hosts.map(|host| format!("https://{host}"));
        Self(url.map(str::to_owned).into_iter().chain(hosts).collect())
    }

    /// The origin of pages that come from this name.
    fn origin_of(&self, host: &str) -> Option<&str> {
        let is_of = |origin: &&String| {
            let own = origin.split_once("://").map_or("", |(_, host)| host);
            own.eq_ignore_ascii_case(host)
        };
        self.0.iter().find(is_of).map(String::as_str)
    }
}

/// Admits requests, and marks answers as not for caches and not for guessing.
pub(super) async fn guard(
    State(public): State<Public>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_pretty = wants_pretty(&request);
    let mut response = match admit(&request, &public) {
        Ok(Some(own)) => {
            request.extensions_mut().insert(own);
            next.run(request).await
        }
        Ok(None) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    if is_pretty {
        response = indented(response).await;
    }
    let headers = response.headers_mut();
    // Public keys say themselves for how long they are.
    let nobody = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(nobody);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Tells whether a change comes from a page of ours, as the browser says itself.
fn admit(request: &Request, public: &Public) -> Result<Option<FromOwnPage>, Problem> {
    let host = sole_host(request)?;
    // Clients may name the host in the request target as well (RFC 9112 §3.2.2).
    let authority = request.uri().authority().map(Authority::as_str);
    for host in host.into_iter().chain(authority) {
        check_host(host, public)?;
    }
    check_target(request.uri())?;
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return Ok(None);
    }
    let own = check_site(request.headers(), host, public)?;
    // Where there is nothing to read, nothing need be said of it.
    let says_nothing = !request.headers().contains_key(CONTENT_TYPE);
    if says_nothing && request.body().is_end_stream() {
        return Ok(own);
    }
    let expected = match weir_console::is_page(request.uri().path()) {
        true => FORM,
        false => JSON,
    };
    check_media_type(request.headers(), expected)?;
    Ok(own)
}

/// The `Host` field; HTTP/1.0 may go without (RFC 9112 §3.2), as health checks of some balancers do.
fn sole_host(request: &Request) -> Result<Option<&str>, Problem> {
    let problem = || {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "bad_host",
            "The request needs one valid Host field.",
        )
    };
    let mut fields = request.headers().get_all(HOST).iter();
    let Some(field) = fields.next() else {
        let is_optional = request.version() <= Version::HTTP_10;
        return if is_optional {
            Ok(None)
        } else {
            Err(problem())
        };
    };
    if fields.next().is_some() {
        return Err(problem());
    }
    field.to_str().map(Some).map_err(|_| problem())
}

/// Only names that no foreign name server answers for. The configured address is an IP address
/// always, so that it is among them. Names in the configuration are its owner's to look after.
fn check_host(text: &str, public: &Public) -> Result<(), Problem> {
    if is_own_host(text) || public.origin_of(text).is_some() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "host_not_allowed",
        "The admin listener answers to IP addresses, to localhost, and to the names in `admin.public_url` and `identity.sign_in_hosts`.",
    ))
}

/// Addresses stay in histories and in logs of whoever is between: a key in one is as good as published.
fn check_target(uri: &Uri) -> Result<(), Problem> {
    let target = percent_decode_str(uri.path_and_query().map_or("", PathAndQuery::as_str));
    if !ApiKeyText::is_within(&target.decode_utf8_lossy()) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::BAD_REQUEST,
        "key_in_address",
        "An API key stands in the address of this request, where others can read it: revoke it, and send another one as \
         `Authorization: Bearer` or `X-Api-Key`.",
    ))
}

fn is_own_host(text: &str) -> bool {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => text,
    };
    // An address with colons has brackets (RFC 3986 §3.2.2), so that `host` has no port left.
    match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Browsers state where a request comes from; command-line clients state nothing. Another port of
/// the same host is the same site, and another program: `same-site` is not enough.
fn check_site(
    headers: &HeaderMap,
    host: Option<&str>,
    public: &Public,
) -> Result<Option<FromOwnPage>, Problem> {
    // Whoever ends TLS in front passes on the name that the page has.
    let named = host.and_then(|host| public.origin_of(host));
    let is_own_origin = |origin: &HeaderValue| {
        let origin = origin.to_str().ok();
        if let (Some(named), Some(origin)) = (named, origin) {
            return named.eq_ignore_ascii_case(origin);
        }
        let authority = origin.and_then(|text| text.strip_prefix("http://"));
        authority
            .zip(host)
            .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
    };
    let is_own_site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    if headers.get_all(ORIGIN).iter().all(is_own_origin)
        && headers.get_all(SEC_FETCH_SITE).iter().all(is_own_site)
    {
        let is_said = headers.contains_key(ORIGIN) || headers.contains_key(SEC_FETCH_SITE);
        return Ok(is_said.then_some(FromOwnPage));
    }
    Err(Problem::cross_site())
}

/// Forms cannot send JSON, and scripts of other origins may not without being asked first. Forms of the
/// pages have a token besides.
fn check_media_type(headers: &HeaderMap, expected: MediaType) -> Result<(), Problem> {
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let field = fields
        .next()
        .and_then(|field| field.to_str().ok())
        .unwrap_or_default();
    let essence = field.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected.name) && fields.next().is_none() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        expected.reason,
        format!("The request needs `Content-Type: {}`.", expected.name),
    ))
}

fn wants_pretty(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let is_asked = query
        .split('&')
        .any(|part| part == "pretty" || part.starts_with("pretty="));
    is_asked && request.method() != Method::HEAD
}

/// The same JSON for people.
async fn indented(response: Response) -> Response {
    // Lines of JSON go on for as long as there are any; each is read by itself.
    let is_one = |value: &HeaderValue| {
        let value = value.as_bytes();
        value.ends_with(b"/json") || value.ends_with(b"+json")
    };
    if !response.headers().get(CONTENT_TYPE).is_some_and(is_one) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Answers are in memory; reading them does not fail.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let indented = serde_json::from_slice::<Value>(&bytes)
        .and_then(|value| serde_json::to_string_pretty(&value));
    let body = match indented {
        Ok(text) => Body::from(text + "\n"),
        Err(_) => Body::from(bytes),
    };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_a_foreign_name_server_could_answer_for_are_refused() {
        let own = [
            "127.0.0.1",
            "127.0.0.1:9900",
            "10.1.2.3:80",
            "[::1]",
            "[::1]:9900",
            "localhost",
            "LocalHost:9900",
        ];
        for host in own {
            assert!(is_own_host(host), "{host}");
        }
        let foreign = [
            "",
            "evil.example",
            "evil.example:9900",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "user:word@localhost",
            "2130706433",
            "0x7f.1",
            "127.1",
            "[::1].evil.example",
            "[::1",
            "::1",
            "[fe80::1%25eth0]",
            "localhost/evil.example",
            "local host",
        ];
        for host in foreign {
            assert!(!is_own_host(host), "{host}");
        }
    }

    fn public() -> Public {
        Public::new(Some("https://weir.example"), ["login.acme.example"].iter())
    }

    fn reason(headers: &[(&'static str, &'static str)]) -> Option<u16> {
        let mut request = Request::builder().method(Method::POST).uri("/v1/reload");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        admit(&request, &public())
            .err()
            .map(|problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn a_key_in_an_address_is_refused() {
        let status = |target: &str| {
            let request = Request::builder().uri(target).header("host", "localhost");
            let request = request.body(Body::empty()).expect("a request");
            let refused = admit(&request, &public()).err();
            refused.map(|problem| problem.into_response().status().as_u16())
        };
        for target in [
            "/v1/me?key=weir_key_x",
            "/v1/me?weir_key_x",
            "/v1/me?a=%77eir%5Fkey%5fx",
            "/v1/users/weir_key_x",
        ] {
            assert_eq!(status(target), Some(400), "{target}");
        }
        assert_eq!(status("/v1/me?key=weir&_key_"), None);
    }

    #[test]
    fn a_form_is_taken_by_pages_only_and_only_a_browser_says_that_it_is_ours() {
        let sent = |path: &str, headers: &[(&'static str, &'static str)]| {
            let mut request = Request::builder().method(Method::POST).uri(path);
            for (name, value) in [("host", "localhost:9900")].iter().chain(headers) {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::from("a=b")).expect("a request");
            match admit(&request, &public()) {
                Ok(own) => Ok(own.is_some()),
                Err(problem) => Err(problem.into_response().status().as_u16()),
            }
        };
        let form = ("content-type", "application/x-www-form-urlencoded");
        let json = ("content-type", "application/json");
        let own = ("origin", "http://localhost:9900");
        for page in ["/sign-in", "/account/password", "/reset"] {
            assert_eq!(sent(page, &[form, own]), Ok(true), "{page}");
            assert_eq!(sent(page, &[form]), Ok(false), "{page}");
            assert_eq!(sent(page, &[json, own]), Err(415), "{page}");
            assert_eq!(sent(page, &[form, ("origin", "null")]), Err(403), "{page}");
        }
        for path in ["/v1/me/password", "/accounts", "/sign-in/", "/v1/sign-in"] {
            assert_eq!(sent(path, &[form, own]), Err(415), "{path}");
            assert_eq!(sent(path, &[json, own]), Ok(true), "{path}");
        }
    }

    #[test]
    fn changes_are_taken_from_the_command_line_and_from_own_pages_only() {
        const HOST: (&str, &str) = ("host", "localhost:9900");
        const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
        assert_eq!(reason(&[HOST, JSON]), None);
        let own = [
            HOST,
            JSON,
            ("origin", "http://LOCALHOST:9900"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert_eq!(reason(&own), None);
        let public = [("host", "Weir.Example"), JSON];
        assert_eq!(reason(&public), None);
        for (origin, status) in [
            ("https://weir.example", None),
            ("http://weir.example", Some(403)),
            ("https://weir.example.evil.example", Some(403)),
            ("https://localhost:9900", Some(403)),
        ] {
            let [host, json] = public;
            assert_eq!(
                reason(&[host, json, ("origin", origin)]),
                status,
                "{origin}"
            );
        }
        assert_eq!(reason(&[("host", "weir.example:9900"), JSON]), Some(403));
        // Each name has pages of its own: those of one are strangers to the other.
        for (host, origin, status) in [
            ("login.acme.example", "https://login.acme.example", None),
            ("login.acme.example", "https://weir.example", Some(403)),
            ("weir.example", "https://login.acme.example", Some(403)),
            ("login.acme.example", "http://login.acme.example", Some(403)),
            (
                "login.acme.example:444",
                "https://login.acme.example:444",
                Some(403),
            ),
            (
                "login.acme.example.",
                "https://login.acme.example.",
                Some(403),
            ),
        ] {
            let sent = [("host", host), JSON, ("origin", origin)];
            assert_eq!(reason(&sent), status, "{host}, {origin}");
        }
        for origin in [
            "https://weir.example",
            "null",
            "http://localhost:3000",
            "http://localhost",
            "https://localhost:9900",
            "x",
        ] {
            assert_eq!(
                reason(&[HOST, JSON, ("origin", origin)]),
                Some(403),
                "{origin}"
            );
        }
        let twice = [
            HOST,
            JSON,
            ("origin", "http://localhost:9900"),
            ("origin", "http://evil.example"),
        ];
        assert_eq!(reason(&twice), Some(403));
        for site in ["cross-site", "same-site", "", "Same-Origin"] {
            assert_eq!(
                reason(&[HOST, JSON, ("sec-fetch-site", site)]),
                Some(403),
                "{site}"
            );
        }
        // Without a body there is nothing to say of its type; whose page it comes from counts all the same.
        assert_eq!(reason(&[HOST]), None);
        assert_eq!(
            reason(&[HOST, ("origin", "http://evil.example")]),
            Some(403)
        );
        for media_type in [
            "text/plain",
            "application/jsonp",
            "text/plain; application/json",
            "",
        ] {
            assert_eq!(
                reason(&[HOST, ("content-type", media_type)]),
                Some(415),
                "{media_type}"
            );
        }
        assert_eq!(
            reason(&[HOST, JSON, ("content-type", "text/plain")]),
            Some(415)
        );
        assert_eq!(reason(&[JSON]), Some(400));
        assert_eq!(reason(&[HOST, ("host", "127.0.0.1"), JSON]), Some(400));
    }
}
