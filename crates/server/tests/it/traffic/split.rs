//! Which side a request goes to.

use super::{Side, ask, change, config};
use crate::harness::{Weir, Wire, curl, wait_until};

#[test]
fn each_side_gets_its_share() {
    let (blue, green) = (Side::new("blue"), Side::new("green"));
    let weir = Weir::start(&config(&blue, &green, [90, 10], ""));
    let mut greens = 0;
    // Over several connections, so that all workers take part.
    for _ in 0..20 {
        greens += ask(&weir, "", 100)
            .iter()
            .filter(|name| *name == "green")
            .count();
    }
    // Binomial: 200 expected, standard deviation 13.4.
    assert!((130..270).contains(&greens), "{greens} of 2000");
    assert_eq!((blue.served(), green.served()), (2_000 - greens, greens));
    let counted = weir.metric("weir_split_requests_total", &["upstream=\"green\""]);
    assert_eq!(counted as usize, greens);
    assert_eq!(
        weir.metric("http_server_requests_total", &["items", "2xx"]),
        2_000.0
    );
    // The access log names the side that answered.
    wait_until("the log has all requests", || {
        let log = weir.log();
        log.matches("\"weir.upstream\":\"green\"").count() == greens
            && log.matches("\"weir.upstream\":\"blue\"").count() == 2_000 - greens
    });
}

#[test]
fn pins_have_a_fixed_place_whatever_the_shares() {
    let (blue, green) = (Side::new("blue"), Side::new("green"));
    let pins = "      pin:\n        - { header: x-canary, value: always, upstream: green }\n        \
                - { cookie: canary, upstream: green }\n        - { header: x-canary, upstream: blue }\n";
    let weir = Weir::start(&config(&blue, &green, [1, 0], pins));
    let all = |fields: &str, name: &str| {
        let answers = ask(&weir, fields, 20);
        assert!(
            answers.iter().all(|answer| answer == name),
            "{fields}: {answers:?}"
        );
    };
    all("", "blue");
    all("X-Canary: always\r\n", "green");
    all("Cookie: a=b; canary=1\r\n", "green");
    all("Cookie: canaries=1\r\n", "blue");
    change(&weir, &["switch", "items", "green"]);
    all("", "green");
    all("X-Canary: never\r\n", "blue");
}

#[test]
fn a_cookie_keeps_a_client_on_its_side_until_that_side_shrinks() {
    let echo = |name: &'static str| {
        Side::answering(move |request| {
            let cookie = request.get("cookie").unwrap_or("none").to_owned();
            crate::harness::answer(200, &[], format!("{name} {cookie}"))
        })
    };
    let (blue, green) = (echo("blue"), echo("green"));
    let sticky = "      sticky: { cookie: side, max_age: 1h }\n";
    let weir = Weir::start(&config(&blue, &green, [50, 50], sticky));
    let directory = tempfile::tempdir().unwrap();
    let url = weir.url("/");
    let mut sides = Vec::new();
    for client in 0..8 {
        let jar = directory.path().join(format!("jar-{client}"));
        let jar = jar.to_str().unwrap();
        let visit = || curl(&["-b", jar, "-c", jar, "-H", "cookie: own=1", &url]).answer();
        let first = visit();
        let set = first.get("set-cookie").expect("a cookie");
        assert!(set.starts_with("side="), "{set}");
        assert!(
            set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"),
            "{set}"
        );
        let side = first.text();
        for _ in 0..4 {
            let again = visit();
            assert_eq!(again.get("set-cookie"), None);
            // The target sees the client's own cookie and nothing of Weir's.
            assert_eq!(again.text(), side);
            assert!(side.ends_with(" own=1"), "{side}");
        }
        sides.push((jar.to_owned(), side));
    }
    // Green grows: whoever was on green stays.
    change(&weir, &["set", "items", "blue=20", "green=80"]);
    for (jar, side) in &sides {
        let now = curl(&["-b", jar, "-H", "cookie: own=1", &url])
            .answer()
            .text();
        assert!(
            !side.starts_with("green") || now == *side,
            "{side} became {now}"
        );
    }
    change(&weir, &["switch", "items", "blue"]);
    for (jar, _) in &sides {
        let now = curl(&["-b", jar, "-H", "cookie: own=1", &url])
            .answer()
            .text();
        assert_eq!(now, "blue own=1");
    }
}

#[test]
fn the_cookie_is_secure_where_a_trusted_proxy_says_that_its_client_came_by_tls() {
    let (blue, green) = (Side::new("blue"), Side::new("green"));
    let text = config(&blue, &green, [1, 1], "      sticky: { cookie: side }\n");
    let is_secure = |weir: &Weir, fields: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: weir.test\r\n{fields}\r\n");
        let answer = Wire::connect(weir.http()).response_to(&request);
        answer.get("set-cookie").unwrap().contains("; Secure")
    };
    let weir = Weir::start(&format!("trusted_proxies: [127.0.0.1]\n{text}"));
    assert!(is_secure(&weir, "X-Forwarded-Proto: https\r\n"));
    assert!(is_secure(&weir, "X-Forwarded-Proto: HTTPS, http\r\n"));
    assert!(is_secure(&weir, "Forwarded: for=192.0.2.1;proto=https\r\n"));
    assert!(!is_secure(&weir, "X-Forwarded-Proto: http\r\n"));
    assert!(!is_secure(
        &weir,
        "X-Forwarded-Proto: http\r\nForwarded: proto=https\r\n"
    ));
    assert!(!is_secure(&weir, ""));
    // Anybody else could say it as well.
    let weir = Weir::start(&text);
    assert!(!is_secure(&weir, "X-Forwarded-Proto: https\r\n"));
    assert!(!is_secure(&weir, "Forwarded: proto=https\r\n"));
}

#[test]
fn a_key_keeps_a_client_on_its_side_on_every_worker() {
    let (blue, green) = (Side::new("blue"), Side::new("green"));
    let sticky = "      sticky: { header: x-tenant }\n";
    let weir = Weir::start(&config(&blue, &green, [1, 1], sticky));
    let mut seen = std::collections::HashSet::new();
    for tenant in 0..20 {
        let field = format!("X-Tenant: {tenant}\r\n");
        let first = ask(&weir, &field, 1).remove(0);
        for _ in 0..6 {
            assert_eq!(ask(&weir, &field, 1), [first.as_str()], "tenant {tenant}");
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2, "both sides have tenants");
}
