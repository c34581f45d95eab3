//! Answers, changed for the client.

use std::io::Write;

use super::{JSON, ask, logged, with};
use crate::harness::{Upstream, Weir, answer, curl};

const USER: &str = r#"{"id":7,"name":"Ada","password":"x","tags":["a"]}"#;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = body.to_vec();
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output.stdout
}

/// Answers by path.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        match request.target() {
        "/u/text" => answer(200, &[("Content-Type", "text/plain")], "plain"),
        "/u/untyped" => answer(200, &[], USER),
        "/u/tagged" => {
            let fields = [
                JSON,
                ("ETag", "\"v1\""),
                ("Accept-Ranges", "bytes"),
                ("Content-MD5", "eA=="),
                ("Digest", "x=y"),
            ];
            answer(200, &fields, USER)
        }
        "/u/same" => b"HTTP/1.1 304 Same\r\nETag: \"v1\"\r\nContent-Length: 49\r\n\r\n".to_vec(),
        "/u/none" => b"HTTP/1.1 204 None\r\nContent-Type: application/json\r\n\r\n".to_vec(),
        "/u/empty" => answer(200, &[JSON], ""),
        "/u/nothing" => b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        "/u/gzip" => answer(200, &[JSON, ("Content-Encoding", "gzip")], gzip(USER.as_bytes())),
        "/u/twice" => {
            let body = gzip(&gzip(USER.as_bytes()));
            answer(200, &[JSON, ("Content-Encoding", "gzip, gzip")], body)
        }
        "/u/stacked" => {
            let body = (0..4).fold(USER.as_bytes().to_vec(), |body, _| gzip(&body));
            let codings = ("Content-Encoding", "gzip, gzip, gzip, gzip");
            answer(200, &[JSON, codings], body)
        }
        "/u/bomb" => {
            let body = gzip(&vec![b' '; 100 << 20]);
            answer(200, &[JSON, ("Content-Encoding", "gzip")], body)
        }
        "/u/cut" => {
            let body = gzip(USER.as_bytes());
            answer(200, &[JSON, ("Content-Encoding", "gzip")], &body[..body.len() - 9])
        }
        "/u/part" => answer(206, &[JSON, ("Content-Range", "bytes 0-3/9")], "[1,2"),
        "/u/error" => answer(404, &[JSON], r#"{"password":"stays"}"#),
        "/u/broken" => answer(200, &[JSON], "{\"password\":"),
        "/u/large" => {
            let items = format!("[{}{USER}]", format!("{USER},").repeat(1_000));
            answer(200, &[JSON], items)
        }
        "/u/list" => answer(200, &[JSON], format!("[{USER}]")),
        "/u/chunked" => format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.x+json\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Sum\r\n\r\n\
             {:x}\r\n{USER}\r\n0\r\nX-Sum: 1\r\n\r\n",
            USER.len()
        )
        .into_bytes(),
        "/u/asked" => {
            let asked = |name| request.get(name).unwrap_or("-").to_owned();
            let body = format!(
                "{{\"encoding\":\"{}\",\"range\":\"{}\"}}",
                asked("accept-encoding"),
                asked("range")
            );
            answer(200, &[JSON], body)
        }
        "/u/hangs" => b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{".to_vec(),
        _ => answer(200, &[JSON], USER),
    }
    })
}

#[test]
fn an_answer_is_changed_and_its_head_says_so() {
    let upstream = upstream();
    let weir = Weir::start(&with(
        "{ response: { jq: \"del(.password)\" } }",
        upstream.address,
    ));
    let slim = r#"{"id":7,"name":"Ada","tags":["a"]}"#;
    for path in ["/u/1", "/u/gzip", "/u/twice", "/u/chunked", "/u/tagged"] {
        let answer = ask(&weir, "GET", path, &[], b"");
        assert_eq!((answer.status(), &*answer.text()), (200, slim), "{path}");
        assert_eq!(answer.get("content-length"), Some(&*slim.len().to_string()));
        assert_eq!(answer.get("content-encoding"), None);
        assert!(answer.trailers.is_empty());
    }
    let tagged = ask(&weir, "GET", "/u/tagged", &[], b"");
    assert_eq!(tagged.get("etag"), Some("W/\"v1\""));
    for gone in ["accept-ranges", "content-md5", "digest"] {
        assert_eq!(tagged.get(gone), None);
    }
    let same = ask(
        &weir,
        "GET",
        "/u/same",
        &[("If-None-Match", "W/\"v1\"")],
        b"",
    );
    assert_eq!((same.status(), same.get("etag")), (304, Some("W/\"v1\"")));
    assert_eq!(same.get("content-length"), None);
    let chunked = ask(&weir, "GET", "/u/chunked", &[], b"");
    assert_eq!(chunked.get("content-type"), Some("application/vnd.x+json"));
    assert_eq!(chunked.get("trailer"), None);
    let head = ask(&weir, "HEAD", "/u/tagged", &[], b"");
    assert_eq!((head.status(), head.get("content-length")), (200, None));
    assert_eq!(head.get("etag"), Some("W/\"v1\""));
    let asked = ask(
        &weir,
        "GET",
        "/u/asked",
        &[("Accept-Encoding", "br"), ("Range", "bytes=0-3")],
        b"",
    );
    assert_eq!(asked.text(), r#"{"encoding":"identity","range":"-"}"#);
    // And with curl, over both versions.
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let answer = curl(&[version, &weir.url("/u/1")]).answer();
        assert_eq!(answer.text(), slim);
    }
    let labels = ["all", "\"response\"", "\"changed\""];
    assert_eq!(weir.metric("weir_transformed_bodies_total", &labels), 10.0);
    assert_eq!(
        logged(&weir)["weir.altered"],
        serde_json::json!(["transform.response"])
    );
}

#[test]
fn what_is_not_to_be_changed_passes() {
    let upstream = upstream();
    let weir = Weir::start(&with(
        "{ response: { jq: \"del(.password)\" } }",
        upstream.address,
    ));
    for (path, status, body) in [
        ("/u/text", 200, "plain"),
        ("/u/untyped", 200, USER),
        ("/u/none", 204, ""),
        ("/u/empty", 200, ""),
        ("/u/nothing", 200, ""),
        ("/u/error", 404, r#"{"password":"stays"}"#),
        ("/plain", 200, USER),
    ] {
        let answer = ask(&weir, "GET", path, &[], b"");
        assert_eq!((answer.status(), &*answer.text()), (status, body), "{path}");
    }
    let labels = ["http_route=\"all\"", "\"response\"", "\"passed\""];
    assert_eq!(weir.metric("weir_transformed_bodies_total", &labels), 2.0);
    let all = "{ response: { jq: \"del(.password)\", other: reject, statuses: all } }";
    let weir = Weir::start(&with(all, upstream.address));
    assert_eq!(ask(&weir, "GET", "/u/error", &[], b"").text(), "{}");
    for path in ["/u/text", "/u/untyped"] {
        let answer = ask(&weir, "GET", path, &[], b"");
        answer.assert_problem(502, "response_transform_failed");
    }
    for (path, status) in [("/u/none", 204), ("/u/empty", 200)] {
        assert_eq!(ask(&weir, "GET", path, &[], b"").status(), status, "{path}");
    }
}

#[test]
fn what_cannot_be_changed_is_not_sent() {
    let upstream = upstream();
    let weir = Weir::start(&with(
        "{ response: { jq: \"del(.password)\" }, limits: { body: 64KiB } }",
        upstream.address,
    ));
    for (path, cause) in [
        ("/u/broken", "it is not JSON"),
        ("/u/part", "it is a part only"),
        ("/u/stacked", "its coding is not known here"),
        ("/u/bomb", "it is too large"),
        ("/u/cut", "its coding is broken"),
    ] {
        let answer = ask(&weir, "GET", path, &[], b"");
        answer.assert_problem(502, "response_transform_failed");
        assert!(!answer.text().contains("Ada"), "{path}");
        crate::harness::wait_until(cause, || weir.log().contains(cause));
    }
    // What went wrong is told, and nothing of what was in it.
    crate::harness::wait_until("the program's words", || {
        ask(&weir, "GET", "/u/list", &[], b"").assert_problem(502, "response_transform_failed");
        weir.log().contains("cannot index an array with a string")
    });
    let log = weir.log();
    let mut lines = log
        .lines()
        .filter(|line| line.contains("could not be changed"));
    assert!(
        lines.all(|line| line.contains("\"weir.request_id\":\"")),
        "{log}"
    );
    assert!(!weir.log().contains("Ada"), "{}", weir.log());
}

#[test]
fn what_a_client_says_to_speak_does_not_pass_the_policy_by() {
    let upstream = upstream();
    let slim = r#"{"id":7,"name":"Ada","tags":["a"]}"#;
    let config = with("{ response: { jq: \"del(.password)\" } }", upstream.address);
    let weir = Weir::start(&config.replace("upstream: up }", "upstream: up, websocket: true }"));
    // Servers of JSON answer such requests as any other.
    let call = [("Content-Type", "application/grpc")];
    assert_eq!(ask(&weir, "POST", "/u/1", &call, b"x").text(), slim);
    let handshake = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Range", "bytes=0-3"),
    ];
    assert_eq!(ask(&weir, "GET", "/u/1", &handshake, b"").text(), slim);
    let asked = ask(&weir, "GET", "/u/asked", &handshake, b"");
    assert_eq!(asked.text(), r#"{"encoding":"identity","range":"-"}"#);
    let strict = "{ request: { jq: ., other: reject }, response: { jq: ., other: reject } }";
    let weir = Weir::start(&with(strict, upstream.address));
    let refused = ask(&weir, "POST", "/u/1", &call, b"x");
    assert_eq!(refused.get("grpc-status"), Some("3"), "{refused:?}");
}

#[test]
fn larger_bodies_are_changed_on_another_thread() {
    let upstream = upstream();
    let weir = Weir::start(&with(
        "{ response: { jq: \"map(del(.password)) | length\" } }",
        upstream.address,
    ));
    assert_eq!(ask(&weir, "GET", "/u/large", &[], b"").text(), "1001");
    let handed = weir.metric("weir_transform_handed_over_total", &["all"]);
    assert_eq!(handed, 1.0);
}

#[test]
fn programs_know_the_request_and_the_response() {
    let upstream = upstream();
    let program = "{m: $request.method, p: $request.path, k: $request.captures.kind, t: $request.captures[\\\"*\\\"], \
        q: $request.query.x, h: $request.headers[\\\"x-a\\\"], host: $request.host, s: $response.status, \
        ct: $response.headers[\\\"content-type\\\"], client: $request.client, id: ($request.id | length), name}";
    let weir = Weir::start(&with(
        &format!("{{ response: {{ jq: \"{program}\" }} }}"),
        upstream.address,
    ));
    let answer = ask(
        &weir,
        "GET",
        "/u/1?x=a%20%22b&y",
        &[("X-A", "1"), ("X-A", "\"2\"")],
        b"",
    );
    assert_eq!(
        answer.json(),
        serde_json::json!({
            "m": "GET", "p": "/u/1", "k": "u", "t": "1", "q": "a \"b", "h": "1, \"2\"", "host": "a.example",
            "s": 200, "ct": "application/json", "client": "127.0.0.1", "id": 32, "name": "Ada"
        })
    );
}

#[test]
fn templates_make_pages() {
    let upstream = upstream();
    let weir = Weir::start(&with(
        "{ response: { template: \"<p>{{ body.name }} & {{ body.tags | join(', ') }}</p>\", type: text/html; charset=utf-8 } }",
        upstream.address,
    ));
    let page = ask(&weir, "GET", "/u/1", &[], b"");
    assert_eq!(page.text(), "<p>Ada & a</p>");
    assert_eq!(page.get("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn an_answer_that_stops_is_not_waited_for_longer_than_any() {
    let upstream = upstream();
    let config = with("{ response: { jq: . } }", upstream.address)
        .replace("targets:", "timeouts: { idle: 300ms }, targets:");
    let weir = Weir::start(&config);
    let answer = ask(&weir, "GET", "/u/hangs", &[], b"");
    answer.assert_problem(504, "upstream_stalled");
}
