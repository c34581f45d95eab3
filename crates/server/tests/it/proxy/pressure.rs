//! Who is slow holds up whom it talks to, and nothing else: bodies are not piled up.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;

use crate::harness::{H2Client, Upstream, Weir, Wire, answer, block_on, wait_until};

const SIZE: usize = 200 * 1024 * 1024;
/// What a body under way may cost, in KiB: buffers of both sides and the allocator's slack.
const ALLOWED: u64 = 24 * 1024;

/// Waits until a counter stands still: the pipe in front of it is full.
fn wait_until_still(counter: &AtomicUsize) -> usize {
    let mut last = (counter.load(Ordering::Acquire), Instant::now());
    wait_until("the sender is held up", || {
        let now = counter.load(Ordering::Acquire);
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.0 > 0 && last.1.elapsed() > Duration::from_millis(500)
    });
    last.0
}

/// Sends a long body as fast as it is taken, and counts.
fn source(sent: &Arc<AtomicUsize>) -> Upstream {
    let sent = Arc::clone(sent);
    Upstream::new(move |mut wire| {
        wire.request();
        wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
        let piece = vec![b'x'; 64 * 1024];
        while sent.load(Ordering::Acquire) < SIZE {
            if wire.stream.write_all(&piece).is_err() {
                return;
            }
            sent.fetch_add(piece.len(), Ordering::AcqRel);
        }
        wire.is_at_end();
    })
}

/// Takes nothing of a body until it is told to, then all of it.
fn sink(open: &Arc<AtomicBool>) -> Upstream {
    let open = Arc::clone(open);
    Upstream::new(move |mut wire| {
        let Some(head) = wire.head() else { return };
        wait_until("the sink is opened", || open.load(Ordering::Acquire));
        let length: usize = head.get("content-length").unwrap().parse().unwrap();
        let mut taken = 0;
        while taken < length {
            match wire.take((length - taken).min(1024 * 1024)).len() {
                0 => return,
                read => taken += read,
            }
        }
        wire.send(answer(200, &[], taken.to_string()));
    })
}

fn assert_bounded(weir: &Weir, before: u64, moved: usize) {
    let used = weir.memory().saturating_sub(before);
    eprintln!("held up after {} KiB; {used} KiB more memory", moved / 1024);
    assert!(moved < SIZE / 4, "{moved} bytes were taken from the sender");
    assert!(used < ALLOWED, "{used} KiB more than before");
}

#[test]
fn a_slow_reader_holds_up_the_server() {
    let sent = Arc::new(AtomicUsize::new(0));
    let upstream = source(&sent);
    let weir = Weir::to(upstream.address);
    let before = weir.memory();
    let mut wire = Wire::connect(weir.http());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.head().unwrap().status(), 200);
    let moved = wait_until_still(&sent);
    assert_bounded(&weir, before, moved);
    let mut taken = 0;
    while taken < SIZE {
        let piece = wire.take((SIZE - taken).min(1024 * 1024));
        assert!(!piece.is_empty(), "ended after {taken} bytes");
        taken += piece.len();
    }
    assert!(weir.memory().saturating_sub(before) < ALLOWED);
}

#[test]
fn a_slow_reader_over_http2_holds_up_the_server() {
    let sent = Arc::new(AtomicUsize::new(0));
    let upstream = source(&sent);
    let weir = Weir::to(upstream.address);
    let before = weir.memory();
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let mut sender = client.sender.clone().ready().await.unwrap();
        let request = Request::get("http://a/").body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let sent = Arc::clone(&sent);
        let moved = tokio::task::spawn_blocking(move || wait_until_still(&sent))
            .await
            .unwrap();
        assert_bounded(&weir, before, moved);
        let mut taken = 0;
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            taken += piece.len();
            body.flow_control().release_capacity(piece.len()).unwrap();
        }
        assert_eq!(taken, SIZE);
    });
    assert!(weir.memory().saturating_sub(before) < ALLOWED);
}

#[test]
fn a_slow_server_holds_up_the_client() {
    let open = Arc::new(AtomicBool::new(false));
    let upstream = sink(&open);
    let weir = Weir::to(upstream.address);
    let before = weir.memory();
    let sent = Arc::new(AtomicUsize::new(0));
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
    ));
    let mut stream = wire.stream.try_clone().unwrap();
    let sending = std::thread::spawn({
        let sent = Arc::clone(&sent);
        move || {
            let piece = vec![b'x'; 64 * 1024];
            while sent.load(Ordering::Acquire) < SIZE {
                stream.write_all(&piece).unwrap();
                sent.fetch_add(piece.len(), Ordering::AcqRel);
            }
        }
    });
    let moved = wait_until_still(&sent);
    assert_bounded(&weir, before, moved);
    open.store(true, Ordering::Release);
    let answer = wire.response("POST");
    assert_eq!((answer.status(), answer.text()), (200, SIZE.to_string()));
    sending.join().unwrap();
    assert!(weir.memory().saturating_sub(before) < ALLOWED);
}

#[test]
fn a_slow_server_holds_up_an_http2_client() {
    let open = Arc::new(AtomicBool::new(false));
    let upstream = sink(&open);
    let weir = Weir::to(upstream.address);
    let before = weir.memory();
    let sent = Arc::new(AtomicUsize::new(0));
    block_on(async {
        let client = H2Client::connect(weir.http()).await;
        let mut sender = client.sender.clone().ready().await.unwrap();
        let request = Request::post("http://a/")
            .header("content-length", SIZE)
            .body(())
            .unwrap();
        let (response, mut stream) = sender.send_request(request, false).unwrap();
        let counter = Arc::clone(&sent);
        let sending = tokio::task::spawn_local(async move {
            let piece = Bytes::from(vec![b'x'; 64 * 1024]);
            let mut left = SIZE;
            while left > 0 {
                stream.reserve_capacity(piece.len().min(left));
                let capacity = std::future::poll_fn(|context| stream.poll_capacity(context));
                let capacity = capacity.await.unwrap().unwrap().min(piece.len()).min(left);
                left -= capacity;
                stream
                    .send_data(piece.slice(..capacity), left == 0)
                    .unwrap();
                counter.fetch_add(capacity, Ordering::AcqRel);
            }
        });
        let counter = Arc::clone(&sent);
        let moved = tokio::task::spawn_blocking(move || wait_until_still(&counter))
            .await
            .unwrap();
        assert_bounded(&weir, before, moved);
        open.store(true, Ordering::Release);
        assert_eq!(response.await.unwrap().status(), 200);
        sending.await.unwrap();
    });
    assert!(weir.memory().saturating_sub(before) < ALLOWED);
}

#[test]
fn an_upload_and_its_echo_flow_at_the_same_time() {
    const LENGTH: usize = 20 * 1024 * 1024;
    // Sends each piece back before it reads the next: whoever reads the answer only after the whole
    // upload waits for ever.
    let upstream = Upstream::new(|mut wire| {
        let Some(head) = wire.head() else { return };
        let length: usize = head.get("content-length").unwrap().parse().unwrap();
        wire.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ));
        let mut left = length;
        while left > 0 {
            let piece = wire.take(left.min(64 * 1024));
            if piece.is_empty() || wire.try_send(&piece).is_err() {
                return;
            }
            left -= piece.len();
        }
        wire.is_at_end();
    });
    let weir = Weir::to(upstream.address);
    let body = crate::harness::pattern(LENGTH);
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"
    ));
    let mut stream = wire.stream.try_clone().unwrap();
    let sending = std::thread::spawn({
        let body = body.clone();
        move || stream.write_all(&body).unwrap()
    });
    let answer = wire.response("POST");
    sending.join().unwrap();
    assert!(answer.body == body);
    // When the answer began, it was not known whether the upload would ever end.
    assert_eq!(answer.get("connection"), Some("close"));
    assert!(wire.is_at_end());
}

/// Who sends requests without reading the answers is asked nothing more of the server for.
#[test]
fn what_is_pipelined_behind_unread_answers_waits() {
    /// More than half of what a socket holds for a client that has not read yet, and less than all.
    const ANSWER: usize = 50 * 1024;
    let long = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&long);
    let upstream = Upstream::answering(move |request| {
        if request.target() == "/long" {
            asked.fetch_add(1, Ordering::AcqRel);
            return answer(200, &[], vec![b'y'; SIZE / 10]);
        }
        answer(200, &[], vec![b'x'; ANSWER])
    });
    let weir = Weir::start(&format!(
        "workers: 1\ntimeouts: {{ write: 500ms }}\n{}",
        crate::harness::forward(upstream.address)
    ));
    let pipelined = "GET /short HTTP/1.1\r\nHost: a\r\n\r\nGET /long HTTP/1.1\r\nHost: a\r\n\r\n";
    // Nobody reads: the connection ends, and the long answer was never asked for.
    let wire = narrow(weir.http());
    (&wire).write_all(pipelined.as_bytes()).unwrap();
    wait_until("the client is given up", || {
        weir.metric("weir_connections_accepted_total", &[]) > 0.0
            && weir.metric("weir_connections_open", &[]) == 0.0
    });
    assert_eq!(long.load(Ordering::Acquire), 0);
    drop(wire);
    // Who reads gets both.
    let wire = narrow(weir.http());
    let mut wire = Wire::of(wire);
    wire.send(pipelined);
    assert_eq!(wire.response("GET").body.len(), ANSWER);
    assert_eq!(wire.response("GET").body.len(), SIZE / 10);
}

/// A client whose system holds little for it.
fn narrow(address: std::net::SocketAddr) -> std::net::TcpStream {
    use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    connect(&socket, &address).unwrap();
    socket.into()
}
