//! Clients that move a little now and then: silence has its deadlines, and so has crawling.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::harness::eventually;
use crate::harness::http1::{Answer, Talk, connect, finish};
use crate::harness::http2::{self, Ended, frame, get, setting};
use crate::harness::upstream::Upstream;
use crate::harness::weir::Weir;

/// Before it only silence ends an exchange.
const GRACE: Duration = Duration::from_millis(600);
/// How late an end may be on a machine that is busy with other tests.
const LATE: Duration = Duration::from_secs(10);

/// All deadlines but the minimum rate are far away.
fn weir(upstream: SocketAddr, bytes: &str) -> Weir {
    Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{upstream}'], timeouts: {{ first_byte: 60s, idle: 60s }} }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
timeouts: {{ head: 60s, idle: 60s, body: 60s, write: 60s }}
limits: {{ minimum_rate: {{ bytes: {bytes}, grace: 600ms }} }}
"
    ))
}

/// Lets a little time pass in which nothing arrives; false if something did, or the end.
fn pause(stream: &TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    let is_silent = stream.peek(&mut [0]).is_err();
    stream
        .set_read_timeout(Some(crate::harness::PATIENCE))
        .unwrap();
    is_silent
}

/// Sends the piece over and over, with pauses.
fn drip(stream: &mut TcpStream, piece: &[u8], pieces: usize) {
    for _ in 0..pieces {
        if !pause(stream, Duration::from_millis(20)) || stream.write_all(piece).is_err() {
            return;
        }
    }
}

fn sole_answer(talk: &Talk) -> &Answer {
    assert_eq!(talk.answers.len(), 1, "{talk:?}");
    &talk.answers[0]
}

#[test]
fn a_body_that_crawls_is_given_up_although_it_is_never_silent() {
    let upstream = Upstream::start();
    let weir = weir(upstream.address, "10KiB");
    for (head, piece) in [
        ("Content-Length: 100000", &b"x"[..]),
        ("Transfer-Encoding: chunked", b"1\r\nx\r\n"),
    ] {
        let start = Instant::now();
        let mut stream = connect(weir.address);
        let head = format!("POST /crawl HTTP/1.1\r\nHost: a.test\r\n{head}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        drip(&mut stream, piece, 2_000);
        let talk = finish(stream, start);
        assert_eq!(sole_answer(&talk).status, 408, "{head}");
        let text = String::from_utf8_lossy(&talk.answers[0].body).into_owned();
        assert!(text.contains("body_timeout"), "{text}");
        assert!(talk.closed_after >= GRACE, "{:?}", talk.closed_after);
        assert!(talk.closed_after < GRACE + LATE, "{:?}", talk.closed_after);
    }
    // The same on a stream of HTTP/2, and the connection goes on.
    let mut client = http2::Client::connect(weir.address);
    let id = client.new_stream();
    let mut fields = get("/crawl");
    fields[0].1 = b"POST";
    let head = http2::block(&fields);
    client.write(&frame(http2::HEADERS, http2::END_HEADERS, id, &head));
    // Settings and their like arrive first; what counts is when the stream's end does.
    let mut dripper = client.stream.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        for _ in 0..2_000 {
            std::thread::park_timeout(Duration::from_millis(20));
            if dripper.write_all(&frame(http2::DATA, 0, id, b"x")).is_err() {
                return;
            }
        }
    });
    assert_eq!(client.outcome(id).status(), Some(408));
    let _ = client.stream.shutdown(std::net::Shutdown::Both);
    dripping.join().unwrap();
    weir.assert_serves();
}

#[test]
fn a_body_at_the_minimum_rate_is_taken_however_small_its_pieces() {
    let upstream = Upstream::start();
    let weir = weir(upstream.address, "50");
    let start = Instant::now();
    let mut stream = connect(weir.address);
    stream
        .write_all(b"POST /steady HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 600\r\n\r\n")
        .unwrap();
    drip(&mut stream, b"0123456789", 60);
    let talk = finish(stream, start);
    assert_eq!(sole_answer(&talk).status, 200);
    assert!(talk.closed_after > GRACE, "{:?}", talk.closed_after);
    assert_eq!(upstream.next().body.len(), 600);
}

#[test]
fn a_target_that_takes_its_time_is_not_held_against_the_client() {
    const LENGTH: usize = 16 * 1024 * 1024;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Takes nothing for longer than the grace, again and again.
        let mut taken = 0;
        let mut buffer = vec![0; 1024 * 1024];
        while taken < LENGTH {
            if taken < 6 * 1024 * 1024 {
                std::thread::park_timeout(GRACE / 2);
            }
            taken += stream.read(&mut buffer).unwrap();
        }
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .unwrap();
        stream
    });
    let weir = weir(address, "4MiB");
    let start = Instant::now();
    let mut stream = connect(weir.address);
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: {LENGTH}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; LENGTH]).unwrap();
    let talk = finish(stream, start);
    assert_eq!(sole_answer(&talk).status, 204);
    assert!(talk.closed_after > 2 * GRACE, "{:?}", talk.closed_after);
    drop(serving.join().unwrap());
}

#[test]
fn an_answer_that_is_read_at_a_crawl_is_cut() {
    let (sender, ended) = channel();
    let upstream = Upstream::answering(move |seen, stream| {
        if seen.target != "/long" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        let start = Instant::now();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")?;
        let piece = vec![b'x'; 64 * 1024];
        let result = (0..16 * 1024).try_for_each(|_| stream.write_all(&piece));
        let _ = sender.send(start.elapsed());
        result
    });
    let weir = weir(upstream.address, "100MiB");
    let mut stream = connect(weir.address);
    stream
        .write_all(b"GET /long HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .unwrap();
    // About 3 MB a second: the system's buffers move on every now and then, but far too slowly.
    let mut buffer = vec![0; 16 * 1024];
    let start = Instant::now();
    let after = loop {
        if let Ok(after) = ended.try_recv() {
            break after;
        }
        assert!(start.elapsed() < LATE + LATE, "it is never cut");
        std::thread::park_timeout(Duration::from_millis(5));
        let _ = stream.read(&mut buffer);
    };
    assert!(after >= GRACE, "{after:?}");
    weir.assert_serves();
}

#[test]
fn a_stream_that_is_read_at_a_crawl_is_reset_and_its_connection_stays() {
    let upstream = Upstream::answering(|seen, stream| {
        if seen.target != "/long" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1048576\r\n\r\n")?;
        stream.write_all(&vec![b'x'; 1024 * 1024])
    });
    let weir = weir(upstream.address, "10KiB");
    let settings = [setting(1, 0), setting(4, 0)].concat();
    let mut client = http2::Client::with_settings(weir.address, &settings);
    let id = client.new_stream();
    let head = http2::block(&get("/long"));
    let flags = http2::END_STREAM | http2::END_HEADERS;
    client.write(&frame(http2::HEADERS, flags, id, &head));
    let start = Instant::now();
    let mut received = 0;
    loop {
        assert!(start.elapsed() < LATE + LATE, "it is never cut");
        while pause(&client.stream, Duration::from_millis(20)) {
            // One byte more.
            client.write(&frame(http2::WINDOW_UPDATE, 0, id, &[0, 0, 0, 1]));
        }
        let frame = client.read().expect("the connection stays");
        match frame.kind {
            http2::DATA => received += frame.payload.len(),
            http2::RST_STREAM => break,
            _ => {}
        }
    }
    assert!(received > 0);
    assert!(start.elapsed() >= GRACE, "{:?}", start.elapsed());
    // What was said about the stream's window while it ended is no harm.
    assert_eq!(client.request(&get("/ordinary")).status(), Some(200));
}

#[test]
fn an_answer_that_has_little_to_say_is_not_cut() {
    // Like server-sent events: what takes its time is the target.
    let upstream = Upstream::answering(|seen, stream| {
        if seen.target != "/events" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n")?;
        for _ in 0..8 {
            std::thread::park_timeout(GRACE / 2);
            stream.write_all(b"tick\n")?;
        }
        Ok(())
    });
    let weir = weir(upstream.address, "10MiB");
    let start = Instant::now();
    let mut stream = connect(weir.address);
    stream
        .write_all(b"GET /events HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let talk = finish(stream, start);
    assert_eq!(sole_answer(&talk).body, b"tick\n".repeat(8));
    let mut client = http2::Client::connect(weir.address);
    let ended = client.request(&get("/events"));
    assert_eq!(ended, Ended::Answered(200, b"tick\n".repeat(8)));
}

/// Many deadlines, none after the other.
#[test]
fn a_new_connection_has_one_deadline_for_its_first_byte_and_its_first_head() {
    const HEAD: Duration = Duration::from_secs(3);
    let upstream = Upstream::start();
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}, {{ address: '@second', http2: false }}]
upstreams: {{ all: {{ targets: ['{}'] }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
timeouts: {{ head: 3s, idle: 60s }}
",
        upstream.address
    ));
    for (address, sent) in [
        (weir.address, "G"),
        (weir.second, "G"),
        (weir.address, "PRI * HTTP/2.0\r\n"),
    ] {
        let start = Instant::now();
        let mut stream = connect(address);
        assert!(pause(&stream, HEAD - Duration::from_millis(600)));
        stream.write_all(sent.as_bytes()).unwrap();
        let talk = finish(stream, start);
        let is_refused = talk.answers.iter().all(|answer| answer.status == 408);
        assert!(is_refused, "{talk:?}");
        assert!(talk.closed_after >= HEAD, "{:?}", talk.closed_after);
        assert!(talk.closed_after < 2 * HEAD - Duration::from_millis(700));
    }
}

#[test]
fn a_connection_that_takes_nothing_ends_although_all_its_answers_are_ready() {
    let upstream = Upstream::answering(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
        stream.write_all(&vec![b'x'; 100_000])
    });
    let weir = Weir::start(&format!(
        "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{}'] }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
timeouts: {{ idle: 10m, write: 600ms }}
",
        upstream.address
    ));
    // All windows are wide open, and nobody reads.
    let settings = [setting(1, 0), setting(4, 0x7fff_ffff)].concat();
    let mut client = http2::Client::with_settings(weir.address, &settings);
    let wide = frame(http2::WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]);
    client.write(&wide);
    for _ in 0..120 {
        let id = client.new_stream();
        let head = http2::block(&get("/answer"));
        let flags = http2::END_STREAM | http2::END_HEADERS;
        client.write(&frame(http2::HEADERS, flags, id, &head));
    }
    // Who writes to a connection that the other side gave up is told so.
    let ping = frame(http2::PING, 0, 0, &[0; 8]);
    eventually("the connection is closed", || !client.write(&ping));
}
