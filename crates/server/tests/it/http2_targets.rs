//! Targets over HTTP/2 that end, cut and withhold their answers.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::TcpListener;

use crate::harness::{PATIENCE, Upstream, Weir, Wire, wait_until};

/// A target whose answers are scripted frame by frame.
struct Target {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Target {
    fn start<F>(streams: u32, answer: fn(Request<RecvStream>, SendResponse<Bytes>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                let mut builder = h2::server::Builder::new();
                builder.max_concurrent_streams(streams);
                let serving = async move {
                    let Ok(mut connection) = builder.handshake(stream).await else {
                        return;
                    };
                    let mut exchanges = tokio::task::JoinSet::new();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        exchanges.spawn(answer(request, respond));
                    }
                };
                let mut one = tokio::task::JoinSet::new();
                one.spawn(serving);
                one.detach_all();
            }
        });
        Self {
            address,
            connections,
            _runtime: runtime,
        }
    }

    fn weir(&self) -> Weir {
        weir(self.address, "{}")
    }
}

fn weir(target: SocketAddr, pool: &str) -> Weir {
    Weir::start(&format!(
        "workers: 1\nupstreams:\n  up:\n    targets: [\"{target}\"]\n    http2: true\n    \
         pool: {pool}\n    timeouts: {{ first_byte: 1s }}\n    retry: {{ attempts: 0 }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n"
    ))
}

/// Ends with the head, and states no length.
async fn head_only(_: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let _ = respond.send_response(Response::new(()), true);
}

#[test]
fn an_answer_that_ends_with_its_head_has_a_length_over_http_1() {
    let target = Target::start(100, head_only);
    let weir = target.weir();
    let mut wire = Wire::connect(weir.http());
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = wire.response("GET");
        assert!(answer.start.starts_with("HTTP/1.1 200"), "{}", answer.start);
        assert_eq!(answer.get("content-length"), Some("0"));
    }
}

/// Promises 100 bytes and is reset, without an error, after 10.
async fn cut(_: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let head = Response::builder()
        .header("content-length", 100)
        .body(())
        .unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    stream
        .send_data(Bytes::from_static(b"0123456789"), false)
        .unwrap();
    // The piece is on its way before the reset is.
    tokio::task::yield_now().await;
    stream.send_reset(Reason::NO_ERROR);
}

#[test]
fn an_answer_that_is_cut_short_never_looks_complete_over_http_1() {
    let target = Target::start(100, cut);
    let weir = target.weir();
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let received = wire.rest();
    let text = String::from_utf8_lossy(&received);
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
    assert!(
        !text.contains("HTTP/1.1 200") || text.contains("content-length: 100"),
        "{text}"
    );
}

/// Answers `/quick`; keeps everything else waiting.
async fn withhold(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    if request.uri().path() == "/quick" {
        let _ = respond.send_response(Response::new(()), true);
        return;
    }
    tokio::time::sleep(PATIENCE).await;
}

#[test]
fn slow_exchanges_up_to_the_stream_limit_do_not_hold_up_another() {
    let target = Target::start(4, withhold);
    let weir = target.weir();
    let mut slow: Vec<Wire<_>> = (0..8).map(|_| Wire::connect(weir.http())).collect();
    for wire in &mut slow {
        wire.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    let mut quick = Wire::connect(weir.http());
    quick.send("GET /quick HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let answer = quick.response("GET");
    assert!(answer.start.starts_with("HTTP/1.1 200"), "{}", answer.start);
    assert!(target.connections.load(Ordering::Relaxed) >= 3);
}

#[test]
fn a_connection_that_does_not_answer_is_not_used_again() {
    let target = Target::start(100, withhold);
    let weir = target.weir();
    let mut wire = Wire::connect(weir.http());
    for path in ["/slow", "/quick"] {
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let status = if path == "/slow" {
            "HTTP/1.1 504"
        } else {
            "HTTP/1.1 200"
        };
        let answer = wire.response("GET");
        assert!(answer.start.starts_with(status), "{}", answer.start);
    }
    assert_eq!(target.connections.load(Ordering::Relaxed), 2);
}

/// One path that takes too long says nothing about the way to the target.
#[test]
fn a_connection_that_answers_others_is_used_again() {
    let target = Target::start(100, withhold);
    let weir = target.weir();
    let mut slow = Wire::connect(weir.http());
    let mut quick = Wire::connect(weir.http());
    let mut ask_quickly = || {
        quick.send("GET /quick HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(quick.response("GET").status(), 200);
    };
    ask_quickly();
    slow.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wait_until("the slow one is under way", || {
        weir.metric("weir_upstream_requests_total", &[]) >= 2.0
    });
    ask_quickly();
    assert_eq!(slow.response("GET").status(), 504);
    ask_quickly();
    assert_eq!(target.connections.load(Ordering::Relaxed), 1);
}

/// Begins a body, and is dead from then on.
const BEGUN: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x05\0\0\0\0\0\x01hello";

/// A server of frames alone (RFC 9113 §4.1): answers SETTINGS, sends this after a request, and answers a
/// PING if it may. Counts the PINGs.
fn frames(after_head: &'static [u8], answers: bool) -> (Upstream, Arc<AtomicUsize>) {
    let pings = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&pings);
    let upstream = Upstream::new(move |mut wire| {
        wire.stream.set_read_timeout(None).unwrap();
        wire.take(24);
        wire.send(b"\0\0\0\x04\0\0\0\0\0");
        loop {
            let head = wire.take(9);
            let &[_, high, low, kind, flags, ..] = &head[..] else {
                return;
            };
            let payload = wire.take(usize::from(high) << 8 | usize::from(low));
            match (kind, flags & 1) {
                (1, _) => wire.send(after_head),
                (4, 0) => wire.send(b"\0\0\0\x04\x01\0\0\0\0"),
                (6, 0) => {
                    counter.fetch_add(1, Ordering::AcqRel);
                    if answers {
                        wire.send([&b"\0\0\x08\x06\x01\0\0\0\0"[..], &payload].concat());
                    }
                }
                _ => {}
            }
        }
    });
    (upstream, pings)
}

const PINGS: &str = "{ ping_interval: 100ms, ping_timeout: 300ms }";

#[test]
fn a_body_ends_soon_after_its_target_died() {
    let (target, pings) = frames(BEGUN, false);
    let weir = weir(target.address, PINGS);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let begun = std::time::Instant::now();
    // `idle` would wait for a minute.
    let text = String::from_utf8(wire.rest()).unwrap();
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with("5\r\nhello\r\n"),
        "{text}"
    );
    assert_eq!(pings.load(Ordering::Acquire), 1);
    wait_until("the log says why", || {
        weir.log().contains("\"weir.cause\":\"PING not answered\"")
    });
}

/// A target that is only slow is asked ever less often; servers of gRPC take more for abuse.
#[test]
fn a_target_that_answers_pings_may_be_silent_and_is_left_alone() {
    let (target, pings) = frames(b"", true);
    let weir = weir(target.address, PINGS);
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    // That took a second, ten times as long as the interval.
    wire.response("GET").assert_problem(504, "upstream_timeout");
    let pings = pings.load(Ordering::Acquire);
    assert!((1..=2).contains(&pings), "{pings}");
}

#[test]
fn nobody_is_asked_without_need() {
    let (target, pings) = frames(b"", false);
    let weir = weir(target.address, "{ ping_interval: false }");
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    wire.response("GET").assert_problem(504, "upstream_timeout");
    assert_eq!(pings.load(Ordering::Acquire), 0, "it is turned off");
}
