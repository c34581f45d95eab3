//! What commands over the admin API have in common: whom they ask, lists, tables, questions.

mod confirm;
mod details;
mod file;
mod list;
mod prompt;
mod scope;
mod table;

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context;
use http::Method;
use http::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use weir_core::RequestId;

pub(crate) use self::confirm::Confirmation;
pub(crate) use self::details::details;
pub(crate) use self::file::{json_file, text_file};
pub(crate) use self::list::{List, Paging};
pub(crate) use self::prompt::{has_terminal, line, need_terminal, password, secret_line};
use self::scope::organization_of;
pub(crate) use self::scope::{InOrganization, Moment, Organization, by_address, person};
pub(crate) use self::table::{Column, Table, moment};
pub(crate) use super::admin_address::Ask;
use super::admin_address::{self, As};
use crate::admin_client::{self, Admin, AdminError, Answer, Question, Refusal, Response, exchange};
use crate::cli::Global;
use crate::log::printable;
use crate::output::Output;

/// Pauses before what was lost on the way is sent again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// Longest pause that an answer can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Longest silence while an answer is awaited or comes.
const SILENCE: Duration = Duration::from_secs(30);
/// draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What need not be written differently in a segment of a path (RFC 3986 §3.3).
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@');

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
        let admin = admin_address::find_as(who, ask, global, output)?;
        Self::of(admin)
    }

    /// That of this listener.
    pub(crate) fn of(admin: Admin) -> anyhow::Result<Self> {
        let runtime = admin_client::runtime().context("cannot start a runtime")?;
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

    /// Makes something what the body says, if it is of this version before; 0 if it must not be there yet.
    pub(crate) fn put_on(&self, path: &str, version: i64, body: &Value) -> anyhow::Result<Value> {
        let condition = match version {
            0 => (IF_NONE_MATCH, HeaderValue::from_static("*")),
            version => (IF_MATCH, weir_console::entity_tag(version)),
        };
        self.change_if(&Method::PUT, path, Some(body), &[condition])
    }

    /// Deletes something.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.change(&Method::DELETE, path, None)
    }

    /// Hands over an answer as it comes, however long it is.
    pub(crate) fn stream(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let question = question(&Method::GET, path, None, &[])?;
        let mut taken = Ok(());
        let mut sink = |bytes: &[u8]| {
            taken = take(bytes);
            match taken {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        };
        let asked = exchange(&self.admin, &question, SILENCE, Some(&mut sink));
        let answer = self.runtime.block_on(asked);
        taken?;
        self.accept(&answer?.response, path, None).map(|_| ())
    }

    fn change(&self, method: &Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.change_if(method, path, body, &[])
    }

    fn change_if(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        conditions: &[(HeaderName, HeaderValue)],
    ) -> anyhow::Result<Value> {
        let question = question(method, path, body, conditions)?;
        let asked = exchange(&self.admin, &question, SILENCE, None);
        let answer = self.runtime.block_on(asked).map_err(|error| match error {
            AdminError::Io { .. } | AdminError::Timeout(_) => anyhow::Error::from(error)
                .context("the answer was lost: look whether it took effect"),
            error => error.into(),
        })?;
        self.accept(&answer.response, path, body)
    }

    fn send_until_answered(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        fields: &[(HeaderName, HeaderValue)],
    ) -> anyhow::Result<Value> {
        let question = question(method, path, body, fields)?;
        let sent = async {
            let mut pauses = PAUSES.into_iter();
            let mut was_lost = false;
            loop {
                let answered = exchange(&self.admin, &question, SILENCE, None).await;
                let pause = match &answered {
                    Ok(answer) => self.asks_for_pause(answer),
                    Err(AdminError::Io { .. } | AdminError::Timeout(_)) => {
                        was_lost = true;
                        Some(Duration::ZERO)
                    }
                    // It may be starting again.
                    Err(AdminError::Refused(_)) if was_lost => Some(Duration::ZERO),
                    Err(_) => None,
                };
                match pause.zip(pauses.next()) {
                    Some((asked, own)) => sleep(asked.clamp(own, LONGEST_PAUSE)).await,
                    None => return answered,
                }
            }
        };
        let answer = self.runtime.block_on(sent)?;
        self.accept(&answer.response, path, body)
    }

    /// Whether the first of two requests with one key still runs.
    fn asks_for_pause(&self, answer: &Answer) -> Option<Duration> {
        let is_running = answer.response.status == 409
            && Refusal::of(&answer.response, &self.admin).reason()
                == Some("idempotency_key_in_use");
        is_running.then(|| answer.retry_after.unwrap_or_default())
    }

    /// The JSON of an answer that is no refusal to what was asked with this path and body.
    fn accept(
        &self,
        response: &Response,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        if !(200..300).contains(&response.status) {
            let refusal = Refusal::of(response, &self.admin);
            return Err(match refusal.reason() {
                // What is not for somebody is as if it were not there.
                Some("not_found") if refusal.is_vague() => {
                    refusal.saying(self.nothing_at(path, body))
                }
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

    /// What is not there: the organization, if that is what lacks.
    fn nothing_at(&self, path: &str, body: Option<&Value>) -> String {
        match organization_of(path, body).filter(|name| self.is_without(name)) {
            Some(name) => format!(
                "there is no organization {}, or none that you may see: `weir org list` shows them",
                printable(&name)
            ),
            None => format!(
                "{} has nothing at {path}, or nothing that this account may see",
                self.admin.place
            ),
        }
    }

    fn is_without(&self, organization: &str) -> bool {
        let place = path(&["organizations", organization]);
        let asked = Question::new(Method::GET, &place);
        let answer = exchange(&self.admin, &asked, SILENCE, None);
        let answer = self.runtime.block_on(answer);
        answer.is_ok_and(|answer| answer.response.status == 404)
    }
}

fn question(
    method: &Method,
    path: &str,
    body: Option<&Value>,
    fields: &[(HeaderName, HeaderValue)],
) -> anyhow::Result<Question> {
    Ok(Question {
        fields: fields.to_vec(),
        body: body.map(serde_json::to_vec).transpose()?,
        ..Question::new(method.clone(), path)
    })
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
