//! One request to an admin listener, and its answer, over a connection of its own.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    RETRY_AFTER, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Admin, AdminError, Response};

/// Time to connect; the listener is on this machine or near.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// Time to agree on TLS, which is spoken to what is farther away.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest answer that is not passed on as it comes.
const MOST: usize = 16 << 20;
/// Bytes of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;

/// `due` says that it is time for another token of the session.
const SESSION_TOKEN: HeaderName = HeaderName::from_static("weir-session-token");

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) method: Method,
    /// With the query.
    pub(crate) path: String,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    /// In JSON.
    pub(crate) body: Option<Vec<u8>>,
}

impl Question {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            fields: Vec::new(),
            body: None,
        }
    }
}

/// An answer, and when to ask again if it says so.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) retry_after: Option<Duration>,
    /// Whether another token is to take the place of the session's that was shown.
    pub(super) is_token_due: bool,
}

/// Takes a body as it comes, for as long as it likes.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>;

/// Sends a request, and waits for the answer as long as there is no longer `silence`. The body of an answer of 200 goes
/// to the sink, if there is one; otherwise all of it comes back.
pub(super) async fn exchange_once(
    admin: &Admin,
    question: &Question,
    silence: Duration,
    sink: Option<Sink<'_>>,
) -> Result<Answer, AdminError> {
    let place = &admin.place;
    let connected = TcpStream::connect((place.host(), place.port()));
    let stream = timeout(CONNECT.min(silence), connected).await;
    let stream = stream
        .map_err(|_| AdminError::Timeout(place.clone()))?
        .map_err(|source| match source.kind() {
            io::ErrorKind::ConnectionRefused => AdminError::Refused(place.clone()),
            _ => of_io(admin, source),
        })?;
    match &admin.tls {
        None => converse(admin, question, silence, sink, stream).await,
        Some(tls) => {
            let stream = handshake(admin, Arc::clone(tls), stream).await?;
            converse(admin, question, silence, sink, stream).await
        }
    }
}

async fn handshake(
    admin: &Admin,
    tls: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<impl AsyncRead + AsyncWrite + Unpin, AdminError> {
    let failed = |source| AdminError::Tls {
        place: admin.place.clone(),
        source,
    };
    let name = ServerName::try_from(admin.place.host().to_owned());
    let name = name.map_err(|error| failed(io::Error::other(error)))?;
    let shaken = timeout(HANDSHAKE, TlsConnector::from(tls).connect(name, stream)).await;
    let late = |_| AdminError::Timeout(admin.place.clone());
    shaken.map_err(late)?.map_err(failed)
}

async fn converse(
    admin: &Admin,
    question: &Question,
    silence: Duration,
    sink: Option<Sink<'_>>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<Answer, AdminError> {
    let request = request(admin, question)?;
    let late = || AdminError::Timeout(admin.place.clone());
    let failed = |error: hyper::Error| of_hyper(admin, error);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let answer = async move {
        let response = timeout(silence, sender.send_request(request)).await;
        let response = response.map_err(|_| late())?.map_err(failed)?;
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        match sink {
            Some(sink) if head.status.is_success() => {
                while let Some(frame) = timeout(silence, body.frame()).await.map_err(|_| late())? {
                    if let Ok(data) = frame.map_err(failed)?.into_data()
                        && sink(&data).is_break()
                    {
                        break;
                    }
                }
            }
            _ => {
                let whole = timeout(silence, Limited::new(body, MOST).collect()).await;
                let whole = whole.map_err(|_| late())?.map_err(|error| {
                    match error.downcast::<hyper::Error>() {
                        Ok(error) => failed(*error),
                        Err(error) => of_io(admin, io::Error::other(error)),
                    }
                })?;
                bytes = whole.to_bytes().to_vec();
            }
        }
        Ok(Answer {
            response: Response {
                status: head.status.as_u16(),
                body: bytes,
            },
            retry_after: retry_after(&head.headers),
            is_token_due: head
                .headers
                .get(SESSION_TOKEN)
                .is_some_and(|it| it == "due"),
        })
    };
    // The connection has to be driven until the answer is there; what it ends with is told to the answer, too.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ = &mut connection => answer.await,
    }
}

fn request(admin: &Admin, question: &Question) -> Result<Request<Full<Bytes>>, AdminError> {
    let Question {
        method,
        path,
        fields,
        body,
    } = question;
    let mut request = Request::new(Full::from(body.clone().unwrap_or_default()));
    *request.method_mut() = method.clone();
    let invalid = |error| of_io(admin, io::Error::other(error));
    *request.uri_mut() = path.parse().map_err(invalid)?;
    let head = request.headers_mut();
    let host = HeaderValue::try_from(admin.place.authority());
    head.insert(
        HOST,
        host.map_err(|error| of_io(admin, io::Error::other(error)))?,
    );
    head.insert(CONNECTION, HeaderValue::from_static("close"));
    let agent = concat!("weir/", env!("CARGO_PKG_VERSION"));
    head.insert(USER_AGENT, HeaderValue::from_static(agent));
    head.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // Changes without a body state their type, too: the listener takes none that a form could send.
    if body.is_some() || *method != Method::GET {
        head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let length = body.as_ref().map_or(0, Vec::len);
        head.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(credential) = &admin.credential {
        let field = format!("Bearer {}", credential.token().expose());
        let field = HeaderValue::try_from(field);
        let mut field = field.map_err(|_| AdminError::Credential)?;
        field.set_sensitive(true);
        head.insert(AUTHORIZATION, field);
    }
    head.extend(fields.iter().cloned());
    Ok(request)
}

fn of_io(admin: &Admin, source: io::Error) -> AdminError {
    let place = admin.place.clone();
    AdminError::Io { place, source }
}

fn of_hyper(admin: &Admin, error: hyper::Error) -> AdminError {
    let place = admin.place.clone();
    let reason = "its answer is not HTTP";
    match error.is_parse() {
        true => AdminError::Malformed { place, reason },
        false => of_io(admin, io::Error::other(error)),
    }
}

fn retry_after(fields: &HeaderMap) -> Option<Duration> {
    let seconds = fields.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
