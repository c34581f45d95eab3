//! Servers that answer with what no library would send.

use serde_json::json;

use super::{Version, call, framed, unary};
use crate::harness::{Message, Upstream, Weir, Wire};

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// A field, literal and without compression (RFC 7541 §6.2.2).
fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name.as_bytes(), value] {
        // An integer with a prefix of seven bits (§5.1).
        let mut left = text.len();
        if left < 127 {
            bytes.push(u8::try_from(left).unwrap());
        } else {
            bytes.push(127);
            left -= 127;
            while left >= 128 {
                bytes.push(u8::try_from(left % 128).unwrap() | 0x80);
                left /= 128;
            }
            bytes.push(u8::try_from(left).unwrap());
        }
        bytes.extend_from_slice(text);
    }
    bytes
}

/// Headers, cut into frames of 16 KiB as the protocol wants it.
fn headers(is_end: bool, block: &[u8]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = block.chunks(16_384).collect();
    let mut frames = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let kind = if at == 0 { 1 } else { 9 };
        let is_last = at + 1 == pieces.len();
        let flags = u8::from(is_end && at == 0) | if is_last { 4 } else { 0 };
        frames.extend(frame(kind, flags, 1, piece));
    }
    frames
}

/// Answers the first call of each connection with a message and these trailers.
fn ending_with(trailers: Vec<u8>) -> Upstream {
    Upstream::new(move |mut wire| {
        wire.take(24);
        wire.send(frame(4, 0, 0, &[]));
        await_headers(&mut wire);
        let head = [vec![0x88], field("content-type", b"application/grpc")].concat();
        wire.send(headers(false, &head));
        wire.send(frame(0, 0, 1, &framed(b"one")));
        wire.send(headers(true, &trailers));
        wire.rest();
    })
}

fn await_headers(wire: &mut Wire) {
    loop {
        let head = wire.take(9);
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        wire.take(length);
        if head[3] == 1 {
            return;
        }
    }
}

fn weir(upstream: &Upstream) -> Weir {
    Weir::start(&format!(
        "upstreams:\n  up: {{ targets: [\"{}\"], http2: true, retry: {{ attempts: 0 }}, \
         health: {{ passive: false }}, timeouts: {{ stream_idle: 2s }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: up, grpc: {{ web: true }} }}]\n",
        upstream.address
    ))
}

/// A call of gRPC-Web.
fn web(weir: &Weir) -> Message {
    let content_type = "application/grpc-web+proto";
    super::web(weir, Version::Http1, "/a.B/C", content_type, &framed(b""))
}

fn status(value: &[u8], message: &[u8]) -> Vec<u8> {
    [field("grpc-status", value), field("grpc-message", message)].concat()
}

#[test]
fn trailers_with_control_bytes_do_not_get_through() {
    for bad in [&b"a\r\ngrpc-status: 0"[..], b"a\nb", b"a\0b", b"\x1b[2J"] {
        let upstream = ending_with(status(b"7", bad));
        let weir = weir(&upstream);
        let result = call(&weir, json!({ "kind": "server", "method": "Any" }));
        // Fields that cannot be read make the connection useless.
        assert_eq!(result["code"], "UNAVAILABLE", "{bad:?}: {result}");
        let details = result["details"].as_str().unwrap();
        assert!(details.starts_with("upstream_reset: "), "{details}");

        let answer = web(&weir);
        let text = answer.text();
        assert!(text.contains("grpc-status: 14\r\n"), "{bad:?}: {text:?}");
        assert!(!text.contains("grpc-status: 0"), "{text:?}");
    }
}

#[test]
fn a_giant_message_passes_if_it_fits_and_fails_the_call_if_not() {
    let fits = "m".repeat(30_000);
    let upstream = ending_with(status(b"7", fits.as_bytes()));
    let running = weir(&upstream);
    let text = web(&running).text();
    assert!(text.contains("grpc-status: 7\r\n") && text.contains(&fits));
    let before = running.memory();
    let upstream = ending_with(status(b"7", "m".repeat(4 << 20).as_bytes()));
    let running = weir(&upstream);
    let text = web(&running).text();
    assert!(
        !text.contains("mmmm") && text.len() < 1_000,
        "{} bytes",
        text.len()
    );
    let result = call(&running, unary("Any", ""));
    assert_ne!(result["code"], "OK", "{result}");
    let grown = running.memory().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[test]
fn a_status_that_is_none_is_unknown() {
    for bad in [
        &b"99"[..],
        b"-1",
        b"OK",
        b"",
        b"0x0",
        b"18446744073709551616",
    ] {
        let upstream = ending_with(field("grpc-status", bad));
        let weir = weir(&upstream);
        web(&weir);
        let unknown = ["rpc_response_status_code=\"UNKNOWN\""];
        crate::harness::wait_until("it is counted", || {
            weir.metric("weir_grpc_calls_total", &unknown) == 1.0
        });
        assert_eq!(
            weir.metric("weir_grpc_calls_total", &[]),
            1.0,
            "no other label"
        );
    }
}
