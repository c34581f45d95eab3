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

use crate::harness::{PATIENCE, Weir, Wire, wait_until};

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
        Weir::start(&format!(
            "workers: 1\nupstreams:\n  up:\n    targets: [\"{}\"]\n    http2: true\n    \
             timeouts: {{ first_byte: 1s }}\n    retry: {{ attempts: 0 }}\n\
             routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n",
            self.address
        ))
    }
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
