//! Where a request ends: ambiguous framing is refused, and what follows a refusal is never served.

use std::io::Write;

use crate::harness::http1::{Talk, talk, talk_slowly};
use crate::harness::upstream::{Seen, Upstream};
use crate::harness::weir::Weir;

mod bodies;
mod heads;

/// What must come of some bytes.
pub(crate) enum Expect {
    /// This status, then the end of the connection. Nothing reaches the upstream whole.
    Refused(u16),
    /// Exactly these requests reach the upstream: method and target, and body.
    Served(Vec<(&'static str, Vec<u8>)>),
}

/// Some bytes and what must come of them.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: Expect,
}

/// What follows each case on the same connection: served if and only if the case was understood.
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

pub(crate) fn refused(name: impl Into<String>, status: u16, bytes: impl Into<Vec<u8>>) -> Case {
    Case {
        name: name.into(),
        bytes: bytes.into(),
        expect: Expect::Refused(status),
    }
}

pub(crate) fn served(
    name: impl Into<String>,
    bytes: impl Into<Vec<u8>>,
    line: &'static str,
    body: impl Into<Vec<u8>>,
) -> Case {
    let expect = Expect::Served(vec![(line, body.into())]);
    Case {
        name: name.into(),
        bytes: bytes.into(),
        expect,
    }
}

fn judge(case: &Case, talk: &Talk, upstream: &Upstream) -> Result<(), String> {
    let seen = upstream.take();
    let lines: Vec<String> = seen.iter().map(Seen::line).collect();
    let about = format!("answers {:?}, upstream saw {lines:?}", talk.statuses());
    if !talk.rest.is_empty() {
        return Err(format!(
            "half an answer {:?}; {about}",
            String::from_utf8_lossy(&talk.rest)
        ));
    }
    match &case.expect {
        Expect::Refused(status) => {
            if talk.statuses() != [*status] || !seen.is_empty() {
                return Err(format!("expected a refusal with {status}; {about}"));
            }
            talk.answers[0].assert_problem(&case.name);
            if talk.answers[0].value("connection") != Some("close") {
                return Err(format!("the refusal does not announce the end; {about}"));
            }
        }
        Expect::Served(requests) => {
            let mut expected: Vec<(&str, &[u8])> = requests
                .iter()
                .map(|(line, body)| (*line, body.as_slice()))
                .collect();
            expected.push(("GET /next", b""));
            let actual: Vec<(&str, &[u8])> = lines
                .iter()
                .map(String::as_str)
                .zip(seen.iter().map(|seen| &*seen.body))
                .collect();
            if actual != expected || talk.statuses() != vec![200; expected.len()] {
                return Err(format!("expected {expected:?}, got {actual:?}; {about}"));
            }
        }
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    let mut cases = heads::cases();
    cases.extend(bodies::cases());
    cases
}

fn run(cases: &[Case], talk: impl Fn(std::net::SocketAddr, &[u8]) -> Talk) {
    let upstream = Upstream::start();
    let weir = Weir::in_front_of(upstream.address);
    let mut faults = Vec::new();
    for case in cases {
        let mut bytes = case.bytes.clone();
        bytes.extend_from_slice(NEXT);
        let talk = talk(weir.address, &bytes);
        if let Err(fault) = judge(case, &talk, &upstream) {
            faults.push(format!("{}: {fault}", case.name));
        }
    }
    println!("{} cases, {} faults", cases.len(), faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused_and_ends_the_connection() {
    run(&cases(), talk);
}

#[test]
fn every_case_is_judged_alike_when_its_bytes_arrive_one_by_one() {
    let mut cases = cases();
    cases.retain(|case| case.bytes.len() < 1024);
    run(&cases, talk_slowly);
}

#[test]
fn bytes_after_an_upgrade_request_are_a_request_and_never_a_tunnel() {
    // The upstream switches although nobody asked it to: the offer was not forwarded.
    let upstream = Upstream::answering(|seen, stream| {
        if seen.target == "/switch" {
            return stream.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nraw",
            );
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    });
    let weir = Weir::in_front_of(upstream.address);
    let upgrade = "Host: a.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: websocket\r\n\
                   HTTP2-Settings: AAMAAABk\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for kind in ["websocket", "h2c", "TLS/1.0"] {
        let offer = upgrade.replace("websocket", kind);
        let mut bytes = format!("GET /chat HTTP/1.1\r\n{offer}").into_bytes();
        bytes.extend_from_slice(NEXT);
        let talk = talk(weir.address, &bytes);
        let seen = upstream.take();
        assert_eq!(talk.statuses(), [200, 200], "{kind}");
        assert_eq!(seen[0].line(), "GET /chat");
        assert_eq!(seen[1].line(), "GET /next");
        for field in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(seen[0].values(field), Vec::<String>::new(), "{kind}");
        }
    }
    let mut bytes = format!("GET /switch HTTP/1.1\r\n{upgrade}").into_bytes();
    bytes.extend_from_slice(NEXT);
    let talk = talk(weir.address, &bytes);
    assert_eq!(talk.answers[0].status, 502);
    talk.answers[0].assert_problem("unasked-for upgrade");
    let seen: Vec<String> = upstream.take().iter().map(Seen::line).collect();
    assert_eq!(seen, ["GET /switch", "GET /next"]);
    assert_eq!(talk.statuses(), [502, 200]);
}

#[test]
fn framing_and_identity_fields_in_trailers_are_dropped() {
    let upstream = Upstream::start();
    let weir = Weir::in_front_of(upstream.address);
    let mut bytes = b"POST /trailers HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\nX-Checksum: 1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\
        Host: evil.test\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 1.1.1.1\r\nTE: x\r\n\
        Connection: close\r\nCookie: a=b\r\nTrailer: y\r\nUpgrade: z\r\nForwarded: for=1.1.1.1\r\n\r\n"
        .to_vec();
    bytes.extend_from_slice(NEXT);
    assert_eq!(talk(weir.address, &bytes).statuses(), [200, 200]);
    let seen = upstream.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, b"hello");
    assert_eq!(seen[0].trailers, [("x-checksum".to_owned(), b"1".to_vec())]);
}
