//! Which route takes a request, and what it does to it.

use crate::harness::{Message, Upstream, Weir, Wire};

struct Bench {
    weir: Weir,
    _upstream: Upstream,
}

impl Bench {
    /// Routes in front of a server that answers with what it saw. `$UP` is that server.
    fn new(config: &str) -> Self {
        let upstream = Upstream::echo();
        let text = format!("upstreams:\n  up: {{ targets: [\"$UP\"] }}\n{config}");
        let weir = Weir::start(&text.replace("$UP", &upstream.address.to_string()));
        Self {
            weir,
            _upstream: upstream,
        }
    }

    fn send(&self, method: &str, host: &str, target: &str, fields: &str) -> Message {
        let mut wire = Wire::connect(self.weir.http());
        wire.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n"
        ));
        wire.response(method)
    }

    fn get(&self, host: &str, target: &str) -> Message {
        self.send("GET", host, target, "")
    }

    /// The route that took the request: each sets this field.
    fn route(&self, method: &str, host: &str, target: &str, fields: &str) -> String {
        let answer = self.send(method, host, target, fields);
        answer
            .get("x-route")
            .unwrap_or(&format!("{}", answer.status()))
            .to_owned()
    }

    /// The request target as the server saw it.
    fn target(&self, host: &str, target: &str) -> String {
        let seen = self.get(host, target);
        assert_eq!(seen.status(), 200, "{target}: {}", seen.text());
        seen.text().split(' ').nth(1).unwrap_or_default().to_owned()
    }
}

const POLICY: &str = "policies:\n  mark: { headers: { response: { set: { x-route: \"{route.name}\" } } } }\nroutes:\n";

/// Routes as lines of `name: match`, each marked with its name.
fn marked(routes: &[(&str, &str)]) -> Bench {
    let mut text = POLICY.to_owned();
    for (name, matcher) in routes {
        text.push_str(&format!(
            "  - {{ name: {name}, match: {{ {matcher} }}, policies: [mark], upstream: up }}\n"
        ));
    }
    Bench::new(&text)
}

#[test]
fn the_most_specific_host_wins() {
    let bench = marked(&[
        ("any", "path: /*"),
        ("wild", "host: \"*.example.com\", path: /*"),
        ("exact", "host: api.example.com, path: /*"),
        ("two", "host: [a.test, b.test], path: /*"),
    ]);
    for (host, route) in [
        ("api.example.com", "exact"),
        ("API.Example.COM:8080", "exact"),
        ("api.example.com.", "exact"),
        ("www.example.com", "wild"),
        ("a.b.example.com", "wild"),
        ("example.com", "any"),
        ("badexample.com", "any"),
        ("a.test", "two"),
        ("b.test", "two"),
        ("127.0.0.1", "any"),
        ("[::1]:80", "any"),
    ] {
        assert_eq!(bench.route("GET", host, "/", ""), route, "{host}");
    }
}

#[test]
fn the_most_specific_path_wins_whatever_the_order() {
    let bench = marked(&[
        ("rest", "path: /shop/*"),
        ("item", "path: \"/shop/{id}\""),
        ("exact", "path: /shop/new"),
        ("deep", "path: \"/shop/{id}/parts/*\""),
    ]);
    for (path, route) in [
        ("/shop/new", "exact"),
        ("/shop/17", "item"),
        ("/shop/17/parts/3", "deep"),
        ("/shop/17/other", "rest"),
        ("/elsewhere", "404"),
        ("/Shop/new", "404"),
        ("/shop/./x/../new", "exact"),
        ("/shop/%6eew", "exact"),
    ] {
        assert_eq!(bench.route("GET", "a", path, ""), route, "{path}");
    }
}

#[test]
fn a_method_that_no_route_takes_is_told_which_are() {
    let bench = marked(&[
        ("read", "path: /items, methods: [GET, HEAD]"),
        ("write", "path: /items, methods: [POST]"),
    ]);
    assert_eq!(bench.route("GET", "a", "/items", ""), "read");
    assert_eq!(
        bench.route("POST", "a", "/items", "Content-Length: 0\r\n"),
        "write"
    );
    let refused = bench.send("DELETE", "a", "/items", "");
    refused.assert_problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = refused.get("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    bench.get("a", "/other").assert_problem(404, "no_route");
}

#[test]
fn fields_and_query_choose_a_route() {
    let bench = marked(&[
        ("plain", "path: /*"),
        ("version", "path: /*, headers: { x-version: \"2\" }"),
        (
            "beta",
            "path: /*, headers: { x-build: { prefix: beta- }, x-user: { present: true } }",
        ),
        ("preview", "path: /*, query: { preview: { present: true } }"),
        ("color", "path: /*, query: { color: \"dark red\" }"),
    ]);
    for (target, fields, route) in [
        ("/", "", "plain"),
        ("/", "X-Version: 2\r\n", "version"),
        ("/", "X-Version: 22\r\n", "plain"),
        ("/", "X-Build: beta-7\r\n", "plain"),
        ("/", "X-Build: beta-7\r\nX-User: me\r\n", "beta"),
        ("/?preview", "", "preview"),
        ("/?a=b&preview=1", "", "preview"),
        ("/?previews", "", "plain"),
        ("/?color=dark%20red", "", "color"),
        ("/?color=dark+red", "", "color"),
        ("/?color=red", "", "plain"),
    ] {
        assert_eq!(
            bench.route("GET", "a", target, fields),
            route,
            "{target} {fields}"
        );
    }
}

#[test]
fn a_prefix_is_replaced_and_the_query_kept() {
    let bench = Bench::new(
        "routes:\n\
         \x20 - { name: a, match: { path: /shop/* }, upstream: up, rewrite: { prefix: /v2/ } }\n\
         \x20 - { name: b, match: { path: \"/items/{id}\" }, upstream: up, rewrite: { path: \"/v3/{path.id}/x\" } }\n\
         \x20 - { name: c, match: { path: /old/* }, upstream: up, rewrite: { path: \"/new/{path.*}\" } }\n\
         \x20 - { name: d, match: { path: /* }, upstream: up }\n",
    );
    for (target, seen) in [
        ("/shop/a/b?x=1", "/v2/a/b?x=1"),
        ("/shop/", "/v2/"),
        ("/items/17", "/v3/17/x"),
        ("/items/a%20b?q", "/v3/a%20b/x?q"),
        ("/old/a/b?x=%2F", "/new/a/b?x=%2F"),
        ("/other?", "/other?"),
    ] {
        assert_eq!(bench.target("a", target), seen, "{target}");
    }
}

#[test]
fn the_server_sees_the_normalised_path() {
    let bench = Bench::new("routes: [{ name: all, match: { path: /* }, upstream: up }]\n");
    for (target, seen) in [
        ("/a/./b/../c", "/a/c"),
        ("/%61%2D%7e", "/a-~"),
        ("/%c3%bc", "/%C3%BC"),
        ("/a%20b", "/a%20b"),
        ("/ü?q=é", "/%C3%BC?q=%C3%A9"),
        ("http://other.test/x/../y?z=../", "/y?z=../"),
    ] {
        assert_eq!(bench.target("a", target), seen, "{target}");
    }
    for target in [
        "/a%2fb",
        "/a%5cb",
        "/a\\b",
        "/a%00b",
        "/a%",
        "/a%zz",
        "/..",
        "/a/../../b",
    ] {
        let answer = bench.get("a", target);
        assert_eq!(answer.status(), 400, "{target}: {}", answer.text());
        let problem = answer.json();
        assert!(
            ["bad_path", "malformed_request"].contains(&problem["reason"].as_str().unwrap()),
            "{problem}"
        );
    }
}

#[test]
fn an_encoded_slash_is_kept_where_that_was_asked_for() {
    let bench = Bench::new(
        "paths: { encoded_slash: keep }\nroutes: [{ name: all, match: { path: /* }, upstream: up }]\n",
    );
    assert_eq!(bench.target("a", "/a%2fb/c"), "/a%2Fb/c");
}

#[test]
fn an_absolute_target_decides_over_the_host_field() {
    let bench = marked(&[
        ("one", "host: one.test, path: /*"),
        ("two", "host: two.test, path: /*"),
    ]);
    let answer = bench.get("one.test", "http://two.test/x");
    assert_eq!(answer.get("x-route"), Some("two"));
    assert!(
        answer.text().contains("\nhost: two.test\n"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_redirect_is_answered_here() {
    let bench = Bench::new(
        "routes:\n\
         \x20 - { name: a, match: { path: /moved/* }, redirect: { to: \"https://new.test/{path.*}\", status: 308 } }\n\
         \x20 - { name: b, match: { path: \"/user/{name}\" }, redirect: { to: \"/people/{path.name}?from={request.host}\" } }\n\
         \x20 - { name: c, match: { path: /* }, upstream: up }\n",
    );
    let moved = bench.get("a", "/moved/x/y");
    assert_eq!(
        (moved.status(), moved.get("location")),
        (308, Some("https://new.test/x/y"))
    );
    let user = bench.get("shop.test:80", "/user/ann");
    assert_eq!(user.status(), 302);
    assert_eq!(user.get("location"), Some("/people/ann?from=shop.test"));
    // A body that nobody read does not become the next request.
    let mut wire = Wire::connect(bench.weir.http());
    wire.send("POST /moved/z HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
    assert_eq!(wire.response("POST").status(), 308);
    assert!(wire.is_at_end());
}

#[test]
fn field_rules_act_on_both_sides() {
    let bench = Bench::new(
        "policies:\n\
         \x20 tidy:\n\
         \x20   headers:\n\
         \x20     request:\n\
         \x20       remove: [x-debug]\n\
         \x20       set: { x-client: \"{client.address}\", x-id: \"{request.id}\", x-was: \"{request.method} {request.scheme} {request.host} {request.path} {request.query}\" }\n\
         \x20       add: { x-hop: weir }\n\
         \x20     response:\n\
         \x20       remove: [x-powered-by]\n\
         \x20       set: { x-route: \"{route.name}/{upstream.name}\", x-agent: \"{request.header.user-agent}\" }\n\
         routes:\n\
         \x20 - name: item\n\
         \x20   match: { path: \"/items/{id}\" }\n\
         \x20   policies: [tidy]\n\
         \x20   upstream: up\n\
         \x20   headers: { request: { set: { x-item: \"{path.id}\", x-was: later } } }\n\
         \x20 - { name: all, match: { path: /* }, policies: [tidy], upstream: up }\n",
    );
    let answer = bench.send(
        "GET",
        "shop.test:81",
        "/some?a=b",
        "X-Debug: 1\r\nX-Client: forged\r\nX-Hop: before\r\nUser-Agent: me\r\n",
    );
    let seen = answer.text();
    assert!(
        !seen.contains("x-debug") && !seen.contains("forged"),
        "{seen}"
    );
    assert!(seen.contains("\nx-client: 127.0.0.1\n"), "{seen}");
    assert!(
        seen.contains("\nx-was: GET http shop.test /some a=b\n"),
        "{seen}"
    );
    assert!(
        seen.contains("\nx-hop: before\n") && seen.contains("\nx-hop: weir\n"),
        "{seen}"
    );
    assert!(
        seen.lines()
            .any(|line| line.starts_with("x-id: ") && line.len() > 16),
        "{seen}"
    );
    assert_eq!(answer.get("x-route"), Some("all/up"));
    assert_eq!(answer.get("x-agent"), Some("me"));
    // The route's own rules act after the policies'.
    let item = bench.get("a", "/items/17").text();
    assert!(
        item.contains("\nx-item: 17\n") && item.contains("\nx-was: later\n"),
        "{item}"
    );
}

#[test]
fn a_value_that_would_break_a_field_is_dropped() {
    let bench = Bench::new(
        "routes:\n\
         \x20 - name: item\n\
         \x20   match: { path: \"/items/{id}\" }\n\
         \x20   upstream: up\n\
         \x20   headers: { request: { set: { x-item: \"{path.id}\" } } }\n",
    );
    for target in ["/items/a%0d%0aX-Evil:%20yes", "/items/a%0ab"] {
        let answer = bench.get("a", target);
        let seen = answer.text();
        assert!(!seen.to_lowercase().contains("\nx-evil"), "{seen}");
        assert!(answer.get("x-evil").is_none());
    }
}

#[test]
fn the_host_is_what_the_route_says() {
    let upstream = Upstream::echo();
    let text = format!(
        "upstreams:\n  up: {{ targets: [\"{}\"] }}\nroutes:\n\
         \x20 - {{ name: a, match: {{ path: /preserve }}, upstream: up, host: preserve }}\n\
         \x20 - {{ name: b, match: {{ path: /target }}, upstream: up, host: target }}\n\
         \x20 - {{ name: c, match: {{ path: /literal }}, upstream: up, host: inner.test }}\n",
        upstream.address
    );
    let weir = Weir::start(&text);
    let host = |path: &str| {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!(
            "GET {path} HTTP/1.1\r\nHost: outer.test:99\r\n\r\n"
        ));
        let seen = wire.response("GET").text();
        let line = seen
            .lines()
            .find_map(|line| line.strip_prefix("host: ").map(str::to_owned));
        assert!(
            seen.contains("\nx-forwarded-host: outer.test:99\n"),
            "{seen}"
        );
        line.unwrap()
    };
    assert_eq!(host("/preserve"), "outer.test:99");
    assert_eq!(host("/target"), upstream.address.to_string());
    assert_eq!(host("/literal"), "inner.test");
}

#[test]
fn a_trusted_proxy_is_believed_and_nobody_else() {
    let upstream = Upstream::echo();
    let routes = format!(
        "upstreams:\n  up: {{ targets: [\"{}\"] }}\nroutes:\n\
         \x20 - {{ name: a, match: {{ path: /* }}, upstream: up,\n\
         \x20     headers: {{ request: {{ set: {{ x-client: \"{{client.address}}\" }} }} }} }}\n",
        upstream.address
    );
    let fields = "X-Forwarded-For: 198.51.100.7, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    let ask = |weir: &Weir| {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        wire.response("GET").text()
    };
    let seen = ask(&Weir::start(&format!(
        "trusted_proxies: [127.0.0.0/8]\n{routes}"
    )));
    assert!(seen.contains("\nx-client: 203.0.113.9\n"), "{seen}");
    assert!(
        seen.contains("\nx-forwarded-for: 198.51.100.7, 203.0.113.9, 127.0.0.1\n"),
        "{seen}"
    );
    assert!(seen.contains("\nx-forwarded-proto: https\n"), "{seen}");
    let seen = ask(&Weir::start(&format!(
        "trusted_proxies: [10.0.0.0/8]\n{routes}"
    )));
    assert!(seen.contains("\nx-client: 127.0.0.1\n"), "{seen}");
    assert!(seen.contains("\nx-forwarded-for: 127.0.0.1\n"), "{seen}");
    assert!(seen.contains("\nx-forwarded-proto: http\n"), "{seen}");
}

#[test]
fn a_trusted_proxys_request_id_is_everybodys() {
    let own = "0af7651916cd43dd8448eb211c80319c";
    let routes = "upstreams:\n  up: { targets: [\"$UP\"] }\nroutes:\n\
                  \x20 - { name: a, match: { path: /a }, upstream: up }\n";
    let upstream = Upstream::echo();
    let routes = routes.replace("$UP", &upstream.address.to_string());
    let ask = |weir: &Weir, target: &str, id: &str| {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\n\r\n"
        ));
        wire.response("GET")
    };
    let weir = Weir::start(&format!("trusted_proxies: [127.0.0.0/8]\n{routes}"));
    let line = format!("\nx-request-id: {own}\n");
    for id in [own, &own.to_ascii_uppercase()] {
        let seen = ask(&weir, "/a", id).text();
        assert!(seen.contains(&line), "{seen}");
        for target in ["/missing", "/a?\u{85}"] {
            let answer = ask(&weir, target, id);
            assert_eq!(answer.get("x-request-id"), Some(own));
            assert_eq!(answer.json()["request_id"], own);
        }
    }
    // Of another form it is passed on, but it is not Weir's.
    let seen = ask(&weir, "/a", "edge-7").text();
    assert!(seen.contains("\nx-request-id: edge-7\n"), "{seen}");
    let missing = ask(&weir, "/missing", "edge-7");
    assert_ne!(missing.get("x-request-id"), Some("edge-7"));

    let weir = Weir::start(&routes);
    let seen = ask(&weir, "/a", own).text();
    assert!(!seen.contains(own), "{seen}");
    assert_ne!(ask(&weir, "/missing", own).get("x-request-id"), Some(own));
}

#[test]
fn traffic_is_spread_by_weight() {
    let servers: Vec<_> = (0..3)
        .map(|number: u8| {
            Upstream::answering(move |_| crate::harness::answer(200, &[], number.to_string()))
        })
        .collect();
    let weir = Weir::start(&format!(
        "workers: 1\nupstreams:\n  up:\n    targets:\n\
         \x20     - \"{}\"\n      - {{ address: \"{}\", weight: 3 }}\n      - {{ address: \"{}\", weight: 0 }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        servers[0].address, servers[1].address, servers[2].address
    ));
    let mut counts = [0; 3];
    for _ in 0..40 {
        counts[weir.get("/").text().parse::<usize>().unwrap()] += 1;
    }
    assert_eq!(counts, [10, 30, 0]);
}
