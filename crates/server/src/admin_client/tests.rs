use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

const WITHIN: Duration = Duration::from_secs(5);

/// The head of a request.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Answers one connection with these bytes; what was asked comes back.
fn serve(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = head(&mut stream);
        stream.write_all(answer).unwrap();
        head
    });
    (address, server)
}

fn ask(address: SocketAddr) -> Result<Response, AdminError> {
    request(&Admin::anonymous(address), Method::GET, "/", WITHIN)
}

#[test]
fn sends_a_request_and_reads_the_answer() {
    let (address, server) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let admin = Admin::anonymous(address);
    let response = request(&admin, Method::POST, "/v1/reload", WITHIN).unwrap();
    assert_eq!((response.status, &*response.body), (200, &b"{}"[..]));
    let head = server.join().unwrap();
    assert!(head.starts_with("POST /v1/reload HTTP/1.1\r\n"), "{head}");
    for field in [
        &format!("host: {address}\r\n"),
        "connection: close\r\n",
        "content-type: application/json\r\n",
        "content-length: 0\r\n",
    ] {
        assert!(head.contains(field), "{field} {head}");
    }
}

#[test]
fn nobody_there_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = ask(address).unwrap_err();
    assert!(matches!(error, AdminError::Refused(_)), "{error}");
}

#[test]
fn silence_ends_with_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = Admin::anonymous(listener.local_addr().unwrap());
    let error = request(&admin, Method::GET, "/", Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, AdminError::Timeout(_)), "{error}");
}

#[test]
fn an_answer_that_trickles_ends_with_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 16000000\r\n\r\n");
        // Until nobody reads any more.
        while stream.write_all(b"x").is_ok() {
            std::thread::yield_now();
        }
    });
    let error = request(
        &Admin::anonymous(address),
        Method::GET,
        "/",
        Duration::from_millis(50),
    )
    .unwrap_err();
    assert!(matches!(error, AdminError::Timeout(_)), "{error}");
}

#[test]
fn something_else_is_said_so() {
    let (address, _server) = serve(b"SSH-2.0-OpenSSH_9.6\r\n\r\n");
    let error = ask(address).unwrap_err();
    assert!(matches!(error, AdminError::Malformed { .. }), "{error}");
}

#[test]
fn chunks_are_joined_and_what_is_cut_is_no_answer() {
    let (address, _server) = serve(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
    );
    assert_eq!(ask(address).unwrap().body, b"abcde");
    for cut in [
        &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n",
        b"",
    ] {
        let (address, _server) = serve(cut);
        let error = ask(address).unwrap_err();
        let is_lost = matches!(error, AdminError::Io { .. } | AdminError::Malformed { .. });
        assert!(is_lost, "{error}");
    }
}

#[test]
fn lines_come_one_by_one_until_enough_is_heard() {
    let (address, _server) = serve(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na\r\n\r\n4\r\nb\nc\n\r\n2\r\nd\n\r\n",
    );
    let mut lines = Vec::new();
    let ended = follow(&Admin::anonymous(address), "/", |line| {
        lines.push(line.to_owned());
        match line {
            "c" => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert!(ended.unwrap().is_none());
    assert_eq!(lines, ["a", "b", "c"]);
}
