//! Slow and silent peers: each phase ends at its own deadline, and others are served meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::harness::http1::{Talk, connect, finish, read_to_close, talk};
use crate::harness::http2::{self, PREFACE, frame};
use crate::harness::upstream::Upstream;
use crate::harness::weir::{Weir, assert_serves};

/// The deadline that a test is about; all others are far longer.
const DEADLINE: Duration = Duration::from_millis(600);
/// How late an end may be on a machine that is busy with other tests.
const LATE: Duration = Duration::from_secs(5);

fn weir(upstream: &Upstream, timeouts: &str) -> Weir {
    let mut all = vec![
        "handshake: 60s",
        "head: 60s",
        "idle: 60s",
        "body: 60s",
        "write: 60s",
    ];
    all.retain(|entry| !timeouts.starts_with(entry.split(' ').next().unwrap()));
    all.push(timeouts);
    Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}, {{ address: '@second', proxy_protocol: true }}]
upstreams: {{ all: {{ targets: ['{}'], timeouts: {{ first_byte: 60s, idle: 60s }} }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
timeouts: {{ {} }}
",
        upstream.address,
        all.join(", ")
    ))
}

#[track_caller]
fn assert_on_time(elapsed: Duration) {
    assert!(elapsed >= DEADLINE, "ended {:?} early", DEADLINE - elapsed);
    assert!(
        elapsed < DEADLINE + LATE,
        "ended {:?} late",
        elapsed - DEADLINE
    );
    println!("ended after {elapsed:?}, {DEADLINE:?} allowed");
}

/// Sends one byte whenever a little time has passed in which nothing arrived.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> Talk {
    let start = Instant::now();
    let mut answer = Vec::new();
    stream
        .set_read_timeout(Some(Duration::from_millis(30)))
        .unwrap();
    for byte in bytes {
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => {
                answer.extend_from_slice(&piece[..length]);
                break;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
    }
    let closed_after = start.elapsed();
    Talk {
        answers: Vec::new(),
        rest: answer,
        closed_after,
    }
}

#[test]
fn a_silent_connection_ends_at_the_head_deadline() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "head: 600ms");
    let start = Instant::now();
    let stream = connect(weir.address);
    weir.assert_serves();
    let silent = finish(stream, start);
    assert!(silent.answers.is_empty());
    assert_on_time(silent.closed_after);
}

#[test]
fn a_head_that_arrives_byte_by_byte_ends_at_the_head_deadline() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "head: 600ms");
    for beginning in [
        "GET /slow HTTP/1.1\r\nHost: a.test\r\nX: ",
        "P",
        "PRI * HTTP/2.0\r\n",
    ] {
        let mut stream = connect(weir.address);
        stream.write_all(beginning.as_bytes()).unwrap();
        weir.assert_serves();
        let slow = drip(&mut stream, &[b'x'; 1000]);
        let answer = String::from_utf8_lossy(&slow.rest).into_owned();
        let is_refusal = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(is_refusal, "{beginning:?}: {answer}");
        if beginning.starts_with("GET") {
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            assert_on_time(slow.closed_after);
        }
    }
}

#[test]
fn part_of_the_http2_preface_and_silence_ends_at_the_head_deadline() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "head: 600ms");
    for sent in [1, 14, PREFACE.len() - 1] {
        let start = Instant::now();
        let mut stream = connect(weir.address);
        stream.write_all(&PREFACE[..sent]).unwrap();
        weir.assert_serves();
        assert_on_time(finish(stream, start).closed_after);
    }
}

#[test]
fn a_kept_connection_ends_at_the_idle_deadline() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "idle: 600ms");
    let mut stream = connect(weir.address);
    let start = Instant::now();
    stream
        .write_all(b"GET /kept HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    upstream.next();
    weir.assert_serves();
    let kept = finish(stream, start);
    assert_eq!(kept.statuses(), [200]);
    assert_on_time(kept.closed_after);
}

#[test]
fn an_http2_connection_without_streams_ends_at_the_idle_deadline() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "idle: 600ms");
    let start = Instant::now();
    let mut client = http2::Client::connect(weir.address);
    weir.assert_serves();
    assert_eq!(client.until_end(), http2::Ended::GoAway(0));
    assert_on_time(start.elapsed());
    // Frames that open no stream do not keep it alive.
    let start = Instant::now();
    let mut client = http2::Client::connect(weir.address);
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut buffer = [0; 4096];
    loop {
        match client.stream.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() != ErrorKind::WouldBlock => break,
            _ => {}
        }
        assert!(
            start.elapsed() < DEADLINE + LATE + LATE,
            "pings keep the connection alive"
        );
        if !client.write(&frame(http2::PING, 0, 0, &[0; 8])) {
            break;
        }
    }
}

#[test]
fn a_body_that_stops_ends_at_the_body_deadline() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "body: 600ms");
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let start = Instant::now();
        let mut stream = connect(weir.address);
        let head = format!("POST /slow HTTP/1.1\r\nHost: a.test\r\n{head}\r\n\r\n5\r\nab");
        stream.write_all(head.as_bytes()).unwrap();
        weir.assert_serves();
        let slow = finish(stream, start);
        assert_eq!(slow.statuses(), [408], "{head}");
        slow.answers[0].assert_problem(&head);
        assert_on_time(slow.closed_after);
    }
    // The same on a stream of HTTP/2.
    let mut client = http2::Client::connect(weir.address);
    let start = Instant::now();
    let id = client.new_stream();
    let mut fields = http2::get("/slow");
    fields[0].1 = b"POST";
    client.write(&frame(
        http2::HEADERS,
        http2::END_HEADERS,
        id,
        &http2::block(&fields),
    ));
    weir.assert_serves();
    assert_eq!(client.outcome(id).status(), Some(408));
    assert_on_time(start.elapsed());
    assert!(
        upstream
            .take()
            .iter()
            .all(|seen| seen.target == "/ordinary")
    );
}

/// An upstream with an answer of 64 MiB, which tells how long it could write.
fn endless() -> (Upstream, std::sync::mpsc::Receiver<Duration>) {
    let (sender, ended) = channel();
    let upstream = Upstream::answering(move |seen, stream| {
        if seen.target != "/long" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        let start = Instant::now();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n")?;
        let piece = vec![b'x'; 64 * 1024];
        let result = (0..1024).try_for_each(|_| stream.write_all(&piece));
        if result.is_err() {
            let _ = sender.send(start.elapsed());
        }
        result
    });
    (upstream, ended)
}

#[test]
fn a_client_that_takes_nothing_ends_at_the_write_deadline() {
    let (upstream, ended) = endless();
    let weir = weir(&upstream, "write: 600ms");
    let start = Instant::now();
    let mut stream = connect(weir.address);
    stream
        .write_all(b"GET /long HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    weir.assert_serves();
    assert_on_time(ended.recv_timeout(DEADLINE + LATE).unwrap());
    // The rest is not sent later: the client learns that the answer is not whole.
    let received = read_to_close(&mut stream).len();
    assert!(received < 64 * 1024 * 1024, "{received}");
    assert_on_time(start.elapsed());
}

#[test]
fn a_stream_whose_window_stays_shut_ends_at_the_write_deadline() {
    let (upstream, ended) = endless();
    let weir = weir(&upstream, "write: 600ms");
    let mut client = http2::Client::connect(weir.address);
    let id = client.new_stream();
    let block = http2::block(&http2::get("/long"));
    client.write(&frame(
        http2::HEADERS,
        http2::END_STREAM | http2::END_HEADERS,
        id,
        &block,
    ));
    weir.assert_serves();
    assert_on_time(ended.recv_timeout(DEADLINE + LATE).unwrap());
    loop {
        let frame = client.read().unwrap();
        if frame.kind == http2::RST_STREAM {
            assert_eq!(frame.stream, id);
            break;
        }
    }
    // The connection and its other streams are not concerned.
    client.write(&frame(http2::WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]));
    assert_eq!(client.request(&http2::get("/ordinary")).status(), Some(200));
}

#[test]
fn the_write_deadline_holds_for_what_the_target_gives_after_the_head() {
    // The stream waits for the target first, for up to a minute, and then for the client.
    let (sender, go_on) = channel::<()>();
    let go_on = std::sync::Mutex::new(go_on);
    let upstream = Upstream::answering(move |seen, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")?;
        if seen.target == "/late" {
            let _ = go_on.lock().unwrap().recv();
        }
        stream.write_all(b"hello")
    });
    let weir = weir(&upstream, "write: 600ms");
    let settings = [http2::setting(1, 0), http2::setting(4, 0)].concat();
    let mut client = http2::Client::with_settings(weir.address, &settings);
    let id = client.new_stream();
    let block = http2::block(&http2::get("/late"));
    client.write(&frame(
        http2::HEADERS,
        http2::END_STREAM | http2::END_HEADERS,
        id,
        &block,
    ));
    while client.read().unwrap().kind != http2::HEADERS {}
    let start = Instant::now();
    sender.send(()).unwrap();
    while client.read().unwrap().kind != http2::RST_STREAM {}
    assert_on_time(start.elapsed());
    weir.assert_serves();
}

fn proxied(address: SocketAddr) {
    let request = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /ordinary HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    assert_eq!(talk(address, request).statuses(), [200]);
}

#[test]
fn a_slow_proxy_header_ends_at_the_handshake_deadline() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "handshake: 600ms");
    let v2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    for beginning in [&b""[..], b"PROXY TCP4 192.0.2.1", v2] {
        let start = Instant::now();
        let mut stream = connect(weir.second);
        stream.write_all(beginning).unwrap();
        proxied(weir.second);
        let slow = finish(stream, start);
        assert!(slow.answers.is_empty() && slow.rest.is_empty());
        assert_on_time(slow.closed_after);
    }
    let mut stream = connect(weir.second);
    let slow = drip(
        &mut stream,
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1000000000000000000000000000000000000",
    );
    assert!(slow.rest.is_empty());
    assert_on_time(slow.closed_after);
}

#[test]
fn what_is_no_proxy_header_is_refused_at_once() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "handshake: 60s");
    for beginning in [
        &b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ] {
        let mut bytes = beginning.to_vec();
        bytes.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let refused = talk(weir.second, &bytes);
        assert!(
            refused.answers.is_empty() && refused.rest.is_empty(),
            "{refused:?}"
        );
        assert!(refused.closed_after < LATE);
    }
    assert!(upstream.take().is_empty());
}

#[test]
fn a_slow_tls_handshake_ends_at_the_handshake_deadline() {
    let certified = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    let upstream = Upstream::start();
    let weir = Weir::start_with(
        &format!(
            "listeners:
  - {{ address: '@listen', tls: {{ certificate: file:tls.crt, key: file:tls.key }} }}
  - {{ address: '@second' }}
upstreams: {{ all: {{ targets: ['{}'] }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
timeouts: {{ handshake: 600ms, head: 60s }}
",
            upstream.address
        ),
        &[
            ("tls.crt", &certified.cert.pem()),
            ("tls.key", &certified.signing_key.serialize_pem()),
        ],
    );
    for beginning in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let start = Instant::now();
        let mut stream = connect(weir.address);
        stream.write_all(beginning).unwrap();
        assert_serves(weir.second);
        assert_on_time(finish(stream, start).closed_after);
    }
    let mut stream = connect(weir.address);
    let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    hello.resize(500, 0);
    assert_on_time(drip(&mut stream, &hello).closed_after);
    // Plain text on a TLS listener is refused at once.
    let plain = talk(
        weir.address,
        b"GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    assert!(
        plain.answers.is_empty() && plain.closed_after < LATE,
        "{plain:?}"
    );
    assert!(
        upstream
            .take()
            .iter()
            .all(|seen| seen.target == "/ordinary")
    );
}

#[test]
fn a_half_closed_connection_ends_at_once() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "head: 60s");
    for sent in [
        &b""[..],
        b"P",
        b"GET /half HTTP/1.1\r\nHost: a",
        b"POST /half HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nabc",
        b"POST /half HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        PREFACE,
    ] {
        let start = Instant::now();
        let mut stream = connect(weir.address);
        stream.write_all(sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let received = read_to_close(&mut stream);
        let text = String::from_utf8_lossy(&received);
        assert!(!text.contains(" 200 "), "{text}");
        assert!(
            start.elapsed() < LATE,
            "{:?} for {:?}",
            start.elapsed(),
            String::from_utf8_lossy(sent)
        );
    }
    assert!(upstream.take().is_empty());
    weir.assert_serves();
}

#[test]
fn a_silent_upstream_ends_at_its_own_deadline() {
    let (sender, silence) = channel::<()>();
    let silence = std::sync::Mutex::new(silence);
    let upstream = Upstream::answering(move |seen, stream| {
        if seen.target == "/silent" {
            // Until the test ends.
            let _ = silence.lock().unwrap().recv();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    });
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{}'], timeouts: {{ first_byte: 600ms }} }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
",
        upstream.address
    ));
    let start = Instant::now();
    let mut stream = connect(weir.address);
    stream
        .write_all(b"GET /silent HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        .unwrap();
    weir.assert_serves();
    let silent = finish(stream, start);
    assert_eq!(silent.statuses(), [504]);
    assert_on_time(silent.closed_after);
    drop(sender);
}

#[test]
fn a_thousand_silent_connections_do_not_keep_others_from_being_served() {
    let upstream = Upstream::start();
    let weir = weir(&upstream, "head: 3s");
    let silent: Vec<TcpStream> = (0..1000).map(|_| connect(weir.address)).collect();
    let start = Instant::now();
    for _ in 0..20 {
        weir.assert_serves();
    }
    println!(
        "20 clients served in {:?} beside 1,000 silent ones",
        start.elapsed()
    );
    for mut stream in silent {
        assert!(read_to_close(&mut stream).is_empty());
    }
    assert!(
        start.elapsed() < Duration::from_secs(3) + LATE,
        "{:?}",
        start.elapsed()
    );
    weir.assert_serves();
    let memory = weir.peak_memory();
    println!("{memory} KiB at most");
    assert!(memory < 72 * 1024, "{memory} KiB");
}
