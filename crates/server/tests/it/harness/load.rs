//! Clients that keep asking, and count what goes wrong.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, wait_until};

/// What came of the requests.
#[derive(Debug, Default)]
pub struct Counts {
    pub answered: AtomicU64,
    pub connections: AtomicU64,
    pub failed: AtomicU64,
    /// What the first failures were.
    reasons: Mutex<Vec<String>>,
}

impl Counts {
    fn fail(&self, reason: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut reasons = self.reasons.lock().unwrap();
        if reasons.len() < 10 {
            reasons.push(reason);
        }
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Clients in a thread of their own.
pub struct Load {
    name: &'static str,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
enum Kind {
    KeepAlive,
    NewConnections,
    Http2,
}

/// Requests that an HTTP/2 client has under way at the same time.
const STREAMS: usize = 4;

impl Load {
    /// HTTP/1.1 over kept connections. Every answer must be 200 with exactly this body.
    pub fn keep_alive(address: SocketAddr, clients: usize, body: &'static str) -> Self {
        Self::start("keep-alive", Kind::KeepAlive, address, clients, body)
    }

    /// HTTP/1.1, a connection for each request.
    pub fn new_connections(address: SocketAddr, clients: usize, body: &'static str) -> Self {
        Self::start(
            "new connections",
            Kind::NewConnections,
            address,
            clients,
            body,
        )
    }

    /// HTTP/2 with prior knowledge, several streams at a time.
    pub fn http2(address: SocketAddr, clients: usize, body: &'static str) -> Self {
        Self::start("http/2", Kind::Http2, address, clients, body)
    }

    fn start(
        name: &'static str,
        kind: Kind,
        address: SocketAddr,
        clients: usize,
        body: &'static str,
    ) -> Self {
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(AtomicBool::new(false));
        let client = Client {
            address,
            body,
            counts: Arc::clone(&counts),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                let clients: Vec<_> = (0..clients)
                    .map(|_| tokio::task::spawn_local(client.clone().run(kind)))
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
            });
        });
        let load = Self {
            name,
            counts,
            stop,
            thread: Some(thread),
        };
        load.wait_for_more(clients as u64);
        load
    }

    /// Waits until this many more requests were answered.
    pub fn wait_for_more(&self, requests: u64) {
        let goal = self.counts.answered() + requests;
        wait_until("more requests were answered", || {
            self.counts.answered() >= goal || self.counts.failed.load(Ordering::Relaxed) > 0
        });
    }

    /// Ends the clients; fails if a single request did.
    pub fn finish(mut self) -> Arc<Counts> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        let counts = Arc::clone(&self.counts);
        let failed = counts.failed.load(Ordering::Relaxed);
        eprintln!(
            "{}: {} requests answered over {} connections, {failed} failed",
            self.name,
            counts.answered(),
            counts.connections.load(Ordering::Relaxed)
        );
        assert_eq!(
            failed,
            0,
            "{}: {:#?}",
            self.name,
            counts.reasons.lock().unwrap()
        );
        counts
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[derive(Clone)]
struct Client {
    address: SocketAddr,
    body: &'static str,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
}

impl Client {
    async fn run(self, kind: Kind) {
        while !self.stop.load(Ordering::Relaxed) {
            self.counts.connections.fetch_add(1, Ordering::Relaxed);
            let served = async {
                match kind {
                    Kind::KeepAlive => self.http1(true).await,
                    Kind::NewConnections => self.http1(false).await,
                    Kind::Http2 => self.http2().await,
                }
            };
            if let Err(reason) = served.await {
                self.counts.fail(reason);
                // A server that is down is not asked as fast as a machine can.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(self.address))
            .await
            .map_err(|_| "connect: no answer".to_owned())?
            .map_err(|error| format!("connect: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Ok(stream)
    }

    /// Requests on one connection until the server asks to leave it.
    async fn http1(&self, keep: bool) -> Result<(), String> {
        let mut stream = self.connect().await?;
        let request: &[u8] = if keep {
            b"GET /load HTTP/1.1\r\nHost: weir.test\r\n\r\n"
        } else {
            b"GET /load HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n\r\n"
        };
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            number += 1;
            let exchange = async {
                stream
                    .write_all(request)
                    .await
                    .map_err(|error| format!("write: {error}"))?;
                self.read_answer(&mut stream).await
            };
            let leave = tokio::time::timeout(PATIENCE, exchange)
                .await
                .map_err(|_| format!("request {number}: no answer"))?
                .map_err(|error| format!("request {number} of a connection: {error}"))?;
            self.counts.answered.fetch_add(1, Ordering::Relaxed);
            if leave || !keep {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the server asks to leave.
    async fn read_answer(&self, stream: &mut TcpStream) -> Result<bool, String> {
        let mut input = Vec::with_capacity(1024);
        let head = loop {
            if let Some(at) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read_buf(&mut input).await {
                Ok(0) => return Err(format!("closed after {} bytes of the answer", input.len())),
                Ok(_) => {}
                Err(error) => return Err(format!("read: {error}")),
            }
        };
        let text = String::from_utf8_lossy(&input[..head]).to_ascii_lowercase();
        if !text.starts_with("http/1.1 200") {
            return Err(format!("not 200: {}", String::from_utf8_lossy(&input)));
        }
        while input.len() < head + self.body.len() {
            match stream.read_buf(&mut input).await {
                Ok(0) => return Err("closed inside the body".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("read: {error}")),
            }
        }
        if &input[head..] != self.body.as_bytes() {
            return Err(format!("wrong body: {}", String::from_utf8_lossy(&input)));
        }
        Ok(text.contains("\r\nconnection: close"))
    }

    async fn http2(&self) -> Result<(), String> {
        let stream = self.connect().await?;
        let (sender, connection) = h2::client::handshake(stream)
            .await
            .map_err(|error| format!("handshake: {error}"))?;
        let connection = tokio::task::spawn_local(connection);
        let mut sender: h2::client::SendRequest<Bytes> = sender;
        while !self.stop.load(Ordering::Relaxed) {
            let mut responses = Vec::new();
            for _ in 0..STREAMS {
                // A connection that takes no more requests is not a failure: nothing was sent.
                let Ok(ready) = sender.clone().ready().await else {
                    break;
                };
                sender = ready;
                let request = Request::get("http://weir.test/load").body(()).unwrap();
                let Ok((response, _)) = sender.send_request(request, true) else {
                    break;
                };
                responses.push(response);
            }
            let leave = responses.len() < STREAMS;
            for response in responses {
                let exchange = async {
                    let response = response.await?;
                    let status = response.status();
                    let mut receive = response.into_body();
                    let mut body = Vec::new();
                    while let Some(piece) = receive.data().await {
                        let piece = piece?;
                        receive.flow_control().release_capacity(piece.len())?;
                        body.extend_from_slice(&piece);
                    }
                    Ok::<_, h2::Error>((status, body))
                };
                let (status, body) = tokio::time::timeout(PATIENCE, exchange)
                    .await
                    .map_err(|_| "stream: no answer".to_owned())?
                    .map_err(|error| format!("stream: {error}"))?;
                if status != 200 || body != self.body.as_bytes() {
                    return Err(format!("{status}: {}", String::from_utf8_lossy(&body)));
                }
                self.counts.answered.fetch_add(1, Ordering::Relaxed);
            }
            if leave {
                break;
            }
        }
        drop(sender);
        connection.abort();
        Ok(())
    }
}
