//! Bodies that are kept while they pass, and looked at when they are over.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use weir_contract::Violation;

use super::checker::{Checker, Job, Subject};
use super::pace::Pace;
use super::{Fault, Validation, report};
use crate::body::{Body, Frame};
use crate::client::Client;
use crate::failure::Failure;
use crate::metrics::ValidationCounters;
use crate::whole::{Room, SHORT};

/// A body that passes.
pub(crate) struct Watched {
    pub(crate) body: Body,
    watch: Watch,
}

struct Watch {
    kept: BytesMut,
    room: Room,
    worker: usize,
    checker: Option<Checker>,
    pace: Arc<Pace>,
    /// Where the first fault of a request is told.
    fault: Option<Fault>,
    /// `None` once it was looked at or given up.
    job: Option<Box<Job>>,
}

impl Watched {
    pub(super) fn new(
        validation: &Validation,
        client: &Rc<Client>,
        body: Body,
        job: Job,
        fault: Option<Fault>,
    ) -> Self {
        let mut watched = Self {
            body,
            watch: Watch {
                kept: BytesMut::new(),
                room: Room::new(&client.worker),
                worker: client.worker.index,
                checker: validation.checker.clone(),
                pace: Arc::clone(&validation.pace),
                fault,
                job: Some(Box::new(job)),
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
    /// Copied, as what is kept for a mirror is: see there.
    fn keep(&mut self, bytes: &[u8]) {
        let Some(job) = &self.job else {
            return;
        };
        let is_short = self.kept.len() + bytes.len() <= job.rules.body_bytes;
        if is_short && self.room.add(bytes.len()) {
            self.kept.extend_from_slice(bytes);
        } else {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        if let Some(job) = self.job.take() {
            job.counters[self.worker].unchecked.add(1);
            self.kept = BytesMut::new();
            self.room.resize(0);
        }
    }

    fn finish(&mut self) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        let body = std::mem::take(&mut self.kept).freeze();
        self.room.resize(0);
        match (&job.subject, &self.checker) {
            (Subject::Request(rule), _) if self.is_brief(&job, &body) => {
                let check = || job.rules.contract.check_body(*rule, &body);
                let judged = self.pace.time(check);
                self.tell(&job.counters[self.worker], judged);
            }
            (_, Some(checker)) => {
                let counters = Arc::clone(&job.counters);
                job.body = Some(body);
                checker.hand_over(*job, &counters[self.worker]);
            }
            (_, None) => job.counters[self.worker].unchecked.add(1),
        }
    }

    /// Whether it is judged in a moment.
    fn is_brief(&self, job: &Job, body: &[u8]) -> bool {
        job.codings.is_empty() && body.len() <= SHORT && self.pace.is_brisk()
    }

    fn tell(&self, counters: &ValidationCounters, judged: Result<(), Vec<Violation>>) {
        let Err(violations) = judged else {
            return counters.valid.add(1);
        };
        let Some(first) = violations.first() else {
            return;
        };
        if let Some(fault) = &self.fault {
            fault.set(Some(first.place));
        }
        report(counters, first.place);
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
