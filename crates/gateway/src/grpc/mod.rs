//! gRPC (`doc/PROTOCOL-HTTP2.md` of the gRPC project): what a call has beyond a request.
//!
//! A call is known by its content type. It ends with a status behind its messages, so that an answer
//! made here is a status, too; it may state a deadline; and gRPC-Web, which browsers speak, is
//! translated. Messages are never looked into: they pass as bytes, unbuffered, in both directions.

mod deadline;
mod kept;
mod message;
mod relay;
mod status;
mod web;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use weir_config::model::{RetryCondition, UpstreamTimeouts};
use weir_core::GrpcStatus;

use crate::altered::Alteration;
use crate::body::Body;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead, Version};
use crate::record::Recorder;
use crate::request::Answer;
use crate::snapshot::Route;
use crate::upstream::Deadlines;

pub(crate) use kept::Reader;
pub(crate) use relay::Relay;
pub(crate) use web::Incoming;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Milliseconds after which a client may try again (gRPC's A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// How a call is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Grpc,
    /// gRPC-Web: the status is the last piece of the body.
    Web,
    /// The same in base64.
    WebText,
}

/// What is known of a call; shared by its record and the bodies that carry it.
#[derive(Debug)]
pub(crate) struct Call {
    dialect: Dialect,
    /// Whether the client may send messages for as long as the call lasts: those of gRPC-Web cannot, nor
    /// anybody over HTTP/1, which has no calls.
    is_streamed: bool,
    /// From the request's arrival.
    deadline: Cell<Option<Duration>>,
    /// How it ended, once that is known.
    status: Cell<Option<GrpcStatus>>,
    /// Whether that was known only behind the answer's head.
    ended_late: Cell<bool>,
    /// Why it was ended here, behind the answer's head.
    failure: Cell<Option<Failure>>,
    /// The request's body, if it may have to be sent again.
    kept: RefCell<Option<kept::Shared>>,
}

/// The call that a request is, if it is one.
pub(crate) fn recognise(head: &RequestHead) -> Option<Rc<Call>> {
    if head.method != Method::POST {
        return None;
    }
    let dialect = dialect(head.fields.get(&CONTENT_TYPE)?)?;
    Some(Rc::new(Call {
        dialect,
        is_streamed: dialect == Dialect::Grpc && head.version == Version::Http2,
        deadline: Cell::new(None),
        status: Cell::new(None),
        ended_late: Cell::new(false),
        failure: Cell::new(None),
        kept: RefCell::new(None),
    }))
}

fn dialect(content_type: &HeaderValue) -> Option<Dialect> {
    const GRPC: &[u8] = b"application/grpc";
    let (front, rest) = content_type.as_bytes().split_at_checked(GRPC.len())?;
    if !front.eq_ignore_ascii_case(GRPC) {
        return None;
    }
    let dialects: [(&[u8], Dialect); 3] = [
        (b"-web-text", Dialect::WebText),
        (b"-web", Dialect::Web),
        (b"", Dialect::Grpc),
    ];
    dialects.into_iter().find_map(|(name, dialect)| {
        let (front, rest) = rest.split_at_checked(name.len())?;
        let is_whole = matches!(rest.first(), None | Some(b'+' | b';' | b' '));
        (front.eq_ignore_ascii_case(name) && is_whole).then_some(dialect)
    })
}

/// Takes up a call that found its route: its deadline, and for gRPC-Web its translation.
pub(crate) fn accept(
    route: &Route,
    head: &mut RequestHead,
    mut body: Body,
    record: &mut Recorder,
) -> Result<Body, Failure> {
    let Some(call) = &record.call else {
        return Ok(body);
    };
    let rules = route.streams.grpc;
    if call.dialect != Dialect::Grpc && !rules.web {
        // The upstream speaks it itself, as far as we know.
        record.call = None;
        return Ok(body);
    }
    let stated = deadline::stated(&head.fields)?;
    let longest = rules.longest_timeout.unwrap_or(Duration::MAX);
    call.deadline.set(stated.map(|stated| stated.min(longest)));
    // A client may have nothing to say for minutes, and little then: that is not slowness.
    if call.is_streamed {
        body.lift_pace();
    }
    if call.dialect != Dialect::Grpc {
        record.altered(Alteration::GrpcWeb);
    }
    Ok(match call.dialect {
        Dialect::Grpc => body,
        Dialect::Web => web::request(head, body, false),
        Dialect::WebText => web::request(head, body, true),
    })
}

impl Call {
    /// How it ended.
    pub(crate) fn status(&self) -> Option<GrpcStatus> {
        self.status.get()
    }

    /// Whether the target stated the status behind the answer's head.
    pub(crate) fn ended_late(&self) -> bool {
        self.ended_late.get()
    }

    /// It ended for this reason. What is known already is closer to the truth.
    pub(crate) fn failed(&self, failure: Failure) {
        if self.status.get().is_none() {
            self.status.set(Some(status::of(failure)));
        }
    }

    /// Why it was ended here, behind the answer's head.
    pub(crate) fn cut(&self) -> Option<Failure> {
        self.failure.get()
    }

    /// The shorter of its own deadline and the upstream's.
    pub(crate) fn total(&self, total: Option<Duration>) -> Option<Duration> {
        let deadline = self.deadline.get();
        deadline.into_iter().chain(total).min()
    }

    /// The deadlines of the phases, which are meant for requests that are answered at once.
    pub(crate) fn stretch(&self, deadlines: &mut Deadlines, timeouts: &UpstreamTimeouts) {
        if self.is_streamed {
            deadlines.body = timeouts.stream_idle;
        }
        deadlines.upstream.idle = timeouts.stream_idle;
        if let Some(deadline) = self.deadline.get() {
            // The client knows how long a call may take.
            deadlines.upstream.first_byte = deadlines.upstream.first_byte.max(deadline);
            // Less than it takes to reach a target at all is no sign that it cannot be reached.
            deadlines.is_brief = deadline < timeouts.connect;
        }
    }

    /// Writes what is left of the deadline for the next attempt.
    pub(crate) fn pass_deadline(
        &self,
        fields: &mut Fields,
        elapsed: Duration,
    ) -> Result<(), Failure> {
        let Some(deadline) = self.deadline.get() else {
            return Ok(());
        };
        let left = deadline.saturating_sub(elapsed);
        if left.is_zero() {
            return Err(Failure::DeadlineExceeded("grpc_timeout"));
        }
        deadline::write(fields, left);
        Ok(())
    }

    /// Keeps the body while it is sent, if a status could make it needed again.
    pub(crate) fn keep(&self, conditions: &[RetryCondition], body: Body) -> Body {
        let mut conditions = conditions.iter();
        if !conditions.any(|condition| matches!(condition, RetryCondition::Grpc(_))) {
            return body;
        }
        let (shared, reader) = kept::keep(body);
        self.kept.replace(Some(shared));
        Body::Kept(Box::new(reader))
    }

    /// The body once more, from its beginning, if all of it is still at hand.
    pub(crate) fn body_again(&self) -> Option<Body> {
        let reader = self.kept.borrow().as_ref()?.again()?;
        Some(Body::Kept(Box::new(reader)))
    }

    /// Whether there is a body to send again.
    pub(crate) fn has_body_again(&self) -> bool {
        let kept = self.kept.borrow();
        kept.as_ref().is_some_and(kept::Shared::is_whole)
    }

    /// Writes the answer that says why the call is refused: nothing but fields (Trailers-Only).
    pub(crate) fn refuse(&self, failure: Failure, fields: &mut Fields) {
        let status = status::of(failure);
        self.status.set(Some(status));
        let content_type = match self.dialect {
            Dialect::Grpc => "application/grpc",
            Dialect::Web => "application/grpc-web+proto",
            Dialect::WebText => "application/grpc-web-text+proto",
        };
        fields.append(CONTENT_TYPE, HeaderValue::from_static(content_type));
        write_status(fields, failure);
        if let Some(seconds) = failure.retry_after() {
            fields.append(PUSHBACK, HeaderValue::from(u64::from(seconds) * 1_000));
        }
    }
}

/// Status and message of a call that is ended here.
fn write_status(fields: &mut Fields, failure: Failure) {
    let code = status::of(failure).code();
    fields.append(GRPC_STATUS, HeaderValue::from(u16::from(code)));
    let text = format!("{}: {}", failure.reason(), failure.detail());
    if let Ok(message) = HeaderValue::from_str(&message::encode(&text)) {
        fields.append(GRPC_MESSAGE, message);
    }
}

/// The status that stands in an answer's head, behind which nothing comes.
fn trailers_only(head: &ResponseHead) -> Option<GrpcStatus> {
    let value = head.fields.get(&GRPC_STATUS)?;
    Some(GrpcStatus::parse(value.as_bytes()))
}

/// What an answer's head says, for those who judge targets by HTTP statuses, and what repeats go by.
pub(crate) fn verdict(record: &Recorder, head: &ResponseHead) -> (StatusCode, RetryCondition) {
    let status = record.call.as_ref().and_then(|_| trailers_only(head));
    match status {
        None => (head.status, RetryCondition::Status(head.status)),
        Some(status) => (
            StatusCode::from_u16(status.http()).unwrap_or(head.status),
            RetryCondition::Grpc(status),
        ),
    }
}

/// How long the target asks to be left alone before the call is repeated; `Some(MAX)`: for ever (gRPC's
/// A6).
pub(crate) fn pushback(fields: &Fields) -> Option<Duration> {
    let text = fields.get(&PUSHBACK)?.to_str().ok()?;
    Some(text.parse().map_or(Duration::MAX, Duration::from_millis))
}

/// Follows a call's answer to its status, and translates it for gRPC-Web.
pub(crate) fn relay(record: &Recorder, answer: &mut Answer) {
    let Some(call) = &record.call else {
        return;
    };
    let content_type = answer.head.fields.get(&CONTENT_TYPE);
    if content_type.and_then(dialect) != Some(Dialect::Grpc) {
        // Not a word of gRPC: clients have a rule of their own for it.
        let status = GrpcStatus::of_http(answer.head.status.as_u16());
        call.status.set(Some(status));
        return;
    }
    if let Some(status) = trailers_only(&answer.head) {
        call.status.set(Some(status));
    }
    match call.dialect {
        Dialect::Grpc => {}
        Dialect::Web => web::response(&mut answer.head, false),
        Dialect::WebText => web::response(&mut answer.head, true),
    }
    if call.status.get().is_none() || !answer.body.is_end() {
        let body = std::mem::replace(&mut answer.body, Body::Empty);
        answer.body = Body::Call(Box::new(Relay::new(Rc::clone(call), body)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_content_type() {
        let known = |text| dialect(&HeaderValue::from_static(text));
        for text in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC;charset=utf-8",
        ] {
            assert_eq!(known(text), Some(Dialect::Grpc), "{text}");
        }
        assert_eq!(known("application/grpc-web+json"), Some(Dialect::Web));
        assert_eq!(known("application/grpc-web"), Some(Dialect::Web));
        assert_eq!(known("application/grpc-web-text"), Some(Dialect::WebText));
        for text in [
            "application/grpcx",
            "application/grpc-webx",
            "application/json",
            "a",
            "",
        ] {
            assert_eq!(known(text), None, "{text}");
        }
    }
}
