//! Requests, changed for the upstream.

use std::io::Write;
use std::process::{Command, Stdio};

use super::{JSON, ask, logged, with};
use crate::harness::{Upstream, Weir, Wire, curl_fed};

const POLICY: &str = "{ request: { jq: \"{user: .name, by: $request.headers.from}\" } }";

#[test]
fn a_request_is_changed_and_its_head_says_so() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&with(POLICY, upstream.address));
    let fields = [
        JSON,
        ("From", "ada@a.example"),
        ("Digest", "x=y"),
        ("Accept-Encoding", "br"),
    ];
    let answer = ask(
        &weir,
        "POST",
        "/u/1",
        &fields,
        br#"{"name":"Ada","role":"admin"}"#,
    );
    let text = answer.text();
    let body = r#"{"user":"Ada","by":"ada@a.example"}"#;
    assert!(text.ends_with(&format!("\n\n{body}")), "{text}");
    assert!(
        text.contains(&format!("content-length: {}\n", body.len())),
        "{text}"
    );
    assert!(
        !text.contains("digest") && text.contains("accept-encoding: br\n"),
        "{text}"
    );
    assert_eq!(
        logged(&weir)["weir.altered"],
        serde_json::json!(["transform.request"])
    );
    // Of unknown length, and waited for.
    let mut wire = Wire::connect(weir.http());
    wire.send(
        "POST /u/1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    let interim = wire.head().unwrap();
    assert_eq!(interim.status(), 100);
    wire.send("2\r\n{}\r\n0\r\nX-Sum: 1\r\n\r\n");
    let text = wire.response("POST").text();
    assert!(text.ends_with("\n\n{\"user\":null,\"by\":null}"), "{text}");
    assert!(
        !text.contains("expect") && !text.contains("transfer-encoding"),
        "{text}"
    );
    // And with curl, over both versions.
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let arguments = [
            version,
            "-H",
            "content-type: application/json",
            "--data-binary",
            "@-",
            &weir.url("/u/1"),
        ];
        let answer = curl_fed(&arguments, br#"{"name":"Bo"}"#).answer();
        assert!(answer.text().ends_with(r#"{"user":"Bo","by":null}"#));
    }
}

#[test]
fn requests_without_json_pass_or_are_refused() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&with(POLICY, upstream.address));
    for (fields, body) in [
        (&[("Content-Type", "text/plain")][..], &b"name"[..]),
        (&[][..], b"{\"name\":1}"),
        (&[JSON][..], b""),
    ] {
        let answer = ask(&weir, "POST", "/u/1", fields, body);
        let text = answer.text();
        let expected = String::from_utf8_lossy(body);
        assert!(text.ends_with(&format!("\n\n{expected}")), "{text}");
    }
    let mut wire = Wire::connect(weir.http());
    wire.send(
        "POST /u/1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\n",
    );
    let text = wire.response("POST").text();
    assert!(
        text.contains("content-length: 0\n") && text.ends_with("\n\n"),
        "{text}"
    );
    let strict = POLICY.replace(" } }", ", other: reject } }");
    let weir = Weir::start(&with(&strict, upstream.address));
    let answer = ask(
        &weir,
        "POST",
        "/u/1",
        &[("Content-Type", "text/plain")],
        b"name",
    );
    answer.assert_problem(415, "unsupported_body");
    assert_eq!(ask(&weir, "GET", "/u/1", &[], b"").status(), 200);
    let labels = ["all", "\"request\"", "\"failed\""];
    assert_eq!(weir.metric("weir_transformed_bodies_total", &labels), 1.0);
}

#[test]
fn requests_that_cannot_be_changed_do_not_reach_the_upstream() {
    let upstream = Upstream::echo();
    let config = with(
        "{ request: { jq: \".name | ascii_downcase | {name: .}\" }, limits: { body: 4KiB } }",
        upstream.address,
    );
    let weir = Weir::start(&config);
    for (body, status, reason) in [
        (&br#"{"name":"#[..], 400, "request_transform_failed"),
        (br#"{"name":7}"#, 400, "request_transform_failed"),
        (br#"{"name":"a"} x"#, 400, "request_transform_failed"),
        (&[b' '; 5_000], 413, "body_too_large_to_change"),
    ] {
        ask(&weir, "POST", "/u/1", &[JSON], body).assert_problem(status, reason);
    }
    for (coding, status, reason) in [
        ("gzip, gzip", 400, "request_transform_failed"),
        ("gzip, gzip, gzip, gzip", 415, "unsupported_body"),
        ("aes128gcm", 415, "unsupported_body"),
        ("gzip", 400, "request_transform_failed"),
    ] {
        let fields = [JSON, ("Content-Encoding", coding)];
        ask(&weir, "POST", "/u/1", &fields, b"{}").assert_problem(status, reason);
    }
    assert_eq!(upstream.accepted(), 0);
    let decided = [
        "body_too_large_to_change",
        "decided_by=\"policies.*.transform\"",
    ];
    assert_eq!(weir.metric("weir_answers_total", &decided), 1.0);
    // What the program says stands in the log, for the operator.
    // It is told once a second at most.
    crate::harness::wait_until("the program's words", || {
        ask(&weir, "POST", "/u/1", &[JSON], br#"{"name":7}"#);
        weir.log().contains("cannot use a number as string")
    });
}

#[test]
fn what_clients_compress_is_changed_all_the_same() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&with(
        "{ request: { jq: \".name\" }, limits: { body: 1MiB } }",
        upstream.address,
    ));
    for (coding, program) in [
        (
            "gzip",
            "import sys,gzip;sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read()))",
        ),
        (
            "deflate",
            "import sys,zlib;sys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read()))",
        ),
        (
            "br",
            "import sys,brotlicffi;sys.stdout.buffer.write(brotlicffi.compress(sys.stdin.buffer.read()))",
        ),
        (
            "zstd",
            "import sys,zstandard;sys.stdout.buffer.write(zstandard.ZstdCompressor().compress(sys.stdin.buffer.read()))",
        ),
    ] {
        let compress = |body: &[u8]| {
            let mut child = Command::new(crate::harness::installed("venv/bin/python"))
                .args(["-c", program])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let body = body.to_vec();
            let feeding = std::thread::spawn(move || drop(stdin.write_all(&body)));
            let output = child.wait_with_output().unwrap();
            feeding.join().unwrap();
            assert!(output.status.success(), "{coding}");
            output.stdout
        };
        let fields = [JSON, ("Content-Encoding", coding)];
        let body = compress(br#"{"name":"Ada"}"#);
        let text = ask(&weir, "POST", "/u/1", &fields, &body).text();
        assert!(
            text.ends_with("\n\n\"Ada\"") && !text.contains("content-encoding"),
            "{coding} {text}"
        );
        let bomb = compress(&vec![b' '; 64 << 20]);
        ask(&weir, "POST", "/u/1", &fields, &bomb).assert_problem(413, "body_too_large_to_change");
    }
}

#[test]
fn header_rules_see_the_changed_body_and_copies_are_of_it() {
    let (upstream, shadow) = (
        Upstream::echo(),
        std::sync::Arc::new(std::sync::Mutex::new(String::new())),
    );
    let seen = std::sync::Arc::clone(&shadow);
    let mirror = Upstream::answering(move |request| {
        *seen.lock().unwrap() = request.text();
        crate::harness::answer(200, &[], "")
    });
    let weir = Weir::start(&format!(
        "upstreams: {{ up: {{ targets: [{}] }}, shadow: {{ targets: [{}] }} }}\n\
         policies: {{ shape: {{ transform: {POLICY} }} }}\n\
         routes: [{{ name: all, policies: [shape], upstream: up, mirror: {{ upstream: shadow }}, \
                     headers: {{ request: {{ set: {{ content-type: text/x }} }} }} }}]\n",
        upstream.address, mirror.address
    ));
    let text = ask(&weir, "POST", "/", &[JSON], br#"{"name":"Ada"}"#).text();
    assert!(
        text.contains("content-type: text/x\n") && text.ends_with("\"by\":null}"),
        "{text}"
    );
    crate::harness::wait_until("the copy", || {
        shadow.lock().unwrap().ends_with("\"by\":null}")
    });
}
