//! Answers that do not arrive.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use crate::harness::{Message, Ran, Setup, Wire};

const CREATED: &str =
    "HTTP/1.1 201 Created\r\ncontent-length: 33\r\n\r\n{\"slug\": \"acme\", \"id\": \"org_123\"}";
const IN_USE: &str = "HTTP/1.1 409 Conflict\r\nretry-after: 1\r\ncontent-length: 36\r\n\r\n{\"reason\": \"idempotency_key_in_use\"}";

/// Answers request after request in this way, each on a connection of its own; the requests come back.
fn admin(answers: &'static [&'static str]) -> (SocketAddr, JoinHandle<Vec<Message>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let answer = |answer: &&str| {
            let mut wire = Wire::of(listener.accept().unwrap().0);
            let request = wire.request().unwrap();
            wire.send(answer);
            request
        };
        answers.iter().map(answer).collect()
    });
    (address, server)
}

fn run(address: SocketAddr, command: &str, arguments: &[&str]) -> Ran {
    let setup = Setup::new();
    setup.write("weir.yaml", setup.complete("routes: []\n"));
    let address = address.to_string();
    setup.run(command, &[arguments, &["--admin", &address]].concat())
}

#[test]
fn what_is_made_is_asked_for_again_with_the_same_key() {
    // Lost before its first byte, lost in the middle, and still under way: all may have happened.
    let (address, server) = admin(&["", "HTTP/1.1 201 Crea", IN_USE, CREATED]);
    let ran = run(address, "org", &["create", "acme", "--name", "Acme"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "created acme (org_123)\n"),
        "{}",
        ran.stderr
    );
    let requests = server.join().unwrap();
    let key = requests[0].get("idempotency-key").unwrap();
    assert!(key.len() >= 32, "{key}");
    for request in &requests {
        assert_eq!(request.start, "POST /v1/organizations HTTP/1.1");
        assert_eq!(request.get("idempotency-key"), Some(key));
        assert_eq!(request.body, requests[0].body);
    }
    let (address, server) = admin(&[CREATED]);
    run(address, "org", &["create", "acme", "--name", "Acme"]);
    assert_ne!(server.join().unwrap()[0].get("idempotency-key"), Some(key));
}

#[test]
fn what_is_read_is_asked_for_again() {
    let (address, server) = admin(&["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]);
    let ran = run(address, "org", &["show", "acme"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(server.join().unwrap().len(), 2);
}

#[test]
fn what_is_changed_is_not_asked_for_again() {
    let (address, server) = admin(&[""]);
    let ran = run(address, "org", &["resume", "acme"]);
    server.join().unwrap();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(
        ran.stderr
            .contains("the answer was lost: look whether it took effect"),
        "{}",
        ran.stderr
    );
}

#[test]
fn nobody_there_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ran = run(address, "org", &["list"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no Weir answers at"), "{}", ran.stderr);
    let ran = run(address, "org", &["list", "--json"]);
    let problem: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(problem["reason"], "no_answer");
}
