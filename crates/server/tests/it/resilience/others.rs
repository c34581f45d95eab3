//! What does not fit into the table.

use super::bench::{Link, record, server};
use crate::faulty::{Answer, Behaviour, Faulty, MALFORMED, all};
use crate::harness::{H2Client, Message, Weir, Wire, block_on, curl, wait_until};

fn weir(server: &Faulty, settings: &str) -> Weir {
    Weir::start(&format!(
        "workers: 1\nupstreams:\n  up:\n    targets: [\"{}\"]\n{settings}\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
        server.address
    ))
}

const HTTP2: &str = "    http2: true\n";

#[test]
fn every_behaviour_of_the_tool_can_be_named() {
    for (name, behaviour) in all() {
        assert_eq!(name.parse(), Ok(behaviour), "{name}");
    }
    let answer = Answer {
        status: 503,
        body: 7,
        retry_after: Some("60".to_owned()),
        ..Answer::default()
    };
    assert_eq!(
        "answer=503,body=7,retry-after=60".parse(),
        Ok(Behaviour::Answer(answer))
    );
    for wrong in [
        "",
        "none",
        "answer=",
        "answer=100",
        "no-head=1",
        "malformed-head=8",
    ] {
        assert!(wrong.parse::<Behaviour>().is_err(), "{wrong}");
    }
}

#[test]
fn heads_that_cannot_be_believed_are_bad_gateways() {
    for (link, settings) in [(Link::Http1, ""), (Link::Http2, HTTP2)] {
        let server = server(link);
        let weir = weir(&server, settings);
        for at in 0..MALFORMED {
            let path = format!("/fault/malformed-head={at}");
            let answer = weir.get(&path);
            let reason = record(&weir, &path)["weir.reason"].clone();
            answer.assert_problem(502, reason.as_str().unwrap());
            let is_understood =
                reason == "upstream_malformed" || link == Link::Http2 && reason == "upstream_reset";
            assert!(is_understood, "{link:?} {at}: {reason}");
        }
        assert_eq!(weir.get("/").status(), 200);
    }
}

#[test]
fn a_target_that_asks_for_a_century_of_patience_gets_none_here() {
    let server = server(Link::Http1);
    let weir = weir(&server, "");
    let century = "3155760000";
    let path = format!("/fault/answer=503,retry-after={century}");
    let answer = weir.get(&path);
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.get("retry-after"), Some(century));
    assert_eq!(weir.get("/").status(), 200);
}

#[test]
fn an_upload_that_nobody_reads_is_a_gateway_timeout() {
    let server = server(Link::Http1);
    server.behave(Behaviour::NeverRead);
    let weir = weir(&server, "    timeouts: { idle: 300ms }\n");
    weir.setup().write("large", vec![b'x'; 50 * 1024 * 1024]);
    let file = weir.setup().path("large").display().to_string();
    let run = curl(&[
        "--http1.1",
        "-H",
        "Expect:",
        "-T",
        &file,
        &weir.url("/upload"),
    ]);
    assert_eq!(run.heads.last().map(Message::status), Some(504));
    let reason = record(&weir, "/upload")["weir.reason"].clone();
    assert_eq!(reason, "upstream_stalled");
}

#[test]
fn a_client_that_leaves_an_endless_body_ends_it_at_the_target() {
    for (link, settings) in [(Link::Http1, ""), (Link::Http2, HTTP2)] {
        let server = server(link);
        server.behave(Behaviour::EndlessBody);
        let weir = weir(&server, settings);
        let mut wire = Wire::connect(weir.http());
        wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(wire.take(1_000_000).len(), 1_000_000);
        drop(wire);
        wait_until("the target is left", || server.seen().left == 1);
        block_on(async {
            let client = H2Client::connect(weir.http()).await;
            let mut sender = client.sender.clone().ready().await.unwrap();
            let request = http::Request::get("http://a.test/").body(()).unwrap();
            let (response, _) = sender.send_request(request, true).unwrap();
            let mut body = response.await.unwrap().into_body();
            assert!(!body.data().await.unwrap().unwrap().is_empty());
        });
        wait_until("the target is left again", || server.seen().left == 2);
        // The target did nothing wrong.
        assert_eq!(weir.metric("weir_upstream_requests_failed_total", &[]), 0.0);
    }
}

#[test]
fn an_upload_that_its_client_aborts_is_no_failure_of_the_target() {
    for (link, settings) in [(Link::Http1, ""), (Link::Http2, HTTP2)] {
        let server = server(link);
        let weir = weir(&server, settings);
        let mut wire = Wire::connect(weir.http());
        wire.send("POST /cut HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
        wait_until("the target has the head", || server.seen().all() == 1);
        drop(wire);
        wait_until("the target misses the rest", || {
            server.seen().aborted_uploads == 1
        });
        assert_eq!(record(&weir, "/cut")["weir.reason"], "client_closed");
        assert_eq!(weir.metric("weir_upstream_requests_total", &[]), 1.0);
        assert_eq!(weir.metric("weir_upstream_requests_failed_total", &[]), 0.0);
    }
}

#[test]
fn a_target_that_refuses_streams_is_not_asked_beyond_the_budget() {
    let server = server(Link::Http2);
    server.behave(Behaviour::RefusedStream);
    let weir = weir(
        &server,
        "    http2: true\n    retry: { attempts: 2, when: [reset], budget: 10% }\n",
    );
    for _ in 0..50 {
        weir.get("/").assert_problem(502, "upstream_reset");
    }
    // Ten repeats are there from the start, and ten percent are earned.
    let repeats = server.seen().all() - 50;
    assert!((10..=15).contains(&repeats), "{repeats} repeats");
    assert_eq!(
        weir.metric("weir_upstream_retries_total", &[]),
        repeats as f64
    );
}

#[test]
fn a_target_that_comes_back_is_used_again() {
    let server = server(Link::Http1);
    let weir = weir(&server, "");
    for _ in 0..3 {
        server.behave(Behaviour::Refuse);
        weir.get("/").assert_problem(502, "upstream_connect_failed");
        server.behave(Behaviour::Answer(Answer::default()));
        assert_eq!(weir.get("/").status(), 200);
    }
}

#[test]
fn a_slow_connection_within_its_deadline_is_only_slow() {
    let server = server(Link::Http1);
    let weir = weir(&server, "    timeouts: { connect: 10s }\n");
    // From now on, and for so long.
    server.behave("slow-connect=500".parse().unwrap());
    assert_eq!(weir.get("/slow").status(), 200);
    let took = record(&weir, "/slow")["upstream_connect_ms"].as_f64();
    // The system asks again after a second.
    assert!(took.is_some_and(|took| took > 150.0), "{took:?}");
}
