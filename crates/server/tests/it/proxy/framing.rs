//! Where messages begin and end.

use crate::harness::{Upstream, Weir, Wire, answer, forward};

/// Answers with these bytes, whatever is asked, and keeps the connection.
fn always(bytes: &'static [u8]) -> Upstream {
    Upstream::answering(move |_| bytes.to_vec())
}

/// Answers with these bytes and closes.
fn once(bytes: &'static [u8]) -> Upstream {
    Upstream::new(move |mut wire| {
        wire.request();
        wire.send(bytes);
    })
}

#[test]
fn an_http_1_0_client_is_answered_and_left() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET /old HTTP/1.0\r\n\r\n");
    let answer = wire.response("GET");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.get("connection"), Some("close"));
    assert!(wire.is_at_end());
    let seen = answer.text();
    assert!(seen.starts_with("GET /old HTTP/1.1\n"), "{seen}");
    assert!(seen.contains("\nvia: 1.0 weir\n"), "{seen}");
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    for _ in 0..3 {
        wire.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let answer = wire.response("GET");
        assert_eq!(answer.get("connection"), Some("keep-alive"));
        assert!(answer.get("content-length").is_some());
    }
}

#[test]
fn an_http_1_0_client_gets_no_chunks_and_no_interim_response() {
    let upstream = always(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
          HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = wire.response("GET");
    assert!(answer.interim.is_empty());
    assert_eq!(answer.get("transfer-encoding"), None);
    assert_eq!(answer.get("connection"), Some("close"));
    assert_eq!(answer.text(), "hello world");
}

#[test]
fn fifty_pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    let mut bytes = Vec::new();
    for number in 0..50 {
        // With and without a body, so that a body read too far or not far enough shows.
        let request = if number % 3 == 0 {
            format!("POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ")
        } else {
            format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")
        };
        bytes.extend_from_slice(request.as_bytes());
    }
    wire.send(bytes);
    for number in 0..50 {
        let seen = wire.response("GET").text();
        let expected = format!(" /{number} HTTP/1.1\n");
        assert!(seen.contains(&expected), "{number}: {seen}");
        assert_eq!(seen.ends_with("GET "), number % 3 == 0, "{number}: {seen}");
    }
}

#[test]
fn a_request_that_arrives_byte_by_byte_is_one_request() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    let request = b"POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n";
    for byte in request {
        wire.send([*byte]);
    }
    let seen = wire.response("POST").text();
    assert!(
        seen.starts_with("POST /slow ") && seen.ends_with("\n\nabcde"),
        "{seen}"
    );
}

#[test]
fn trailers_pass_in_both_directions() {
    // The bench reads message after message: one byte too many on either side and it is out of step.
    let upstream = Upstream::answering(|request| {
        let reply = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
             3\r\nabc\r\n0\r\nX-Sum: {:?}\r\nContent-Length: 7\r\nSet-Cookie: a=b\r\n\r\n",
            request.trailers
        );
        reply.into_bytes()
    });
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    for _ in 0..2 {
        wire.send(
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n\
             2\r\nhi\r\n0\r\nX-Check: 1\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        );
        let answer = wire.response("PUT");
        assert!(answer.complete);
        // Fields that frame or route a message are no trailers (RFC 9110 §6.5.1).
        assert_eq!(
            answer.trailers,
            [("x-sum".to_owned(), r#"[("x-check", "1")]"#.to_owned())]
        );
    }
}

#[test]
fn a_response_that_ends_with_its_connection_is_whole() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n",
    ] {
        let upstream = Upstream::new(move |mut wire| {
            wire.request();
            wire.send(head);
            wire.send("one ");
            wire.send("two");
        });
        let weir = Weir::to(upstream.address);
        let mut wire = Wire::connect(weir.http());
        for _ in 0..2 {
            wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let answer = wire.response("GET");
            assert_eq!(answer.get("transfer-encoding"), Some("chunked"));
            assert!(answer.complete);
            assert_eq!(answer.text(), "one two");
        }
    }
}

#[test]
fn responses_without_a_body_leave_the_connection_in_step() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/204" => b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n".to_vec(),
        "/304" => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n".to_vec(),
        "/205" => b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/head" => b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec(),
        "/head-chunked" => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        "/empty" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/empty-chunked" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec()
        }
        _ => answer(200, &[], "whole"),
    });
    let weir = Weir::start(&format!("workers: 1\n{}", forward(upstream.address)));
    let mut wire = Wire::connect(weir.http());
    let cases = [
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("5")),
        ("GET", "/205", 205, Some("0")),
        ("HEAD", "/head", 200, Some("5")),
        ("HEAD", "/head-chunked", 200, None),
        ("GET", "/empty", 200, Some("0")),
        ("GET", "/empty-chunked", 200, None),
    ];
    for (method, path, status, length) in cases {
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = wire.response(method);
        assert_eq!(
            (answer.status(), answer.get("content-length")),
            (status, length),
            "{path}"
        );
        assert!(answer.complete && answer.body.is_empty(), "{path}");
        wire.send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(wire.response("GET").text(), "whole", "after {path}");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[test]
fn empty_requests_say_so_to_the_server() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    let mut seen = |request: &str| {
        wire.send(request);
        wire.response("GET").text()
    };
    let post = seen("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert!(post.contains("\ncontent-length: 0\n"), "{post}");
    let bare = seen("POST /b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(bare.contains("\ncontent-length: 0\n"), "{bare}");
    let chunked =
        seen("POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert!(
        chunked.contains("\ntransfer-encoding: chunked\n"),
        "{chunked}"
    );
    let get = seen("GET /d HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        !get.contains("content-length") && !get.contains("transfer-encoding"),
        "{get}"
    );
}

#[test]
fn large_fields_pass_and_too_large_ones_are_refused() {
    let long = "v".repeat(20 * 1024);
    let field = long.clone();
    let upstream = Upstream::answering(move |request| {
        let same = request.get("x-long") == Some(field.as_str());
        answer(
            200,
            &[
                ("X-Same", if same { "yes" } else { "no" }),
                ("X-Long", &field),
            ],
            "",
        )
    });
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"
    ));
    let answer = wire.response("GET");
    assert_eq!(answer.get("x-same"), Some("yes"));
    assert_eq!(answer.get("x-long"), Some(long.as_str()));

    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Long: {long}{long}\r\n\r\n"
    ));
    wire.response("GET").assert_problem(431, "head_too_large");
    assert!(wire.is_at_end());

    let many = "X: y\r\n".repeat(101);
    let mut wire = Wire::connect(weir.http());
    wire.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"));
    wire.response("GET").assert_problem(431, "head_too_large");
}

#[test]
fn early_hints_reach_the_client_before_the_response() {
    let upstream = Upstream::new(|mut wire| {
        while wire.request().is_some() {
            wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
            wire.send(
                "HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\nConnection: x\r\n\r\n",
            );
            wire.send(answer(200, &[], "page"));
        }
    });
    let weir = Weir::to(upstream.address);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let run = crate::harness::curl(&["-v", version, &weir.url("/")]);
        assert_eq!(run.answer().text(), "page");
        let links: Vec<_> = run
            .heads
            .iter()
            .filter_map(|head| head.get("link"))
            .collect();
        assert_eq!(
            links,
            ["</a.css>; rel=preload", "</b.css>; rel=preload"],
            "{version}"
        );
        assert_eq!(run.heads[0].status(), 103);
        assert_eq!(run.heads[1].get("connection"), None);
    }
}

#[test]
fn an_answer_is_dated_once() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/dated" => answer(200, &[("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], ""),
        _ => answer(200, &[], ""),
    });
    let weir = Weir::to(upstream.address);
    assert_eq!(
        weir.get("/dated").all("date"),
        ["Sun, 06 Nov 1994 08:49:37 GMT"]
    );
    let own = weir.get("/");
    assert_eq!(own.all("date").len(), 1);
    assert!(own.get("date").unwrap().ends_with(" GMT"));
}

#[test]
fn a_malformed_answer_is_a_bad_gateway() {
    let cases: [&'static [u8]; 6] = [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ];
    for bytes in cases {
        let upstream = once(bytes);
        let weir = Weir::to(upstream.address);
        weir.get("/").assert_problem(502, "upstream_malformed");
    }
}
