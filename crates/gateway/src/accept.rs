//! From a listening socket to a served connection.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rustls_pki_types::UnixTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsStream;

use crate::client::Client;
use crate::http1;
use crate::http2;
use crate::overload::{Held, MemoryLevel, Refusal, admission};
use crate::proxy_protocol;
use crate::snapshot::Listener;
use crate::stream::Stream;
use crate::timer::{Elapsed, Timer};
use crate::tls::{self, Alpn, ServerTls, TlsFacts};
use crate::worker::{Phase, Worker};

/// Pause after the system refused to hand out a connection: most likely it is out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// What an HTTP/2 client with prior knowledge says first (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How often it is said that connections cannot be accepted.
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

/// What becomes of connections that wait to be accepted when a listener ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backlog {
    /// They are served: closing the socket would reset them.
    Serve,
    /// Another process has the same socket and serves them.
    Leave,
}

/// Accepts until it is told to stop.
pub(crate) async fn run(
    worker: Rc<Worker>,
    address: SocketAddr,
    socket: std::net::TcpListener,
    mut stop: oneshot::Receiver<Backlog>,
) {
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%address, %error, "listening socket cannot be used");
            return;
        }
    };
    let Some(settings) = worker.snapshot().listeners.get(&address).cloned() else {
        return;
    };
    let mut acceptor = Acceptor {
        worker,
        address,
        settings,
    };
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            told = &mut stop => {
                if told == Ok(Backlog::Serve) {
                    acceptor.take_waiting(&socket);
                }
                return;
            }
        };
        match accepted {
            Ok((stream, peer)) => acceptor.admit(stream, peer),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                    tracing::warn!(%address, %error, "cannot accept connections");
                    complained = Some(Instant::now());
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_about_one_connection(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::Interrupted
    )
}

/// Counts a connection as open until it is dropped.
struct Open(Rc<Worker>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.open.set(self.0.open.get() - 1);
        self.0.counters.open.set(self.0.open.get());
    }
}

/// Takes up the connections of one listener.
struct Acceptor {
    worker: Rc<Worker>,
    address: SocketAddr,
    /// As last known: connections that were accepted while a revision took the listener away are
    /// served as they would have been a moment before.
    settings: Arc<Listener>,
}

impl Acceptor {
    fn take_waiting(&mut self, socket: &TcpListener) {
        let context = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok((stream, peer))) = socket.poll_accept(context) {
            self.admit(stream, peer);
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let worker = &self.worker;
        // The one number that workers share; touched per connection, not per request.
        let open = worker.shared.connections.fetch_add(1, Ordering::Relaxed);
        worker.open.set(worker.open.get() + 1);
        worker.counters.open.set(worker.open.get());
        let guard = Open(Rc::clone(worker));
        let snapshot = worker.snapshot();
        let is_tls = self.settings.tls.is_some();
        let refuse = |refusal| admission::refuse_connection(worker, peer.ip(), is_tls, refusal);
        if open >= snapshot.limits.connections {
            return refuse(Refusal::Connections);
        }
        if worker.memory.get() == MemoryLevel::Critical {
            return refuse(Refusal::Memory);
        }
        // Behind a PROXY header it is whom that names who counts.
        let held = if self.settings.proxy_protocol {
            None
        } else {
            match admission::admit_connection(worker, peer.ip()) {
                Ok(held) => held,
                Err(refusal) => return refuse(refusal),
            }
        };
        worker.counters.accepted.add(1);
        // Answers are written whole; waiting to merge them would only delay them.
        let _ = stream.set_nodelay(true);
        if let Some(settings) = snapshot.listeners.get(&self.address) {
            self.settings = Arc::clone(settings);
        }
        let serving = serve(
            Rc::clone(worker),
            self.address,
            Arc::clone(&self.settings),
            stream,
            peer,
            (guard, held),
        );
        tokio::task::spawn_local(serving);
    }
}

/// Serves a connection until it ends. Its future is what every connection costs at least: there is one
/// place in it for the protocol, and whatever is over before that is boxed.
async fn serve(
    worker: Rc<Worker>,
    address: SocketAddr,
    settings: Arc<Listener>,
    stream: TcpStream,
    peer: SocketAddr,
    _counted: (Open, Option<Held>),
) {
    let is_plain = settings.tls.is_none() && !settings.proxy_protocol && !settings.http2;
    let timer = worker.timers.register();
    let ready = if is_plain {
        drop(settings);
        timer.set(worker.snapshot().timeouts.head);
        Ready {
            client: Client::new(worker, peer, address, None),
            stream: Stream::Tcp(stream),
            input: BytesMut::new(),
            speaks_http2: false,
            held: None,
        }
    } else {
        match Box::pin(make_ready(worker, address, settings, stream, peer, &timer)).await {
            Some(ready) => ready,
            None => return,
        }
    };
    let Ready {
        client,
        stream,
        input,
        speaks_http2,
        held: _held,
    } = ready;
    if speaks_http2 {
        // Boxed: the rarer and larger of the two should not make every connection's task larger.
        return Box::pin(http2::serve(client, stream, input, timer)).await;
    }
    http1::serve(client, stream, input, timer).await;
}

/// A connection that is about to bring its first request, whose deadline runs.
struct Ready {
    client: Rc<Client>,
    stream: Stream,
    /// What was read already.
    input: BytesMut,
    speaks_http2: bool,
    /// Counts it for the address that its PROXY header names.
    held: Option<Held>,
}

/// PROXY header, TLS and what protocol it is; `None` if it ends before that.
async fn make_ready(
    worker: Rc<Worker>,
    address: SocketAddr,
    settings: Arc<Listener>,
    stream: TcpStream,
    peer: SocketAddr,
    timer: &Timer,
) -> Option<Ready> {
    let (proxy_protocol, offers_http2) = (settings.proxy_protocol, settings.http2);
    let tls = settings.tls.clone();
    // Not held while the connection lasts: the revision that they are of may end before.
    drop(settings);
    let timeouts = worker.snapshot().timeouts;
    let is_tls = tls.is_some();
    let mut opening = Opening {
        worker: &worker,
        peer,
        held: None,
    };
    let opened = timer
        .limit(
            timeouts.handshake,
            opening.open(stream, proxy_protocol, tls),
        )
        .await;
    let Opening { peer, held, .. } = opening;
    let refuse = |refusal| admission::refuse_connection(&worker, peer.ip(), is_tls, refusal);
    let (mut stream, facts) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(Unopened::Refused(refusal))) => {
            refuse(refusal);
            return None;
        }
        Ok(Err(Unopened::Failed)) => {
            worker.counters.handshakes_failed.add(1);
            return None;
        }
        Err(Elapsed) => {
            worker.counters.handshakes_failed.add(1);
            refuse(Refusal::HandshakeTimeout);
            return None;
        }
    };
    let is_http2 = facts.as_ref().map(|facts| facts.alpn == Some(Alpn::Http2));
    let client = Client::new(worker, peer, address, facts);
    let mut input = BytesMut::new();
    // The one deadline for all that comes before the first request, whatever is found out on the way.
    timer.set(timeouts.head);
    let speaks_http2 = match is_http2 {
        Some(agreed) => agreed,
        None if !offers_http2 => false,
        None => sniff(&client, &mut stream, &mut input, timer).await?,
    };
    Some(Ready {
        client,
        stream,
        input,
        speaks_http2,
        held,
    })
}

/// Why a connection does not get to speak HTTP.
enum Unopened {
    /// The PROXY header or the TLS handshake was not as it must be.
    Failed,
    Refused(Refusal),
}

/// What is found out about a connection while it is opened.
struct Opening<'a> {
    worker: &'a Worker,
    /// Who connected, as far as known.
    peer: SocketAddr,
    /// Counts the connection for its address.
    held: Option<Held>,
}

impl Opening<'_> {
    async fn open(
        &mut self,
        mut stream: TcpStream,
        proxy_protocol: bool,
        tls: Option<ServerTls>,
    ) -> Result<(Stream, Option<TlsFacts>), Unopened> {
        if proxy_protocol {
            self.read_proxy_header(&mut stream).await?;
        }
        let peer = self.peer;
        let Some(tls) = tls else {
            return Ok((Stream::Tcp(stream), None));
        };
        let session = match tls::accept(tls, stream).await {
            Ok(session) => session,
            Err(error) => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                return Err(Unopened::Failed);
            }
        };
        match TlsFacts::of(session.get_ref().1, UnixTime::now()) {
            Ok(facts) => Ok((
                Stream::Tls(Box::new(TlsStream::Server(session))),
                Some(facts),
            )),
            Err(error) => {
                tracing::debug!(%peer, %error, "TLS session refused");
                Err(Unopened::Failed)
            }
        }
    }

    async fn read_proxy_header(&mut self, stream: &mut TcpStream) -> Result<(), Unopened> {
        let peer = self.peer;
        match proxy_protocol::read_header(stream).await {
            Ok(header) => self.peer = header.source.unwrap_or(peer),
            Err(error) => {
                tracing::debug!(%peer, %error, "PROXY protocol header refused");
                return Err(Unopened::Failed);
            }
        }
        self.held =
            admission::admit_connection(self.worker, self.peer.ip()).map_err(Unopened::Refused)?;
        Ok(())
    }
}

/// Reads until it is clear whether the client begins with HTTP/2's preface; `None` if it ended or
/// the deadline passed.
async fn sniff(
    client: &Client,
    stream: &mut Stream,
    input: &mut BytesMut,
    timer: &Timer,
) -> Option<bool> {
    let worker = &client.worker;
    let idle_closings = worker.idle_closings.get();
    let timed_out = |is_silent: bool| {
        if is_silent {
            client.refuse(Refusal::FirstByteTimeout);
        }
        None
    };
    let mut drained = false;
    std::future::poll_fn(|context| {
        loop {
            let length = input.len().min(PREFACE.len());
            if input[..length] != PREFACE[..length] {
                return Poll::Ready(Some(false));
            }
            if length == PREFACE.len() {
                return Poll::Ready(Some(true));
            }
            // A silent connection must not hold up the end of the process.
            let is_to_close =
                worker.phase() >= Phase::Closing || worker.idle_closings.get() != idle_closings;
            if input.is_empty() && drained && is_to_close {
                return Poll::Ready(None);
            }
            // As long as nothing came, the connection holds no buffer.
            if drained {
                match stream.poll_readable(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Pending => {
                        return timer.poll(context).map(|_| timed_out(input.is_empty()));
                    }
                }
            }
            input.reserve(PREFACE.len() * 16);
            match stream.poll_fill(context, input) {
                Poll::Ready(Ok(0)) if input.is_empty() => return Poll::Ready(None),
                Poll::Ready(Ok(0)) => return Poll::Ready(Some(false)),
                Poll::Ready(Ok(_)) => drained = false,
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => {
                    drained = true;
                    if input.is_empty() {
                        *input = BytesMut::new();
                    }
                    return timer.poll(context).map(|_| timed_out(input.is_empty()));
                }
            }
        }
    })
    .await
}
