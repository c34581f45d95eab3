//! HTTP/2 towards clients and towards servers.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use rustix::process::Signal;

use crate::harness::{
    Authority, H2Client, NodeScript, PATIENCE, Setup, Upstream, Weir, Wire, answer, block_on, curl,
    forward, pattern, tool, wait_until,
};

fn http2_only(upstream: &NodeScript) -> String {
    format!(
        "workers: 1\nupstreams:\n  up: {{ targets: [\"{}\"], http2: true }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    )
}

#[test]
fn prior_knowledge_is_understood_beside_http_1_1() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let answer = curl(&[
        "--http2-prior-knowledge",
        "-d",
        "hello",
        &weir.url("/a?b=c"),
    ])
    .answer();
    assert!(answer.start.starts_with("HTTP/2 200"), "{}", answer.start);
    let seen = answer.text();
    assert!(seen.starts_with("POST /a?b=c HTTP/1.1\n"), "{seen}");
    assert!(
        seen.contains(&format!("\nhost: {}\n", weir.http())),
        "{seen}"
    );
    assert!(
        seen.contains("\ncontent-length: 5\n") && seen.contains("\nvia: 2 weir\n"),
        "{seen}"
    );
    assert!(seen.ends_with("\n\nhello"), "{seen}");
    let other = curl(&["--http1.1", &weir.url("/")]).answer();
    assert!(other.start.starts_with("HTTP/1.1 200"), "{}", other.start);
}

#[test]
fn a_listener_without_http2_does_not_speak_it() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&format!(
        "listeners: [{{ address: $HTTP, http2: false }}]\n{}",
        forward(upstream.address)
    ));
    assert_ne!(curl(&["--http2-prior-knowledge", &weir.url("/")]).exit, 0);
    assert_eq!(
        curl(&["--http2", &weir.url("/")]).answer().start.trim(),
        "HTTP/1.1 200 OK"
    );
}

#[test]
fn alpn_agrees_on_the_version() {
    let upstream = Upstream::echo();
    let setup = Setup::new();
    let authority = Authority::new("test");
    authority
        .issue("weir", &["weir.test"])
        .write(setup.directory.path(), "weir");
    let ca = setup.path("ca.pem");
    setup.write("ca.pem", authority.pem());
    let weir = setup.start(&format!(
        "listeners: [{{ address: $HTTPS, tls: {{ certificate: file:weir.crt, key: file:weir.key }} }}]\n{}",
        forward(upstream.address)
    ));
    let port = weir.https().port();
    let resolve = format!("weir.test:{port}:127.0.0.1");
    let url = format!("https://weir.test:{port}/");
    for (option, version) in [("--http2", "HTTP/2 200"), ("--http1.1", "HTTP/1.1 200")] {
        let run = curl(&[
            option,
            "--cacert",
            ca.to_str().unwrap(),
            "--resolve",
            &resolve,
            &url,
        ]);
        let answer = run.answer();
        assert!(answer.start.starts_with(version), "{}", answer.start);
        assert!(
            answer.text().contains("\nx-forwarded-proto: https\n"),
            "{}",
            answer.text()
        );
    }
    // A body of many records in both directions.
    let body = Bytes::from("0123456789abcdef".repeat(256 * 1024));
    block_on(async {
        let config = authority.trusting(&["h2"]);
        let client = H2Client::connect_tls(weir.https(), "weir.test", config).await;
        let request = Request::post("https://weir.test/").body(()).unwrap();
        let answer = client.send(request, body.clone(), None).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.ends_with(&body));
    });
}

#[test]
fn a_hundred_streams_are_served_at_the_same_time() {
    // Nobody is answered before all have asked.
    let waiting = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new({
        let waiting = Arc::clone(&waiting);
        move |mut wire| {
            while wire.request().is_some() {
                waiting.fetch_add(1, Ordering::AcqRel);
                wait_until("all have asked", || waiting.load(Ordering::Acquire) >= 100);
                wire.send(answer(200, &[], "together"));
            }
        }
    });
    let weir = Weir::to(upstream.address);
    block_on(async {
        let client = std::rc::Rc::new(H2Client::connect(weir.http()).await);
        let streams: Vec<_> = (0..100)
            .map(|_| {
                let client = std::rc::Rc::clone(&client);
                tokio::task::spawn_local(async move { client.get("http://a/").await.unwrap() })
            })
            .collect();
        for stream in streams {
            assert_eq!(stream.await.unwrap().text(), "together");
        }
    });
}

#[test]
fn h2load_finds_no_fault() {
    let upstream = Upstream::answering(|_| answer(200, &[], pattern(2000)));
    let weir = Weir::to(upstream.address);
    let output = Command::new(tool("h2load"))
        .args(["-n", "3000", "-c", "5", "-m", "20", &weir.url("/")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("3000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{text}"
    );
    assert!(text.contains("status codes: 3000 2xx"), "{text}");
}

#[test]
fn cookie_crumbs_become_one_field() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let request = Request::get("http://a/")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("cookie", "c=3")
            .body(())
            .unwrap();
        let seen = client
            .send(request, Bytes::new(), None)
            .await
            .unwrap()
            .text();
        assert!(seen.contains("\ncookie: a=1; b=2; c=3\n"), "{seen}");
    });
}

#[test]
fn trailers_pass_between_the_versions() {
    let upstream = Upstream::answering(|request| {
        let sum = request.trailers.iter().find(|(name, _)| name == "x-check");
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\nX-Sum: {}\r\n\r\n",
            sum.map_or("none", |(_, value)| value)
        )
        .into_bytes()
    });
    let weir = Weir::to(upstream.address);
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-check", HeaderValue::from_static("42"));
        let request = Request::post("http://a/").body(()).unwrap();
        let answer = client
            .send(request, Bytes::from("body"), Some(trailers))
            .await
            .unwrap();
        assert_eq!(answer.body, b"abc");
        assert_eq!(answer.trailers.unwrap()["x-sum"], "42");
    });
}

#[test]
fn large_bodies_flow_both_ways() {
    const LENGTH: usize = 30 * 1024 * 1024;
    let upstream = Upstream::answering(|request| answer(200, &[], &request.body));
    let node = NodeScript::start("http2.js", &[]);
    let to_node = Weir::start(&http2_only(&node));
    let to_http1 = Weir::to(upstream.address);
    let body = pattern(LENGTH);
    for weir in [to_http1, to_node] {
        block_on(async {
            let client = H2Client::connect(weir.http()).await;
            let request = Request::post("http://a/echo").body(()).unwrap();
            let answer = client
                .send(request, Bytes::from(body.clone()), None)
                .await
                .unwrap();
            assert_eq!(answer.status, 200);
            assert!(answer.body == body);
        });
    }
}

#[test]
fn a_server_is_spoken_to_over_http2_in_clear_text() {
    let node = NodeScript::start("http2.js", &[]);
    let weir = Weir::start(&http2_only(&node));
    let run = curl(&[
        "--http1.1",
        "-H",
        "Cookie: a=1; b=2",
        "-d",
        "hello",
        &weir.url("/seen?x=1"),
    ]);
    let seen = run.answer().json();
    assert_eq!(seen["headers"][":method"], "POST");
    assert_eq!(seen["headers"][":path"], "/seen?x=1");
    assert_eq!(seen["headers"][":scheme"], "http");
    assert_eq!(seen["headers"][":authority"], weir.http().to_string());
    assert_eq!(seen["headers"]["content-length"], "5");
    assert_eq!(seen["headers"]["cookie"], "a=1; b=2");
    assert_eq!(seen["headers"]["host"], serde_json::Value::Null);
    assert_eq!(seen["headers"]["connection"], serde_json::Value::Null);
    assert_eq!(seen["length"], 5);
    // All share one session.
    for _ in 0..20 {
        assert_eq!(weir.get("/seen").status(), 200);
    }
    assert_eq!(node.lines(), ["session"]);
    assert_eq!(weir.get("/nowhere").status(), 404);
}

#[test]
fn trailers_and_hints_of_an_http2_server_reach_an_http_1_1_client() {
    let node = NodeScript::start("http2.js", &[]);
    let weir = Weir::start(&http2_only(&node));
    let trailers = weir.get("/trailers");
    assert_eq!(trailers.text(), "body");
    assert_eq!(trailers.trailers, [("x-sum".to_owned(), "42".to_owned())]);
    let hints = weir.get("/hints");
    assert_eq!(hints.text(), "after the hints");
    assert_eq!(hints.interim.len(), 1);
    assert_eq!(
        hints.interim[0].get("link"),
        Some("</style.css>; rel=preload")
    );

    let mut wire = Wire::connect(weir.http());
    wire.send(
        "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Check: 7\r\n\r\n",
    );
    let seen = wire.response("POST").json();
    assert_eq!(seen["trailers"]["x-check"], "7");
    assert_eq!(seen["length"], 2);
}

#[test]
fn a_stream_that_the_server_resets_is_cut_for_the_client() {
    let node = NodeScript::start("http2.js", &[]);
    let weir = Weir::start(&http2_only(&node));
    let answer = weir.get("/reset");
    assert_eq!((answer.status(), answer.complete), (200, false));
    // Only the stream is gone.
    assert_eq!(weir.get("/seen").status(), 200);
    assert_eq!(node.lines(), ["session"]);
}

#[test]
fn a_server_that_sends_goaway_is_met_again_on_a_new_connection() {
    let node = NodeScript::start("http2.js", &[]);
    let weir = Weir::start(&http2_only(&node));
    for number in 0..20 {
        assert_eq!(weir.get("/goaway").text(), "last", "round {number}");
        assert_eq!(weir.get("/seen").status(), 200, "round {number}");
    }
    assert!(node.lines().len() >= 20, "{:?}", node.lines());
}

#[test]
fn more_requests_than_a_server_takes_at_a_time_wait_for_their_turn() {
    let node = NodeScript::start("http2.js", &[]);
    let weir = Weir::start(&http2_only(&node));
    // Each takes a while, the server takes four at a time: the last wait longer than a connection
    // may take.
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let address = weir.http();
            std::thread::spawn(move || {
                Wire::connect(address)
                    .response_to("GET /slow?4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    .status()
            })
        })
        .collect();
    let statuses: Vec<_> = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect();
    assert_eq!(statuses, [200; 16]);
}

#[test]
fn a_server_over_tls_is_spoken_to_as_alpn_agrees() {
    let authority = Authority::new("test");
    let setup = Setup::new();
    setup.write("ca.pem", authority.pem());
    authority
        .issue("node", &["node.test"])
        .write(setup.directory.path(), "node");
    let node = NodeScript::start(
        "http2.js",
        &[
            setup.path("node.crt").to_str().unwrap(),
            setup.path("node.key").to_str().unwrap(),
        ],
    );
    let weir = setup.start(&format!(
        "upstreams:\n  up:\n    targets: [\"{}\"]\n\
         \x20   tls: {{ server_name: node.test, authorities: file:ca.pem }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        node.address
    ));
    let seen = weir.get("/seen").json();
    assert_eq!(seen["headers"][":scheme"], "https");
}

#[test]
fn a_drain_lets_streams_end_and_says_goodbye() {
    let (asked, wait_for_request) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let upstream = Upstream::new(move |mut wire| {
        wire.request();
        asked.send(()).unwrap();
        let _ = released.lock().unwrap().recv_timeout(PATIENCE);
        wire.send(answer(200, &[], "late but whole"));
    });
    let mut weir = Weir::to(upstream.address);
    let mut frames = Frames::open(weir.http());
    // :method GET, :scheme http, :path / and :authority a, all from HPACK's static table.
    frames.send(
        HEADERS,
        END_STREAM | END_HEADERS,
        1,
        b"\x82\x86\x84\x41\x01a",
    );
    wait_for_request.recv_timeout(PATIENCE).unwrap();
    weir.signal(Signal::TERM);
    let warning = frames.next_of(GOAWAY);
    assert_eq!(
        warning.payload,
        [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        "not a warning: {warning:?}"
    );
    // The ping behind it is answered: whatever was on its way is known now.
    let goodbye = frames.next_of(GOAWAY);
    assert_eq!(
        goodbye.payload,
        [0, 0, 0, 1, 0, 0, 0, 0],
        "stream 1 is the last: {goodbye:?}"
    );
    release.send(()).unwrap();
    let mut body = Vec::new();
    loop {
        let data = frames.next_of(DATA);
        assert_eq!(data.stream, 1);
        body.extend_from_slice(&data.payload);
        if data.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(body, b"late but whole");
    assert!(frames.wire.is_at_end());
    assert!(weir.wait_exit().success());
}

#[test]
fn an_answer_that_comes_before_the_upload_ended_comes_whole() {
    let upstream = Upstream::new(|mut wire| {
        wire.head();
        wire.send(answer(413, &[], "far too much"));
        std::thread::park_timeout(PATIENCE);
    });
    let weir = Weir::to(upstream.address);
    let mut frames = Frames::open(weir.http());
    // As before, but :method POST and the stream stays open for a body.
    frames.send(HEADERS, END_HEADERS, 1, b"\x83\x86\x84\x41\x01a");
    frames.send(DATA, 0, 1, &[b'x'; 10_000]);
    frames.next_of(HEADERS);
    let data = frames.next_of(DATA);
    assert_eq!(data.payload, b"far too much");
    assert_eq!(data.flags & END_STREAM, END_STREAM);
    // RFC 9113 §8.1: the rest of the body is not wanted, and that is no error.
    let reset = frames.next_of(RST_STREAM);
    assert_eq!((reset.stream, &reset.payload[..]), (1, &[0; 4][..]));
    wait_until("the answer's size is in the log", || {
        weir.log().contains("\"http.response.body.size\":12")
    });
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A client that sees every frame (RFC 9113 §4.1).
struct Frames {
    wire: Wire,
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frames {
    fn open(address: SocketAddr) -> Self {
        let mut wire = Wire::connect(address);
        wire.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut frames = Self { wire };
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.wire.send(bytes);
    }

    /// The next frame of a kind; settings and pings in front of it are agreed to.
    fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next();
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload),
                _ => {}
            }
            if frame.kind == kind {
                return frame;
            }
        }
    }

    fn next(&mut self) -> Frame {
        let head = self.wire.take(9);
        assert_eq!(head.len(), 9, "the connection ended");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.wire.take(length);
        Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        }
    }
}
