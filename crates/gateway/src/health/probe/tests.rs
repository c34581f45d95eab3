//! Questions to servers that answer in every way there is, and in none.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use weir_config::model::{Reach, UpstreamTls};

use super::*;
use crate::tls::tests::pki::{Authority as Signer, listener, upstream};
use crate::tls::{TlsContext, server_config};
use crate::upstream::Targets;
use crate::upstream::target::Speech;

const HEALTHY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// For what must come to an end by itself.
const PATIENCE: Duration = Duration::from_secs(20);

fn local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test).await.expect("an end")
    })
}

/// A server with a function for each connection.
async fn server<F: Future<Output = ()> + 'static>(
    serve: impl Fn(TcpStream) -> F + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream));
        }
    });
    address
}

/// Sends this, and then that again and again.
async fn sending(first: &'static [u8], endless: &'static [u8]) -> SocketAddr {
    server(move |mut stream| async move {
        let mut sent = stream.write_all(first).await;
        while sent.is_ok() && !endless.is_empty() {
            sent = stream.write_all(endless).await;
        }
        // Whoever answers reads the question, too: else the connection ends with a reset.
        let mut question = [0; 1024];
        while stream.read(&mut question).await.is_ok_and(|read| read > 0) {}
    })
    .await
}

fn check(path: &str) -> ActiveCheck {
    ActiveCheck {
        probe: Probe::Http {
            method: Method::GET,
            path: path.to_owned(),
            host: None,
            statuses: vec![200..=299, 404..=404],
        },
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        unhealthy_after: 3,
        healthy_after: 2,
        port: None,
    }
}

fn target(tls: Option<&UpstreamTls>, http2: UpstreamHttp2, address: SocketAddr) -> Arc<Target> {
    let speech = Speech::compile(tls, http2, Reach::Anywhere).expect("settings of TLS");
    let targets = Targets::new(1);
    targets
        .get(&speech, &address.ip().to_string(), address.port())
        .expect("a target")
}

async fn asked(address: SocketAddr, check: &ActiveCheck) -> Result<(), String> {
    let target = target(None, UpstreamHttp2::Negotiate, address);
    let answer = ask(&target, check, &[address]).await;
    answer.map_err(|wrong| wrong.to_string())
}

#[test]
fn a_status_among_the_right_ones_is_all_that_is_asked_for() {
    local(async {
        for (first, endless) in [
            (HEALTHY, b"".as_slice()),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", b""),
            (b"HTTP/1.0 200 OK\r\n\r\n", b"a body without end "),
            (
                b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
                b"",
            ),
        ] {
            let address = sending(first, endless).await;
            assert_eq!(asked(address, &check("/")).await, Ok(()));
        }
    });
}

#[test]
fn whatever_else_comes_is_wrong_and_comes_to_an_end() {
    local(async {
        for (first, endless, expected) in [
            (
                b"HTTP/1.1 503 Service Unavailable\r\n\r\n".as_slice(),
                b"".as_slice(),
                "status 503",
            ),
            // Not followed, to wherever it may lead.
            (
                b"HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\n\r\n",
                b"",
                "status 302",
            ),
            (
                b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
                b"",
                "status 101",
            ),
            (b"SSH-2.0-OpenSSH\r\n\r\n", b"", "response head not valid"),
            (b"\r\n\r\n\r\n\r\n", b"", "response head not valid"),
            (b"HTTP/1.1 99999 OK\r\n\r\n", b"", "response head not valid"),
            (
                b"\x15\x03\x01\x00\x02\x02\x0a\r\n\r\n",
                b"",
                "response head not valid",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                b"",
                "body length stated twice",
            ),
            (
                b"HTTP/1.1 200 OK\r\n",
                b"x: y\r\n",
                "no answer within 128 KiB",
            ),
            (
                b"HTTP/1.1 200 OK\r\nx: ",
                b"yyyyyyyy",
                "no answer within 128 KiB",
            ),
            (
                b"",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                "no answer within 128 KiB",
            ),
            (
                b"",
                b"HTTP/1.1 103 Early Hints\r\n\r\n",
                "no answer within 128 KiB",
            ),
        ] {
            let address = sending(first, endless).await;
            let said = asked(address, &check("/")).await;
            assert_eq!(said, Err(expected.to_owned()), "{:?}", first.utf8_chunks());
        }
    });
}

#[test]
fn a_connection_that_is_not_made_or_ends_is_wrong() {
    local(async {
        let closing = server(|mut stream| async move {
            let mut question = [0; 1024];
            let _ = stream.read(&mut question).await;
        })
        .await;
        let said = asked(closing, &check("/")).await;
        assert_eq!(said, Err("connection closed without an answer".to_owned()));
        let nobody = {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            listener.local_addr().expect("an address")
        };
        let said = asked(nobody, &check("/")).await;
        assert_eq!(said, Err("connection refused".to_owned()));
        // As requests do, it goes on to the next address.
        let there = sending(HEALTHY, b"").await;
        let target = target(None, UpstreamHttp2::Negotiate, there);
        let both = [nobody, there];
        assert_eq!(ask(&target, &check("/"), &both).await, Ok(()));
        let none = ask(&target, &check("/"), &[]).await;
        assert!(matches!(none, Err(Wrong::Resolve(_))));
    });
}

#[test]
fn a_question_names_its_host_and_its_asker() {
    local(async {
        let heard = Rc::new(RefCell::new(String::new()));
        let hearing = Rc::clone(&heard);
        let address = server(move |mut stream| {
            let heard = Rc::clone(&hearing);
            async move {
                let mut question = vec![0; 1024];
                let read = stream.read(&mut question).await.expect("a question");
                *heard.borrow_mut() = String::from_utf8_lossy(&question[..read]).into_owned();
                let _ = stream.write_all(HEALTHY).await;
            }
        })
        .await;
        assert_eq!(asked(address, &check("/healthz?deep=1")).await, Ok(()));
        let agent = format!("user-agent: weir-health/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            *heard.borrow(),
            format!(
                "GET /healthz?deep=1 HTTP/1.1\r\nhost: {address}\r\n{agent}\r\naccept: */*\r\n\
                 connection: close\r\n\r\n"
            )
        );
        let mut named = check("/");
        named.probe = Probe::Http {
            method: Method::HEAD,
            path: "/".to_owned(),
            host: Some("catalog.internal".to_owned()),
            statuses: vec![200..=200],
        };
        assert_eq!(asked(address, &named).await, Ok(()));
        assert!(
            heard
                .borrow()
                .starts_with("HEAD / HTTP/1.1\r\nhost: catalog.internal\r\n")
        );
        // The configuration refuses it; should it come here all the same, it is not sent.
        for path in ["/ HTTP/1.1\r\nx: y", "nowhere"] {
            heard.borrow_mut().clear();
            let said = asked(address, &check(path)).await;
            assert_eq!(
                said,
                Err("the check's host or path cannot be sent".to_owned())
            );
            assert_eq!(*heard.borrow(), "");
        }
    });
}

#[test]
fn http2_is_spoken_where_requests_speak_it() {
    local(async {
        let address = server(|stream| async move {
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let agent = &request.headers()["user-agent"];
                let is_ours = agent.as_bytes().starts_with(b"weir-health/");
                let path = request.uri().path();
                let status = if is_ours && path == "/up" { 200 } else { 500 };
                let response = http::Response::builder().status(status).body(());
                let _ = respond.send_response(response.expect("a response"), true);
            }
        })
        .await;
        let target = target(None, UpstreamHttp2::Always, address);
        assert_eq!(ask(&target, &check("/up"), &[address]).await, Ok(()));
        let down = ask(&target, &check("/down"), &[address]).await;
        assert_eq!(down, Err(Wrong::Status(500)));
    });
}

#[test]
fn an_http2_server_that_never_answers_comes_to_an_end_when_it_sends_much() {
    local(async {
        // SETTINGS, and then PINGs.
        let address = sending(
            &[0, 0, 0, 4, 0, 0, 0, 0, 0],
            &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        )
        .await;
        let target = target(None, UpstreamHttp2::Always, address);
        let said = ask(&target, &check("/"), &[address]).await;
        assert!(matches!(said, Err(Wrong::Broken(_))), "{said:?}");
        let http1 = sending(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"").await;
        let said = ask(&target, &check("/"), &[http1]).await;
        assert!(matches!(said, Err(Wrong::Broken(_))), "{said:?}");
    });
}

/// Ends TLS and answers over the protocol agreed on.
async fn secure(signer: &Signer, http2: bool) -> SocketAddr {
    let leaf = signer.server(&["127.0.0.1"]);
    let config = server_config(&listener(&[&leaf]), http2, &TlsContext::new()).expect("TLS");
    let acceptor = TlsAcceptor::from(config.config);
    server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let _ = respond.send_response(http::Response::new(()), true);
                }
                return;
            }
            let mut question = [0; 1024];
            let _ = stream.read(&mut question).await;
            let _ = stream.write_all(HEALTHY).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[test]
fn tls_is_verified_as_for_requests() {
    local(async {
        let signer = Signer::new("targets");
        let tls = upstream(&signer);
        let tcp = ActiveCheck {
            probe: Probe::Tcp,
            ..check("/")
        };
        for http2 in [true, false] {
            let address = secure(&signer, http2).await;
            let trusting = target(Some(&tls), UpstreamHttp2::Negotiate, address);
            let stranger = upstream(&Signer::new("strangers"));
            let doubting = target(Some(&stranger), UpstreamHttp2::Negotiate, address);
            let insisting = target(Some(&tls), UpstreamHttp2::Always, address);
            let plain = target(None, UpstreamHttp2::Never, address);
            for check in [&check("/"), &tcp] {
                assert_eq!(ask(&trusting, check, &[address]).await, Ok(()));
                let said = ask(&doubting, check, &[address]).await;
                let text = "TLS: invalid peer certificate: UnknownIssuer";
                assert_eq!(said.expect_err("no trust").to_string(), text);
                let said = ask(&insisting, check, &[address]).await;
                assert_eq!(said.is_ok(), http2, "{said:?}");
            }
            assert!(ask(&plain, &check("/"), &[address]).await.is_err());
        }
    });
}

#[test]
fn what_a_server_has_said_in_a_failure_is_cut() {
    let long = io::Error::other("x".repeat(100_000));
    assert_eq!(text(&long).len(), MOST_TEXT);
}

/// An address whose system answers nothing: the listener's queue is full.
async fn swallowing() -> (SocketAddr, impl Sized) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    // A second call sets the queue's length anew.
    let shortened = socket2::SockRef::from(&listener).listen(0);
    shortened.expect("a queue");
    let address = listener.local_addr().expect("an address");
    let mut fillers = Vec::new();
    let room = Duration::from_millis(150);
    while let Ok(Ok(filler)) = tokio::time::timeout(room, TcpStream::connect(address)).await {
        fillers.push(filler);
    }
    (address, (listener, fillers))
}

#[test]
fn an_address_that_swallows_everything_does_not_hide_the_next_one() {
    local(async {
        let (dead, _held) = swallowing().await;
        let live = sending(HEALTHY, b"").await;
        let target = target(None, UpstreamHttp2::Never, live);
        let check = check("/");
        for addresses in [[dead, live], [live, dead]] {
            let asked = ask(&target, &check, &addresses);
            let answer = tokio::time::timeout(check.timeout, asked).await;
            assert_eq!(answer, Ok(Ok(())));
        }
        let only = [dead];
        let asked = ask(&target, &check, &only);
        assert!(tokio::time::timeout(check.timeout, asked).await.is_err());
    });
}
