//! A client for the APIs that are asked: HTTP/1.1, one connection a request, everything bounded.
//!
//! Redirects are not followed: they would lead the token, and Weir, to wherever the answer likes.

mod body;
mod tls;
mod url;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub(crate) use body::Lines;
pub(crate) use tls::Trust;
pub(crate) use url::{Endpoint, encode};

/// For looking up the host, connecting and the TLS handshake together.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of a response's head.
const HEAD_BYTES: usize = 64 * 1024;
/// Largest body that is read as a whole.
pub(crate) const BODY_BYTES: usize = 16 << 20;
/// Longest that reading a whole body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// A peer that is gone without a word is noticed after about half a minute, however long it may
/// stay silent.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5));

/// Why a request came to nothing. Texts are for the operator and hold no secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{0}")]
    Url(&'static str),
    #[error("cannot be reached: {0}")]
    Connect(std::io::Error),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("the exchange failed: {0}")]
    Exchange(String),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the token cannot stand in a header")]
    Token,
    #[error("answered {0}; redirects are not followed")]
    Redirect(StatusCode),
    #[error("answered {0}")]
    Status(StatusCode),
}

/// A response whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    connection: Connection,
}

/// The task that moves a connection's bytes: it ends as this is dropped.
type Connection = JoinSet<()>;

/// Sends a GET for a path (with its query) and waits for the head, at most `patience` from when the
/// request is out.
pub(crate) async fn get(
    endpoint: &Endpoint,
    trust: &Trust,
    path: &str,
    headers: &[(HeaderName, HeaderValue)],
    patience: Duration,
) -> Result<Answer, HttpError> {
    let connecting = connect(endpoint, trust);
    let stream = timeout(CONNECT, connecting)
        .await
        .map_err(|_| HttpError::Connect(std::io::ErrorKind::TimedOut.into()))??;
    let exchange = |error: hyper::Error| HttpError::Exchange(describe(&error));
    let (mut sender, moving) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(exchange)?;
    // How it ends shows in the answer.
    let mut connection = Connection::new();
    connection.spawn(async { drop(moving.await) });
    let mut request = Request::builder()
        .method(Method::GET)
        .uri(format!("{}{path}", endpoint.base))
        .header(HOST, &endpoint.authority)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .body(Empty::new())
        .map_err(|error| HttpError::Exchange(error.to_string()))?;
    let response = timeout(patience, sender.send_request(request))
        .await
        .map_err(|_| HttpError::Silent(patience))?
        .map_err(exchange)?;
    let (head, body) = response.into_parts();
    if head.status.is_redirection() {
        return Err(HttpError::Redirect(head.status));
    }
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
        connection,
    })
}

/// A bearer token as a header's value, which no log shows.
pub(crate) fn secret_value(text: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| HttpError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(endpoint: &Endpoint, trust: &Trust) -> Result<Box<dyn Stream>, HttpError> {
    let addresses = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(HttpError::Connect)?;
    let stream = connect_any(addresses.collect()).await?;
    // Without them a lost peer is noticed later, that is all.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
    if !endpoint.is_tls {
        return Ok(Box::new(stream));
    }
    let stream = trust.handshake(&endpoint.host, stream).await?;
    Ok(Box::new(stream))
}

/// Connects to the first address that answers; each next one is tried too after a moment.
async fn connect_any(addresses: Vec<std::net::SocketAddr>) -> Result<TcpStream, HttpError> {
    let mut failure = std::io::Error::other("the name has no address");
    let mut attempts = JoinSet::new();
    let mut rest = addresses.into_iter();
    loop {
        if let Some(address) = rest.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(HttpError::Connect(failure));
        }
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(error) => failure = std::io::Error::other(error),
            },
            () = sleep(Duration::from_millis(250)), if rest.len() > 0 => {}
        }
    }
}

/// The error with its causes: hyper's own text seldom says what happened.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
