//! What the record keeps for a trace; nothing, while tracing is off.

use std::rc::Rc;
use std::time::{Duration, Instant};

use weir_core::GrpcStatus;

use super::{AccessRecord, Recorder};
use crate::Fields;
use crate::failure::Failure;
use crate::snapshot::Route;
use crate::trace::{AttemptOutcome, AttemptRecord, Context, Current, Trace, TraceRecord};

impl Recorder {
    /// The request's client address and id are settled: so is its trace.
    pub(crate) fn begin_trace(&mut self, fields: &Fields, is_trusted: bool) {
        if let Some(settings) = &self.snapshot.tracing {
            let began = self.started;
            self.trace = Some(Trace::begin(settings, fields, is_trusted, self.id, began));
        }
    }

    /// The route may have a share of its own.
    pub(crate) fn sample_trace(&mut self, route: &Route) {
        if let (Some(trace), Some(share)) = (&mut self.trace, route.trace_sample) {
            trace.sample(share);
        }
    }

    /// What attempts tell their targets.
    pub(crate) fn outgoing(&self) -> Option<Rc<Context>> {
        self.trace.as_ref()?.outgoing()
    }

    /// It had to wait for its place among the upstream's requests.
    pub(crate) fn queued(&mut self, since: Instant) {
        if let Some(trace) = &mut self.trace {
            trace.queued = Some((since, since.elapsed()));
        }
    }

    /// The attempt under way is over, and the request is not.
    pub(crate) fn attempt_is_over(
        &mut self,
        outcome: Result<u16, Failure>,
        call: Option<GrpcStatus>,
    ) {
        let Some(current) = self.trace.as_ref().map(|trace| trace.current) else {
            return;
        };
        let attempt = self.ended_attempt(current, Instant::now(), outcome_of(outcome), call);
        self.keep_attempt(attempt);
    }

    /// Of attempts side by side this one is over; `outcome` is none if another one was faster.
    pub(crate) fn beside_is_over(
        &mut self,
        number: u32,
        began: Instant,
        connecting: Option<Duration>,
        target: &bytestring::ByteString,
        outcome: Option<Result<u16, Failure>>,
    ) {
        let Some(trace) = &self.trace else { return };
        let now = Instant::now();
        let answered = matches!(outcome, Some(Ok(_))).then(|| now - self.started);
        let attempt = AttemptRecord {
            number,
            span_id: trace.context.attempt(number),
            target: target.clone(),
            began: began.duration_since(self.started),
            ended: now.duration_since(self.started),
            connecting,
            answered,
            // Calls are not hedged.
            call: None,
            outcome: outcome.map_or(AttemptOutcome::Abandoned, outcome_of),
        };
        self.keep_attempt(Some(attempt));
    }

    /// Of attempts side by side this one counts.
    pub(crate) fn beside_counts(&mut self, number: u32, began: Instant) {
        if let Some(trace) = &mut self.trace {
            trace.current = Current {
                number,
                began,
                answered: None,
            };
        }
    }

    fn keep_attempt(&mut self, attempt: Option<AttemptRecord>) {
        if let Some(trace) = &mut self.trace {
            trace.past.extend(attempt);
            // Its end is known: it is not told once more at the request's end.
            trace.current.number = 0;
        }
    }

    pub(super) fn ended_attempt(
        &self,
        current: Current,
        ended: Instant,
        outcome: AttemptOutcome,
        call: Option<GrpcStatus>,
    ) -> Option<AttemptRecord> {
        let in_flight = self.in_flight.as_ref().filter(|_| current.number > 0)?;
        let trace = self.trace.as_ref()?;
        let since = |at: Instant| at.saturating_duration_since(self.started);
        Some(AttemptRecord {
            number: current.number,
            span_id: trace.context.attempt(current.number),
            target: in_flight.pool().target.authority.clone(),
            began: since(current.began),
            ended: since(ended),
            connecting: self.connecting,
            answered: current.answered.map(since),
            call,
            outcome,
        })
    }

    /// Whether its spans are to be exported: by the decision at its head, or by how it ended.
    pub(super) fn is_traced(&self, is_error: bool, duration: Duration) -> bool {
        let (Some(trace), Some(settings)) = (&self.trace, &self.snapshot.tracing) else {
            return false;
        };
        // What a client takes its time for, or an upgraded connection lasts, is not slow.
        let is_slow = |slow| self.upstream_head.unwrap_or(duration) > slow;
        self.snapshot.exports
            && (trace.context.is_sampled()
                || (settings.errors && is_error)
                || settings.slow.is_some_and(is_slow))
    }

    pub(super) fn trace_record(
        &mut self,
        request: AccessRecord,
        is_error: bool,
    ) -> Option<Box<TraceRecord>> {
        let current = self.trace.as_ref()?.current;
        let outcome = match (current.answered, self.failure, self.status) {
            (Some(_), _, Some(status)) if self.is_cut => {
                AttemptOutcome::Cut(status, self.reason.unwrap_or_default())
            }
            // Also of an answer that was not good enough to be passed on; but not of a WebSocket
            // whose client broke a rule.
            (_, Some(failure), _) if request.websocket.is_none() => {
                AttemptOutcome::Failed(failure.reason())
            }
            (Some(_), _, Some(status)) => AttemptOutcome::Answered(status),
            _ => AttemptOutcome::Abandoned,
        };
        let ended = self.started + request.duration;
        let call = request.grpc_status.filter(|_| self.failure.is_none());
        let last = self.ended_attempt(current, ended, outcome, call);
        let trace = self.trace.take()?;
        let mut attempts = trace.past;
        attempts.extend(last);
        attempts.append(&mut trace.left.borrow_mut());
        // Boxed: few requests are traced, and a ring has room for thousands.
        Some(Box::new(TraceRecord {
            ids: request.trace?,
            request,
            parent: trace.parent,
            state: trace.state,
            peer: self.client.peer,
            queued: trace
                .queued
                .map(|(since, waited)| (since.saturating_duration_since(self.started), waited)),
            attempts,
            is_error,
        }))
    }
}

fn outcome_of(outcome: Result<u16, Failure>) -> AttemptOutcome {
    match outcome {
        Ok(status) => AttemptOutcome::Answered(status),
        Err(failure) => AttemptOutcome::Failed(failure.reason()),
    }
}
