//! The sticky cookie, with curl's cookie jar.

use super::{ask, named, upstream};
use crate::harness::{Message, Upstream, Weir, answer, curl};

const STICKY: &str = "sticky: { cookie: weir-target }";

fn set_cookies(answer: &Message) -> Vec<&str> {
    let fields = answer.fields.iter();
    fields
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.as_str())
        .collect()
}

/// As a browser does: with what it was told to keep.
fn browse(weir: &Weir, jar: &str) -> Message {
    curl(&["-b", jar, "-c", jar, &weir.url("/")]).answer()
}

fn jar(weir: &Weir) -> String {
    weir.setup().path("jar").display().to_string()
}

#[test]
fn a_client_with_a_jar_stays_where_it_was() {
    let all = [named("a"), named("b"), named("c")];
    let [a, b, c] = &all;
    let config = upstream(STICKY, &[a, b, c]);
    let weir = Weir::start(&config);
    let jar = jar(&weir);
    let first = browse(&weir, &jar);
    let [cookie] = set_cookies(&first)[..] else {
        panic!("one cookie: {first:?}");
    };
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let token = pair.strip_prefix("weir-target=").unwrap();
    assert!(token.len() == 16 && token.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    for _ in 0..12 {
        let again = browse(&weir, &jar);
        assert_eq!(
            again.text(),
            first.text(),
            "the target sees no cookie of Weir's"
        );
        assert!(set_cookies(&again).is_empty(), "it has one");
    }

    let beside = Weir::start(&config);
    assert_eq!(browse(&beside, &jar).text(), first.text(), "another node");
    let reversed = upstream(STICKY, &[c, b, a]);
    weir.reload(&reversed);
    let after = browse(&weir, &jar);
    assert_eq!(after.text(), first.text(), "after a reload");
    assert!(set_cookies(&after).is_empty());
}

#[test]
fn a_target_that_takes_no_new_clients_keeps_its_old_ones_until_it_goes() {
    let all = [named("a"), named("b")];
    let [a, b] = &all;
    let weir = Weir::start(&upstream(STICKY, &[a, b]));
    let jar = jar(&weir);
    let home = browse(&weir, &jar).text();
    let (stays, other) = if home == "a" { (a, b) } else { (b, a) };
    let target = |server: &Upstream, weight| {
        format!("{{ address: \"{}\", weight: {weight} }}", server.address)
    };
    let config = |targets: String| {
        format!(
            "upstreams:\n  up: {{ {STICKY}, targets: [{targets}] }}\n\
             routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n"
        )
    };
    weir.reload(&config(format!(
        "{}, {}",
        target(stays, 0),
        target(other, 1)
    )));
    for _ in 0..6 {
        assert_eq!(browse(&weir, &jar).text(), home);
        assert_ne!(ask(&weir, "/", "").text(), home, "a new client");
    }
    weir.reload(&config(target(other, 1)));
    let moved = browse(&weir, &jar);
    assert_ne!(moved.text(), home);
    assert_eq!(set_cookies(&moved).len(), 1, "a new home");
    assert!(set_cookies(&browse(&weir, &jar)).is_empty());
}

#[test]
fn a_client_whose_target_is_gone_is_told_its_new_one() {
    // No connection is kept: one would still be answered on when its server listens no more.
    let closing = |name: &'static str| {
        Upstream::answering(move |_| answer(200, &[("Connection", "close")], name))
    };
    let (a, b) = (closing("a"), closing("b"));
    let weir = Weir::start(&upstream(STICKY, &[&a, &b]));
    let jar = jar(&weir);
    let home = browse(&weir, &jar).text();
    let (gone, left) = if home == "a" { (a, b) } else { (b, a) };
    // Its port refuses connections from here on.
    drop(gone);
    let moved = browse(&weir, &jar);
    assert_eq!(moved.status(), 200, "repeated elsewhere");
    assert_ne!(moved.text(), home);
    assert_eq!(set_cookies(&moved).len(), 1);
    drop(left);
}

#[test]
fn only_weirs_own_cookie_is_taken_out() {
    let all = [named("a"), named("b")];
    let [a, b] = &all;
    let weir = Weir::start(&upstream(STICKY, &[a, b]));
    let garbage = [
        "",
        "0",
        "zz",
        "FFFFFFFFFFFFFFFF",
        "ffffffffffffffff",
        "\"; x",
    ];
    for value in garbage {
        let answer = ask(
            &weir,
            "/",
            &format!("Cookie: user=ada; weir-target={value}; theme=dark\r\nCookie: more=1\r\n"),
        );
        assert_eq!(answer.status(), 200);
        assert_eq!(set_cookies(&answer).len(), 1, "{value} is nobody's");
        let text = answer.text();
        assert!(
            text.contains("user=ada; ") && text.contains("theme=dark\nmore=1"),
            "{text}"
        );
        assert!(!text.contains("weir-target"), "{text}");
    }
}

#[test]
fn behind_a_proxy_that_speaks_https_the_cookie_is_secure() {
    let all = [named("a"), named("b")];
    let [a, b] = &all;
    let keys = "sticky: { cookie: weir-target, max_age: 1h }";
    let trusting = format!("trusted_proxies: [127.0.0.1]\n{}", upstream(keys, &[a, b]));
    let weir = Weir::start(&trusting);
    let set = |weir: &Weir, fields: &str| set_cookies(&ask(weir, "/", fields))[0].to_owned();
    let secure = set(&weir, "X-Forwarded-Proto: https\r\n");
    assert!(
        secure.ends_with("; SameSite=Lax; Secure; Max-Age=3600"),
        "{secure}"
    );
    let plain = set(&weir, "X-Forwarded-Proto: http\r\n");
    assert!(plain.ends_with("; SameSite=Lax; Max-Age=3600"), "{plain}");
    let weir = Weir::start(&upstream(keys, &[a, b]));
    let forged = set(&weir, "X-Forwarded-Proto: https\r\n");
    assert!(!forged.contains("Secure"), "{forged}");
}

#[test]
fn who_is_not_answered_by_a_target_gets_no_cookie() {
    let gone = named("gone");
    let config = upstream(STICKY, &[&gone]);
    let weir = Weir::start(&config);
    drop(gone);
    let answer = ask(&weir, "/", "");
    assert_eq!(answer.status(), 502);
    assert!(set_cookies(&answer).is_empty());
}
