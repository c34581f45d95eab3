//! What no log and no trace may show, and what no client can forge in them.

use super::{access_lines, requests};
use crate::harness::{Receiver, Upstream, Weir, Wire, answer, forward, wait_until};

const CANARY: &str = "canary-7f3a";

// One worker, so that everything comes in order.
const SETTINGS: &str = "workers: 1\nlog:\n  query: true\n  headers: [authorization, cookie, referer, x-note]\n  \
    redact: { query: [email], headers: [x-note], paths: ['/reset/{token}'] }\n";

fn send_secrets(weir: &Weir) {
    for (target, fields) in [
        (format!("/a?page=2&token={CANARY}"), String::new()),
        (format!("/b?%74oken={CANARY}&EMAIL={CANARY}"), String::new()),
        (format!("/reset/{CANARY}"), String::new()),
        (
            "/c".to_owned(),
            format!(
                "Authorization: Bearer {CANARY}\r\nCookie: id={CANARY}\r\nX-Note: {CANARY}\r\n\
                 Referer: https://a/?page=2&api_key={CANARY}\r\n"
            ),
        ),
    ] {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n"
        ));
        assert_eq!(wire.response("GET").status(), 500);
    }
}

#[test]
fn secrets_are_in_no_line_and_no_span() {
    let receiver = Receiver::start("grpc");
    let upstream = Upstream::answering(|_| answer(500, &[], ""));
    let otlp = format!(
        "tracing: true\notlp: {{ endpoint: 'http://{}' }}\n",
        receiver.address
    );
    let weir = Weir::start(&(forward(upstream.address) + SETTINGS + &otlp));
    send_secrets(&weir);
    let spans = receiver.wait_for("span", 4, |span| span["kind"] == 2);
    wait_until("the requests are logged", || access_lines(&weir).len() == 4);
    let lines = access_lines(&weir);
    assert_eq!(lines[0]["url.query"], "page=2&token=REDACTED");
    assert_eq!(lines[2]["url.path"], "/reset/REDACTED");
    assert_eq!(
        lines[3]["http.request.header.referer"],
        "https://a/?page=2&api_key=REDACTED"
    );
    assert_eq!(spans[0]["attributes"]["url.query"], "page=2&token=REDACTED");
    assert_eq!(
        spans[3]["attributes"]["http.request.header.cookie"][0],
        "REDACTED"
    );
    assert!(!weir.log().contains(CANARY), "{}", weir.log());
    assert!(!receiver.text().contains(CANARY));

    // The same as records of a receiver, and for people.
    let logs = otlp.replace("tracing", "log: { output: otlp, LOG }\ntracing");
    let logs = logs.replace(
        "LOG",
        "query: true, headers: [cookie], redact: { query: [email], paths: ['/reset/{token}'] }",
    );
    assert_eq!(
        weir.reload(&(forward(upstream.address) + &logs)).status(),
        200
    );
    send_secrets(&weir);
    receiver.wait_for("log", 4, |log| log["event"] == "http.server.request");
    let text = SETTINGS.replace("log:\n", "log:\n  format: text\n") + &otlp;
    assert_eq!(
        weir.reload(&(forward(upstream.address) + &text)).status(),
        200
    );
    send_secrets(&weir);
    wait_until("the requests are logged", || {
        weir.log().contains("500 GET  a/c")
    });
    assert!(!(weir.log() + &weir.stderr()).contains(CANARY));
    assert!(!receiver.text().contains(CANARY));
}

#[test]
fn no_request_can_end_a_line_or_begin_another() {
    let upstream = Upstream::answering(|_| answer(200, &[], ""));
    let forged = "%0a%0d%0A{\"event.name\":\"http.server.request\"}%1b[2J%00%e2%80%a8%c2%85";
    let hostile: [(String, String); 4] = [
        (format!("/a{forged}"), String::new()),
        (format!("/b?q={forged}&x"), String::new()),
        (
            "/c".to_owned(),
            "User-Agent: \"}\u{85}\u{2028}\u{202e}\\n{\"a\":\"b\"\tx\r\nReferer: \u{9b}2J\"}\r\n\
             X-Note: \r\nX-Note: a,\"b\"\r\n"
                .to_owned(),
        ),
        (
            "/d".to_owned(),
            "traceparent: \"}\u{2028}\r\ntracestate: \u{85}\r\n".to_owned(),
        ),
    ];
    let log = "  query: true\n  headers: [referer, x-note]\ntracing: { parent: all }\nworkers: 1\n";
    for format in ["json", "text"] {
        let config = format!(
            "{}log:\n  format: {format}\n{log}",
            forward(upstream.address)
        );
        let weir = Weir::start(&config);
        for (target, fields) in &hostile {
            let mut wire = Wire::connect(weir.http());
            wire.send(format!(
                "GET {target} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n"
            ));
            wire.response("GET");
        }
        // The last one, by which all others are written.
        weir.get("/end");
        wait_until("the last request is logged", || weir.log().contains("/end"));
        let log = weir.log();
        let is_unsafe = |character: char| {
            (character.is_control() && character != '\n')
                || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202e}' | '\u{feff}')
        };
        assert!(!log.chars().any(is_unsafe), "{log:?}");
        if format == "json" {
            assert_eq!(requests(&log).len(), hostile.len() + 1, "{log}");
            continue;
        }
        let is_request = |line: &&str| {
            line.get(13..17)
                .is_some_and(|status| status.trim().parse::<u16>().is_ok())
        };
        assert_eq!(
            log.lines().filter(is_request).count(),
            hostile.len() + 1,
            "{log}"
        );
    }
}
