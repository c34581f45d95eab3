//! What commands over the admin API have in common: whom they ask, lists, tables, questions.

mod confirm;
mod details;
mod file;
mod list;
mod prompt;
mod scope;
mod table;
mod transport;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use weir_core::RequestId;

pub(crate) use self::confirm::Confirmation;
pub(crate) use self::details::details;
pub(crate) use self::file::{json_file, text_file};
pub(crate) use self::list::{List, Paging};
pub(crate) use self::prompt::{has_terminal, line, password};
pub(crate) use self::scope::{InOrganization, Moment, Organization, by_address, person};
pub(crate) use self::table::{Column, Table};
use self::transport::{Answer, Sink, exchange};
use super::admin_address::{self, As};
use crate::admin_client::{Admin, AdminError, Refusal, Response};
use crate::cli::Global;
use crate::output::Output;

/// Pauses before what was lost on the way is sent again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// Longest pause that an answer can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What need not be written differently in a segment of a path (RFC 3986 §3.3).
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@');

/// Whom to ask.
#[derive(Clone, Debug, Args)]
pub(crate) struct Ask {
    /// Admin listener to ask; otherwise the one in the configuration
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
}

/// The admin API of a running Weir.
pub(crate) struct Api {
    admin: Admin,
    runtime: Runtime,
}

/// A path of the API: each segment is text as it is, so that none can lead elsewhere.
pub(crate) fn path(segments: &[&str]) -> String {
    let mut path = "/v1".to_owned();
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, IN_SEGMENT));
    }
    path
}

impl Api {
    /// That of the Weir that is meant, with the first credential that there is: `WEIR_TOKEN`, the
    /// session of `weir login`, the operator's token.
    pub(crate) fn find(ask: &Ask, global: &Global, output: &Output) -> anyhow::Result<Self> {
        Self::find_as(As::Anybody, ask, global, output)
    }

    /// The same as the operator, whoever has signed in.
    pub(crate) fn as_operator(ask: &Ask, global: &Global, output: &Output) -> anyhow::Result<Self> {
        Self::find_as(As::Operator, ask, global, output)
    }

    /// The same as nobody, to sign in.
    pub(crate) fn as_nobody(ask: &Ask, global: &Global, output: &Output) -> anyhow::Result<Self> {
        Self::find_as(As::Nobody, ask, global, output)
    }

    fn find_as(who: As, ask: &Ask, global: &Global, output: &Output) -> anyhow::Result<Self> {
        let admin = admin_address::find_as(who, ask.admin, global, output)?;
        Self::of(admin)
    }

    /// That of this listener.
    pub(crate) fn of(admin: Admin) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        Ok(Self { admin, runtime })
    }

    /// Whom it asks.
    pub(crate) const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Reads something. As that changes nothing, it is asked for again if the answer is lost.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send_until_answered(&Method::GET, path, None, &[])
    }

    /// Makes something, once: if the answer is lost, it is asked for with the same key.
    pub(crate) fn create(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let key = RequestId::generate().to_string();
        let key = [(IDEMPOTENCY_KEY, HeaderValue::try_from(key)?)];
        self.send_until_answered(&Method::POST, path, Some(body), &key)
    }

    /// Does something. The answer is `{}` if there is nothing to say.
    pub(crate) fn post(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.change(&Method::POST, path, body)
    }

    /// Changes parts of something, by a merge patch (RFC 7396).
    pub(crate) fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.change(&Method::PATCH, path, Some(body))
    }

    /// Makes something what the body says.
    pub(crate) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.change(&Method::PUT, path, Some(body))
    }

    /// Deletes something.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.change(&Method::DELETE, path, None)
    }

    /// Hands over an answer as it comes, however long it is.
    pub(crate) fn stream(&self, path: &str, sink: Sink<'_>) -> anyhow::Result<()> {
        let request = request(&Method::GET, path, None, &[])?;
        let answer = self
            .runtime
            .block_on(exchange(&self.admin, request, Some(sink)))?;
        self.accept(&answer.response, path).map(|_| ())
    }

    fn change(&self, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = request(method, path, body, &[])?;
        let answer = self
            .runtime
            .block_on(exchange(&self.admin, request, None))
            .map_err(|error| match error.downcast_ref() {
                Some(AdminError::Io { .. } | AdminError::Timeout(_)) => {
                    error.context("the answer was lost: look whether it took effect")
                }
                _ => error,
            })?;
        self.accept(&answer.response, path)
    }

    fn send_until_answered(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        fields: &[(HeaderName, HeaderValue)],
    ) -> anyhow::Result<Value> {
        let sent = async {
            let mut pauses = PAUSES.into_iter();
            let mut was_lost = false;
            loop {
                let request = request(method, path, body, fields)?;
                let answered = exchange(&self.admin, request, None).await;
                let pause = match &answered {
                    Ok(answer) => self.asks_for_pause(answer),
                    Err(error) => match error.downcast_ref() {
                        Some(AdminError::Io { .. } | AdminError::Timeout(_)) => {
                            was_lost = true;
                            Some(Duration::ZERO)
                        }
                        // It may be starting again.
                        Some(AdminError::Refused(_)) if was_lost => Some(Duration::ZERO),
                        _ => None,
                    },
                };
                match pause.zip(pauses.next()) {
                    Some((asked, own)) => sleep(asked.clamp(own, LONGEST_PAUSE)).await,
                    None => return answered,
                }
            }
        };
        let answer = self.runtime.block_on(sent)?;
        self.accept(&answer.response, path)
    }

    /// Whether the first of two requests with one key still runs.
    fn asks_for_pause(&self, answer: &Answer) -> Option<Duration> {
        let is_running = answer.response.status == 409
            && Refusal::of(&answer.response, &self.admin).reason()
                == Some("idempotency_key_in_use");
        is_running.then(|| answer.retry_after.unwrap_or_default())
    }

    /// The JSON of an answer that is no refusal.
    fn accept(&self, response: &Response, path: &str) -> anyhow::Result<Value> {
        if !(200..300).contains(&response.status) {
            let refusal = Refusal::of(response, &self.admin);
            return Err(match refusal.reason() {
                // What is not for somebody is as if it were not there.
                Some("not_found") => refusal.saying(format!(
                    "{} has nothing at {path}, or nothing that this account may see",
                    self.admin.address
                )),
                _ => refusal,
            }
            .into());
        }
        if response.body.is_empty() {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        response
            .json()
            .context("the answer of the admin listener is not JSON")
    }
}

fn request(
    method: &Method,
    path: &str,
    body: Option<&Value>,
    fields: &[(HeaderName, HeaderValue)],
) -> anyhow::Result<Request<Full<Bytes>>> {
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header(ACCEPT, "application/json");
    // Changes without a body state their type, too: the listener takes none that a form could send.
    if body.is_some() || *method != Method::GET {
        builder = builder.header(CONTENT_TYPE, "application/json");
    }
    for (name, value) in fields {
        builder = builder.header(name, value);
    }
    let body = body.map(serde_json::to_vec).transpose()?;
    Ok(builder.body(Full::from(body.unwrap_or_default()))?)
}

/// Says what was done: for programs as the API answered.
pub(crate) fn tell(answer: &Value, sentence: &str, output: &Output) -> anyhow::Result<()> {
    match output.json {
        true => output.print_json(answer),
        false => output.print(&format!("{sentence}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        assert_eq!(path(&["organizations", "acme"]), "/v1/organizations/acme");
        assert_eq!(
            path(&["users", "a/../b?c=d#e f", "sessions"]),
            "/v1/users/a%2F..%2Fb%3Fc%3Dd%23e%20f/sessions"
        );
        assert_eq!(
            path(&["users", "ada@acme.example"]),
            "/v1/users/ada@acme.example"
        );
    }
}
