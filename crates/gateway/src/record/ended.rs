//! What becomes of a record when its request is over.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytestring::ByteString;
use http::HeaderValue;

use super::{AccessRecord, Recorder};
use crate::failure::Failure;
use crate::overload::admission;
use crate::reason::{self, Decider};

impl Drop for Recorder {
    fn drop(&mut self) {
        // What became of it stands in the record of the whole.
        if let Some(first) = self.part {
            return self.let_go(first);
        }
        if !self.completed {
            // Nobody waited for the end: the connection is gone.
            let failure = Failure::ClientClosed;
            self.reason = Some(failure.reason());
            if let Some(call) = &self.call {
                call.failed(failure);
            }
        }
        let client_closed = Failure::ClientClosed.status().as_u16();
        let status = self.status.unwrap_or(client_closed);
        if self.status.is_none() {
            self.count_for_split(status);
        }
        let duration = self.started.elapsed();
        let worker = &self.client.worker;
        let received = self.received.as_ref().map_or(0, |meter| meter.get());
        // A WebSocket lasts as long as its sides want: what a request takes is the time to its opening.
        let served = match (&self.websocket, self.upstream_head) {
            (Some(_), Some(opened)) => opened,
            _ => duration,
        };
        self.snapshot
            .route_counters(self.route, worker.index)
            .record(status, served, received, self.sent);
        worker.counters.by_version[self.version as usize].add(1);
        self.count_call();
        if let Some(reason) = self.reason {
            worker.counters.count_reason(reason);
        }
        if let (Some(policy), Some(reason)) = (self.decided_by, self.reason) {
            self.snapshot.denials.count(policy, worker.index, reason);
        }
        if !self.altered.get().is_empty() {
            worker.counters.count_altered(self.altered.get());
        }
        let judged = self.judged(status);
        admission::judge(
            worker,
            &self.snapshot,
            self.client_address,
            judged,
            self.failure,
        );
        let is_error = judged >= 500 || self.is_cut;
        let is_logged = self.snapshot.recorded.access && (is_error || self.is_in_log_sample());
        let is_noted = self.is_noted(judged, is_error, duration);
        let is_kept = is_logged || is_noted || worker.is_watched();
        let is_traced = self.is_traced(is_error, served);
        if !is_kept && !is_traced {
            return;
        }
        let mut record = self.access_record(status, duration, received);
        record.is_logged = is_logged;
        record.is_noted = is_noted;
        if is_traced && let Some(traced) = self.trace_record(record.clone(), is_error) {
            self.client.worker.push_trace(traced);
        }
        if is_kept {
            self.client.worker.push_record(record);
        }
    }
}

impl Recorder {
    /// By the request's id: with the same share, logs and traces are of the same requests.
    fn is_in_log_sample(&self) -> bool {
        let own = self
            .route
            .and_then(|at| self.snapshot.routes[at].log_sample);
        let share = own.unwrap_or(self.snapshot.recorded.sample);
        share.takes(self.id.number() as u64)
    }

    /// The route's policy that is the reason, if one is.
    fn deciding_policy(&self) -> Option<Arc<str>> {
        let config = &self.snapshot.config;
        if let Some(policy) = self.decided_by {
            return Some(Arc::from(&*config.policies[policy].name));
        }
        let Decider::Policy(kind) = reason::find(self.reason?)?.decider else {
            return None;
        };
        let mut policies = config.routes.get(self.route?)?.policies.iter();
        let policy = policies.find(|at| config.policies[**at].kind.name() == kind)?;
        Some(Arc::from(&*config.policies[*policy].name))
    }

    /// Whether an operator will want to know of it: it failed, was refused here, or took long.
    fn is_noted(&self, status: u16, is_error: bool, duration: Duration) -> bool {
        let recorded = &self.snapshot.recorded;
        let is_refusal = self.reason.is_some() && status >= 400;
        // A long answer is not a slow one, nor is a tunnel.
        let waited = self.upstream_head.unwrap_or(duration);
        recorded.notes && (is_error || is_refusal || waited >= recorded.slow)
    }

    /// Of a call, what came behind its messages is known only now.
    fn count_call(&self) {
        let Some(status) = self.call.as_ref().and_then(|call| call.status()) else {
            return;
        };
        let worker = self.client.worker.index;
        let counters = self.snapshot.route_counters(self.route, worker);
        counters.by_grpc_status[usize::from(status.code())].add(1);
        // A head without a status counted as a success, so that this is no failure in a row; it is one
        // in the rate, as for an answer that is cut short.
        if self.reason.is_none()
            && let Some(in_flight) = &self.in_flight
            && let Some(upstream) = self.upstream
            && self.call.as_ref().is_some_and(|call| call.ended_late())
            && let Some(check) = &self.snapshot.upstreams[upstream].model().health.passive
            && check.statuses.contains(&status.http())
        {
            in_flight.pool().counters().faults.add(1);
        }
    }

    fn access_record(&mut self, status: u16, duration: Duration, received: u64) -> AccessRecord {
        let snapshot = &self.snapshot;
        let in_flight = self.in_flight.as_ref();
        AccessRecord {
            is_logged: false,
            is_noted: false,
            time: SystemTime::now()
                .checked_sub(duration)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            request_id: self.id,
            client: self.client_address,
            version: self.version,
            scheme: self.client.scheme(),
            method: self.method.take(),
            // Copied: they are slices of the head's buffer, which a record that waits to be written
            // must not keep.
            host: ByteString::from(&*self.host),
            path: ByteString::from(&*self.path),
            user_agent: self
                .user_agent
                .take()
                .and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()),
            query: self.query.take().map(|query| ByteString::from(&*query)),
            headers: std::mem::take(&mut self.headers)
                .into_iter()
                .filter_map(|(name, value)| {
                    Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
                })
                .collect(),
            status,
            received,
            sent: self.sent,
            route: self.route.map(|at| Arc::clone(&snapshot.routes[at].name)),
            upstream: self
                .upstream
                .map(|at| Arc::clone(&snapshot.upstreams[at].name)),
            target: in_flight.map(|in_flight| in_flight.pool().target.authority.clone()),
            attempts: self.attempts,
            duration,
            upstream_connect: self.connecting,
            upstream_head: self.upstream_head,
            reason: self.reason,
            cause: self.cause,
            policy: self.deciding_policy(),
            rule: self.rule.take(),
            user: self
                .known
                .take()
                .map(|known| Arc::clone(&known.principal.subject)),
            altered: self.altered.get(),
            trace: self.trace.as_ref().map(|trace| trace.ids()),
            grpc_status: self.call.as_ref().and_then(|call| call.status()),
            fault: self
                .fault
                .as_ref()
                .and_then(|fault| fault.get())
                .map(weir_contract::Place::as_str),
            websocket: self.websocket.take(),
        }
    }
}
