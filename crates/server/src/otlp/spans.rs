//! The spans of a request, made from its record.
//!
//! ```text
//! GET items                     server: the request as a whole
//! ├─ queue                      internal: waiting for a place among the upstream's requests
//! └─ GET                        client: one for each attempt
//!    └─ connect                 internal: name, TCP and TLS, unless a kept connection was used
//! ```

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use weir_core::GrpcStatus;
use weir_gateway::{AttemptOutcome, AttemptRecord, TraceRecord};

use super::attributes::{flag, integer, known_method, of_call, of_request, text};
use crate::log::split_host;
use crate::redact::Redactor;

/// The parent is on another machine, and this is known (OTLP `SpanFlags`).
const PARENT_IS_REMOTE: u32 = 0x300;
/// The parent is on this machine, and this is known.
const PARENT_IS_HERE: u32 = 0x100;

/// Spans that begin and end within the request.
struct Spans<'a> {
    record: &'a TraceRecord,
    all: Vec<Span>,
}

/// All spans of a request, its own first.
pub(super) fn of(record: &TraceRecord, redactor: &Redactor) -> Vec<Span> {
    let mut spans = Spans {
        record,
        all: Vec::with_capacity(2 + record.attempts.len()),
    };
    spans.server(redactor);
    if let Some((since, waited)) = record.queued {
        spans.inner("queue", record.ids.span_id, since, since + waited);
    }
    for attempt in &record.attempts {
        spans.attempt(attempt);
    }
    spans.all
}

impl Spans<'_> {
    fn server(&mut self, redactor: &Redactor) {
        let request = &self.record.request;
        let mut attributes = of_request(request, redactor);
        let peer = self.record.peer;
        attributes.push(text("network.peer.address", peer.ip().to_string()));
        attributes.push(integer("network.peer.port", peer.port()));
        let mut status = Status::default();
        if self.record.is_error {
            status.code = StatusCode::Error as i32;
            let kind = match (request.reason, request.grpc_status) {
                (Some(reason), _) => reason.to_owned(),
                (None, Some(status)) => status.as_str().to_owned(),
                (None, None) => request.status.to_string(),
            };
            attributes.push(text("error.type", kind));
        }
        let method = self.method();
        let name = match &request.route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let span = Span {
            name,
            kind: SpanKind::Server as i32,
            parent_span_id: self.record.parent.map(id).unwrap_or_default(),
            trace_state: self
                .record
                .state
                .as_ref()
                .map(|state| String::from_utf8_lossy(state.as_bytes()).into_owned())
                .unwrap_or_default(),
            flags: self.flags() | PARENT_IS_REMOTE,
            attributes,
            status: Some(status),
            ..self.span(self.record.ids.span_id, Duration::ZERO, request.duration)
        };
        self.all.push(span);
    }

    fn attempt(&mut self, attempt: &AttemptRecord) {
        let (host, port) = split_host(&attempt.target);
        let method = self.method().to_owned();
        let mut attributes = vec![
            text("http.request.method", &method),
            text("server.address", host),
        ];
        attributes.extend(port.map(|port| integer("server.port", port)));
        if let Some(upstream) = &self.record.request.upstream {
            attributes.push(text("weir.upstream", upstream.as_bytes()));
        }
        if attempt.number > 1 {
            let repeats = i64::from(attempt.number) - 1;
            attributes.push(integer("http.request.resend_count", repeats));
        }
        let mut status = Status::default();
        attributes.extend(attempt.call.into_iter().flat_map(of_call));
        if let AttemptOutcome::Answered(code) | AttemptOutcome::Cut(code, _) = attempt.outcome {
            attributes.push(integer("http.response.status_code", code));
        }
        let error = match attempt.outcome {
            AttemptOutcome::Cut(_, reason) => Some(reason.to_owned()),
            // To a client, a 4xx is an error as well, and so is every status of a call but OK.
            AttemptOutcome::Answered(code) => match attempt.call {
                Some(GrpcStatus::Ok) => None,
                Some(status) => Some(status.as_str().to_owned()),
                None => (code >= 400).then(|| code.to_string()),
            },
            AttemptOutcome::Failed(reason) => Some(reason.to_owned()),
            AttemptOutcome::Abandoned => {
                attributes.push(flag("weir.abandoned"));
                None
            }
        };
        if let Some(kind) = error {
            status.code = StatusCode::Error as i32;
            attributes.push(text("error.type", kind));
        }
        let events = attempt.answered.map(|at| Event {
            time_unix_nano: self.nanos(at),
            name: "weir.response.head".to_owned(),
            ..Event::default()
        });
        let span = Span {
            name: method,
            kind: SpanKind::Client as i32,
            parent_span_id: id(self.record.ids.span_id),
            attributes,
            events: events.into_iter().collect(),
            status: Some(status),
            ..self.span(attempt.span_id, attempt.began, attempt.ended)
        };
        self.all.push(span);
        if let Some(took) = attempt.connecting {
            let ended = (attempt.began + took).min(attempt.ended);
            self.inner("connect", attempt.span_id, attempt.began, ended);
        }
    }

    fn inner(&mut self, name: &str, parent: u64, began: Duration, ended: Duration) {
        let span = Span {
            name: name.to_owned(),
            kind: SpanKind::Internal as i32,
            parent_span_id: id(parent),
            ..self.span(fastrand::u64(1..), began, ended)
        };
        self.all.push(span);
    }

    fn span(&self, span_id: u64, began: Duration, ended: Duration) -> Span {
        Span {
            trace_id: self.record.ids.trace_id.to_be_bytes().to_vec(),
            span_id: id(span_id),
            flags: self.flags() | PARENT_IS_HERE,
            start_time_unix_nano: self.nanos(began),
            end_time_unix_nano: self.nanos(ended),
            ..Span::default()
        }
    }

    fn flags(&self) -> u32 {
        u32::from(self.record.ids.is_sampled)
    }

    fn nanos(&self, since: Duration) -> u64 {
        nanos(self.record.request.time + since)
    }

    fn method(&self) -> &str {
        let method = self.record.request.method.as_ref().map(known_method);
        // The name that the conventions give to requests with a method of their own.
        method
            .filter(|method| *method != "_OTHER")
            .unwrap_or("HTTP")
    }
}

fn id(span: u64) -> Vec<u8> {
    span.to_be_bytes().to_vec()
}

/// Nanoseconds since 1970.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
