//! Responses, which pass whatever they are.

use super::{await_counter, config};
use crate::harness::{Upstream, Weir, answer, curl, wait_until};

const RULES: &str = "{ response: report, body_bytes: 1KiB, response_schema: { required: [id] } }";

fn serve() -> Upstream {
    Upstream::answering(|request| {
        let long = format!("{{\"id\": \"{}\"}}", "x".repeat(2000));
        let json = ("content-type", "application/json");
        match request.start.split(' ').nth(1).unwrap_or_default() {
            "/valid" => answer(200, &[json], br#"{"id": 1}"#),
            "/invalid" => answer(200, &[json], br#"{"canary": 1}"#),
            "/long" => answer(200, &[json], long.as_bytes()),
            "/compressed" => answer(200, &[json, ("content-encoding", "gzip")], b"xxx"),
            "/gzip" => {
                // `{}`, as gzip(1) writes it.
                let body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
                answer(200, &[json, ("content-encoding", "gzip")], body)
            }
            "/part" => answer(206, &[json, ("content-range", "bytes 0-0/9")], b"{"),
            "/html" => answer(200, &[("content-type", "text/html")], b"<p>"),
            "/chunked" => b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
                .to_vec(),
            "/failed" => answer(500, &[json], b"{}"),
            other => panic!("{other}"),
        }
    })
}

#[test]
fn responses_are_looked_at_and_never_changed() {
    let server = serve();
    let weir = Weir::start(&config(&server, RULES));
    let get = |path: &str| curl(&[&weir.url(path)]).answer();
    assert_eq!(get("/valid").text(), r#"{"id": 1}"#);
    let invalid = get("/invalid");
    assert_eq!(
        (invalid.status(), invalid.text()),
        (200, r#"{"canary": 1}"#.to_owned())
    );
    assert_eq!(invalid.get("content-length"), Some("13"));
    assert_eq!(get("/long").body.len(), 2010);
    assert_eq!(get("/compressed").text(), "xxx");
    assert_eq!(get("/gzip").body.len(), 22);
    assert_eq!(get("/part").text(), "{");
    assert_eq!(get("/html").text(), "<p>");
    assert_eq!(get("/chunked").text(), "{}");
    assert_eq!(get("/failed").status(), 500);
    assert_eq!(curl(&["-I", &weir.url("/invalid")]).answer().status(), 200);
    for (outcome, count) in [
        ("valid", 3),
        ("reported", 4),
        ("unchecked", 3),
        ("refused", 0),
    ] {
        let labels = format!("message=\"response\",outcome=\"{outcome}\"");
        await_counter(&weir, "weir_validated_messages_total", &labels, count);
    }
    await_counter(
        &weir,
        "weir_contract_faults_total",
        "message=\"response\",part=\"content_type\"",
        1,
    );
    wait_until("a line tells it", || {
        weir.log().contains("a response breaks its contract")
    });
    assert!(!weir.log().contains("canary\":"), "no values in the log");
}
