use http::header::COOKIE;
use weir_core::Principal;

use super::*;
use crate::identify::rules::RouteFacts;
use crate::identify::{Person, Risk};

const HERE: [u8; 4] = [127, 0, 0, 1];
const THERE: [u8; 4] = [192, 0, 2, 1];

/// A request to this host, by somebody at this address.
fn ask<T>(
    method: &Method,
    authority: &str,
    client: [u8; 4],
    is_upgrade: bool,
    then: impl FnOnce(&Asked<'_>) -> T,
) -> T {
    let (route, risk) = (RouteFacts::default(), Risk::default());
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    then(&Asked {
        method,
        host,
        authority,
        path: "/",
        query: None,
        is_upgrade,
        route: &route,
        client: IpAddr::from(client),
        risk: &risk,
    })
}

fn fields(lines: &[(HeaderName, &'static str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in lines {
        fields.append(name.clone(), HeaderValue::from_static(value));
    }
    fields
}

#[test]
fn a_plain_cookie_counts_on_this_machine_only() {
    let shown = |authority: &str, client, cookie: &'static str| {
        let fields = fields(&[(COOKIE, cookie)]);
        ask(&Method::GET, authority, client, false, |asked| {
            presented(&fields, asked).map(<[u8]>::to_vec)
        })
    };
    let some = Some(b"x".to_vec());
    for (authority, client) in [("app.example", THERE), ("localhost:1", HERE)] {
        assert_eq!(shown(authority, client, "a=b; __Host-weir_session=x"), some);
    }
    for authority in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(
            shown(authority, HERE, "weir_session=x"),
            some,
            "{authority}"
        );
        assert_eq!(
            shown(authority, THERE, "weir_session=x"),
            None,
            "{authority}"
        );
    }
    for authority in ["app.example", "localhost.evil.example", "10.0.0.1"] {
        assert_eq!(
            shown(authority, HERE, "weir_session=x"),
            None,
            "{authority}"
        );
    }
    for cookie in [
        "__Host-weir_session=x; __Host-weir_session=y",
        "__host-weir_session=x",
        "__Host-weir_session=",
    ] {
        assert_eq!(shown("app.example", THERE, cookie), None, "{cookie}");
    }
}

#[test]
fn both_cookies_are_taken_out_and_others_stay() {
    let mut fields = fields(&[
        (COOKIE, "a=b; __Host-weir_session=x; c=d"),
        (COOKIE, "weir_session=y"),
    ]);
    remove(&mut fields);
    let left: Vec<_> = fields.get_all(&COOKIE).collect();
    assert_eq!(left, ["a=b; c=d"]);
}

#[test]
fn another_site_cannot_change_anything_with_a_session() {
    let is_refused = |method: &Method, is_upgrade, lines: &[(HeaderName, &'static str)]| {
        let fields = fields(lines);
        ask(method, "app.example", THERE, is_upgrade, |asked| {
            forbids(&fields, asked, None).is_some()
        })
    };
    let own = (ORIGIN, "https://app.example");
    let same = (SEC_FETCH_SITE.clone(), "same-origin");
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        for lines in [
            vec![],
            vec![(ORIGIN, "https://evil.example")],
            vec![(ORIGIN, "null")],
            vec![(ORIGIN, "https://app.example.evil.example")],
            vec![(ORIGIN, "https://app.example:8443")],
            vec![own.clone(), (SEC_FETCH_SITE.clone(), "cross-site")],
            // A neighbour below the same domain is another one.
            vec![(SEC_FETCH_SITE.clone(), "same-site")],
            vec![(ORIGIN, "https://evil.example"), same.clone()],
            vec![own.clone(), (ORIGIN, "https://evil.example")],
        ] {
            assert!(is_refused(&method, false, &lines), "{method} {lines:?}");
        }
        for lines in [
            vec![own.clone()],
            vec![same.clone()],
            vec![own.clone(), same.clone()],
        ] {
            assert!(!is_refused(&method, false, &lines), "{method} {lines:?}");
        }
    }
    let foreign = [(ORIGIN, "https://evil.example")];
    assert!(
        !is_refused(&Method::GET, false, &foreign),
        "it changes nothing"
    );
    assert!(is_refused(&Method::GET, true, &foreign), "a WebSocket");
    assert!(!is_refused(&Method::GET, true, &[own]), "a WebSocket");
}

#[test]
fn a_successor_is_handed_over_unless_the_answer_says_what_is_to_be_kept() {
    let cookie = successor_of("__Host-weir_session=old");
    assert_eq!(
        cookie,
        "__Host-weir_session=weir_session_x; Path=/; HttpOnly; SameSite=Lax; Secure"
    );
    let mut answer = fields(&[
        (CACHE_CONTROL, "public, max-age=60"),
        (SET_COOKIE, "__Host-weir_session_of_another=1"),
    ]);
    hand_over(&cookie, &mut answer);
    assert_eq!(answer.get_all(&SET_COOKIE).count(), 2);
    assert_eq!(answer.get(&CACHE_CONTROL).unwrap(), "no-store");
    let mut signed_out = fields(&[(SET_COOKIE, "__Host-weir_session=; Max-Age=0")]);
    hand_over(&cookie, &mut signed_out);
    assert_eq!(signed_out.get_all(&SET_COOKIE).count(), 1);
    // Under the name of the one that was shown, whatever the host is called.
    assert_eq!(
        successor_of("weir_session=old"),
        "weir_session=weir_session_x; Path=/; HttpOnly; SameSite=Lax"
    );
}

/// What the browser is to keep that showed this cookie, whose token is to be replaced.
fn successor_of(shown: &'static str) -> HeaderValue {
    let answer = Answer::Good(Box::new(Good {
        principal: Principal {
            method: principal::Method::Password,
            issuer: None,
            subject: "usr_1".into(),
            organization: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            claims: serde_json::Map::new(),
        },
        ends_at: None,
        fresh_for: Duration::ZERO,
        about: Vec::new(),
        person: Some(Person {
            memberships: Vec::new(),
            successor: Some(Secret::new("weir_session_x".to_owned())),
        }),
    }));
    successor(&answer, &fields(&[(COOKIE, shown)])).unwrap()
}
