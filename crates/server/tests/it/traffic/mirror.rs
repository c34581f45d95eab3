//! Copies of requests, which never slow or fail the originals.

use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::harness::{
    Load, Message, PATIENCE, Upstream, Weir, Wire, alone, answer, curl, curl_fed, pattern,
    wait_until,
};

fn config(original: SocketAddr, shadow: SocketAddr, mirror: &str, route: &str) -> String {
    format!(
        "upstreams:\n  up: {{ targets: [\"{original}\"] }}\n  shadow:\n    targets: [\"{shadow}\"]\n    \
         timeouts: {{ connect: 200ms, first_byte: 300ms }}\n    retry: {{ attempts: 0 }}\n\
         routes:\n  - name: items\n    match: {{ path: /items/* }}\n    upstream: up\n    \
         mirror: {{ upstream: shadow{mirror} }}\n{route}"
    )
}

/// A server that passes on what it was asked.
fn recording() -> (Upstream, Receiver<Message>) {
    let (sender, requests) = channel();
    let sender = Mutex::new(sender);
    let server = Upstream::answering(move |request| {
        let _ = sender.lock().unwrap().send(request.clone());
        // An answer that the client must not see.
        answer(500, &[("x-shadow", "1")], "shadow")
    });
    (server, requests)
}

fn copies(weir: &Weir, outcome: &str) -> f64 {
    let outcome = format!("outcome=\"{outcome}\"");
    weir.metric(
        "weir_mirror_copies_total",
        &["http_route=\"items\"", &outcome],
    )
}

fn next(requests: &Receiver<Message>) -> Message {
    requests.recv_timeout(PATIENCE).expect("a request")
}

#[test]
fn a_copy_has_all_of_the_original_and_a_mark() {
    let (up, originals) = recording();
    let (shadow, copied) = recording();
    let route =
        "    rewrite: { prefix: /v2/ }\n    headers: { request: { set: { x-team: shop } } }\n";
    let weir = Weir::start(&config(up.address, shadow.address, "", route));
    let mut wire = Wire::connect(weir.http());
    // The mark cannot be forged.
    let answer = wire.response_to(
        "GET /items/7?q=1 HTTP/1.1\r\nHost: shop.test\r\nX-Weir-Mirror: 1\r\nAuthorization: Bearer x\r\n\r\n",
    );
    assert_eq!((answer.status(), answer.text().as_str()), (500, "shadow"));
    let (original, copy) = (next(&originals), next(&copied));
    assert_eq!(original.start, "GET /v2/7?q=1 HTTP/1.1");
    assert_eq!(original.get("x-weir-mirror"), None);
    assert_eq!(copy.get("x-weir-mirror"), Some("1"));
    let without_mark = |message: &Message| {
        let mut fields = message.fields.clone();
        fields.retain(|(name, _)| name != "x-weir-mirror");
        fields.sort();
        (message.start.clone(), fields, message.body.clone())
    };
    assert_eq!(without_mark(&copy), without_mark(&original));
    assert_eq!(copy.get("host"), Some("shop.test"));
    assert_eq!(copy.get("authorization"), Some("Bearer x"));
    assert_eq!(copy.get("x-team"), Some("shop"));

    let answered = |count: f64| {
        wait_until("the copies were counted", || {
            copies(&weir, "answered") == count
        });
    };
    answered(1.0);

    let body = pattern(40_000);
    let mut request = format!(
        "POST /items/8 HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    wire.send(&request);
    wire.response("POST");
    let (original, copy) = (next(&originals), next(&copied));
    assert_eq!(original.body, body);
    assert_eq!(without_mark(&copy), without_mark(&original));

    answered(2.0);

    // Without a known length the copy has one: the body is complete before it is sent.
    let chunked = "POST /items/9 HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    wire.send(chunked);
    wire.response("POST");
    next(&originals);
    let copy = next(&copied);
    assert_eq!(
        (copy.body.as_slice(), copy.get("content-length")),
        (&b"abcdefg"[..], Some("7"))
    );

    answered(3.0);
    // Copies are no requests of the route, and not in the access log.
    assert_eq!(weir.metric("http_server_requests_total", &["items"]), 3.0);
    assert_eq!(
        weir.metric("weir_upstream_requests_total", &["upstream=\"shadow\""]),
        3.0
    );
    wait_until("the log has the requests", || {
        weir.log().matches("/items/9").count() == 1
    });
    assert_eq!(weir.log().matches("shadow").count(), 0, "{}", weir.log());
    assert_eq!(shadow.accepted(), 1, "the connection is used again");
}

#[test]
fn http2_clients_are_copied_too() {
    let up = Upstream::answering(|request| answer(200, &[], request.body.len().to_string()));
    let (shadow, copied) = recording();
    let weir = Weir::start(&config(up.address, shadow.address, "", ""));
    let body = pattern(50_000);
    let url = weir.url("/items/2");
    for length in ["content-length: 50000", "content-length:"] {
        // Without the field, the length is known when the stream ends.
        let arguments = [
            "--http2-prior-knowledge",
            "--data-binary",
            "@-",
            "-H",
            length,
            &url,
        ];
        let ran = curl_fed(&arguments, &body);
        assert_eq!(ran.answer().text(), "50000");
        let copy = next(&copied);
        assert_eq!(
            (copy.start.as_str(), &copy.body),
            ("POST /items/2 HTTP/1.1", &body)
        );
    }
    assert_eq!(
        curl(&["--http2-prior-knowledge", &url]).answer().status(),
        200
    );
    assert_eq!(next(&copied).start, "GET /items/2 HTTP/1.1");
}

#[test]
fn bodies_that_are_too_large_or_cut_off_are_not_copied() {
    let up = Upstream::answering(|request| answer(200, &[], request.body.len().to_string()));
    let (shadow, copied) = recording();
    let weir = Weir::start(&config(up.address, shadow.address, ", body_bytes: 10B", ""));
    let mut wire = Wire::connect(weir.http());
    let mut post = |body: &str| {
        wire.response_to(&format!("POST /items/1 HTTP/1.1\r\nHost: a\r\n{body}"))
            .text()
    };
    assert_eq!(post("Content-Length: 11\r\n\r\nhello world"), "11");
    let chunked = "Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n";
    assert_eq!(post(chunked), "11");
    assert_eq!(copies(&weir, "body_too_large"), 2.0);
    assert_eq!(post("Content-Length: 10\r\n\r\nhelloworld"), "10");
    assert_eq!(next(&copied).body, b"helloworld");
    // A client that leaves in the middle.
    let mut wire = Wire::connect(weir.http());
    wire.send("POST /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhell");
    drop(wire);
    wait_until("it was counted", || copies(&weir, "body_incomplete") == 1.0);
    wait_until("none is left", || {
        weir.metric("weir_mirror_copies_under_way", &[]) == 0.0
    });
    assert!(copied.try_recv().is_err());
}

#[test]
fn a_share_of_the_requests_is_copied() {
    let up = Upstream::answering(|_| answer(200, &[], "fine"));
    let (shadow, _copied) = recording();
    let mirror = ", share: 20%, limit: 1000";
    let weir = Weir::start(&config(up.address, shadow.address, mirror, ""));
    let mut wire = Wire::connect(weir.http());
    for _ in 0..1_000 {
        wire.response_to("GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    wait_until("the copies ended", || {
        weir.metric("weir_mirror_copies_under_way", &[]) == 0.0
    });
    let answered = copies(&weir, "answered");
    // Binomial: 200 expected, standard deviation 12.6.
    assert!((135.0..265.0).contains(&answered), "{answered}");
}

/// Accepts connections, reads, and never answers.
fn hanging() -> Upstream {
    Upstream::new(|mut wire| {
        wire.stream.set_read_timeout(None).unwrap();
        while wire.request().is_some() {}
    })
}

#[test]
fn originals_do_not_notice_a_mirror_that_hangs() {
    let _alone = alone();
    let up = Upstream::answering(|_| answer(200, &[], "fine"));
    let shadow = hanging();
    let without = format!(
        "upstreams:\n  up: {{ targets: [\"{}\"] }}\n\
         routes:\n  - {{ name: items, match: {{ path: /* }}, upstream: up }}\n",
        up.address
    );
    let mirrored = config(up.address, shadow.address, ", limit: 4", "")
        .replace("/items/*", "/*")
        .replace("first_byte: 300ms", "first_byte: 5s");
    let start = |config: &str| Weir::start(&format!("log: {{ access: false }}\n{config}"));
    let (plain, weir) = (start(&without), start(&mirrored));
    let mut answered = 0;
    let time = |weir: &Weir| {
        let load = Load::keep_alive(weir.http(), 4, "fine");
        let begin = Instant::now();
        load.wait_for_more(1_000);
        let took = begin.elapsed();
        // Every single one is answered, and as it should be.
        (took, load.finish().answered())
    };
    // In turn, and the best of each: what else the machine does is in neither.
    let (mut calm, mut took) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        calm = calm.min(time(&plain).0);
        let (beside, count) = time(&weir);
        took = took.min(beside);
        answered += count;
    }
    eprintln!("1000 requests took {took:?} beside a mirror that hangs, {calm:?} without one");
    assert!(took < calm * 3, "{took:?} against {calm:?}");
    // Two workers, each with its limit.
    let under_way = weir.metric("weir_mirror_copies_under_way", &[]);
    let (over, timed_out) = (copies(&weir, "over_limit"), copies(&weir, "timed_out"));
    assert!(under_way <= 8.0, "{under_way}");
    assert!(timed_out + under_way >= 4.0, "{timed_out} and {under_way}");
    assert_eq!(
        over + under_way + timed_out,
        answered as f64,
        "each has its outcome"
    );
    wait_until("the copies end at their deadline", || {
        weir.metric("weir_mirror_copies_under_way", &[]) == 0.0
    });
    assert_eq!(copies(&weir, "timed_out"), answered as f64 - over);
    assert_eq!(
        weir.metric("http_server_requests_total", &["2xx"]),
        answered as f64
    );
    assert_eq!(
        weir.metric("weir_answers_total", &["upstream_timeout"]),
        0.0
    );
}

#[test]
fn originals_do_not_notice_a_mirror_that_refuses_or_never_ends() {
    let up = Upstream::answering(|request| answer(200, &[], &request.body));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = listener.local_addr().unwrap();
    drop(listener);
    let post = |weir: &Weir| {
        let mut wire = Wire::connect(weir.http());
        for _ in 0..50 {
            let answer = wire
                .response_to("POST /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
            assert_eq!((answer.status(), answer.text().as_str()), (200, "body"));
        }
    };
    let weir = Weir::start(&config(up.address, refusing, "", ""));
    post(&weir);
    wait_until("the copies failed", || copies(&weir, "failed") == 50.0);
    assert_eq!(
        weir.metric("weir_answers_total", &["upstream_connect_failed"]),
        0.0
    );

    let endless = Upstream::new(|mut wire| {
        while wire.request().is_some() {
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while wire.try_send("4\r\nmore\r\n".repeat(1_000)).is_ok() {}
        }
    });
    let weir = Weir::start(&config(up.address, endless.address, ", limit: 100", ""));
    post(&weir);
    wait_until("the copies ended", || {
        weir.metric("weir_mirror_copies_under_way", &[]) == 0.0
    });
    let ended = copies(&weir, "answered") + copies(&weir, "timed_out");
    assert_eq!(ended, 50.0);
}

#[test]
fn a_mirror_that_takes_nothing_does_not_hold_up_a_large_body() {
    let up = Upstream::answering(|request| answer(200, &[], request.body.len().to_string()));
    // Accepts, and reads nothing.
    let shadow = Upstream::new(|wire| {
        let _ = wire.stream.set_nonblocking(false);
        std::thread::park_timeout(PATIENCE);
        drop(wire);
    });
    let weir = Weir::start(&config(
        up.address,
        shadow.address,
        ", body_bytes: 8MiB",
        "",
    ));
    let body = pattern(8 << 20);
    let mut request = format!(
        "POST /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    let mut wire = Wire::connect(weir.http());
    wire.send(&request);
    assert_eq!(wire.response("POST").text(), body.len().to_string());
    wait_until("the copy is given up", || {
        copies(&weir, "timed_out") + copies(&weir, "failed") == 1.0
    });
}

#[test]
fn weirs_own_cookies_are_not_copied() {
    let (up, originals) = recording();
    let (shadow, copied) = recording();
    let config = format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], sticky: {{ cookie: weir-target }} }}\n  \
         shadow: {{ targets: [\"{}\"], sticky: {{ cookie: weir-shadow }} }}\n\
         routes:\n  - {{ name: items, match: {{ path: /* }}, upstream: up, mirror: {{ upstream: shadow }} }}\n",
        up.address, shadow.address
    );
    let weir = Weir::start(&config);
    let mut wire = Wire::connect(weir.http());
    wire.response_to(
        "GET / HTTP/1.1\r\nHost: a\r\n\
         Cookie: a=1; weir-target=00000000000000ab; weir-shadow=00000000000000cd; b=2\r\n\r\n",
    );
    assert_eq!(
        next(&originals).get("cookie"),
        Some("a=1; weir-shadow=00000000000000cd; b=2")
    );
    assert_eq!(next(&copied).get("cookie"), Some("a=1; b=2"));
}
