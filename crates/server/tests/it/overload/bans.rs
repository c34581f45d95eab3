//! Addresses that cause errors.

use crate::harness::{H2Client, Upstream, Weir, Wire, answer, block_on, wait_until};

use super::{ask, ask_with, assert_closed, connect_for, refused};

/// Answers with the status that the path ends with.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let status = request.target().rsplit('/').next().unwrap();
        answer(status.parse().unwrap_or(200), &[], "")
    })
}

fn config(upstream: &Upstream, bans: &str) -> String {
    format!(
        "listeners: [{{ address: $HTTP }}, {{ address: $HTTPS, proxy_protocol: true }}]\n\
         overload: {{ bans: {bans} }}\n\
         upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
         routes: [{{ name: all, match: {{ path: /status/* }}, upstream: up }}]\n",
        upstream.address
    )
}

#[test]
fn an_address_that_causes_errors_is_not_served_until_its_ban_is_lifted() {
    let upstream = upstream();
    let weir = Weir::start(&config(
        &upstream,
        "{ errors: 5, within: 60s, ban_for: 90s }",
    ));
    let mut bad = connect_for(weir.https(), "192.0.2.9");
    let mut kept = connect_for(weir.https(), "192.0.2.9");
    assert_eq!(ask(&mut kept, "/status/200").unwrap().status(), 200);
    // Other statuses do not count, whoever answers with them.
    for path in ["/status/500", "/status/400", "/status/200"] {
        assert!(ask(&mut bad, path).is_some(), "{path}");
    }
    for path in [
        "/status/401",
        "/status/403",
        "/status/404",
        "/status/429",
        "/none",
    ] {
        assert!(ask(&mut bad, path).is_some(), "{path}");
    }
    // Both connections get one more answer, and that is their last.
    for mut wire in [bad, kept] {
        let answer = ask(&mut wire, "/status/200").unwrap();
        answer.assert_problem(429, "banned");
        assert_eq!(answer.get("connection"), Some("close"));
        let seconds: u64 = answer.get("retry-after").unwrap().parse().unwrap();
        assert!((60..=90).contains(&seconds), "{seconds}");
        assert_closed(wire);
    }
    assert_closed(connect_for(weir.https(), "192.0.2.9"));
    let mut other = connect_for(weir.https(), "192.0.2.8");
    assert_eq!(ask(&mut other, "/status/200").unwrap().status(), 200);

    let list = weir.ask("GET", "/v1/bans").json();
    assert_eq!(list["bans"][0]["address"], "192.0.2.9");
    let left = list["bans"][0]["seconds_left"].as_f64().unwrap();
    assert!((60.0..=90.0).contains(&left), "{left}");
    assert_eq!(list["bans"].as_array().unwrap().len(), 1);
    wait_until("the refusal is counted", || refused(&weir, "banned") == 1.0);
    assert_eq!(weir.metric("weir_answers_total", &["banned"]), 2.0);
    assert_eq!(weir.metric("weir_bans_total", &[]), 1.0);
    assert_eq!(weir.metric("weir_bans_active", &[]), 1.0);

    let shown = weir.run("bans", &[]);
    assert!(shown.stdout.contains("192.0.2.9  1m "), "{}", shown.stdout);
    let unknown = weir.run("bans", &["--lift", "192.0.2.8"]);
    assert_eq!(
        (unknown.code, &*unknown.stderr),
        (Some(1), "192.0.2.8 is not banned\n")
    );
    let lift = |address: &str| weir.ask("DELETE", &format!("/v1/bans/{address}"));
    for (address, status, reason) in [
        ("192.0.2.8", 404, Some("not_banned")),
        ("everybody", 400, Some("bad_address")),
        ("192.0.2.9", 200, None),
        ("192.0.2.9", 404, Some("not_banned")),
    ] {
        let answer = lift(address);
        assert_eq!(answer.status(), status, "{address}: {answer:?}");
        assert_eq!(answer.json()["reason"].as_str(), reason, "{address}");
    }
    let mut back = connect_for(weir.https(), "192.0.2.9");
    assert_eq!(ask(&mut back, "/status/200").unwrap().status(), 200);
    wait_until("it is in the log", || {
        let log = weir.log();
        [
            "address banned",
            "ban lifted",
            r#""event.name":"weir.connection.refused""#,
        ]
        .iter()
        .all(|text| log.contains(text))
    });
}

#[test]
fn a_ban_is_lifted_at_the_command_line() {
    let upstream = upstream();
    let weir = Weir::start(&config(
        &upstream,
        "{ errors: 1, within: 10s, ban_for: 5m }",
    ));
    assert_eq!(weir.run("bans", &[]).stdout, "nobody is banned\n");
    let mut bad = connect_for(weir.https(), "2001:db8::9");
    assert_eq!(ask(&mut bad, "/status/404").unwrap().status(), 404);
    assert_closed(connect_for(weir.https(), "2001:db8::9"));
    let shown: serde_json::Value =
        serde_json::from_str(&weir.run("bans", &["--json"]).stdout).unwrap();
    assert_eq!(shown["bans"][0]["address"], "2001:db8::/64");
    let lifted = weir.run("bans", &["--lift", "2001:db8::1"]);
    assert_eq!(
        (lifted.code, &*lifted.stdout),
        (Some(0), "2001:db8::1 is served again\n")
    );
    let mut back = connect_for(weir.https(), "2001:db8::9");
    assert_eq!(ask(&mut back, "/status/200").unwrap().status(), 200);
}

#[test]
fn a_ban_ends_by_itself() {
    let upstream = upstream();
    let weir = Weir::start(&config(&upstream, "{ errors: 1, within: 1s, ban_for: 1s }"));
    let mut bad = connect_for(weir.https(), "2001:db8::9");
    assert_eq!(ask(&mut bad, "/status/404").unwrap().status(), 404);
    let begun = std::time::Instant::now();
    // The whole network is meant.
    assert_closed(connect_for(weir.https(), "2001:db8::1"));
    wait_until("it is served again", || {
        let mut back = connect_for(weir.https(), "2001:db8::9");
        ask(&mut back, "/status/200").is_some_and(|answer| answer.status() == 200)
    });
    assert!(begun.elapsed().as_millis() >= 900, "{:?}", begun.elapsed());
    wait_until("its end is in the log", || weir.log().contains("ban ended"));
    assert_eq!(weir.metric("weir_bans_active", &[]), 0.0);
    let list = weir.ask("GET", "/v1/bans").json();
    assert_eq!(list, serde_json::json!({ "bans": [] }));
}

#[test]
fn behind_a_trusted_proxy_the_client_is_banned_and_the_connection_stays() {
    let upstream = upstream();
    let text = config(&upstream, "{ errors: 3, within: 60s, ban_for: 60s }");
    let weir = Weir::start(&format!("trusted_proxies: [127.0.0.1]\n{text}"));
    let mut proxy = Wire::connect(weir.http());
    let mut ask_for = |client: &str, path: &str| {
        let field = format!("X-Forwarded-For: {client}\r\n");
        ask_with(&mut proxy, path, &field).unwrap()
    };
    for _ in 0..3 {
        assert_eq!(ask_for("198.51.100.1", "/status/404").status(), 404);
    }
    let refused = ask_for("198.51.100.1", "/status/200");
    refused.assert_problem(429, "banned");
    assert_eq!(refused.get("connection"), None);
    assert_eq!(ask_for("198.51.100.2", "/status/200").status(), 200);
    // Errors for which the proxy names nobody are not held against it.
    for _ in 0..10 {
        assert_eq!(ask(&mut proxy, "/status/404").unwrap().status(), 404);
    }
    assert_eq!(ask(&mut proxy, "/status/200").unwrap().status(), 200);
    assert_eq!(weir.metric("weir_bans_active", &[]), 1.0);
}

#[test]
fn requests_that_cannot_be_read_count_over_both_protocols() {
    let upstream = upstream();
    let bans = "{ errors: 4, within: 60s, ban_for: 60s, statuses: [418] }";
    let weir = Weir::start(&config(&upstream, bans));
    for _ in 0..3 {
        let mut wire = Wire::connect(weir.http());
        wire.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(wire.response("GET").status(), 400);
    }
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        // A path with an encoded slash has two readings.
        let uri = "http://weir.test/a%2Fb";
        assert_eq!(client.get(uri).await.unwrap().status, 400);
        let answer = client.get("http://weir.test/status/200").await.unwrap();
        assert_eq!(answer.status, 429);
        assert!(answer.text().contains("banned"));
        // And that was its last.
        assert!(client.get("http://weir.test/status/200").await.is_err());
    });
    let wire = Wire::connect(weir.http());
    assert_closed(wire);
    // Turning bans off ends them.
    assert_eq!(weir.reload(&config(&upstream, "false")).status(), 200);
    assert_eq!(weir.get("/status/200").status(), 200);
}
