//! Messages judged by their route's contract.
//!
//! Requests that are refused for a fault are read to their end first, so that nothing of a faulty
//! request reaches the target; that needs memory, which is bounded for each request and for all of a
//! worker. Where faults are only reported, bodies are looked at while they pass.

mod checker;
mod gather;
mod watch;

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, Method};
use weir_config::model::{self, Config, PolicyKind, RequestCheck};
use weir_contract::{BodyRule, Place, Request, Violation};

use crate::body::Body;
use crate::client::Client;
use crate::deny::Denial;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::RequestHead;
use crate::metrics::{ValidationCounters, per_worker};
use crate::record::Recorder;
use crate::request::Answer;
use crate::timer::Timer;

pub(crate) use checker::Checker;
pub(crate) use gather::Held;
pub(crate) use watch::Watched;

use checker::Job;

/// A route's contract and what was counted by it.
pub(crate) struct Validation {
    rules: Arc<model::Validate>,
    pub(crate) counted: Counted,
    /// `None` if nobody looks at responses.
    checker: Option<Checker>,
}

/// What was counted for a route; it outlives revisions.
#[derive(Clone)]
pub(crate) struct Counted {
    /// One set per worker.
    pub(crate) requests: Arc<[ValidationCounters]>,
    /// One set per worker, and behind them that of the checker.
    pub(crate) responses: Arc<[ValidationCounters]>,
}

impl Counted {
    fn new(workers: usize) -> Self {
        Self {
            requests: per_worker(workers),
            responses: per_worker(workers + 1),
        }
    }
}

/// The part of a request with its first fault, once one was found; shared by the record and the body.
pub(crate) type Fault = Rc<Cell<Option<Place>>>;

impl Validation {
    /// `None` if no policy of the route is of that sort.
    pub(crate) fn compile(
        config: &Config,
        route: &model::Route,
        known: Option<&Counted>,
        workers: usize,
        checker: &mut Option<Checker>,
    ) -> Option<Box<Self>> {
        let policies = route.policies.iter().map(|at| &config.policies[*at].kind);
        let mut rules = policies.filter_map(|kind| match kind {
            PolicyKind::Validate(rules) => Some(Arc::clone(rules)),
            _ => None,
        });
        let rules = rules.next()?;
        let checker = rules.reports_responses.then(|| {
            checker
                .get_or_insert_with(|| Checker::start(workers))
                .clone()
        });
        let counted = known.cloned().unwrap_or_else(|| Counted::new(workers));
        Some(Box::new(Self {
            rules,
            counted,
            checker,
        }))
    }

    /// Judges a request. What comes back is the body to send on.
    pub(crate) async fn request(
        &self,
        client: &Rc<Client>,
        path: &str,
        head: &mut RequestHead,
        body: Body,
        timer: &Timer,
        record: &mut Recorder,
    ) -> Result<Body, Denial> {
        let mode = self.rules.request;
        if mode == RequestCheck::Off && self.checker.is_none() {
            return Ok(body);
        }
        let mut judgement = self.rules.contract.judge(&Request {
            method: head.method.as_str(),
            path,
            query: head.query.as_deref(),
            // Two of them are none: who is behind may read the other one.
            content_type: joined(&head.fields, "content-type").as_deref(),
            // What comes behind a handshake is no body.
            has_body: head.upgrade.is_none() && !body.is_end(),
            field: &|name| joined(&head.fields, name),
        });
        record.operation = judgement.operation;
        if mode == RequestCheck::Off {
            return Ok(body);
        }
        if mode == RequestCheck::Report {
            return Ok(self.report(
                client,
                head,
                body,
                &judgement.violations,
                judgement.body,
                record,
            ));
        }
        let counters = &self.counted.requests[client.worker.index];
        if judgement.body.is_some() && is_encoded(&head.fields) {
            let detail = "must be neither compressed nor encoded otherwise";
            let violation = Violation::new(Place::ContentType, detail);
            judgement.violations.push(violation);
        }
        if !judgement.violations.is_empty() {
            return Err(refuse(counters, judgement.violations, &judgement.allowed));
        }
        let Some(rule) = judgement.body else {
            counters.valid.add(1);
            return Ok(body);
        };
        let bytes = gather::whole(client, body, self.rules.body_bytes, timer, record).await;
        let bytes = bytes.inspect_err(|_| counters.unchecked.add(1))?;
        // Reading it has asked the client to send it.
        head.expects_continue = false;
        head.content_length = Some(bytes.len() as u64);
        match self.rules.contract.check_body(rule, &bytes) {
            Ok(()) => {
                counters.valid.add(1);
                Ok(if bytes.is_empty() {
                    Body::Empty
                } else {
                    Body::Full(bytes)
                })
            }
            Err(violations) => Err(refuse(counters, violations, &[])),
        }
    }

    /// Counts what is wrong; the request passes.
    fn report(
        &self,
        client: &Rc<Client>,
        head: &RequestHead,
        body: Body,
        violations: &[Violation],
        rule: Option<BodyRule>,
        record: &mut Recorder,
    ) -> Body {
        let counters = &self.counted.requests[client.worker.index];
        if let Some(first) = violations.first() {
            report(counters, first.place);
            record.fault = Some(Rc::new(Cell::new(Some(first.place))));
            return body;
        }
        let Some(rule) = rule else {
            counters.valid.add(1);
            return body;
        };
        if is_encoded(&head.fields) || self.is_too_long(&body) {
            counters.unchecked.add(1);
            return body;
        }
        let fault = Fault::default();
        record.fault = Some(Rc::clone(&fault));
        Body::Watched(Box::new(Watched::request(self, client, body, rule, fault)))
    }

    /// Looks at a response while it passes, if anybody does.
    pub(crate) fn response(
        &self,
        client: &Rc<Client>,
        head: &RequestHead,
        answer: &mut Answer,
        record: &Recorder,
    ) {
        let Some(checker) = &self.checker else {
            return;
        };
        let counters = &self.counted.responses[client.worker.index];
        let body = std::mem::replace(&mut answer.body, Body::Empty);
        let is_head = head.method == Method::HEAD;
        let job = Job {
            rules: Arc::clone(&self.rules),
            counters: Arc::clone(&self.counted.responses),
            route: record.route_name(),
            request_id: record.id,
            trace: record.trace.as_ref().map(|trace| trace.ids()),
            operation: record.operation,
            status: answer.head.status.as_u16(),
            content_type: text(&answer.head.fields, &CONTENT_TYPE).map(str::to_owned),
            body: None,
        };
        answer.body = if !is_head && (is_encoded(&answer.head.fields) || self.is_too_long(&body)) {
            counters.unchecked.add(1);
            body
        } else if is_head {
            checker.hand_over(job, counters);
            body
        } else {
            Body::Watched(Box::new(Watched::response(self, client, body, job)))
        };
    }

    fn is_too_long(&self, body: &Body) -> bool {
        let most = self.rules.body_bytes as u64;
        body.length().is_some_and(|length| length > most)
    }
}

/// Counts a fault that is let pass.
fn report(counters: &ValidationCounters, place: Place) {
    counters.reported.add(1);
    counters.by_place[place as usize].add(1);
}

fn refuse(counters: &ValidationCounters, violations: Vec<Violation>, allowed: &[String]) -> Denial {
    let first = violations.first();
    let place = first.map_or(Place::Body, |violation| violation.place);
    let is_whole = first.is_some_and(|violation| violation.name.is_none());
    counters.refused.add(1);
    counters.by_place[place as usize].add(1);
    let failure = match place {
        Place::Path if is_whole => Failure::UndocumentedPath,
        Place::Method => Failure::UndocumentedMethod,
        Place::ContentType => Failure::UnsupportedMediaType(place.as_str()),
        _ => Failure::InvalidRequest(place.as_str()),
    };
    Denial::from(failure).with(violations, allowed)
}

/// Whether a body has a content coding (RFC 9110 §8.4), so that its bytes are not what it means.
fn is_encoded(fields: &Fields) -> bool {
    let mut codings = fields.get_all(&CONTENT_ENCODING);
    codings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn text<'f>(fields: &'f Fields, name: &HeaderName) -> Option<&'f str> {
    fields.get(name)?.to_str().ok()
}

/// A field as one list (RFC 9110 §5.3), cookies as one field (RFC 6265 §5.4). Bytes that are no text
/// become something that no schema takes for what it was.
fn joined<'f>(fields: &'f Fields, name: &str) -> Option<Cow<'f, str>> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let separator = if name == http::header::COOKIE {
        "; "
    } else {
        ", "
    };
    let values: Vec<Cow<'_, str>> = fields
        .iter()
        .filter(|(known, _)| **known == name)
        .map(|(_, value)| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    match values.len() {
        0 => None,
        1 => values.into_iter().next(),
        _ => Some(Cow::Owned(values.join(separator))),
    }
}
