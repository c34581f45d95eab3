//! RFC 8441, on either side.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use super::{Frame, Server, TEXT, code, config, open, record};
use crate::harness::{Upstream, Weir, answer, block_on, forward};

struct Client {
    sender: SendRequest<Bytes>,
}

impl Client {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        Self { sender }
    }

    async fn connect(address: SocketAddr) -> Self {
        let mut client = Self::open(address).await;
        // The first answer comes behind the settings.
        client.status(Method::GET, None, &[]).await;
        client
    }

    /// Without a request, which a target for WebSockets only could not answer.
    async fn settled(address: SocketAddr) -> Self {
        let client = Self::open(address).await;
        while !client.sender.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
        client
    }

    async fn ask(
        &mut self,
        method: Method,
        protocol: Option<&'static str>,
        fields: &[(&'static str, &'static str)],
    ) -> (Response<RecvStream>, SendStream<Bytes>) {
        let mut request = Request::new(());
        let is_connect = method == Method::CONNECT;
        *request.method_mut() = method;
        *request.uri_mut() = "http://chat.test/room".parse().unwrap();
        for (name, value) in fields {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        if let Some(protocol) = protocol {
            let protocol = Protocol::from_static(protocol);
            request.extensions_mut().insert(protocol);
        }
        let mut ready = self.sender.clone().ready().await.unwrap();
        let (response, stream) = ready.send_request(request, !is_connect).unwrap();
        (response.await.unwrap(), stream)
    }

    async fn status(
        &mut self,
        method: Method,
        protocol: Option<&'static str>,
        fields: &[(&'static str, &'static str)],
    ) -> u16 {
        self.ask(method, protocol, fields).await.0.status().as_u16()
    }
}

const VERSION: (&str, &str) = ("sec-websocket-version", "13");

/// What was sent, as far as this many bytes.
async fn take(receive: &mut RecvStream, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let piece = receive.data().await.expect("more").unwrap();
        let _ = receive.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    bytes
}

#[test]
fn a_stream_becomes_a_websocket_to_a_target_over_http_1() {
    let server = Server::agreeing("Sec-WebSocket-Protocol: chat\r\n");
    let weir = Weir::start(&config(server.upstream.address, "true"));
    block_on(async {
        let mut client = Client::settled(weir.http()).await;
        let fields = [
            VERSION,
            ("sec-websocket-protocol", "chat"),
            ("origin", "http://chat.test"),
        ];
        let (response, mut send) = client
            .ask(Method::CONNECT, Some("websocket"), &fields)
            .await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let mut receive = response.into_body();
        let (mut target, seen) = server.next();
        assert!(
            seen.start.starts_with("GET /room HTTP/1.1"),
            "{}",
            seen.start
        );
        assert_eq!(seen.get("sec-websocket-key").map(str::len), Some(24));
        assert_eq!(seen.get("upgrade"), Some("websocket"));

        let frame = Frame::last(0x2, vec![7; 100_000]);
        let bytes = Bytes::from(frame.masked());
        send.reserve_capacity(bytes.len());
        send.send_data(bytes, false).unwrap();
        let echoing = tokio::task::spawn_blocking(move || {
            let frame = Frame::read(&mut target).unwrap();
            target.send(frame.plain());
            target.send(Frame::close(1000).plain());
            assert_eq!(code(Frame::read(&mut target)), 1000);
            assert!(target.is_at_end());
            frame
        });
        let plain = frame.plain();
        let closing = Frame::close(1000);
        let length = plain.len() + closing.plain().len();
        let back = take(&mut receive, length).await;
        assert!(back == [plain, closing.plain()].concat());
        send.send_data(Bytes::from(closing.masked()), true).unwrap();
        while let Some(piece) = receive.data().await {
            assert_eq!(piece.expect("an end in order"), "");
        }
        assert_eq!(echoing.await.unwrap(), frame);
    });
    let record = record(&weir);
    assert_eq!(record["http.request.method"], "GET");
    assert_eq!(record["http.response.status_code"], 200);
    assert_eq!(record["network.protocol.version"], "2");
    assert_eq!(record["weir.websocket.close_code"], 1000);
    assert_eq!(record["weir.websocket.closed_by"], "upstream");
}

#[test]
fn connect_is_for_websockets_of_routes_that_let_them_through() {
    let upstream = Upstream::answering(|_| answer(200, &[], "not a WebSocket"));
    let weir = Weir::start(&config(upstream.address, "true"));
    block_on(async {
        let mut client = Client::connect(weir.http()).await;
        assert!(client.sender.is_extended_connect_protocol_enabled());
        let websocket = Some("websocket");
        let status = client.status(Method::CONNECT, websocket, &[VERSION]).await;
        assert_eq!(status, 502, "an ordinary answer opens no WebSocket");
        let other = client
            .status(Method::CONNECT, Some("connect-udp"), &[VERSION])
            .await;
        assert_eq!(other, 501);
        assert_eq!(client.status(Method::CONNECT, websocket, &[]).await, 400);
        let old = ("sec-websocket-version", "8");
        assert_eq!(client.status(Method::CONNECT, websocket, &[old]).await, 426);
        let evil = ("origin", "https://evil.test");
        let status = client
            .status(Method::CONNECT, websocket, &[VERSION, evil])
            .await;
        assert_eq!(status, 403);
    });
    assert_eq!(
        weir.metric("weir_answers", &["upstream_without_websocket"]),
        1.0
    );
    let weir = Weir::start(&forward(upstream.address));
    block_on(async {
        let client = Client::connect(weir.http()).await;
        assert!(!client.sender.is_extended_connect_protocol_enabled());
    });
}

/// A server over HTTP/2 that agrees to extended CONNECTs, sends back what comes first in them, and then
/// what it is told to.
struct Target {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Target {
    fn start(takes_websockets: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let handle = runtime.handle().clone();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let exchanges = handle.clone();
                handle.spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    if takes_websockets {
                        builder.enable_connect_protocol();
                    }
                    let mut connection = builder.handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        exchanges.spawn(echo(request, respond));
                    }
                });
            }
        });
        Self {
            address,
            _runtime: runtime,
        }
    }

    fn weir(&self) -> Weir {
        let config = config(self.address, "true");
        Weir::start(&config.replacen("targets:", "http2: true, targets:", 1))
    }
}

async fn echo(request: Request<RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let protocol = request.extensions().get::<Protocol>();
    assert_eq!(protocol.map(Protocol::as_str), Some("websocket"));
    assert_eq!(request.method(), Method::CONNECT);
    assert_eq!(request.uri().path(), "/");
    assert!(!request.headers().contains_key("sec-websocket-key"));
    assert_eq!(request.headers()["sec-websocket-version"], "13");
    let mut receive = request.into_body();
    let mut send = respond.send_response(Response::new(()), false).unwrap();
    let sent = Frame::last(TEXT, "over HTTP/2");
    let came = take(&mut receive, sent.masked().len()).await;
    assert_eq!(came, sent.masked());
    send.send_data(sent.plain().into(), false).unwrap();
    let close = take(&mut receive, 8).await;
    assert_eq!(close, Frame::close(1000).masked());
    send.send_data(Frame::close(1000).plain().into(), true)
        .unwrap();
}

#[test]
fn a_target_over_http_2_is_asked_by_extended_connect() {
    let target = Target::start(true);
    let weir = target.weir();
    for _ in 0..3 {
        let (mut client, head) = open(weir.http(), "");
        assert_eq!(head.get("sec-websocket-accept"), Some(super::ACCEPT));
        let frame = Frame::last(TEXT, "over HTTP/2");
        client.send(frame.masked());
        assert_eq!(Frame::read(&mut client), Some(frame));
        client.send(Frame::close(1000).masked());
        assert_eq!(code(Frame::read(&mut client)), 1000);
        assert!(client.is_at_end());
    }
    assert_eq!(weir.metric("weir_upstream_in_flight", &[]), 0.0);
}

#[test]
fn a_target_over_http_2_that_takes_none_is_not_asked() {
    let target = Target::start(false);
    let weir = target.weir();
    let mut wire = crate::harness::Wire::connect(weir.http());
    let refused = wire.response_to(&super::request("/", ""));
    refused.assert_problem(502, "upstream_without_websocket");
}
