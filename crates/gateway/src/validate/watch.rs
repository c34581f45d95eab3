//! Bodies that are kept while they pass, and looked at when they are over.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use weir_config::model;
use weir_contract::BodyRule;

use super::checker::{Checker, Job};
use super::gather::Held;
use super::{Counted, Fault, Validation, report};
use crate::body::{Body, Frame};
use crate::client::Client;
use crate::failure::Failure;
use crate::metrics::ValidationCounters;

/// A body that passes.
pub(crate) struct Watched {
    pub(crate) body: Body,
    watch: Watch,
}

struct Watch {
    kept: BytesMut,
    held: Held,
    rules: Arc<model::Validate>,
    counted: Counted,
    worker: usize,
    /// `None` once it was looked at or given up.
    whose: Option<Whose>,
}

enum Whose {
    Request { rule: BodyRule, fault: Fault },
    Response { job: Box<Job>, checker: Checker },
}

impl Watched {
    pub(super) fn request(
        validation: &Validation,
        client: &Rc<Client>,
        body: Body,
        rule: BodyRule,
        fault: Fault,
    ) -> Self {
        Self::new(
            validation,
            client,
            body,
            Some(Whose::Request { rule, fault }),
        )
    }

    pub(super) fn response(
        validation: &Validation,
        client: &Rc<Client>,
        body: Body,
        job: Job,
    ) -> Self {
        let whose = validation.checker.clone().map(|checker| Whose::Response {
            job: Box::new(job),
            checker,
        });
        Self::new(validation, client, body, whose)
    }

    fn new(validation: &Validation, client: &Rc<Client>, body: Body, whose: Option<Whose>) -> Self {
        let mut watched = Self {
            body,
            watch: Watch {
                kept: BytesMut::new(),
                held: Held::new(&client.worker),
                rules: Arc::clone(&validation.rules),
                counted: validation.counted.clone(),
                worker: client.worker.index,
                whose,
            },
        };
        if watched.body.is_end() {
            watched.watch.finish();
        }
        watched
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame, Failure>>> {
        let frame = ready!(self.body.poll_frame(context));
        match &frame {
            Some(Ok(Frame::Data(bytes))) => {
                self.watch.keep(bytes);
                // Whoever knows the length does not ask again behind the last byte.
                if self.body.is_end() {
                    self.watch.finish();
                }
            }
            Some(Ok(Frame::Trailers(_))) | None => self.watch.finish(),
            Some(Err(_)) => self.watch.give_up(),
        }
        Poll::Ready(frame)
    }
}

impl Watch {
    fn counters(&self, whose: &Whose) -> &ValidationCounters {
        match whose {
            Whose::Request { .. } => &self.counted.requests[self.worker],
            Whose::Response { .. } => &self.counted.responses[self.worker],
        }
    }

    /// Copied, as what is kept for a mirror is: see there.
    fn keep(&mut self, bytes: &[u8]) {
        if self.whose.is_none() {
            return;
        }
        let is_short = self.kept.len() + bytes.len() <= self.rules.body_bytes;
        if is_short && self.held.add(bytes.len()) {
            self.kept.extend_from_slice(bytes);
        } else {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        if let Some(whose) = self.whose.take() {
            self.counters(&whose).unchecked.add(1);
            self.kept = BytesMut::new();
        }
    }

    fn finish(&mut self) {
        let Some(whose) = self.whose.take() else {
            return;
        };
        let body = std::mem::take(&mut self.kept).freeze();
        let counters = self.counters(&whose);
        match whose {
            Whose::Request { rule, fault } => match self.rules.contract.check_body(rule, &body) {
                Ok(()) => counters.valid.add(1),
                Err(violations) => {
                    let first = violations.first().map(|violation| violation.place);
                    fault.set(first);
                    if let Some(place) = first {
                        report(counters, place);
                    }
                }
            },
            Whose::Response { mut job, checker } => {
                job.body = Some(body);
                checker.hand_over(*job, counters);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Watched({:?})", self.body)
    }
}
