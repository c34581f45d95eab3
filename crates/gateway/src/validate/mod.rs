//! Messages judged by their route's contract.
//!
//! Requests that are refused for a fault are read to their end first, so that nothing of a faulty
//! request reaches the target. Where faults are only reported, bodies are looked at while they pass.
//!
//! A body is judged by what it means: what is compressed is decompressed for that, and passes as it came.
//! Short ones are judged by the worker; long and compressed ones would hold up all that it serves.

mod checker;
mod pace;
mod watch;

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Method, StatusCode};
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
use crate::timer::{Elapsed, Timer};
use crate::whole::{Codings, Pool, SHORT, Undecodable, gather};

pub(crate) use checker::Checker;
pub(crate) use watch::Watched;

use checker::{Job, Subject};
use pace::Pace;

/// How long a body may wait to be judged, and be judged.
const PATIENCE: Duration = Duration::from_secs(10);

/// A route's contract and what was counted by it.
pub(crate) struct Validation {
    rules: Arc<model::Validate>,
    pub(crate) counted: Counted,
    pool: Pool,
    pace: Arc<Pace>,
    /// `None` if everything is judged before it passes, or never.
    checker: Option<Checker>,
}

/// What was counted for a route; it outlives revisions.
#[derive(Clone)]
pub(crate) struct Counted {
    /// One set per worker, and behind them that of the checker.
    pub(crate) requests: Arc<[ValidationCounters]>,
    /// The same.
    pub(crate) responses: Arc<[ValidationCounters]>,
}

impl Counted {
    fn new(workers: usize) -> Self {
        Self {
            requests: per_worker(workers + 1),
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
        pool: &Pool,
        checker: &mut Option<Checker>,
    ) -> Option<Box<Self>> {
        let policies = route.policies.iter().map(|at| &config.policies[*at].kind);
        let mut rules = policies.filter_map(|kind| match kind {
            PolicyKind::Validate(rules) => Some(Arc::clone(rules)),
            _ => None,
        });
        let rules = rules.next()?;
        let reports = rules.reports_responses || rules.request == RequestCheck::Report;
        let checker = reports.then(|| {
            checker
                .get_or_insert_with(|| Checker::start(workers))
                .clone()
        });
        let counted = known.cloned().unwrap_or_else(|| Counted::new(workers));
        Some(Box::new(Self {
            rules,
            counted,
            pool: pool.clone(),
            pace: Arc::default(),
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
        if mode == RequestCheck::Off && !self.rules.reports_responses {
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
        let codings = Codings::of(&head.fields);
        if judgement.body.is_some() && codings.is_none() {
            let detail = "must be in no coding but gzip, deflate, br and zstd";
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
        let (most, silence) = (self.rules.body_bytes, record.snapshot.timeouts.body);
        let whole = gather(&client.worker, body, most, silence, timer).await;
        let whole = whole.map_err(|unread| {
            counters.unchecked.add(1);
            timer.blame(unread.of_request(Failure::BodyTooLargeToCheck))
        })?;
        // Reading it has asked the client to send it.
        head.expects_continue = false;
        head.content_length = Some(whole.bytes.len() as u64);
        let codings = codings.unwrap_or_default();
        let judged = self.judge(rule, codings, whole.bytes.clone(), timer).await;
        match judged.inspect_err(|_| counters.unchecked.add(1))? {
            Ok(()) => {
                counters.valid.add(1);
                Ok(whole.into())
            }
            Err(violations) => Err(refuse(counters, violations, &[])),
        }
    }

    /// Judges a whole body: here if that is a matter of a moment, else on a thread of the pool.
    async fn judge(
        &self,
        rule: BodyRule,
        codings: Codings,
        body: Bytes,
        timer: &Timer,
    ) -> Result<Result<(), Vec<Violation>>, Failure> {
        if codings.is_empty() && body.len() <= SHORT && self.pace.is_brisk() {
            let check = || self.rules.contract.check_body(rule, &body);
            return Ok(self.pace.time(check));
        }
        let rules = Arc::clone(&self.rules);
        let judging = self.pool.submit(move || {
            let body = match codings.undo(body, rules.body_bytes) {
                Ok(body) => body,
                Err(Undecodable::TooLarge) => return Err(Failure::BodyTooLargeToCheck),
                Err(Undecodable::Broken) => {
                    let violation = Violation::new(Place::Body, "its content coding is broken");
                    return Ok(Err(vec![violation]));
                }
            };
            Ok(rules.contract.check_body(rule, &body))
        });
        let judging = judging.ok_or(Failure::ValidationBusy)?;
        match timer.limit(PATIENCE, judging).await {
            Ok(Ok(judged)) => {
                timer.clear();
                judged
            }
            Ok(Err(_)) => Err(Failure::ValidationBusy),
            Err(Elapsed) => Err(timer.blame(Failure::ValidationBusy)),
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
        let Some(codings) = Codings::of(&head.fields).filter(|_| !self.is_too_long(&body)) else {
            counters.unchecked.add(1);
            return body;
        };
        let fault = Fault::default();
        record.fault = Some(Rc::clone(&fault));
        let job = Job {
            rules: Arc::clone(&self.rules),
            counters: Arc::clone(&self.counted.requests),
            route: record.route_name(),
            request_id: record.id,
            trace: record.trace.as_ref().map(|trace| trace.ids()),
            codings,
            subject: Subject::Request(rule),
            body: None,
        };
        let watched = Watched::new(self, client, body, job, Some(fault));
        Body::Watched(Box::new(watched))
    }

    /// Looks at a response while it passes, if anybody does.
    pub(crate) fn response(
        &self,
        client: &Rc<Client>,
        head: &RequestHead,
        answer: &mut Answer,
        record: &Recorder,
    ) {
        if !self.rules.reports_responses {
            return;
        }
        let Some(checker) = &self.checker else {
            return;
        };
        let counters = &self.counted.responses[client.worker.index];
        let body = std::mem::replace(&mut answer.body, Body::Empty);
        let is_head = head.method == Method::HEAD;
        // A part of a body is no body.
        let is_part = answer.head.status == StatusCode::PARTIAL_CONTENT;
        let codings = Codings::of(&answer.head.fields);
        let codings = codings.filter(|_| !is_part && !self.is_too_long(&body));
        let Some(codings) = codings.or(is_head.then(Codings::default)) else {
            counters.unchecked.add(1);
            answer.body = body;
            return;
        };
        let job = Job {
            rules: Arc::clone(&self.rules),
            counters: Arc::clone(&self.counted.responses),
            route: record.route_name(),
            request_id: record.id,
            trace: record.trace.as_ref().map(|trace| trace.ids()),
            codings,
            subject: Subject::Response {
                operation: record.operation,
                status: answer.head.status.as_u16(),
                content_type: text(&answer.head.fields, &CONTENT_TYPE).map(str::to_owned),
            },
            body: None,
        };
        answer.body = if is_head {
            checker.hand_over(job, counters);
            body
        } else {
            Body::Watched(Box::new(Watched::new(self, client, body, job, None)))
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
