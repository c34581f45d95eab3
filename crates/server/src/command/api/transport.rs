//! One request to an admin listener, and its answer, over a connection of its own.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::admin_client::{Admin, AdminError, CONNECT, LARGEST, Response, reachable};

/// Longest silence while an answer is awaited or comes.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest answer that is not passed on as it comes.
const MOST: usize = LARGEST as usize;

/// An answer, and when to ask again if it says so.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) retry_after: Option<Duration>,
}

/// Takes a body as it comes.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> anyhow::Result<()>;

/// Sends a request. The body of an answer of 200 goes to the sink, if there is one; otherwise all of it
/// comes back.
///
/// # Errors
/// [`AdminError`], or that of the sink.
pub(super) async fn exchange(
    admin: &Admin,
    mut request: Request<Full<Bytes>>,
    sink: Option<Sink<'_>>,
) -> anyhow::Result<Answer> {
    let reachable = reachable(admin.address);
    let fields = request.headers_mut();
    fields.insert(HOST, HeaderValue::try_from(reachable.to_string())?);
    fields.insert(CONNECTION, HeaderValue::from_static("close"));
    let agent = concat!("weir/", env!("CARGO_PKG_VERSION"));
    fields.insert(USER_AGENT, HeaderValue::from_static(agent));
    if let Some(credential) = &admin.credential {
        let field = format!("Bearer {}", credential.token.expose());
        let mut field = HeaderValue::try_from(field)?;
        field.set_sensitive(true);
        fields.insert(AUTHORIZATION, field);
    }
    let late = || AdminError::Timeout(admin.address);
    let stream = timeout(CONNECT, TcpStream::connect(reachable)).await;
    let stream = stream
        .map_err(|_| late())?
        .map_err(|source| match source.kind() {
            io::ErrorKind::ConnectionRefused => AdminError::Refused(admin.address),
            _ => of_io(admin, source),
        })?;
    let failed = |error: hyper::Error| of_hyper(admin, error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let answer = async move {
        let response = timeout(SILENCE, sender.send_request(request)).await;
        let response = response.map_err(|_| late())?.map_err(failed)?;
        let (head, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        match sink {
            Some(sink) if head.status.is_success() => {
                while let Some(frame) = timeout(SILENCE, body.frame()).await.map_err(|_| late())? {
                    if let Ok(data) = frame.map_err(failed)?.into_data() {
                        sink(&data)?;
                    }
                }
            }
            _ => {
                let whole = timeout(SILENCE, Limited::new(body, MOST).collect()).await;
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
        })
    };
    // What the connection ends with is told to the answer, too.
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

fn of_io(admin: &Admin, source: io::Error) -> AdminError {
    AdminError::Io {
        address: admin.address,
        source,
    }
}

fn of_hyper(admin: &Admin, error: hyper::Error) -> AdminError {
    let reason = "its answer is not HTTP";
    match error.is_parse() {
        true => AdminError::Malformed {
            address: admin.address,
            reason,
        },
        false => of_io(admin, io::Error::other(error)),
    }
}

fn retry_after(fields: &HeaderMap) -> Option<Duration> {
    let seconds = fields.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
