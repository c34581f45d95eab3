//! `weir requests`: what happened to each of the latest requests.

use serde_json::Value;

use crate::harness::{
    Process, Receiver, Upstream, Weir, Wire, answer, forward, free_port, wait_until,
};

/// A server that answers with the status that the path ends in.
fn statuses() -> Upstream {
    Upstream::answering(|request| {
        let path = request.target().split('?').next().unwrap();
        let status = path.rsplit('/').next().unwrap().parse();
        answer(status.unwrap_or(200), &[], "ok")
    })
}

fn kept(weir: &Weir, query: &str) -> Vec<Value> {
    let body = weir.ask("GET", &format!("/v1/requests{query}")).json();
    body["requests"].as_array().unwrap().clone()
}

/// Waits until so many are kept: the log's thread looks for them every few milliseconds.
fn wait_kept(weir: &Weir, query: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    wait_until("the requests are kept", || {
        found = kept(weir, query);
        found.len() >= count
    });
    assert_eq!(found.len(), count, "{found:#?}");
    found
}

fn follow(weir: &Weir, name: &str, arguments: &[&str]) -> Process {
    let before = onlookers(weir);
    let mut command = weir.command("requests", &["--follow"]);
    let process = Process::start(command.args(arguments), weir.directory(), name);
    wait_until("somebody looks on", || onlookers(weir) > before);
    process
}

fn onlookers(weir: &Weir) -> f64 {
    weir.metric("weir_request_onlookers", &[])
}

#[test]
fn requests_are_shown_while_the_logs_output_takes_nothing() {
    let upstream = statuses();
    let setup = tempfile::tempdir().unwrap();
    let pipe = setup.path().join("log");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let path = pipe.clone();
    // Opened, so that Weir can open it, and never read.
    let reader = std::thread::spawn(move || std::fs::File::open(path).unwrap());
    let config =
        forward(upstream.address) + &format!("log: {{ output: 'file:{}' }}\n", pipe.display());
    let mut weir = Weir::start(&config);
    let reader = reader.join().unwrap();
    // A pipe holds 64 KiB, which are some 150 lines.
    let mut wire = Wire::connect(weir.http());
    for _ in 0..1_000 {
        wire.send("GET /items/200 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.response("GET").status(), 200);
    }
    weir.get("/items/503");
    wait_kept(&weir, "?status=503", 1);
    weir.signal(rustix::process::Signal::TERM);
    drop(wire);
    assert_eq!(weir.wait_exit().code(), Some(0));
    drop(reader);
}

#[test]
fn each_request_is_shown_as_its_log_line_has_it() {
    let upstream = statuses();
    let config = forward(upstream.address) + "log: { query: true }\n";
    let weir = Weir::start(&config);
    weir.get("/items/503?token=canary&page=2");
    let request = wait_kept(&weir, "", 1).remove(0);
    let log = weir.log();
    let line = log
        .lines()
        .find(|line| line.contains("http.server.request"));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(request, line);
    assert_eq!(request["url.query"], "token=REDACTED&page=2");

    let id = request["weir.request_id"].as_str().unwrap();
    let shown = weir.run("requests", &[&id[..8]]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for part in [
        "GET http://weir.test/items/503?token=REDACTED&page=2",
        "503 Service Unavailable after",
        &format!("route all → upstream up → {}", upstream.address),
        id,
    ] {
        assert!(shown.stdout.contains(part), "{part}\n{}", shown.stdout);
    }
    let listed = weir.run("requests", &[]);
    assert!(
        listed.stdout.contains(&format!(" {} 503 GET", &id[..8])),
        "{}",
        listed.stdout
    );
    assert!(!(listed.stdout + &shown.stdout).contains("canary"));
}

/// The page's span has placeholders for what differs from run to run.
#[test]
fn the_page_shows_the_span_that_a_receiver_gets() {
    const PAGE: &str = include_str!("../../../../docs/requests.md");
    let (_, block) = PAGE.split_once("```json span\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let told: Value = serde_json::from_str(block).unwrap();

    let receiver = Receiver::start("grpc");
    let dead = format!("127.0.0.1:{}", free_port());
    let config = format!(
        "upstreams:\n  catalog: {{ targets: [\"{dead}\"], retry: {{ attempts: 0 }} }}\n\
         routes:\n  - {{ name: items, match: {{ path: /items/* }}, upstream: catalog }}\n\
         tracing: true\notlp: {{ endpoint: \"http://{}\" }}\n",
        receiver.address
    );
    let weir = Weir::start(&config);
    let mut wire = Wire::connect(weir.http());
    let answer =
        wire.response_to("GET /items/7 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let id = answer.json()["request_id"].clone();
    const SERVER: u64 = 2;
    let mut span = receiver
        .wait_for("span", 1, |span| span["kind"] == SERVER)
        .remove(0);
    assert_eq!(span["trace_id"], id);
    assert_eq!(span["attributes"]["weir.request_id"], id);
    for key in ["weir.request_id", "network.peer.port"] {
        span["attributes"][key] = told["attributes"][key].clone();
    }
    assert_eq!(span["name"], told["name"]);
    assert_eq!(span["attributes"], told["attributes"]);
    // And the request that is kept says the same of itself.
    let request = wait_kept(&weir, "", 1).remove(0);
    for (key, value) in told["attributes"].as_object().unwrap() {
        let is_the_spans = key == "error.type" || key.starts_with("network.p");
        if !is_the_spans && key != "weir.request_id" {
            assert_eq!(request[key], *value, "{key}");
        }
    }
    assert_eq!(request["trace_id"], id);
}

#[test]
fn what_failed_is_kept_even_if_nothing_is_logged() {
    let upstream = statuses();
    let config = forward(upstream.address)
        + "log: { access: false }\n\
           admin: { address: $ADMIN, requests: { recent: 0, noted: 2 } }\n";
    let weir = Weir::start(&config);
    for path in ["/200", "/500", "/404", "/501", "/200"] {
        weir.get(path);
    }
    // A request is over a moment after its answer: the last one must not overtake.
    wait_until("the others are kept", || {
        kept(&weir, "?status=501").len() == 1
    });
    weir.get("/502");
    wait_until("the last two that failed are kept", || {
        let found = kept(&weir, "");
        let statuses = found
            .iter()
            .map(|request| &request["http.response.status_code"]);
        statuses.eq([502, 501])
    });
    assert!(!weir.log().contains("http.server.request"));
}

#[test]
fn the_setting_that_decided_is_named() {
    let config = "upstreams:\n  slow:\n    targets: [\"$SILENT\"]\n    timeouts: { first_byte: 50ms }\n\
                  \n  none: { targets: [\"127.0.0.1:1\"], retry: { attempts: 1 } }\n\
                  routes:\n  - { name: slow, match: { path: /slow }, upstream: slow }\n  \
                  - { name: none, match: { path: /none }, upstream: none }\n  \
                  - { name: old, match: { path: /old }, redirect: { to: /new } }\n\
                  limits: { body_bytes: 10 }\n";
    let silent = Upstream::new(|mut wire| {
        wire.rest();
    });
    let weir = Weir::start(&config.replace("$SILENT", &silent.address.to_string()));
    for path in ["/slow", "/none", "/old", "/nowhere"] {
        weir.get(path);
    }
    Wire::connect(weir.http()).send(
        "POST /slow HTTP/1.1\r\nHost: weir.test\r\nContent-Length: 11\r\nConnection: close\r\n\r\n",
    );
    let found = wait_kept(&weir, "", 5);
    let decided = |reason: &str| {
        let request = found
            .iter()
            .find(|request| request["weir.reason"] == reason);
        let request = request.unwrap_or_else(|| panic!("no {reason} in {found:#?}"));
        request["weir.decided_by"].clone()
    };
    assert_eq!(
        decided("upstream_timeout"),
        "upstreams.slow.timeouts.first_byte"
    );
    assert_eq!(decided("upstream_connect_failed"), Value::Null);
    assert_eq!(decided("redirect"), "routes.old.redirect");
    assert_eq!(decided("no_route"), "routes");
    assert_eq!(decided("body_too_large"), "limits.body_bytes");
    let counted = |words: &[&str]| weir.metric("weir_answers_total", words);
    assert_eq!(
        counted(&[
            "upstream_timeout",
            "decided_by=\"upstreams.*.timeouts.first_byte\""
        ]),
        1.0
    );
    assert_eq!(
        counted(&["redirect", "decided_by=\"routes.*.redirect\""]),
        1.0
    );
}

#[test]
fn filters_hold_together_and_mistakes_are_explained() {
    let upstream = statuses();
    let weir = Weir::start(&forward(upstream.address));
    for path in ["/a/200", "/a/500", "/b/500"] {
        weir.get(path);
    }
    wait_kept(&weir, "", 3);
    assert_eq!(kept(&weir, "?status=5xx").len(), 2);
    assert_eq!(kept(&weir, "?status=5xx&path=/a/").len(), 1);
    assert_eq!(kept(&weir, "?status=200&status=500").len(), 3);
    assert_eq!(kept(&weir, "?route=other").len(), 0);
    assert_eq!(kept(&weir, "?limit=1").len(), 1);
    for (arguments, said) in [
        (&["--status", "5x"][..], "a class such as `5xx`"),
        (&["--reason", "no_rout"], "did you mean `no_route`?"),
        (&["--slower", "soon"], "soon"),
        (&["12345"], "the first 8 or more"),
        (&["0123456789abcdef"], "Only the latest are"),
    ] {
        let ran = weir.run("requests", arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}");
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    let none = weir.run("requests", &["--status", "301"]);
    assert_eq!((none.code, &*none.stdout), (Some(0), ""));
    assert!(none.stderr.contains("no such request"), "{}", none.stderr);
}

#[test]
fn whoever_follows_sees_requests_that_are_not_logged() {
    let upstream = statuses();
    let config = forward(upstream.address) + "log: { access: false }\n";
    let weir = Weir::start(&config);
    weir.get("/before/200");
    let all = follow(&weir, "all", &["--json"]);
    let failed = follow(&weir, "failed", &["--status", "5xx"]);
    for path in ["/first/200", "/second/500", "/third/200"] {
        weir.get(path);
    }
    wait_until("they are shown", || all.stdout().lines().count() >= 3);
    let shown = all.stdout();
    let mut paths: Vec<String> = shown
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["url.path"].to_string())
        .collect();
    // Workers tell of theirs each at its own time.
    paths.sort();
    assert_eq!(
        paths,
        ["\"/first/200\"", "\"/second/500\"", "\"/third/200\""]
    );
    wait_until("it is shown", || failed.stdout().contains("/second/500"));
    assert_eq!(failed.stdout().lines().count(), 1);
    drop((all, failed));
    // Whoever leaves is noticed with the next request at the latest, and costs nothing from then on.
    wait_until("nobody looks on", || {
        weir.get("/after/200");
        onlookers(&weir) == 0.0
    });
}

#[test]
fn a_reload_changes_how_many_are_kept_and_a_follower_stays() {
    let upstream = statuses();
    let weir = Weir::start(&forward(upstream.address));
    let follower = follow(&weir, "follower", &[]);
    for _ in 0..3 {
        weir.get("/items/500");
    }
    wait_kept(&weir, "", 3);
    let smaller =
        forward(upstream.address) + "admin: { address: $ADMIN, requests: { noted: 1 } }\n";
    let reloaded = weir.reload(&smaller);
    assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
    assert_eq!(kept(&weir, "").len(), 1);
    weir.get("/later/500");
    wait_until("it is shown", || follower.stdout().contains("/later/500"));
}

#[test]
fn what_a_client_sends_cannot_write_to_the_terminal() {
    let upstream = statuses();
    let config = forward(upstream.address) + "log: { query: true }\n";
    let weir = Weir::start(&config);
    let mut wire = Wire::connect(weir.http());
    wire.send(
        b"GET /a?\xc2\x9b31m\xe2\x80\xae HTTP/1.1\r\nHost: weir.test\r\nUser-Agent: \xc2\x9b2J\xff\x9b\r\n\
          Connection: close\r\n\r\n",
    );
    wire.response("GET");
    let request = wait_kept(&weir, "", 1).remove(0);
    let id = request["weir.request_id"].as_str().unwrap();
    for arguments in [&[][..], &[id]] {
        let shown = weir.run("requests", arguments).stdout;
        let is_safe = |character: char| {
            character == '\n' || !(character.is_control() || character == '\u{202e}')
        };
        assert!(shown.chars().all(is_safe), "{shown:?}");
    }
}

#[test]
fn as_many_look_on_as_may() {
    let upstream = statuses();
    let weir = Weir::start(&forward(upstream.address));
    let admin = weir.setup().admin;
    let operator = weir.setup().operator();
    let ask = || {
        let mut wire = Wire::connect(admin);
        wire.send(format!(
            "GET /v1/requests?follow HTTP/1.1\r\nHost: {admin}\r\n{operator}\r\n"
        ));
        wire
    };
    let held: Vec<Wire> = (0..32).map(|_| ask()).collect();
    wait_until("all look on", || onlookers(&weir) == 32.0);
    let refused = ask().response("GET");
    assert_eq!(refused.status(), 503, "{}", refused.text());
    assert_eq!(refused.json()["reason"], "too_many_onlookers");
    drop(held);
}

#[test]
fn what_was_changed_stands_in_log_metric_and_request() {
    let upstream =
        Upstream::answering(|_| answer(200, &[("content-type", "application/json")], [b'x'; 4096]));
    let config = format!(
        "policies:\n  small: {{ compress: {{}} }}\n  tag: {{ headers: {{ response: {{ set: {{ x-a: b }} }} }} }}\n\
         upstreams:\n  up: {{ targets: [\"{}\"] }}\n\
         routes:\n  - {{ name: plain, match: {{ path: /plain }}, upstream: up }}\n  \
         - {{ name: all, match: {{ path: /* }}, upstream: up, policies: [small, tag], rewrite: {{ path: /other }} }}\n",
        upstream.address
    );
    let weir = Weir::start(&config);
    weir.get("/plain");
    weir.get("/a");
    let mut wire = Wire::connect(weir.http());
    wire.send(
        "GET /b HTTP/1.1\r\nHost: weir.test\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
    );
    wire.response("GET");
    let found = wait_kept(&weir, "", 3);
    let altered = |path: &str| {
        let request = found.iter().find(|request| request["url.path"] == path);
        request.unwrap()["weir.altered"].clone()
    };
    assert_eq!(altered("/plain"), Value::Null);
    assert_eq!(altered("/a"), serde_json::json!(["rewrite", "headers"]));
    assert_eq!(
        altered("/b"),
        serde_json::json!(["rewrite", "headers", "compress"])
    );
    let counted = |by: &str| weir.metric("weir_altered_total", &[&format!("\"{by}\"")]);
    assert_eq!(
        ["rewrite", "headers", "compress", "cors"].map(counted),
        [2.0, 2.0, 1.0, 0.0]
    );
    let id = found
        .iter()
        .find(|request| request["url.path"] == "/b")
        .unwrap();
    let shown = weir.run("requests", &[id["weir.request_id"].as_str().unwrap()]);
    assert!(
        shown
            .stdout
            .contains("changed by rewrite, headers, compress"),
        "{}",
        shown.stdout
    );
}
