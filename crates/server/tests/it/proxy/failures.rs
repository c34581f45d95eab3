//! Servers and clients that leave, answer wrongly or not at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::harness::{
    H2Client, Message, PATIENCE, Upstream, Weir, Wire, answer, block_on, curl, forward, free_port,
    wait_until,
};

#[test]
fn a_refusal_names_the_request_as_the_log_does() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"] }}\n\
         routes: [{{ name: one, match: {{ path: /one }}, upstream: up }}]\n",
        upstream.address
    ));
    let answer = weir.get("/two");
    answer.assert_problem(404, "no_route");
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    assert_ne!(weir.get("/two").json()["request_id"], id.as_str());
    wait_until("the request is in the log", || {
        weir.log()
            .lines()
            .any(|line| line.contains(&id) && line.contains("no_route"))
    });
}

#[test]
fn a_server_that_dies_in_its_body_leaves_a_message_without_an_end() {
    let cases = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    ];
    for bytes in cases {
        let upstream = Upstream::new(move |mut wire| {
            wire.request();
            wire.send(bytes);
        });
        let weir = Weir::to(upstream.address);
        let mut wire = Wire::connect(weir.http());
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = wire.response("GET");
        assert_eq!(answer.text(), "hello");
        assert!(!answer.complete, "{bytes:?} looks whole: {answer:?}");
        assert!(wire.is_at_end());

        let error = block_on(async {
            let client = H2Client::connect(weir.http()).await;
            client.get("http://a/").await.expect_err("a cut response")
        });
        assert_eq!(
            error.reason(),
            Some(h2::Reason::INTERNAL_ERROR),
            "{bytes:?}: {error}"
        );
    }
}

/// Reads a request, counts it, and closes without a word.
fn silent_end(seen: &Arc<AtomicUsize>) -> Upstream {
    let seen = Arc::clone(seen);
    Upstream::new(move |mut wire| {
        if wire.request().is_some() {
            seen.fetch_add(1, Ordering::AcqRel);
        }
    })
}

fn with_retry(upstream: &Upstream, retry: &str) -> String {
    format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], retry: {{ {retry} }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    )
}

#[test]
fn only_what_is_safe_to_repeat_is_repeated() {
    let seen = Arc::new(AtomicUsize::new(0));
    let upstream = silent_end(&seen);
    let weir = Weir::start(&with_retry(
        &upstream,
        "attempts: 2, when: [connect, reset]",
    ));
    let send = |request: &str| {
        seen.store(0, Ordering::Release);
        let mut wire = Wire::connect(weir.http());
        wire.send(request);
        wire.response("GET").assert_problem(502, "upstream_reset");
        seen.load(Ordering::Acquire)
    };
    assert_eq!(send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 3);
    assert_eq!(send("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"), 3);
    assert_eq!(
        send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        1
    );
    assert_eq!(
        send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        1
    );
    assert_eq!(
        send("PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        1
    );
    // Idempotent, but its body is gone.
    assert_eq!(
        send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        1
    );
}

#[test]
fn a_status_is_repeated_at_another_target() {
    let bad = Upstream::answering(|_| answer(503, &[], "bad"));
    let good = Upstream::answering(|_| answer(200, &[], "good"));
    let weir = Weir::start(&format!(
        "workers: 1\nupstreams:\n  up:\n    targets: [\"{}\", \"{}\"]\n\
         \x20   retry: {{ attempts: 1, when: [503], budget: 100% }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        bad.address, good.address
    ));
    for _ in 0..20 {
        assert_eq!(weir.get("/").text(), "good");
    }
    let mut posted = [0, 0];
    for _ in 0..20 {
        let mut wire = Wire::connect(weir.http());
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        posted[usize::from(wire.response("POST").status() == 503)] += 1;
    }
    assert_eq!(posted, [10, 10]);
}

#[test]
fn a_connection_that_cannot_be_made_is_tried_elsewhere_for_every_method() {
    let good = Upstream::answering(|request| answer(200, &[], &request.body));
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"127.0.0.1:{}\", \"{}\"] }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        free_port(),
        good.address
    ));
    for _ in 0..10 {
        let mut wire = Wire::connect(weir.http());
        wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        let answer = wire.response("POST");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "hi"));
    }
}

#[test]
fn a_server_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let (closed, end) = mpsc::channel();
    let upstream = Upstream::new(move |mut wire| {
        wire.request();
        closed.send(wire.is_at_end()).unwrap();
    });
    let weir = Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], timeouts: {{ first_byte: 100ms }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        upstream.address
    ));
    weir.get("/").assert_problem(504, "upstream_timeout");
    assert!(
        end.recv_timeout(PATIENCE).unwrap(),
        "the late server was not left"
    );
}

#[test]
fn a_client_that_leaves_ends_its_request_at_the_server() {
    let (step, steps) = mpsc::channel();
    let upstream = Upstream::new(move |mut wire| {
        let Some(request) = wire.request() else {
            return;
        };
        if request.target() == "/body" {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        }
        step.send("asked").unwrap();
        if wire.is_at_end() {
            step.send("left").unwrap();
        }
    });
    let weir = Weir::to(upstream.address);
    let expect = |what: &str| assert_eq!(steps.recv_timeout(PATIENCE), Ok(what));
    for path in ["/head", "/body"] {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        expect("asked");
        drop(wire);
        expect("left");
    }
    for path in ["/head", "/body"] {
        block_on(async {
            let client = H2Client::connect(weir.http()).await;
            let mut sender = client.sender.clone().ready().await.unwrap();
            let request = http::Request::get(format!("http://a{path}"))
                .body(())
                .unwrap();
            let (response, stream) = sender.send_request(request, true).unwrap();
            wait_for(&steps, "asked").await;
            // The stream is reset; the connection stays.
            drop((response, stream));
            wait_for(&steps, "left").await;
        });
    }
}

/// Waits without holding up the clients that live on this thread.
async fn wait_for(steps: &mpsc::Receiver<&'static str>, what: &str) {
    loop {
        match steps.try_recv() {
            Ok(step) => return assert_eq!(step, what),
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

#[test]
fn a_body_beyond_its_limit_is_refused() {
    let upstream = Upstream::echo();
    let weir = Weir::start(&format!(
        "limits: {{ body_bytes: 1KiB }}\n{}",
        forward(upstream.address)
    ));
    let body = "x".repeat(1025);
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n{body}"
    ));
    wire.response("POST").assert_problem(413, "body_too_large");
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{body}\r\n0\r\n\r\n"
    ));
    wire.response("POST").assert_problem(413, "body_too_large");
    let mut wire = Wire::connect(weir.http());
    let body = &body[1..];
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n{body}"
    ));
    assert_eq!(wire.response("POST").status(), 200);
}

#[test]
fn an_answer_that_comes_before_the_upload_ended_reaches_the_client() {
    for keeps in [true, false] {
        let upstream = Upstream::new(move |mut wire| {
            wire.head();
            wire.send(answer(413, &[], "far too much"));
            if keeps {
                // Takes nothing more, and stays: the answer must not wait for the body.
                std::thread::park_timeout(PATIENCE);
            }
        });
        let weir = Weir::to(upstream.address);
        weir.setup().write("large", vec![b'x'; 50 * 1024 * 1024]);
        let file = weir.setup().path("large").display().to_string();
        let run = curl(&["--http1.1", "-H", "Expect:", "-T", &file, &weir.url("/")]);
        assert_eq!(
            run.heads.last().map(Message::status),
            Some(413),
            "{}",
            run.stderr
        );
        assert_eq!(run.body, b"far too much");
    }
}

#[test]
fn a_client_that_leaves_in_its_head_gets_nothing_that_looks_like_an_answer() {
    let upstream = Upstream::echo();
    let weir = Weir::to(upstream.address);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nX-Cut");
    wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let rest = String::from_utf8(wire.rest()).unwrap();
    assert!(!rest.contains(" 499 "), "{rest}");
    assert_eq!(upstream.accepted(), 0);
}
