//! `weir match`

use super::Workspace;

#[test]
fn a_hit_shows_all_that_happens() {
    let workspace = Workspace::good();
    let ran = workspace.run(&[
        "match",
        "GET",
        "http://API.example.com:8080/items/a%2db?x=1",
    ]);
    insta::assert_snapshot!("match-hit", ran.transcript());
    let ran = workspace.run(&["match", "POST", "/orders/42"]);
    insta::assert_snapshot!("match-rewrite", ran.transcript());
    let ran = workspace.run(&["match", "GET", "http://a.test/shop/cups"]);
    insta::assert_snapshot!("match-redirect", ran.transcript());
}

#[test]
fn a_miss_shows_what_comes_close() {
    let workspace = Workspace::good();
    let ran = workspace.run(&["match", "GET", "http://www.example.com/items/7"]);
    insta::assert_snapshot!("match-miss", ran.transcript());
    let ran = workspace.run(&["match", "DELETE", "/orders/42"]);
    insta::assert_snapshot!("match-method", ran.transcript());
}

#[test]
fn programs_get_the_same() {
    let workspace = Workspace::good();
    let hit = workspace.run(&[
        "match",
        "GET",
        "/items/7",
        "-H",
        "Host: api.example.com",
        "--json",
    ]);
    insta::assert_snapshot!("match-json", hit.transcript());
    let miss = workspace.run(&["match", "GET", "/nowhere", "--json"]);
    assert_eq!(miss.code, Some(1));
    assert_eq!(miss.json()["routing"]["outcome"]["result"], "no_route");
    assert!(miss.json()["plan"].is_null());
}

const SPLIT: &str = "listeners: [{ address: 127.0.0.1:0 }]
upstreams:
  blue: { targets: [127.0.0.1:9001] }
  green: { targets: [127.0.0.1:9002] }
  shadow: { targets: [127.0.0.1:9003] }
routes:
  - name: items
    split:
      upstreams: { green: 95, blue: 5 }
      pin: [{ header: x-canary, value: secret, upstream: blue }]
      sticky: { cookie: side }
    mirror: { upstream: shadow, share: 10% }
    headers: { request: { set: { x-side: '{upstream.name}' } } }
";

#[test]
fn a_split_is_shown_with_the_side_of_a_pinned_request() {
    let workspace = Workspace::new();
    workspace.write("weir.yaml", SPLIT);
    let free = workspace.run(&["match", "GET", "http://a.test/items"]);
    insta::assert_snapshot!("match-split", free.transcript());
    let url = "http://a.test/items";
    let pinned = workspace.run(&["match", "GET", url, "-H", "x-canary: secret"]);
    insta::assert_snapshot!("match-pinned", pinned.transcript());
    let json = workspace.run(&["match", "GET", url, "--json"]).json();
    let split = &json["plan"]["towards"]["upstream"]["split"];
    assert_eq!(split["upstreams"][0]["upstream"], "green");
}

#[test]
fn an_aggregate_is_shown_with_what_its_parts_are_asked_for() {
    let workspace = Workspace::new();
    workspace.write(
        "weir.yaml",
        "listeners: [{ address: 127.0.0.1:8080 }]\n\
         upstreams: { users: { targets: [127.0.0.1:9001] }, orders: { targets: [127.0.0.1:9002] } }\n\
         routes:\n  - name: profile\n    match: { path: \"/profiles/{id}\" }\n    aggregate:\n      parts:\n\
        \x20       user: { upstream: users, path: \"/users/{path.id}\", required: true }\n\
        \x20       orders: { upstream: orders, path: \"/orders?user={path.id}&by={upstream.name}\" }\n",
    );
    let ran = workspace.run(&["match", "GET", "/profiles/7?x=1"]);
    for line in [
        "part        user: GET /users/7 from users, required\n",
        "part        orders: GET /orders?user=7&by=orders from orders\n",
    ] {
        assert!(ran.stdout.contains(line), "{}", ran.transcript());
    }
    let json = workspace
        .run(&["match", "GET", "/profiles/7", "--json"])
        .json();
    let parts = &json["plan"]["towards"]["aggregate"]["parts"];
    assert_eq!(
        (&parts[0]["path"], &parts[0]["required"]),
        (&"/users/7".into(), &true.into())
    );
}

#[test]
fn what_weir_answers_by_itself_is_not_shown_as_sent() {
    let workspace = Workspace::new();
    workspace.write(
        "weir.yaml",
        "listeners: [{ address: 127.0.0.1:8080 }]\n\
         upstreams: { up: { targets: [127.0.0.1:9001] } }\n\
         policies:\n  small: { compress: {} }\n  pages: { cors: { origins: [https://a.example] } }\n\
         routes:\n  - { name: items, match: { path: /items, methods: [GET] }, policies: [small, pages], upstream: up }\n\
        \x20 - { name: all, match: { path: /all }, aggregate: { parts: { a: { upstream: up, path: / } } } }\n",
    );
    let preflight = |origin: &str| {
        let method = "access-control-request-method: GET";
        workspace.run(&["match", "OPTIONS", "/items", "-H", origin, "-H", method])
    };
    let allowed = preflight("origin: https://a.example");
    assert_eq!(allowed.code, Some(0), "{}", allowed.transcript());
    let order = "policy      1. pages (cors)\npolicy      2. small (compress)\n";
    let answer = "answers     the preflight with 204, by policy pages\n";
    assert!(allowed.stdout.contains(order) && allowed.stdout.ends_with(answer));
    for (ran, refusal) in [
        (
            preflight("origin: https://b.example"),
            "403: preflight_refused (origin)\n",
        ),
        (
            workspace.run(&["match", "POST", "/all"]),
            "405: method_not_allowed\n",
        ),
    ] {
        assert_eq!(ran.code, Some(1), "{}", ran.transcript());
        let refusal = format!("refuses     {refusal}");
        assert!(ran.stdout.ends_with(&refusal), "{}", ran.transcript());
    }
}

#[test]
fn a_path_that_the_gateway_refuses_is_refused() {
    let ran = Workspace::good().run(&["match", "GET", "http://api.example.com/items/..%2fadmin"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout
            .starts_with("refused with 400 bad_path (path_encoded_slash)"),
        "{}",
        ran.stdout
    );
}

#[test]
fn methods_are_taken_as_they_stand() {
    let ran = Workspace::good().run(&["match", "post", "/orders/42"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("405"), "{}", ran.transcript());
}

#[test]
fn queries_are_read_as_the_gateway_does() {
    let workspace = Workspace::good();
    let ran = workspace.run(&["match", "POST", "/orders/42?q=é"]);
    let sends = "sends       POST /v2/orders/42?q=%C3%A9\n";
    assert!(ran.stdout.contains(sends), "{}", ran.transcript());
    let ran = workspace.run(&["match", "POST", "/orders/42?q= "]);
    assert_eq!(ran.code, Some(1), "{}", ran.transcript());
    assert!(ran.stdout.contains("bad_path (path_control_character)"));
}

#[test]
fn a_rewrite_that_fails_is_a_refusal() {
    let workspace = Workspace::new();
    let rewrite = "rewrite: { path: '/v2/{request.header.x-part}' }";
    workspace.write(
        "weir.yaml",
        &super::GOOD.replace("rewrite: { path: '/v2/orders/{path.id}' }", rewrite),
    );
    let arguments = ["match", "POST", "/orders/42", "-H", "x-part: .."];
    let ran = workspace.run(&arguments);
    assert_eq!(ran.code, Some(1), "{}", ran.transcript());
    let refuses = "refuses     400: bad_path (rewrite_path)\n";
    assert!(ran.stdout.contains(refuses), "{}", ran.transcript());
    let ran = workspace.run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(ran.code, Some(1));
    let refusal = &ran.json()["plan"]["towards"]["refusal"];
    assert_eq!(refusal["reason"], "bad_path");
    assert_eq!(refusal["cause"], "rewrite_path");
}

#[test]
fn an_empty_value_is_shown_as_not_sent() {
    let workspace = Workspace::new();
    workspace.write(
        "weir.yaml",
        &super::GOOD.replace("x-order: '{path.id}'", "x-order: '{request.query}'"),
    );
    let ran = workspace.run(&["match", "POST", "/orders/42"]);
    let line = "to upstream add x-order: not sent (route order)\n";
    assert!(ran.stdout.contains(line), "{}", ran.transcript());
}

#[test]
fn a_redirect_passes_the_rules_for_answers() {
    let workspace = Workspace::new();
    let ruled = "match: { path: /shop/* }\n    policies: [identify]";
    workspace.write(
        "weir.yaml",
        &super::GOOD.replace("match: { path: /shop/* }", ruled),
    );
    let ran = workspace.run(&["match", "GET", "/shop/cups"]);
    let line = "to client   set x-served-by: weir (policy identify)\n";
    assert!(ran.stdout.contains(line), "{}", ran.transcript());
    assert!(!ran.stdout.contains("to upstream"), "{}", ran.transcript());
}

#[test]
fn what_is_no_request_is_a_mistake_of_usage() {
    let workspace = Workspace::good();
    for arguments in [
        ["match", "GET", "example.com/items"].as_slice(),
        &["match", "G T", "/items"],
        &["match", "GET", "/items", "-H", "no colon"],
        &["match", "GET"],
    ] {
        assert_eq!(workspace.run(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let workspace = Workspace::new();
    let headers = "x-order: '{path.id}', x-account: 'env:ACCOUNT', authorization: 'env:BEARER'";
    workspace.write(
        "weir.yaml",
        &super::GOOD.replace("x-order: '{path.id}'", headers),
    );
    for format in ["--json", "--color=never"] {
        let output = workspace
            .command(&["match", "POST", "/orders/42", format])
            .env("ACCOUNT", "canary-4711")
            .env("BEARER", "Bearer canary-4712")
            .output()
            .unwrap();
        let ran = super::Ran::from(output);
        assert_eq!(ran.code, Some(0), "{}", ran.transcript());
        assert!(!ran.transcript().contains("canary"), "{}", ran.transcript());
        assert!(ran.stdout.contains("x-account"), "{}", ran.transcript());
        assert!(ran.stdout.contains("[redacted]"), "{}", ran.transcript());
    }
}

#[test]
fn what_keeps_a_client_at_its_target_is_shown() {
    let workspace = Workspace::new();
    let targets = "    targets: [127.0.0.1:9003]\n";
    let keys = "    balance: consistent_hash\n    hash: { header: x-user }\n    \
                sticky: { cookie: home }\n";
    let config = super::GOOD.replace(targets, &format!("{keys}{targets}"));
    workspace.write("weir.yaml", &config);
    let ran = workspace.run(&["match", "POST", "/orders/42"]);
    let line = "upstream    orders: consistent hash of the header x-user over 127.0.0.1:9003\n";
    assert!(ran.stdout.contains(line), "{}", ran.transcript());
    assert!(
        ran.stdout.contains("sticky      cookie home\n"),
        "{}",
        ran.transcript()
    );
    let ran = workspace.run(&["match", "POST", "/orders/42", "--json"]);
    let upstream = &ran.json()["plan"]["towards"]["upstream"];
    assert_eq!(upstream["hash"], "header x-user");
    assert_eq!(upstream["sticky"], "home");
}
