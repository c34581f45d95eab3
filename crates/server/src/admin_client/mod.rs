//! The client of the command line for admin listeners: HTTP/1.1, over TCP or TLS, one connection a request.

mod exchange;
mod place;
mod refusal;
mod session;
mod tls;

use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rustls::ClientConfig;
use tokio::runtime::{Builder, Runtime};

pub(crate) use self::exchange::{Answer, Question};
pub(crate) use self::place::Place;
pub(crate) use self::refusal::{AdminError, Refusal};
pub(crate) use self::session::exchange;
use crate::credential::{Credential, Source};

/// Longest silence of something that goes on: there is a heartbeat every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// An admin listener, and what to show it.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// Where it is.
    pub(crate) place: Place,
    /// What proves who asks, if there is something.
    pub(crate) credential: Option<Credential>,
    /// Whom to trust, where TLS is spoken.
    tls: Option<Arc<ClientConfig>>,
}

impl Admin {
    /// For what needs no credential, on this machine.
    pub(crate) fn anonymous(address: SocketAddr) -> Self {
        Self {
            place: address.into(),
            credential: None,
            tls: None,
        }
    }

    /// One that trusts these authorities as well as the system's.
    pub(crate) fn at(place: Place, authorities: Option<&Path>) -> anyhow::Result<Self> {
        // Not looked for where they are of no use: it takes a while.
        let tls = place.is_tls().then(|| tls::trusting(authorities));
        Ok(Self {
            place,
            credential: None,
            tls: tls.transpose()?,
        })
    }

    /// The same with a credential, or none.
    #[must_use]
    pub(crate) fn with(self, credential: Option<Credential>) -> Self {
        Self { credential, ..self }
    }

    /// From where the credential is.
    pub(crate) fn source(&self) -> Option<&Source> {
        self.credential
            .as_ref()
            .map(|credential| &credential.source)
    }
}

/// An answer of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The body as JSON, if it is.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Whether somebody listens there.
pub(crate) fn is_reachable(address: SocketAddr) -> bool {
    let place = Place::from(address);
    let ip = place.host().parse().unwrap_or(address.ip());
    TcpStream::connect_timeout(&SocketAddr::new(ip, place.port()), exchange::CONNECT).is_ok()
}

/// What commands wait with for answers.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Sends a request without a body and reads the whole answer within a time.
pub(crate) fn request(
    admin: &Admin,
    method: Method,
    path: &str,
    within: Duration,
) -> Result<Response, AdminError> {
    request_with(admin, method, path, Vec::new(), within)
}

/// The same with a body in JSON.
pub(crate) fn request_with(
    admin: &Admin,
    method: Method,
    path: &str,
    body: Vec<u8>,
    within: Duration,
) -> Result<Response, AdminError> {
    let question = Question {
        body: Some(body),
        ..Question::new(method, path)
    };
    block_on(admin, async {
        let answer = tokio::time::timeout(within, exchange(admin, &question, within, None)).await;
        let answer = answer.map_err(|_| AdminError::Timeout(admin.place.clone()))??;
        Ok(answer.response)
    })
}

/// Asks for something that goes on, and hands over each of its lines until it ends or `take` says so.
/// An answer other than 200 comes back whole.
pub(crate) fn follow(
    admin: &Admin,
    path: &str,
    mut take: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<Option<Response>, AdminError> {
    let question = Question::new(Method::GET, path);
    let mut rest = Vec::new();
    let mut sink = |bytes: &[u8]| {
        rest.extend_from_slice(bytes);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            take(String::from_utf8_lossy(&line).trim_end())?;
        }
        ControlFlow::Continue(())
    };
    let answer = block_on(admin, exchange(admin, &question, SILENCE, Some(&mut sink)))?;
    let has_gone_on = answer.response.status == 200;
    Ok((!has_gone_on).then_some(answer.response))
}

fn block_on<T>(
    admin: &Admin,
    work: impl Future<Output = Result<T, AdminError>>,
) -> Result<T, AdminError> {
    let place = || admin.place.clone();
    let runtime = runtime().map_err(|source| AdminError::Io {
        place: place(),
        source,
    })?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests;
