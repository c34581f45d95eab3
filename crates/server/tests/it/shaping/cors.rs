//! Cross-origin requests, as curl sends them.

use super::with;
use crate::harness::{Message, Upstream, Weir, Wire, answer, curl, wait_until};

const POLICY: &str = "{ cors: { origins: ['https://app.test', 'https://*.example.com'], methods: [GET, PUT], \
                      headers: [content-type, x-key], expose: [x-total], credentials: true, max_age: 1h } }";

/// An upstream with a mind of its own about CORS.
fn opinionated() -> Upstream {
    Upstream::answering(|_| {
        let fields = [
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Credentials", "false"),
            ("Access-Control-Expose-Headers", "x-secret"),
            ("Vary", "Accept"),
            ("X-Total", "3"),
        ];
        answer(200, &fields, "ok")
    })
}

fn preflight(weir: &Weir, origin: &str, method: &str, headers: &str) -> Message {
    let origin = format!("Origin: {origin}");
    let method = format!("Access-Control-Request-Method: {method}");
    let headers = format!("Access-Control-Request-Headers: {headers}");
    let url = weir.url("/items");
    curl(&[
        "-X", "OPTIONS", "-H", &origin, "-H", &method, "-H", &headers, &url,
    ])
    .answer()
}

fn assert_silent(answer: &Message) {
    let allowing = answer
        .fields
        .iter()
        .filter(|(name, _)| name.starts_with("access-control-"));
    assert_eq!(allowing.count(), 0, "{:?}", answer.fields);
}

#[test]
fn a_preflight_is_answered_before_anything_else() {
    let upstream = opinionated();
    let weir = Weir::start(&with(POLICY, upstream.address));
    let answer = preflight(&weir, "https://app.test", "PUT", "X-Key, content-type");
    assert_eq!(answer.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.test"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "content-type, x-key"),
        ("access-control-max-age", "3600"),
    ] {
        assert_eq!(answer.all(name), [value], "{name}");
    }
    let vary = answer.get("vary").unwrap();
    for name in [
        "Origin",
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
    ] {
        assert!(vary.contains(name), "{vary}");
    }
    assert_eq!(answer.get("content-length"), None);
    assert_eq!(upstream.accepted(), 0, "it went no further");
    assert!(weir.metric("weir_answers_total", &["reason=\"preflight\""]) == 1.0);
}

#[test]
fn a_preflight_for_what_is_not_allowed_says_why_and_allows_nothing() {
    let upstream = opinionated();
    let weir = Weir::start(&with(POLICY, upstream.address));
    for (origin, method, headers) in [
        ("https://evil.test", "PUT", "x-key"),
        ("null", "PUT", "x-key"),
        ("https://example.com", "PUT", "x-key"),
        ("https://app.test.evil.test", "GET", ""),
        ("https://app.test", "DELETE", "x-key"),
        ("https://app.test", "PUT", "x-key, x-other"),
    ] {
        let answer = preflight(&weir, origin, method, headers);
        answer.assert_problem(403, "preflight_refused");
        assert_silent(&answer);
    }
    for cause in ["origin", "method", "header"] {
        let entry = format!("\"weir.reason\":\"preflight_refused\",\"weir.cause\":\"{cause}\"");
        wait_until("the log says why", || weir.log().contains(&entry));
    }
    assert_eq!(upstream.accepted(), 0);
}

#[test]
fn an_options_request_that_is_no_preflight_is_the_upstreams() {
    let upstream = opinionated();
    let weir = Weir::start(&with(POLICY, upstream.address));
    let url = weir.url("/items");
    let plain = curl(&["-X", "OPTIONS", &url]).answer();
    assert_eq!(plain.text(), "ok");
    let with_origin = curl(&["-X", "OPTIONS", "-H", "Origin: https://app.test", &url]).answer();
    assert_eq!(with_origin.text(), "ok");
    assert_eq!(
        with_origin.all("access-control-allow-origin"),
        ["https://app.test"]
    );
}

#[test]
fn the_upstreams_fields_are_replaced_and_not_doubled() {
    let upstream = opinionated();
    let weir = Weir::start(&with(POLICY, upstream.address));
    let ask = |origin: &str| curl(&["-H", origin, &weir.url("/items")]).answer();
    for origin in ["https://app.test", "https://a.b.example.com"] {
        let answer = ask(&format!("Origin: {origin}"));
        assert_eq!(answer.all("access-control-allow-origin"), [origin]);
        assert_eq!(answer.all("access-control-allow-credentials"), ["true"]);
        assert_eq!(answer.all("access-control-expose-headers"), ["x-total"]);
        assert_eq!(answer.all("vary"), ["Accept", "Origin"]);
    }
    // Not refused: only its script does not get to read it.
    for stranger in ["Origin: https://evil.test", "Origin;", "X-No: origin"] {
        let answer = ask(stranger);
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        assert_silent(&answer);
        assert_eq!(answer.all("vary"), ["Accept", "Origin"]);
    }
}

#[test]
fn errors_of_the_gateway_can_be_read_by_the_script() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = format!("limits: {{ body_bytes: 10 }}\n{}", with(POLICY, gone));
    let weir = Weir::start(&config);
    let origin = "Origin: https://app.test";
    let answer = curl(&["-H", origin, &weir.url("/items")]).answer();
    answer.assert_problem(502, "upstream_connect_failed");
    assert_eq!(
        answer.all("access-control-allow-origin"),
        ["https://app.test"]
    );
    assert_eq!(answer.all("vary"), ["Origin"]);
    // Over HTTP/2 as well.
    let answer = curl(&["--http2-prior-knowledge", "-H", origin, &weir.url("/items")]).answer();
    assert_eq!(
        answer.all("access-control-allow-origin"),
        ["https://app.test"]
    );
}

#[test]
fn answers_that_say_no_or_not_now_can_be_read_as_well() {
    let silent = Upstream::new(|mut wire| while wire.request().is_some() {});
    let config = format!(
        "upstreams: {{ up: {{ targets: [{}], concurrency: {{ limit: 1, queue: 0 }} }} }}\n\
         policies: {{ shape: {POLICY} }}\n\
         routes:\n\
         - {{ name: slow, match: {{ path: /slow }}, policies: [shape], respond: {{ status: 429 }} }}\n\
         - {{ name: none, match: {{ path: /none }}, policies: [shape], respond: {{ status: 404 }} }}\n\
         - {{ name: all, policies: [shape], upstream: up }}\n",
        silent.address
    );
    let weir = Weir::start(&config);
    let mut first = Wire::connect(weir.http());
    first.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("it waits", || silent.accepted() == 1);
    let origin = "Origin: https://app.test";
    for (path, status) in [("/slow", 429), ("/none", 404), ("/busy", 503)] {
        let answer = curl(&["-H", origin, &weir.url(path)]).answer();
        assert_eq!(answer.status(), status);
        let allowed = answer.all("access-control-allow-origin");
        assert_eq!(allowed, ["https://app.test"], "{path}");
        assert_eq!(answer.all("vary"), ["Origin"], "{path}");
    }
}

#[test]
fn any_origin_is_answered_with_an_asterisk() {
    let upstream = opinionated();
    let policy = "{ cors: { origins: any, headers: any } }";
    let weir = Weir::start(&with(policy, upstream.address));
    let answer = curl(&["-H", "Origin: https://anybody.test", &weir.url("/")]).answer();
    assert_eq!(answer.all("access-control-allow-origin"), ["*"]);
    assert_eq!(answer.all("vary"), ["Accept"]);
    let preflight = preflight(&weir, "https://anybody.test", "POST", "Authorization,x-1");
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.all("access-control-allow-origin"), ["*"]);
    assert_eq!(
        preflight.all("access-control-allow-headers"),
        ["authorization, x-1"]
    );
    assert_eq!(
        preflight.all("access-control-allow-credentials"),
        Vec::<&str>::new()
    );
}

#[test]
fn a_preflight_finds_the_route_of_the_request_that_it_asks_about() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&format!(
        "upstreams: {{ up: {{ targets: [{}] }} }}\n\
         policies: {{ shop: {{ cors: {{ origins: 'https://shop.test', methods: [PUT] }} }} }}\n\
         routes:\n\
         - {{ name: write, match: {{ path: /items, methods: [PUT] }}, policies: [shop], upstream: up }}\n\
         - {{ name: read, match: {{ path: /items, methods: [GET, OPTIONS] }}, upstream: up }}\n",
        upstream.address
    ));
    let allowed = preflight(&weir, "https://shop.test", "PUT", "");
    assert_eq!(allowed.status(), 204);
    // The other route has no such policy: its upstream answers.
    let other = preflight(&weir, "https://shop.test", "GET", "");
    assert!(
        other.text().starts_with("OPTIONS /items"),
        "{}",
        other.text()
    );
}

#[test]
fn origins_cannot_inject_and_floods_of_them_leave_nothing_behind() {
    let upstream = opinionated();
    let weir = Weir::start(&with(POLICY, upstream.address));
    for origin in [
        "https://app.test\r\nAccess-Control-Allow-Origin: https://evil.test",
        "https://a.example.com\tx",
        "https://\u{1}.example.com",
        "https://a.example.com\nX-Injected: 1",
        "https://evil.test\0.example.com",
    ] {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n"
        ));
        let answer = wire.response("GET");
        assert_eq!(answer.get("x-injected"), None);
        let said = answer.all("access-control-allow-origin");
        assert!(said.is_empty() || said == ["https://app.test"], "{said:?}");
    }
    let mut wire = Wire::connect(weir.http());
    let mut flood = |count: std::ops::Range<u32>| {
        for at in count {
            wire.send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://s{at}.example.com\r\n\r\n"
            ));
            let answer = wire.response("GET");
            let own = format!("https://s{at}.example.com");
            assert_eq!(answer.all("access-control-allow-origin"), [own.as_str()]);
        }
    };
    flood(0..500);
    let before = weir.memory();
    flood(500..3_000);
    let grown = weir.memory().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes more");
    // No origin became a label.
    let metrics = weir.ask("GET", "/metrics").text();
    assert!(!metrics.contains("example.com"));
}

#[test]
fn over_http2_a_preflight_is_answered_the_same() {
    let upstream = opinionated();
    let weir = Weir::start(&with(POLICY, upstream.address));
    let answer = curl(&[
        "--http2-prior-knowledge",
        "-X",
        "OPTIONS",
        "-H",
        "Origin: https://app.test",
        "-H",
        "Access-Control-Request-Method: PUT",
        &weir.url("/items"),
    ])
    .answer();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.all("access-control-allow-methods"), ["GET, PUT"]);
    assert_eq!(upstream.accepted(), 0);
}
