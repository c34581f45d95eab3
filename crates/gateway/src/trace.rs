//! Distributed tracing: which trace a request belongs to, what its target is told, and what is kept of
//! it.
//!
//! Nothing is made of a request that is not traced but its ids. Whether it is traced is decided at its
//! head, by the caller or by the share, and once more at its end, when it is known whether it failed or
//! was slow; the spans are then made from the record. What the target is told stays as it was decided
//! at the head.

mod context;
mod record;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use weir_config::model::{Share, Tracing, TrustedParent};
use weir_core::RequestId;

use crate::Fields;
pub(crate) use context::{Context, TRACEPARENT, TRACESTATE};
pub use record::{AttemptOutcome, AttemptRecord, TraceIds, TraceRecord};

/// A request's part in a trace.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) context: Context,
    pub(crate) parent: Option<u64>,
    pub(crate) state: Option<HeaderValue>,
    /// Whether the caller has decided if it is sampled.
    is_decided: bool,
    /// Whether targets are told; header rules can keep it from them.
    is_passed_on: bool,
    /// The attempt under way, or the last.
    pub(crate) current: Current,
    /// Attempts that were over before the request was.
    pub(crate) past: Vec<AttemptRecord>,
    /// Attempts of parts that were let go of before they were over; shared with these.
    pub(crate) left: Rc<RefCell<Vec<AttemptRecord>>>,
    /// How long it waited for its place among the upstream's requests, and since when.
    pub(crate) queued: Option<(Instant, Duration)>,
}

/// An attempt that is not over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    /// From 1; 0 before the first.
    pub(crate) number: u32,
    pub(crate) began: Instant,
    /// When its response's head came.
    pub(crate) answered: Option<Instant>,
}

impl Trace {
    /// Continues the trace that a caller states, if its word counts, or begins one.
    pub(crate) fn begin(
        settings: &Tracing,
        fields: &Fields,
        is_trusted: bool,
        request_id: RequestId,
        began: Instant,
    ) -> Box<Self> {
        let counts = match settings.parent {
            TrustedParent::All => true,
            TrustedParent::Proxies => is_trusted,
            TrustedParent::Nobody => false,
        };
        let parent = counts.then(|| context::parent(fields)).flatten();
        let span_id = fastrand::u64(1..);
        let context = match parent {
            Some(parent) => Context { span_id, ..parent },
            // One value to look for, whether in logs or among traces.
            None => Context {
                trace_id: request_id.number(),
                span_id,
                flags: 0,
            },
        };
        let has_state = parent.is_some() && context::has_valid_state(fields);
        // Boxed: only who traces has one.
        let mut trace = Box::new(Self {
            context,
            parent: parent.map(|parent| parent.span_id),
            state: has_state.then(|| context::state(fields)).flatten(),
            is_decided: parent.is_some(),
            is_passed_on: false,
            current: Current {
                number: 0,
                began,
                answered: None,
            },
            past: Vec::new(),
            left: Rc::default(),
            queued: None,
        });
        trace.sample(settings.sample);
        trace
    }

    /// Decides by a share, unless the caller has decided.
    pub(crate) fn sample(&mut self, share: Share) {
        if !self.is_decided {
            // The lower half is random for every generator that follows the standard.
            let is_sampled = share.takes(self.context.trace_id as u64);
            self.context.decide(is_sampled);
        }
    }

    pub(crate) fn ids(&self) -> TraceIds {
        TraceIds {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            is_sampled: self.context.is_sampled(),
        }
    }

    /// Puts what the first attempt will state in place of what the client stated, for header rules to
    /// see, change or remove.
    pub(crate) fn show(&self, fields: &mut Fields) {
        if let Ok(value) = HeaderValue::from_bytes(&self.first()) {
            fields.set(TRACEPARENT, value);
        }
        if self.state.is_none() {
            fields.remove(&TRACESTATE);
        }
    }

    /// Takes it away again, as each attempt states its own; what rules made of it stays.
    pub(crate) fn settle(&mut self, fields: &mut Fields) {
        let name = TRACEPARENT;
        let mut stated = fields.get_all(&name);
        let is_unchanged = stated
            .next()
            .is_some_and(|value| *value == self.first()[..]);
        self.is_passed_on = is_unchanged && stated.next().is_none();
        drop(stated);
        if self.is_passed_on {
            fields.remove(&TRACEPARENT);
        }
    }

    /// For a request that this one makes: attempts of its own, within the same span.
    pub(crate) fn part(&self) -> Box<Self> {
        Box::new(Self {
            context: self.context,
            parent: self.parent,
            state: self.state.clone(),
            is_decided: self.is_decided,
            is_passed_on: self.is_passed_on,
            current: Current {
                number: 0,
                ..self.current
            },
            past: Vec::new(),
            left: Rc::clone(&self.left),
            queued: None,
        })
    }

    fn first(&self) -> [u8; context::TEXT_LENGTH] {
        self.context.text(self.context.attempt(1))
    }

    /// What attempts state, if they state anything.
    pub(crate) fn outgoing(&self) -> Option<Rc<Context>> {
        // Shared by attempts side by side, and kept out of the connection's task.
        self.is_passed_on.then(|| Rc::new(self.context))
    }
}

#[cfg(test)]
mod tests;
