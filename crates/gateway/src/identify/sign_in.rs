//! Whoever opens a page without a session is sent where people sign in.
//!
//! Always to a path of the host that was asked: no request can choose another place, and the cookie that is set there comes
//! back here. What is to be shown afterwards is said as a path as well.

use http::HeaderValue;
use http::Method;
use http::header::{ACCEPT, HeaderName};
use weir_core::path::{is_unreserved, push_escape};

use super::rules::Asked;
use crate::fields::Fields;

/// Longest path and query that is said: more than that is no address that somebody opens again.
const LONGEST: usize = 2_048;

static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether somebody opens a page with this request, and would see the one to which it is sent on. What scripts ask for is none, nor
/// are frames, in which nobody is to sign in.
pub(super) fn is_navigation(asked: &Asked<'_>, fields: &Fields) -> bool {
    let is_read = matches!(*asked.method, Method::GET | Method::HEAD);
    let says = |name: &'static HeaderName, word: &str| {
        fields
            .get_all(name)
            .all(|value| value.as_bytes() == word.as_bytes())
    };
    is_read
        && !asked.is_upgrade
        && says(&SEC_FETCH_MODE, "navigate")
        && says(&SEC_FETCH_DEST, "document")
        && takes_pages(fields)
}

/// Whether it is not that very place that is asked for. One that needs a session itself would send whoever comes there
/// to itself again, for ever.
pub(super) fn is_elsewhere(sign_in: &str, asked: &Asked<'_>) -> bool {
    sign_in.split('?').next() != Some(asked.path)
}

/// Where to go, with where to come back to.
pub(super) fn location(sign_in: &str, asked: &Asked<'_>) -> Option<HeaderValue> {
    let mut text = sign_in.to_owned();
    if let Some(place) = return_to(asked) {
        text.push(if sign_in.contains('?') { '&' } else { '?' });
        text.push_str("return_to=");
        for byte in place.bytes() {
            match is_unreserved(byte) || byte == b'/' {
                true => text.push(char::from(byte)),
                false => push_escape(byte, &mut text),
            }
        }
    }
    HeaderValue::try_from(text).ok()
}

/// What was asked for. A normalised path begins with one slash, and nothing of it leads to another host.
fn return_to(asked: &Asked<'_>) -> Option<String> {
    let mut place = asked.path.to_owned();
    if let Some(query) = asked.query {
        place.push('?');
        place.push_str(query);
    }
    let is_path = place.starts_with('/') && !place.starts_with("//") && !place.contains('\\');
    (is_path && place.len() <= LONGEST).then_some(place)
}

/// Whether HTML is among what is asked for by name; `*/*` is what programs send (RFC 9110 §12.5.1).
fn takes_pages(fields: &Fields) -> bool {
    let ranges = fields
        .get_all(&ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.into_iter().any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let is_refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| {
                weight
                    .trim()
                    .parse::<f32>()
                    .is_ok_and(|weight| weight <= 0.0)
            })
        });
        kind.eq_ignore_ascii_case("text/html") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::identify::Risk;
    use crate::identify::rules::RouteFacts;

    fn fields(lines: &[(&'static str, &'static str)]) -> Fields {
        let mut fields = Fields::new();
        for (name, value) in lines {
            let name = HeaderName::from_static(name);
            fields.append(name, HeaderValue::from_static(value));
        }
        fields
    }

    /// What comes of a request for this path and query.
    fn ask<T>(
        method: &Method,
        path: &str,
        query: Option<&str>,
        then: impl FnOnce(&Asked<'_>) -> T,
    ) -> T {
        let (route, risk) = (RouteFacts::default(), Risk::default());
        then(&Asked {
            method,
            host: "app.example",
            authority: "app.example",
            path,
            query,
            is_upgrade: false,
            route: &route,
            client: IpAddr::from([192, 0, 2, 1]),
            risk: &risk,
        })
    }

    fn is_page(method: &Method, lines: &[(&'static str, &'static str)]) -> bool {
        ask(method, "/", None, |asked| {
            is_navigation(asked, &fields(lines))
        })
    }

    #[test]
    fn only_whoever_opens_a_page_is_sent_on() {
        let html = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        let navigates = ("sec-fetch-mode", "navigate");
        let document = ("sec-fetch-dest", "document");
        assert!(is_page(&Method::GET, &[html]));
        assert!(is_page(&Method::HEAD, &[html, navigates, document]));
        for lines in [
            &[][..],
            &[("accept", "*/*")],
            &[("accept", "application/json")],
            &[("accept", "text/html;q=0, */*")],
            &[html, ("sec-fetch-mode", "cors")],
            &[html, ("sec-fetch-mode", "no-cors")],
            &[html, ("sec-fetch-mode", "same-origin")],
            &[html, navigates, ("sec-fetch-dest", "iframe")],
            &[html, navigates, ("sec-fetch-dest", "empty")],
        ] {
            assert!(!is_page(&Method::GET, lines), "{lines:?}");
        }
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert!(!is_page(&method, &[html, navigates, document]));
        }
        let upgrade = ask(&Method::GET, "/", None, |asked| {
            let asked = Asked {
                is_upgrade: true,
                ..*asked
            };
            is_navigation(&asked, &fields(&[html]))
        });
        assert!(!upgrade, "a WebSocket");
    }

    #[test]
    fn nobody_is_sent_where_they_are() {
        let elsewhere = |place: &str, path: &str| {
            ask(&Method::GET, path, Some("a=b"), |asked| {
                is_elsewhere(place, asked)
            })
        };
        assert!(elsewhere("/sign-in", "/") && elsewhere("/sign-in", "/sign-in/second-factor"));
        assert!(!elsewhere("/sign-in", "/sign-in"));
        assert!(!elsewhere("/sign-in?organization=acme", "/sign-in"));
    }

    #[test]
    fn whatever_is_asked_for_leads_to_this_host_and_back_to_it() {
        let to = |path: &str, query: Option<&str>| {
            let found = ask(&Method::GET, path, query, |asked| {
                location("/sign-in", asked)
            });
            found.unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(to("/a/b", None), "/sign-in?return_to=/a/b");
        assert_eq!(
            to("/a", Some("b=c&return_to=//evil.example")),
            "/sign-in?return_to=/a%3Fb%3Dc%26return_to%3D//evil.example"
        );
        // None of these gets here, for a path is normalised before; and if one did, it would not be told.
        for hostile in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "*",
            "",
        ] {
            assert_eq!(to(hostile, None), "/sign-in", "{hostile}");
        }
        assert_eq!(to(&format!("/{}", "a".repeat(LONGEST)), None), "/sign-in");
        let found = ask(&Method::GET, "/a", None, |asked| {
            location("/sign-in?organization=acme", asked)
        });
        assert_eq!(found.unwrap(), "/sign-in?organization=acme&return_to=/a");
    }
}
