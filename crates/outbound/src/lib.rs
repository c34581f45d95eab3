//! A client for the APIs that are asked: HTTP/1.1, one connection a request, everything bounded.
//!
//! Redirects are not followed: they would lead the token, and Weir, to wherever the answer likes. A name is looked up
//! once, and only the addresses that were judged ([`Reach`]) are connected to: another answer a moment later leads
//! nowhere else. Answers are not cached, and connections are not kept.

mod backoff;
mod body;
mod reach;
mod tls;
mod url;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use backoff::Backoff;
pub use body::Lines;
pub use reach::Reach;
pub use tls::Trust;
pub use url::{Endpoint, encode};

/// For looking up the host, connecting and the TLS handshake together.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of a response's head.
const HEAD_BYTES: usize = 64 * 1024;
/// Largest body that is read as a whole.
const BODY_BYTES: usize = 16 << 20;
/// Longest that reading a whole body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// A peer that is gone without a word is noticed after about half a minute, however long it may
/// stay silent.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(5));

/// Why a request came to nothing. Texts are for the operator and hold no secrets.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address is not of the form that is asked for.
    #[error("{0}")]
    Url(&'static str),
    /// None of the host's addresses may be connected to.
    #[error(
        "`{0}` is in a network that may not be reached: allow it where the address is configured"
    )]
    Forbidden(String),
    /// No address of the host lets us connect.
    #[error("cannot be reached: {0}")]
    Connect(std::io::Error),
    /// The handshake failed, or there is nobody to trust.
    #[error("TLS: {0}")]
    Tls(String),
    /// HTTP failed, or the answer is not of the expected form.
    #[error("the exchange failed: {0}")]
    Exchange(String),
    /// Head or body took too long.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The body is longer than agreed.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// A credential that has characters which headers must not have.
    #[error("the token cannot stand in a header")]
    Token,
    /// The answer points elsewhere.
    #[error("answered {0}; redirects are not followed")]
    Redirect(StatusCode),
    /// The answer is a refusal.
    #[error("answered {0}")]
    Status(StatusCode),
}

/// What is asked of whom.
pub struct Call<'a> {
    /// Where the API is.
    pub endpoint: &'a Endpoint,
    /// Whom to believe, if it speaks TLS.
    pub trust: &'a Trust,
    /// Which addresses may be connected to.
    pub reach: &'a Reach,
    /// Path below the endpoint, with its query.
    pub path: &'a str,
    /// Fields beside those that every call has.
    pub headers: &'a [(HeaderName, HeaderValue)],
    /// A form (`application/x-www-form-urlencoded`) to POST; without one it is a GET.
    pub form: Option<Bytes>,
    /// Longest wait for the head, from when the request is out.
    pub patience: Duration,
}

/// A response whose body is still to be read.
pub struct Answer {
    /// Any but a redirection.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    body: Incoming,
    connection: Connection,
}

/// The task that moves a connection's bytes: it ends as this is dropped.
type Connection = JoinSet<()>;

/// Sends a GET for a path (with its query) to an API that the operator named, wherever it is, and waits for the head,
/// at most `patience` from when the request is out.
///
/// # Errors
/// If there is no answer, or it is a redirection.
pub async fn get(
    endpoint: &Endpoint,
    trust: &Trust,
    path: &str,
    headers: &[(HeaderName, HeaderValue)],
    patience: Duration,
) -> Result<Answer, HttpError> {
    let call = Call {
        endpoint,
        trust,
        reach: &Reach::Anywhere,
        path,
        headers,
        form: None,
        patience,
    };
    call.send().await
}

impl Call<'_> {
    /// Asks, and waits for the head.
    ///
    /// # Errors
    /// If there is no answer, or it is a redirection.
    pub async fn send(self) -> Result<Answer, HttpError> {
        let Self {
            endpoint, patience, ..
        } = self;
        let connecting = connect(endpoint, self.trust, self.reach);
        let stream = timeout(CONNECT, connecting)
            .await
            .map_err(|_| HttpError::Connect(std::io::ErrorKind::TimedOut.into()))??;
        let exchange = |error: hyper::Error| HttpError::Exchange(describe(&error));
        let (mut sender, moving) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(exchange)?;
        // How it ends shows in the answer.
        let mut connection = Connection::new();
        connection.spawn(async { drop(moving.await) });
        let mut request = Request::builder()
            .method(if self.form.is_some() {
                Method::POST
            } else {
                Method::GET
            })
            .uri(format!("{}{}", endpoint.base, self.path))
            .header(HOST, &endpoint.authority)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")));
        if self.form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(self.form.unwrap_or_default()))
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
}

/// A credential as a header's value, which no log shows.
///
/// # Errors
/// If it has characters that a header must not have.
pub fn secret_value(text: &str) -> Result<HeaderValue, HttpError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| HttpError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(
    endpoint: &Endpoint,
    trust: &Trust,
    reach: &Reach,
) -> Result<Box<dyn Stream>, HttpError> {
    let addresses = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(HttpError::Connect)?;
    let addresses = reach.judge(&endpoint.host, addresses)?;
    let stream = connect_any(addresses).await?;
    // Without them a lost peer is noticed later, that is all.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
    if !endpoint.is_tls {
        return Ok(Box::new(stream));
    }
    let stream = trust.handshake(&endpoint.host, stream).await?;
    Ok(Box::new(stream))
}

/// Connects to the first address that answers; each next one is tried too after a moment.
async fn connect_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, HttpError> {
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

#[cfg(test)]
mod tests;
