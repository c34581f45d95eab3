//! One question to a target, and its answer.

mod grpc;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::uri::{Authority, PathAndQuery, Uri};
use http::{Method, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use weir_config::model::{ActiveCheck, Probe, UpstreamHttp2};
use weir_core::GrpcStatus;

use crate::failure::Failure;
use crate::http1::{HeadScanner, parse_response};
use crate::upstream::Target;

const USER_AGENT: &str = concat!("weir-health/", env!("CARGO_PKG_VERSION"));
/// Bytes that are read until the answer's status is known, TLS and framing included.
const MOST_BYTES: usize = 128 * 1024;
/// Largest response head over HTTP/2.
const MOST_HEAD: u32 = 64 * 1024;
/// How long an address may take before the next one is asked as well (RFC 8305 §5), and the part of a
/// check's time that this is at most.
const HEAD_START: Duration = Duration::from_millis(250);
const HEAD_START_PART: u32 = 4;
/// Characters that are kept of what a library says about a failure: the target may have its say in it.
const MOST_TEXT: usize = 200;

/// What is wrong about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Resolve(String),
    /// No address of it may be connected to.
    OutOfReach,
    Connect(String),
    Tls(String),
    /// TLS without the HTTP/2 that the upstream insists on.
    NoHttp2,
    /// The connection broke.
    Broken(String),
    /// It ended.
    Closed,
    Malformed(&'static str),
    /// Host or path of the check cannot be sent.
    Question,
    Status(u16),
    Timeout(Duration),
    /// The health service's call ended with this status.
    Grpc(GrpcStatus),
    /// The health service says something else than that it serves.
    NotServing(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(text) => write!(formatter, "name cannot be resolved: {text}"),
            Self::OutOfReach => formatter.write_str("the address is out of reach"),
            Self::Connect(text) | Self::Broken(text) => formatter.write_str(text),
            Self::Tls(text) => write!(formatter, "TLS: {text}"),
            Self::NoHttp2 => formatter.write_str("TLS: HTTP/2 not agreed on"),
            Self::Closed => formatter.write_str("connection closed without an answer"),
            Self::Malformed(text) => formatter.write_str(text),
            Self::Question => formatter.write_str("the check's host or path cannot be sent"),
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::Grpc(status) => write!(formatter, "gRPC status {}", status.as_str()),
            Self::NotServing(word) => write!(formatter, "health service: {word}"),
            Self::Timeout(limit) => write!(formatter, "no answer within {limit:?}"),
        }
    }
}

/// The kind of an error if that says it all, its text otherwise.
fn text(error: &io::Error) -> String {
    use io::ErrorKind::{
        AddrNotAvailable, BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset,
        HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut, UnexpectedEof,
    };
    let kind = error.kind();
    let says_it_all = matches!(
        kind,
        AddrNotAvailable
            | BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
            | UnexpectedEof
    );
    if says_it_all {
        return kind.to_string();
    }
    error.to_string().chars().take(MOST_TEXT).collect()
}

/// Makes a connection to one of the addresses, asks, and tells whether the answer is right. Has no limit
/// in time; drop it to give up.
pub(super) async fn ask(
    target: &Target,
    check: &ActiveCheck,
    addresses: &[SocketAddr],
) -> Result<(), Wrong> {
    let stream = Bounded {
        stream: connect(addresses, check.timeout).await?,
        left: MOST_BYTES,
    };
    let connector = &target.connector;
    let Some((config, name)) = &connector.tls else {
        let over_http2 = connector.http2 == UpstreamHttp2::Always;
        return converse(stream, target, check, over_http2).await;
    };
    let stream = TlsConnector::from(Arc::clone(config))
        .connect(name.clone(), stream)
        .await
        .map_err(|error| Wrong::Tls(text(&error)))?;
    let over_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let is_needed =
        connector.http2 == UpstreamHttp2::Always || matches!(check.probe, Probe::Grpc { .. });
    if !over_http2 && is_needed {
        return Err(Wrong::NoHttp2);
    }
    converse(stream, target, check, over_http2).await
}

/// The first address that takes the connection. One that swallows everything must not use up the time of
/// those behind it: a little later the next one is asked as well.
async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, Wrong> {
    let head_start = HEAD_START.min(limit / HEAD_START_PART);
    let mut last = Wrong::Resolve("it has no address".to_owned());
    let mut left = addresses.iter().copied();
    // Dropping it gives up those that are still at it.
    let mut dialling = JoinSet::new();
    loop {
        match left.next() {
            Some(address) => {
                dialling.spawn_local(TcpStream::connect(address));
            }
            None if dialling.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(dialled) = dialling.join_next() => match dialled {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Wrong::Connect(text(&error)),
                Err(error) => last = Wrong::Connect(error.to_string()),
            },
            () = tokio::time::sleep(head_start), if left.len() > 0 => {}
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    target: &Target,
    check: &ActiveCheck,
    over_http2: bool,
) -> Result<(), Wrong> {
    let (method, path, host, statuses) = match &check.probe {
        Probe::Tcp => return Ok(()),
        Probe::Grpc { service, host } => {
            return grpc::ask(stream, target, service, host.as_deref(), check.timeout).await;
        }
        Probe::Http {
            method,
            path,
            host,
            statuses,
        } => (method, path, host, statuses),
    };
    let host = host.as_deref().unwrap_or(&target.authority);
    let uri = uri(target.connector.tls.is_some(), host, path).ok_or(Wrong::Question)?;
    let status = if over_http2 {
        http2(stream, method, uri).await?
    } else {
        http1(stream, method, &uri).await?
    };
    if statuses.iter().any(|range| range.contains(&status)) {
        Ok(())
    } else {
        Err(Wrong::Status(status))
    }
}

fn uri(is_secure: bool, host: &str, path: &str) -> Option<Uri> {
    Uri::builder()
        .scheme(if is_secure { "https" } else { "http" })
        .authority(Authority::try_from(host).ok()?)
        .path_and_query(PathAndQuery::try_from(path).ok()?)
        .build()
        .ok()
}

/// The status of the final response. Its body is not waited for.
async fn http1<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    method: &Method,
    uri: &Uri,
) -> Result<u16, Wrong> {
    let broken = |error: io::Error| Wrong::Broken(text(&error));
    let host = uri.authority().map_or("", Authority::as_str);
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {USER_AGENT}\r\naccept: */*\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut input = BytesMut::with_capacity(4 * 1024);
    let mut scanner = HeadScanner::default();
    loop {
        while let Some(length) = scanner.scan_response(&input) {
            scanner = HeadScanner::default();
            let parsed = parse_response(&mut input, length, method);
            let status = match parsed {
                Ok(parsed) => parsed.head.status,
                Err(Failure::UpstreamMalformed(what)) => return Err(Wrong::Malformed(what)),
                Err(_) => return Err(Wrong::Malformed("response head not valid")),
            };
            if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(status.as_u16());
            }
        }
        if stream.read_buf(&mut input).await.map_err(broken)? == 0 {
            return Err(Wrong::Closed);
        }
    }
}

async fn http2<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    method: &Method,
    uri: Uri,
) -> Result<u16, Wrong> {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header(http::header::USER_AGENT, USER_AGENT)
        .header(http::header::ACCEPT, "*/*")
        .body(())
        .map_err(|_| Wrong::Question)?;
    let (mut sender, connection) = h2::client::Builder::new()
        .max_header_list_size(MOST_HEAD)
        .enable_push(false)
        .handshake::<_, Bytes>(stream)
        .await
        .map_err(|error| broken(&error))?;
    let exchange = async {
        std::future::poll_fn(|context| sender.poll_ready(context)).await?;
        let (response, _) = sender.send_request(request, true)?;
        response.await
    };
    let mut exchange = std::pin::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    let response = tokio::select! {
        biased;
        response = &mut exchange => response,
        // The answer may have come with the end.
        _ = &mut connection => exchange.await,
    };
    response
        .map(|response| response.status().as_u16())
        .map_err(|error| broken(&error))
}

fn broken(error: &h2::Error) -> Wrong {
    let text = match error.get_io() {
        Some(error) => text(error),
        None => error.to_string().chars().take(MOST_TEXT).collect(),
    };
    Wrong::Broken(text)
}

/// A stream that ends when too much was read from it.
struct Bounded {
    stream: TcpStream,
    left: usize,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(format!(
                "no answer within {} KiB",
                MOST_BYTES / 1024
            ))));
        }
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(read);
        poll
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
