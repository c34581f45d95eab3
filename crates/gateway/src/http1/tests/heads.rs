//! Reading heads: what is understood, and what is refused because it could be read in two ways.

use bytes::BytesMut;
use http::Method;

use crate::failure::Failure;
use crate::http1::decoder::Decoder;
use crate::http1::head::{
    HeadLimits, HeadScanner, ParsedRequest, is_authority, parse_request, parse_response,
    split_authority,
};
use crate::message::Version;

const LIMITS: HeadLimits = HeadLimits {
    bytes: 32 * 1024,
    headers: 100,
};

fn parse(head: &str) -> Result<ParsedRequest, Failure> {
    let mut input = BytesMut::from(head);
    let length = HeadScanner::default()
        .scan_request(&input)?
        .expect("the head is complete");
    parse_request(&mut input, length, LIMITS)
}

fn parse_with(fields: &str) -> Result<ParsedRequest, Failure> {
    parse(&format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n"))
}

#[test]
fn a_request_is_taken_apart_without_its_framing() {
    let parsed = parse(
        "PUT /a/b?c=d%20e HTTP/1.1\r\nHost: Example.com:8080\r\nContent-Length: 12\r\n\
         Accept: text/html \r\nX-A:\t1\r\nExpect: 100-Continue\r\n\r\n",
    )
    .unwrap();
    let head = parsed.head;
    assert_eq!(head.method, Method::PUT);
    assert_eq!(
        (&*head.path, head.query.as_deref()),
        ("/a/b", Some("c=d%20e"))
    );
    assert_eq!(head.authority, "Example.com:8080");
    assert_eq!(head.content_length, Some(12));
    assert!(head.expects_continue && parsed.keep_alive);
    let fields: Vec<_> = head
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    assert_eq!(fields, [("accept", &b"text/html"[..]), ("x-a", b"1")]);
}

#[test]
fn an_absolute_target_replaces_the_host_and_still_needs_one() {
    let head = parse("GET http://b.test:81?q HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap()
        .head;
    assert_eq!((&*head.authority, &*head.path), ("b.test:81", "/"));
    assert_eq!(head.query.as_deref(), Some("q"));
    assert!(parse("GET http://b.test/ HTTP/1.1\r\n\r\n").is_err());
    assert!(parse("GET http://u@b.test/ HTTP/1.1\r\nHost: a\r\n\r\n").is_err());
    assert!(parse("GET ftp://b.test/ HTTP/1.1\r\nHost: a\r\n\r\n").is_err());
}

#[test]
fn bodies_whose_length_could_be_read_in_two_ways_are_refused() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ] {
        assert!(
            matches!(parse_with(fields), Err(Failure::Malformed(_))),
            "{fields:?}"
        );
    }
    for fields in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding:\r\n",
    ] {
        assert!(
            matches!(parse_with(fields), Err(Failure::UnknownCoding)),
            "{fields:?}"
        );
    }
    let chunked = parse_with("Transfer-Encoding: CHUNKED\r\n").unwrap();
    assert!(matches!(chunked.body, Decoder::Chunked(_)));
}

#[test]
fn lines_and_names_that_parsers_disagree_on_are_refused() {
    for head in [
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
    ] {
        let scanned = HeadScanner::default().scan_request(head.as_bytes());
        assert!(matches!(scanned, Err(Failure::Malformed(_))), "{head:?}");
    }
    for head in [
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / http/1.1\r\nHost: h\r\n\r\n",
        "GET /\r\nHost: h\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n X-A: 1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nnocolon\r\n\r\n",
        "GET / HTTP/1.1\r\nX-A: no host\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n",
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let refused = parse(head);
        assert!(
            matches!(
                refused,
                Err(Failure::Malformed(_) | Failure::UnknownVersion)
            ),
            "{head:?}: {refused:?}"
        );
    }
}

#[test]
fn what_is_not_spoken_here_has_its_own_answer() {
    let failure = |head| parse(head).unwrap_err();
    assert_eq!(
        failure("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
        Failure::MethodNotForwarded
    );
    assert_eq!(
        failure("GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
        Failure::UnknownVersion
    );
    assert_eq!(
        parse_with("Expect: magic\r\n").unwrap_err(),
        Failure::UnknownExpectation
    );
    let many = "X-A: 1\r\n".repeat(100);
    assert_eq!(parse_with(&many).unwrap_err(), Failure::HeadTooLarge);
}

#[test]
fn the_connection_persists_as_version_and_options_say() {
    let keeps = |head| parse(head).unwrap().keep_alive;
    assert!(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(!keeps(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"
    ));
    assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
    assert!(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    assert_eq!(
        parse("GET / HTTP/1.0\r\n\r\n").unwrap().head.version,
        Version::Http10
    );
}

#[test]
fn a_head_is_found_wherever_the_input_is_cut() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for first in 0..head.len() {
        for second in first..head.len() {
            let mut scanner = HeadScanner::default();
            assert_eq!(scanner.scan_request(&head[..first]), Ok(None));
            assert_eq!(scanner.scan_request(&head[..second]), Ok(None));
            assert_eq!(scanner.scan_request(head), Ok(Some(head.len())));
        }
    }
}

#[test]
fn authorities_are_split_behind_an_ipv6_address() {
    assert_eq!(split_authority("a.test:80"), ("a.test", Some("80")));
    assert_eq!(split_authority("a.test"), ("a.test", None));
    assert_eq!(split_authority("[::1]:80"), ("[::1]", Some("80")));
    assert_eq!(split_authority("[::1]"), ("[::1]", None));
    for valid in ["a", "a:", "a:80", "1.2.3.4", "[::1]:8080", "a_b.c-d"] {
        assert!(is_authority(valid), "{valid}");
    }
    for invalid in [
        "", ":80", ".", ".a", "a..b", "a:+1", "a:b", "a b", "a@b", "[::1", "::1", "a:80:80", "[]",
        "a\u{7f}",
    ] {
        assert!(!is_authority(invalid), "{invalid}");
    }
}

fn respond(head: &str, method: &Method) -> Result<super::super::head::ParsedResponse, Failure> {
    let mut input = BytesMut::from(head);
    let length = HeadScanner::default()
        .scan_response(&input)
        .expect("the head is complete");
    parse_response(&mut input, length, method)
}

#[test]
fn a_response_body_is_framed_as_rfc_9112_says() {
    let body = |head, method: &Method| respond(head, method).unwrap().body;
    let get = &Method::GET;
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(body(length, get).remaining(), Some(5));
    assert!(body(length, &Method::HEAD).is_done());
    assert_eq!(
        respond(length, &Method::HEAD).unwrap().head.content_length,
        Some(5)
    );
    assert!(body("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", get).is_done());
    assert!(body("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", get).is_done());
    let until_close = respond("HTTP/1.1 200 OK\r\n\r\n", get).unwrap();
    assert!(matches!(until_close.body, Decoder::UntilClose) && !until_close.keep_alive);
    assert!(
        !respond("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", get)
            .unwrap()
            .keep_alive
    );
    // Servers with bare LF exist; what they mean is clear.
    assert_eq!(
        body("HTTP/1.1 200 OK\nContent-Length: 5\n\n", get).remaining(),
        Some(5)
    );
}

#[test]
fn a_response_with_two_framings_is_not_passed_on() {
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let refused = respond(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), &Method::GET);
        assert!(
            matches!(refused, Err(Failure::UpstreamMalformed(_))),
            "{fields:?}"
        );
    }
    assert!(respond("HTTP/1.1 20 OK\r\n\r\n", &Method::GET).is_err());
    assert!(respond("ICY 200 OK\r\n\r\n", &Method::GET).is_err());
}
