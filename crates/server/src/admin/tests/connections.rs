//! Clients that hold connections of the admin listener, and what becomes of them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::fixture::{Admin, Answer};
use super::*;

/// Time stands still while there is something to do, so that no clock is waited for.
#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go() {
    let admin = Admin::start().await;
    for begun in ["", "GET /healthz HTTP/1.1\r\nhost: local"] {
        let mut silent = admin.connect().await;
        silent.write_all(begun.as_bytes()).await.expect("sent");
        let mut rest = Vec::new();
        let started = tokio::time::Instant::now();
        // A reset is an end, too.
        let _ = silent.read_to_end(&mut rest).await;
        assert!(
            started.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(1),
            "{begun:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let admin = Admin::start().await;
    let head = "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 2\r\n\r\n{";
    assert_eq!(admin.send(head).await.problem(), (408, "body_timeout"));
}

#[tokio::test]
async fn silent_clients_cannot_take_all_places() {
    let admin = Admin::start().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS + 10 {
        silent.push(admin.connect().await);
    }
    assert_eq!(admin.get("/healthz").await.status, 200);
    let mut first = silent.swap_remove(0);
    let mut rest = Vec::new();
    // The first had to go; this would wait for the head's deadline otherwise.
    let ended = timeout(HEAD_TIMEOUT / 2, first.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn strangers_with_requests_cannot_take_all_places() {
    let admin = Admin::start().await;
    let head = "POST /v1/sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
        content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    let mut strangers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = admin.connect().await;
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.expect("an answer");
        strangers.push(stream);
    }
    assert_eq!(admin.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_end_waits_for_answers_and_not_for_silent_clients() {
    let mut admin = Admin::start().await;
    let _silent = admin.connect().await;
    assert_eq!(admin.get("/healthz").await.status, 200);
    admin.stop().await;
    assert!(TcpStream::connect(admin.address).await.is_err());
}

/// Begins a reload, of which the body is still to come.
async fn begin_reload(admin: &Admin) -> TcpStream {
    let mut stream = admin.connect().await;
    let head = format!(
        "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\
         connection: close\r\n\r\n",
        admin.operator()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // It is said once the endpoint reads the body.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.expect("an answer");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[tokio::test]
async fn requests_under_way_are_not_cut_and_whoever_comes_is_told_so() {
    let admin = Admin::start().await;
    let mut silent = admin.connect().await;
    let mut busy = Vec::new();
    for _ in 0..CONNECTIONS {
        busy.push(begin_reload(&admin).await);
    }
    // Who had not asked for anything has given way.
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
    let refused = admin.get("/healthz").await;
    assert_eq!(refused.problem(), (503, "busy"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("connection"), Some("close"));
    // Each of them comes to its end, the one that has been there longest first.
    let mut answered = 0;
    for stream in &mut busy {
        stream.write_all(b"{}").await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let status = Answer::parse(&answer).status;
        // Reloads go as scripted: the last ones find that the process ends.
        assert!([200, 422, 503].contains(&status), "{answer}");
        answered += 1;
        if answered == 1 {
            assert_eq!(admin.get("/healthz").await.status, 200);
        }
    }
    assert_eq!(answered, CONNECTIONS);
}
