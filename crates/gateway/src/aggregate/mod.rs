//! Answers that are made of several upstreams'.
//!
//! Each part is a request of its own: it is balanced, retried and broken off like any other, under the id
//! and within the trace of the request that it is for. Parts are asked for side by side, within bounds;
//! what fails is left at its fallback, unless there is no answer without it.

mod part;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, StatusCode};
use weir_config::model::{Aggregate, Part};
use weir_transform::{Input, quote};

use crate::body::Body;
use crate::deny::Denial;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::message::{RequestHead, ResponseHead};
use crate::metrics::{PartCounters, TransformCounters, per_worker};
use crate::record::Recorder;
use crate::request::Answer;
use crate::reshape::{self, Fault, Job, request_facts};
use crate::router::Missed;
use crate::timer::Timer;
use crate::transform::Matched;
use crate::whole::{Codings, Pool, Whole};
use part::{Asked, Missing};

/// The body is there; it is never waited for.
const IDLE: Duration = Duration::from_secs(60);

/// What a route's aggregate needs beside its model.
pub(crate) struct Aggregation {
    pool: Pool,
    pub(crate) counters: Counters,
    /// When a failure was told last, in seconds since 1970.
    told: AtomicU64,
}

/// What is counted for an aggregate; it outlives revisions.
#[derive(Clone)]
pub(crate) struct Counters {
    /// By name, one set per worker.
    pub(crate) parts: Vec<(Arc<str>, Arc<[PartCounters]>)>,
    /// Of its program.
    pub(crate) program: Arc<[TransformCounters]>,
}

impl Aggregation {
    /// Parts that were known before go on counting.
    pub(crate) fn compile(
        model: &Aggregate,
        known: Option<&Counters>,
        pool: &Pool,
        workers: usize,
    ) -> Box<Self> {
        let counters_of = |part: &Part| {
            let mut parts = known.into_iter().flat_map(|known| &known.parts);
            let known = parts.find(|(name, _)| **name == *part.name);
            known
                .cloned()
                .unwrap_or_else(|| (Arc::from(&*part.name), per_worker(workers)))
        };
        Box::new(Self {
            pool: pool.clone(),
            counters: Counters {
                parts: model.parts.iter().map(counters_of).collect(),
                program: known
                    .map_or_else(|| per_worker(workers), |known| Arc::clone(&known.program)),
            },
            told: AtomicU64::new(0),
        })
    }

    /// Asks for the parts and makes one answer of them.
    pub(crate) async fn answer(
        &self,
        model: &Aggregate,
        matched: &Matched<'_>,
        head: &mut RequestHead,
        is_trusted: bool,
        timer: &Timer,
        record: &mut Recorder,
    ) -> Result<Answer, Denial> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(Missed::Method(vec![Method::GET, Method::HEAD]).into());
        }
        let mut asked = Vec::with_capacity(model.parts.len());
        for (at, part) in model.parts.iter().enumerate() {
            asked.push(Asked::new(at, part, matched, head, is_trusted, record)?);
        }
        let parts = self.gather(model, matched, asked, record).await?;
        let is_partial = parts.iter().any(Result::is_err);
        let whole = merge(model, &parts);
        let body = match &model.program {
            None if whole.len() > model.limits.output => {
                return Err(failed("the answer is too large").into());
            }
            None => whole,
            Some(program) => {
                let request = program
                    .uses_request()
                    .then(|| request_facts(matched, head, record));
                let job = Job {
                    program: Arc::clone(program),
                    codings: Codings::default(),
                    limits: model.limits,
                    input: Input {
                        body: Some(whole),
                        request,
                        response: None,
                    },
                };
                self.compute(matched, job, timer, record).await?
            }
        };
        let reason = if is_partial {
            "aggregate_partial"
        } else {
            "aggregate"
        };
        record.decided(reason, None);
        let answer = ResponseHead {
            status: StatusCode::OK,
            content_length: Some(body.len() as u64),
            fields: fields(model, is_partial),
        };
        Ok(Answer {
            head: answer,
            body: if head.method == Method::HEAD {
                Body::Empty
            } else {
                Body::Full(body)
            },
            idle: IDLE,
        })
    }

    /// Asks side by side, a few at a time. The first required part that fails ends it: the others are let
    /// go of.
    async fn gather(
        &self,
        model: &Aggregate,
        matched: &Matched<'_>,
        asked: Vec<Asked<'_>>,
        record: &mut Recorder,
    ) -> Result<Vec<Result<Whole, Missing>>, Failure> {
        let worker = matched.client.worker.index;
        let mut parts: Vec<Option<Result<Whole, Missing>>> = asked.iter().map(|_| None).collect();
        let mut waiting = asked.into_iter();
        let mut running: Vec<Pin<Box<dyn Future<Output = part::Done> + '_>>> = Vec::new();
        loop {
            while running.len() < model.concurrency
                && let Some(next) = waiting.next()
            {
                running.push(Box::pin(next.run(matched, &self.pool, model.limits.body)));
            }
            if running.is_empty() {
                break;
            }
            let done = std::future::poll_fn(|context| {
                for at in 0..running.len() {
                    if let Poll::Ready(done) = running[at].as_mut().poll(context) {
                        drop(running.swap_remove(at));
                        return Poll::Ready(done);
                    }
                }
                Poll::Pending
            });
            let done = done.await;
            record.join(
                done.record,
                done.outcome.as_ref().err().map(|missing| missing.failure),
            );
            let counters = &self.counters.parts[done.at].1[worker];
            match &done.outcome {
                Ok(_) => counters.answered.add(1),
                Err(missing) => {
                    let counter = match missing.is_late {
                        true => &counters.timed_out,
                        false => &counters.failed,
                    };
                    counter.add(1);
                    let part = &model.parts[done.at];
                    self.tell(part, missing, record);
                    if part.is_required {
                        return Err(missing.fails_all());
                    }
                }
            }
            parts[done.at] = Some(done.outcome);
        }
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        // An answer of which nothing came is none.
        let is_nothing = parts.iter().all(Result::is_err);
        match parts.iter().find_map(|part| part.as_ref().err()) {
            Some(missing) if is_nothing => Err(missing.fails_all()),
            _ => Ok(parts),
        }
    }

    async fn compute(
        &self,
        matched: &Matched<'_>,
        job: Job,
        timer: &Timer,
        record: &Recorder,
    ) -> Result<Bytes, Failure> {
        let counters = &self.counters.program[matched.client.worker.index];
        match reshape::run(&self.pool, &counters.pooled, job, timer).await {
            Ok(body) => {
                counters.response.changed.add(1);
                Ok(body)
            }
            Err(fault) => {
                counters.response.failed.add(1);
                Err(match fault {
                    Fault::Busy => Failure::TransformBusy,
                    Fault::Late => timer.blame(Failure::TransformBusy),
                    Fault::Coding(_) => failed("it is not JSON"),
                    Fault::Stop(stop) => {
                        if self.may_tell() {
                            tracing::warn!(
                                route = &*record.route_name(),
                                weir.request_id = %record.id,
                                trace_id = record.trace.as_ref().map(|trace| trace.ids().to_string()),
                                detail = %stop,
                                "an aggregate could not be made of its parts"
                            );
                        }
                        failed(reshape::cause(&stop))
                    }
                })
            }
        }
    }

    fn tell(&self, part: &Part, missing: &Missing, record: &Recorder) {
        if self.may_tell() {
            tracing::warn!(
                route = &*record.route_name(),
                weir.request_id = %record.id,
                trace_id = record.trace.as_ref().map(|trace| trace.ids().to_string()),
                part = &*part.name,
                reason = missing.reason,
                status = missing.status,
                "a part of an aggregate is missing"
            );
        }
    }

    /// Once a second at most: an upstream that is down fails each time.
    fn may_tell(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        self.told.swap(now, Ordering::Relaxed) != now
    }
}

const fn failed(cause: &'static str) -> Failure {
    Failure::AggregateFailed(cause, 502)
}

/// One object of all parts; those that failed are what they fall back to, and stand under `errors`.
fn merge(model: &Aggregate, parts: &[Result<Whole, Missing>]) -> Bytes {
    let values = parts.iter().flatten();
    let size: usize = values.map(|whole| whole.bytes.len()).sum();
    let mut whole = Vec::with_capacity(size + 64 * parts.len() + 2);
    let mut name = String::new();
    for (part, outcome) in model.parts.iter().zip(parts) {
        whole.push(if whole.is_empty() { b'{' } else { b',' });
        name.clear();
        quote(part.name.as_bytes(), &mut name);
        whole.extend_from_slice(name.as_bytes());
        whole.push(b':');
        let value = match outcome {
            Ok(whole) => Some(&whole.bytes),
            Err(_) => part.fallback.as_ref(),
        };
        whole.extend_from_slice(value.map_or(b"null", |value| value));
    }
    let mut missing = model
        .parts
        .iter()
        .zip(parts)
        .filter_map(|(part, outcome)| Some((part, outcome.as_ref().err()?)))
        .filter(|_| model.shows_errors)
        .peekable();
    if missing.peek().is_some() {
        let mut errors = String::from(",\"errors\":");
        let mut separator = '{';
        for (part, missing) in missing {
            errors.push(separator);
            separator = ',';
            quote(part.name.as_bytes(), &mut errors);
            errors.push_str(":{\"reason\":");
            quote(missing.reason.as_bytes(), &mut errors);
            if let Some(status) = missing.status {
                errors.push_str(&format!(",\"status\":{status}"));
            }
            errors.push('}');
        }
        errors.push('}');
        whole.extend_from_slice(errors.as_bytes());
    }
    whole.push(b'}');
    Bytes::from(whole)
}

fn fields(model: &Aggregate, is_partial: bool) -> Fields {
    let mut fields = Fields::with_capacity(8);
    fields.append(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // What parts depend on, their answers do.
    let mut names: Vec<&str> = Vec::new();
    for name in model.parts.iter().flat_map(|part| &part.headers) {
        if !names.contains(&name.as_str()) {
            names.push(name.as_str());
        }
    }
    if !names.is_empty()
        && let Ok(vary) = HeaderValue::from_str(&names.join(", "))
    {
        fields.append(VARY, vary);
    }
    if is_partial {
        // The next one may be whole.
        fields.append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    fields
}
