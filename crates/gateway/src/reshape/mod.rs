//! Bodies that are changed by programs of the configuration.
//!
//! A body is read to its end first, decompressed, changed and sent on as a whole, all within bounds.
//! What cannot be changed is not sent: a program that takes a secret out of an answer is not passed by
//! because that is large, broken or late.
//!
//! Where programs run: a worker serves thousands of connections, none of which may wait for a program. It
//! gives a run half a millisecond, which is enough for nearly all of them and spares those a trip to
//! another thread. What takes longer starts anew on a thread of the [`Pool`], with all that the
//! configuration allows it; programs have no effects, so that nothing happens twice.

mod facts;
mod fields;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_RANGE, IF_RANGE, RANGE};
use http::{HeaderValue, StatusCode};
use weir_config::model::{self, Config, PolicyKind, TransformLimits, Transformation};
use weir_transform::{Budget, Input, Program, STACK, Stop};

use crate::altered::Alteration;
use crate::body::Body;
use crate::client::Client;
use crate::failure::Failure;
use crate::message::{RequestHead, has_body};
use crate::metrics::{Counter, TransformCounters, per_worker};
use crate::record::Recorder;
use crate::request::Answer;
use crate::timer::{Elapsed, Timer};
use crate::transform::Matched;
use crate::whole::{Codings, Pool, SHORT, Undecodable, Unread, Whole, gather};

pub(crate) use facts::{request_facts, response_facts};
pub(crate) use fields::is_json;

/// What a run may take on the worker.
const BRIEF: Budget = Budget {
    steps: 2_048,
    time: Duration::from_micros(500),
    memory: 1 << 20,
    output: 256 << 10,
    stack: 256 << 10,
};
/// Steps of a run on a thread of the pool: as many as its stack bears.
const STEPS: u64 = 1_000_000;
/// How long a run may wait for a thread, beside its own time.
const WAIT: Duration = Duration::from_secs(1);

/// Changes to the bodies of a route.
pub(crate) struct Reshape {
    model: model::Transform,
    pool: Pool,
    pub(crate) counters: Arc<[TransformCounters]>,
    /// When a failure was told last, in seconds since 1970.
    told: AtomicU64,
}

/// Which body it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl Reshape {
    /// `None` if no policy of the route is of that sort.
    pub(crate) fn compile(
        config: &Config,
        route: &model::Route,
        known: Option<&Arc<[TransformCounters]>>,
        pool: &Pool,
        workers: usize,
    ) -> Option<Box<Self>> {
        let policies = route.policies.iter().map(|at| &config.policies[*at].kind);
        let mut models = policies.filter_map(|kind| match kind {
            PolicyKind::Transform(transform) => Some(&**transform),
            _ => None,
        });
        Some(Box::new(Self {
            model: models.next()?.clone(),
            pool: pool.clone(),
            counters: known.map_or_else(|| per_worker(workers), Arc::clone),
            told: AtomicU64::new(0),
        }))
    }

    /// Changes a request's body. What comes back is the body to send on.
    pub(crate) async fn request(
        &self,
        matched: &Matched<'_>,
        head: &mut RequestHead,
        body: Body,
        timer: &Timer,
        record: &mut Recorder,
    ) -> Result<Body, Failure> {
        let client = matched.client;
        if self.model.response.is_some() {
            record.facts = self.facts(matched, head, record);
            // A part of a changed body is no part of the one that the upstream has, and what it
            // compresses has to be undone.
            head.fields
                .retain(|name, _| *name != RANGE && *name != IF_RANGE);
            head.fields
                .set(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let Some(change) = &self.model.request else {
            return Ok(body);
        };
        // Behind a handshake come frames.
        if body.is_end() || !head.upgrade.is_none() {
            return Ok(body);
        }
        let counters = &self.counters[client.worker.index].request;
        if !is_json(&head.fields) {
            if change.rejects_other {
                counters.failed.add(1);
                return Err(Failure::UnsupportedBody("its type is not JSON"));
            }
            counters.passed.add(1);
            return Ok(body);
        }
        let outcome = self
            .change_request(change, matched, head, body, timer, record)
            .await;
        match outcome {
            Ok(None) => Ok(Body::Empty),
            Ok(Some(whole)) => {
                counters.changed.add(1);
                record.altered(Alteration::TransformRequest);
                fields::replace(&mut head.fields, change.content_type.as_ref());
                head.content_length = Some(whole.bytes.len() as u64);
                Ok(whole.into())
            }
            Err(failure) => {
                counters.failed.add(1);
                Err(failure)
            }
        }
    }

    /// `None` if it turns out to be empty.
    async fn change_request(
        &self,
        change: &Transformation,
        matched: &Matched<'_>,
        head: &mut RequestHead,
        body: Body,
        timer: &Timer,
        record: &mut Recorder,
    ) -> Result<Option<Whole>, Failure> {
        let codings = Codings::of(&head.fields)
            .ok_or(Failure::UnsupportedBody("its coding is not known here"))?;
        let silence = matched.snapshot.timeouts.body;
        let worker = &matched.client.worker;
        let whole = gather(worker, body, self.model.limits.body, silence, timer).await;
        let whole = whole.map_err(|unread| unread.of_request(Failure::BodyTooLargeToChange))?;
        // Reading it has asked the client to send it.
        head.expects_continue = false;
        if whole.bytes.is_empty() {
            head.content_length = Some(0);
            return Ok(None);
        }
        let request = change
            .program
            .uses_request()
            .then(|| request_facts(matched, head, record));
        let job = Job {
            program: Arc::clone(&change.program),
            codings,
            limits: self.model.limits,
            input: Input {
                body: Some(whole.bytes),
                request,
                response: None,
            },
        };
        let mut room = whole.room;
        match self.run(matched.client, job, timer).await {
            Ok(bytes) => {
                room.resize(bytes.len());
                Ok(Some(Whole { bytes, room }))
            }
            Err(Fault::Busy) => Err(Failure::TransformBusy),
            Err(Fault::Late) => Err(timer.blame(Failure::TransformBusy)),
            Err(Fault::Coding(Undecodable::TooLarge)) => Err(Failure::BodyTooLargeToChange),
            Err(Fault::Coding(Undecodable::Broken)) => {
                Err(Failure::RequestTransform("its coding is broken"))
            }
            Err(Fault::Stop(stop)) => {
                self.tell(Side::Request, &stop, record);
                Err(Failure::RequestTransform(cause(&stop)))
            }
        }
    }

    /// Changes a response's body.
    pub(crate) async fn response(
        &self,
        client: &Rc<Client>,
        head: &RequestHead,
        answer: &mut Answer,
        timer: &Timer,
        record: &mut Recorder,
    ) -> Result<(), Failure> {
        let Some(change) = &self.model.response else {
            return Ok(());
        };
        let status = answer.head.status;
        if !(change.every_status || is_changed(status)) {
            return Ok(());
        }
        let counters = &self.counters[client.worker.index].response;
        let is_bodiless = !has_body(&head.method, status);
        if !is_json(&answer.head.fields) {
            // Without a body there is nothing to be of another type.
            if change.rejects_other && !is_bodiless && !answer.body.is_end() {
                counters.failed.add(1);
                return Err(Failure::ResponseTransform("its type is not JSON"));
            }
            if status == StatusCode::NOT_MODIFIED {
                answer.head.content_length = None;
                fields::replace(&mut answer.head.fields, None);
            }
            counters.passed.add(1);
            return Ok(());
        }
        if is_bodiless || answer.body.is_end() {
            // That of the body as the upstream has it (RFC 9110 §8.6).
            if is_bodiless {
                answer.head.content_length = None;
            }
            fields::replace(&mut answer.head.fields, change.content_type.as_ref());
            return Ok(());
        }
        match self
            .change_response(change, client, answer, timer, record)
            .await
        {
            Ok(None) => {
                answer.head.content_length = Some(0);
                Ok(())
            }
            Ok(Some(bytes)) => {
                counters.changed.add(1);
                record.altered(Alteration::TransformResponse);
                fields::replace(&mut answer.head.fields, change.content_type.as_ref());
                answer.head.content_length = Some(bytes.len() as u64);
                answer.body = Body::Full(bytes);
                Ok(())
            }
            Err(failure) => {
                counters.failed.add(1);
                Err(failure)
            }
        }
    }

    /// `None` if it turns out to be empty.
    async fn change_response(
        &self,
        change: &Transformation,
        client: &Rc<Client>,
        answer: &mut Answer,
        timer: &Timer,
        record: &mut Recorder,
    ) -> Result<Option<Bytes>, Failure> {
        if answer.head.status == StatusCode::PARTIAL_CONTENT
            || answer.head.fields.contains(&CONTENT_RANGE)
        {
            return Err(Failure::ResponseTransform("it is a part only"));
        }
        let codings = Codings::of(&answer.head.fields)
            .ok_or(Failure::ResponseTransform("its coding is not known here"))?;
        let body = std::mem::replace(&mut answer.body, Body::Empty);
        let most = self.model.limits.body;
        let whole = gather(&client.worker, body, most, answer.idle, timer).await;
        let whole = whole.map_err(|unread| match unread {
            Unread::TooLarge => Failure::ResponseTransform("it is too large"),
            Unread::NoRoom => Failure::MemoryPressure,
            Unread::Silent => Failure::UpstreamStalled,
            Unread::Failed(failure) => failure,
        })?;
        if whole.bytes.is_empty() {
            return Ok(None);
        }
        let response = change
            .program
            .uses_response()
            .then(|| response_facts(&answer.head));
        let job = Job {
            program: Arc::clone(&change.program),
            codings,
            limits: self.model.limits,
            input: Input {
                body: Some(whole.bytes),
                request: record.facts.take(),
                response,
            },
        };
        let _room = whole.room;
        match self.run(client, job, timer).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Fault::Busy) => Err(Failure::TransformBusy),
            Err(Fault::Late) => Err(timer.blame(Failure::TransformBusy)),
            Err(Fault::Coding(Undecodable::TooLarge)) => {
                Err(Failure::ResponseTransform("it is too large"))
            }
            Err(Fault::Coding(Undecodable::Broken)) => {
                Err(Failure::ResponseTransform("its coding is broken"))
            }
            Err(Fault::Stop(stop)) => {
                self.tell(Side::Response, &stop, record);
                Err(Failure::ResponseTransform(cause(&stop)))
            }
        }
    }

    /// What the response's program will want to know of the request, before that is changed.
    fn facts(&self, matched: &Matched<'_>, head: &RequestHead, record: &Recorder) -> Option<Bytes> {
        let change = self.model.response.as_ref()?;
        let is_used = change.program.uses_request();
        is_used.then(|| request_facts(matched, head, record))
    }

    async fn run(&self, client: &Rc<Client>, job: Job, timer: &Timer) -> Result<Bytes, Fault> {
        let counters = &self.counters[client.worker.index];
        run(&self.pool, &counters.pooled, job, timer).await
    }

    /// Tells the operator what a program says, once a second at most: a broken one fails each time.
    fn tell(&self, side: Side, stop: &Stop, record: &Recorder) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        if self.told.swap(now, Ordering::Relaxed) == now {
            return;
        }
        tracing::warn!(
            route = &*record.route_name(),
            weir.request_id = %record.id,
            trace_id = record.trace.as_ref().map(|trace| trace.ids().to_string()),
            side = if side == Side::Request { "request" } else { "response" },
            detail = %stop,
            "a body could not be changed"
        );
    }
}

/// Whether answers with this status are changed in any case. A 304 stands for one of them.
fn is_changed(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::NOT_MODIFIED
}

/// One run of a program.
pub(crate) struct Job {
    pub(crate) program: Arc<Program>,
    pub(crate) codings: Codings,
    pub(crate) limits: TransformLimits,
    pub(crate) input: Input,
}

/// Why a run brought nothing.
pub(crate) enum Fault {
    /// Too many wait for a thread.
    Busy,
    /// It took too long until a thread was free, or the exchange is over.
    Late,
    Coding(Undecodable),
    Stop(Stop),
}

/// Runs a program: here if that is a matter of a moment, else on a thread of the pool.
pub(crate) async fn run(
    pool: &Pool,
    pooled: &Counter,
    job: Job,
    timer: &Timer,
) -> Result<Bytes, Fault> {
    let length = job.input.body.as_ref().map_or(0, Bytes::len);
    if length <= SHORT && job.codings.is_empty() {
        let budget = Budget {
            memory: BRIEF.memory.min(job.limits.memory),
            output: BRIEF.output.min(job.limits.output),
            ..BRIEF
        };
        match job.program.run(&job.input, &budget) {
            Ok(bytes) => return Ok(bytes),
            Err(stop) if stop.is_exhaustion() => {}
            Err(Stop::Output) if budget.output < job.limits.output => {}
            Err(stop) => return Err(Fault::Stop(stop)),
        }
    }
    pooled.add(1);
    let within = WAIT.saturating_add(job.limits.time.saturating_mul(4));
    let result = pool.submit(move || job.run()).ok_or(Fault::Busy)?;
    match timer.limit(within, result).await {
        Ok(Ok(outcome)) => {
            timer.clear();
            outcome
        }
        Ok(Err(_)) => Err(Fault::Busy),
        Err(Elapsed) => Err(Fault::Late),
    }
}

impl Job {
    /// On a thread that has the stack for it.
    fn run(mut self) -> Result<Bytes, Fault> {
        if let Some(body) = self.input.body.take() {
            let body = self.codings.undo(body, self.limits.body);
            let body = body.map_err(Fault::Coding)?;
            self.input.body = Some(body);
        }
        let budget = Budget {
            steps: STEPS,
            time: self.limits.time,
            memory: self.limits.memory,
            output: self.limits.output,
            stack: STACK / 4,
        };
        self.program.run(&self.input, &budget).map_err(Fault::Stop)
    }
}

/// For log and metrics.
pub(crate) fn cause(stop: &Stop) -> &'static str {
    match stop {
        Stop::NotJson => "it is not JSON",
        Stop::Time => "the program took too long",
        Stop::Memory => "the program made too much",
        Stop::Depth => "the program, or a value, is nested too deeply",
        Stop::Output => "the result is too large",
        Stop::Failed(_) => "the program failed",
    }
}
