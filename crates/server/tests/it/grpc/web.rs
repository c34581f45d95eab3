//! gRPC-Web: over HTTP/1.1 and HTTP/2, binary and as text, in front of a server that speaks gRPC only.

use super::{VERSIONS, Version, framed, records, server, to, web};
use crate::harness::{Message, Upstream, Weir, wait_until};

const WEB: &str = "grpc: { web: true }";
const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";

/// Messages, and the fields of the last frame.
fn frames(mut body: &[u8]) -> (Vec<Vec<u8>>, String) {
    let mut messages = Vec::new();
    loop {
        let (head, rest) = body.split_first_chunk::<5>().expect("a frame");
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (message, rest) = rest.split_at(length);
        if head[0] == 0x80 {
            assert_eq!(rest, b"", "the trailers are the last frame");
            return (messages, String::from_utf8(message.to_vec()).unwrap());
        }
        assert_eq!(head[0], 0);
        messages.push(message.to_vec());
        body = rest;
    }
}

/// Base64, which the test can do without a library: through the system's own program.
fn base64(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(crate::harness::tool("base64"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn encoded(bytes: &[u8]) -> Vec<u8> {
    base64(&["-w0"], bytes)
}

/// Pieces of four characters, since pieces of the text may be padded each.
fn decoded(text: &[u8]) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0);
    let mut pieces = vec![Vec::new()];
    for quantum in text.chunks(4) {
        pieces.last_mut().unwrap().extend_from_slice(quantum);
        if quantum.contains(&b'=') {
            pieces.push(Vec::new());
        }
    }
    pieces
        .iter()
        .flat_map(|piece| base64(&["-d"], piece))
        .collect()
}

#[test]
fn calls_are_translated_over_either_version_of_http() {
    let server = server();
    let weir = Weir::start(&to(&server, "", WEB));
    let path = |method: &str| format!("/test.Echo/{method}");
    for version in VERSIONS {
        let answer = web(&weir, version, &path("Unary"), BINARY, &framed(b"hello"));
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.get("content-type"), Some(BINARY));
        assert_eq!(answer.get("x-initial"), Some("1"));
        let (messages, trailers) = frames(&answer.body);
        assert_eq!(messages, [b"hello"]);
        assert!(trailers.contains("grpc-status: 0\r\n"), "{trailers}");
        assert!(trailers.contains("x-trailing: 2\r\n"), "{trailers}");

        let answer = web(
            &weir,
            version,
            &path("Unary"),
            TEXT,
            &encoded(&framed(b"hello")),
        );
        assert_eq!(
            answer.get("content-type"),
            Some("application/grpc-web-text+proto")
        );
        let (messages, trailers) = frames(&decoded(&answer.body));
        assert_eq!(messages, [b"hello"]);
        assert!(trailers.contains("grpc-status: 0\r\n"), "{trailers}");

        // Messages come before an error, and none at all before another.
        let answer = web(
            &weir,
            version,
            &path("FailLate"),
            BINARY,
            &framed(b"13:late"),
        );
        let (messages, trailers) = frames(&answer.body);
        assert_eq!(messages, [b"one"]);
        assert!(trailers.starts_with("grpc-status: 13\r\n"), "{trailers}");
        let answer = web(&weir, version, &path("Fail"), BINARY, &framed(b"5:none"));
        assert_eq!(answer.get("grpc-status"), Some("5"));
        assert_eq!(
            (answer.get("content-type"), &answer.body[..]),
            (Some(BINARY), &b""[..])
        );

        let many = [framed(b"a"), framed(b"b"), framed(b"")].concat();
        let answer = web(&weir, version, &path("Count"), BINARY, &many);
        assert_eq!(frames(&answer.body).0, [b"3"]);
    }
    wait_until("all are recorded", || records(&weir).len() == 10);
    // Several workers write them in any order.
    let count = |code: &str| {
        let all = records(&weir);
        let those = all
            .iter()
            .filter(|record| record["rpc.response.status_code"] == code);
        those.count()
    };
    assert_eq!(
        (count("OK"), count("INTERNAL"), count("NOT_FOUND")),
        (6, 2, 2)
    );
}

#[test]
fn answers_made_here_speak_the_dialect_of_the_call() {
    let server = server();
    let config = to(&server, "timeouts: { total: 300ms }", WEB);
    let weir = Weir::start(&config.replace("path: /*", "path: /test.Echo/*"));
    for (content_type, answered) in [(BINARY, BINARY), (TEXT, "application/grpc-web-text+proto")] {
        let answer = web(&weir, Version::Http1, "/no.Body/Knows", content_type, b"");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.get("content-type"), Some(answered));
        assert_eq!(answer.get("grpc-status"), Some("12"));
        assert_eq!(answer.get("content-length"), Some("0"));
    }
    // Behind the head it is a frame.
    for version in VERSIONS {
        let answer = web(
            &weir,
            version,
            "/test.Echo/FirstThenWait",
            BINARY,
            &framed(b""),
        );
        let (messages, trailers) = frames(&answer.body);
        assert_eq!(messages, [b"first"]);
        assert!(
            trailers.starts_with("grpc-status: 4\r\ngrpc-message: deadline_exceeded: "),
            "{trailers}"
        );
    }
    wait_until("all are recorded", || records(&weir).len() == 4);
    let all = records(&weir);
    let late = all
        .iter()
        .filter(|record| record["weir.reason"] == "deadline_exceeded");
    assert_eq!(late.count(), 2);
}

#[test]
fn without_its_switch_it_passes_as_it_is() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let answer = web(&weir, Version::Http1, "/a.B/C", BINARY, b"not even a frame");
    let seen = answer.text();
    assert!(
        seen.contains(&format!("content-type: {BINARY}\n")),
        "{seen}"
    );
    assert!(seen.ends_with("\n\nnot even a frame"), "{seen}");
    wait_until("it is recorded", || records(&weir).len() == 1);
    assert!(records(&weir)[0].get("rpc.response.status_code").is_none());
}

#[track_caller]
fn assert_malformed(answer: &Message, what: &str) {
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.get("grpc-status"), Some("13"), "{answer:?}");
    let message = answer.get("grpc-message").unwrap();
    assert_eq!(message, format!("malformed_request: {what}"));
}

#[test]
fn bodies_that_lie_are_refused_and_harm_nobody_else() {
    let server = server();
    let weir = Weir::start(&to(&server, "", WEB));
    let path = "/test.Echo/Unary";
    let cut = "A gRPC-Web message is cut short.";
    let flags = "A gRPC-Web message has unknown flags.";
    let garbage = "The body is not valid base64.";
    let short = &framed(b"hello")[..8];
    for version in VERSIONS {
        for body in [short, &b"\0\xff\xff\xff\xffhello"[..], b"\0", b"\0\0\0\0"] {
            assert_malformed(&web(&weir, version, path, BINARY, body), cut);
        }
        // A client has no trailers to send.
        for body in [&b"\x80\0\0\0\x02hi"[..], b"\xff\xff\xff\xff\xff"] {
            assert_malformed(&web(&weir, version, path, BINARY, body), flags);
        }
        for body in [
            &b"!!!!"[..],
            b"====",
            b"AAAA====",
            b"AA\nA",
            b"\xff\xff\xff\xff",
        ] {
            assert_malformed(&web(&weir, version, path, TEXT, body), garbage);
        }
        for body in [&b"AAAAA"[..], b"AAA", &encoded(short)] {
            assert_malformed(&web(&weir, version, path, TEXT, body), cut);
        }
    }
    let answer = web(&weir, Version::Http1, path, BINARY, &framed(b"hello"));
    assert_eq!(frames(&answer.body).0, [b"hello"]);
}
