//! Bodies of requests on their way to servers over HTTP/2.

use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};

use crate::harness::{H2Client, NodeScript, PATIENCE, Upstream, Weir, Wire, block_on};

const DATA: u8 = 0;
const END_STREAM: u8 = 1;

fn weir(server: SocketAddr) -> Weir {
    Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{server}\"], http2: true }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up }}]\n"
    ))
}

/// Flags and payload of the next frame of a kind (RFC 9113 §4.1).
fn next_of(kind: u8, wire: &mut Wire) -> (u8, Vec<u8>) {
    loop {
        let head = wire.take(9);
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = wire.take(length);
        if head[3] == kind {
            return (head[4], payload);
        }
    }
}

#[test]
fn a_short_body_does_not_wait_for_the_server_and_says_that_it_is_all() {
    let (came, wait_for_body) = mpsc::channel();
    let upstream = Upstream::new(move |mut wire| {
        wire.take(24);
        came.send(next_of(DATA, &mut wire)).unwrap();
        // Settings, and for the first stream :status 200, which is all.
        wire.send(b"\0\0\0\x04\0\0\0\0\0");
        wire.send(b"\0\0\x01\x01\x05\0\0\0\x01\x88");
        wire.rest();
    });
    let weir = weir(upstream.address);
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let request = Request::post("http://a/").body(()).unwrap();
        let answer = client.send(request, Bytes::from("hello"), None).await;
        assert_eq!(answer.unwrap().status, 200);
    });
    let body = wait_for_body.recv_timeout(PATIENCE).unwrap();
    assert_eq!(body, (END_STREAM, b"hello".to_vec()));
}

#[test]
fn trailers_behind_a_body_of_stated_length_arrive() {
    let node = NodeScript::start("http2.js", &[]);
    let weir = weir(node.address);
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-check", HeaderValue::from_static("42"));
        let request = Request::post("http://a/seen").header("content-length", 4);
        let request = request.body(()).unwrap();
        let answer = client.send(request, Bytes::from("body"), Some(trailers));
        let seen = answer.await.unwrap().text();
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen["trailers"]["x-check"], "42", "{seen}");
        assert_eq!(seen["length"], 4);
    });
}
