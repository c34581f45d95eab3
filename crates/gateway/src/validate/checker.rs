//! The thread that looks at what has passed already, beside the workers: nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_config::model::Validate;
use weir_contract::{BodyRule, Response, Violation};
use weir_core::RequestId;

use super::report;
use crate::metrics::ValidationCounters;
use crate::trace::TraceIds;
use crate::whole::{Codings, Undecodable};

/// Messages that may wait to be looked at; beyond them they are not.
const WAITING: usize = 64;
/// And bytes of their bodies.
const WAITING_BYTES: usize = 64 << 20;
/// A route with a fault in every message must not fill the log.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// A message that is over.
pub(super) struct Job {
    pub(super) rules: Arc<Validate>,
    /// The last set is this thread's.
    pub(super) counters: Arc<[ValidationCounters]>,
    pub(super) route: Arc<str>,
    pub(super) request_id: RequestId,
    pub(super) trace: Option<TraceIds>,
    pub(super) codings: Codings,
    pub(super) subject: Subject,
    /// As it passed; `None` of a response to `HEAD`.
    pub(super) body: Option<Bytes>,
}

/// What sort of message it is.
pub(super) enum Subject {
    /// Its body is what is left to look at.
    Request(BodyRule),
    Response {
        operation: Option<usize>,
        status: u16,
        content_type: Option<String>,
    },
}

/// Hands messages to the thread, which ends with the last of these.
#[derive(Clone)]
pub(crate) struct Checker {
    jobs: SyncSender<Job>,
    /// Bytes that wait. Counted by all workers and the thread, once for each message that is looked at.
    bytes: Arc<AtomicUsize>,
}

impl Checker {
    pub(super) fn start(workers: usize) -> Self {
        let (sender, jobs) = sync_channel(WAITING);
        let bytes = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::Builder::new().name("weir-checker".to_owned());
        let waiting = Arc::clone(&bytes);
        if let Err(error) = thread.spawn(move || run(&jobs, &waiting, workers)) {
            tracing::error!(%error, "messages are not looked at: no thread can be started");
        }
        Self {
            jobs: sender,
            bytes,
        }
    }

    /// `counters` are those of the worker.
    pub(super) fn hand_over(&self, job: Job, counters: &ValidationCounters) {
        let length = job.length();
        let before = self.bytes.fetch_add(length, Ordering::Relaxed);
        if before + length > WAITING_BYTES || self.jobs.try_send(job).is_err() {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            counters.unchecked.add(1);
        }
    }
}

fn run(jobs: &Receiver<Job>, waiting: &AtomicUsize, workers: usize) {
    let mut told: Option<Instant> = None;
    let mut untold = 0_u64;
    while let Ok(mut job) = jobs.recv() {
        let length = job.length();
        let judged = job.judge();
        waiting.fetch_sub(length, Ordering::Relaxed);
        let counters = &job.counters[workers];
        let violations = match judged {
            Err(_) => {
                counters.unchecked.add(1);
                continue;
            }
            Ok(Ok(())) => {
                counters.valid.add(1);
                continue;
            }
            Ok(Err(violations)) => violations,
        };
        let Some(first) = violations.first() else {
            continue;
        };
        report(counters, first.place);
        if told.is_some_and(|told| told.elapsed() < BETWEEN_LINES) {
            untold += 1;
            continue;
        }
        told = Some(Instant::now());
        job.tell(first, std::mem::take(&mut untold));
    }
}

impl Job {
    fn length(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }

    fn judge(&mut self) -> Result<Result<(), Vec<Violation>>, Undecodable> {
        let most = self.rules.body_bytes;
        let body = self.body.take();
        let body = body.map(|body| self.codings.undo(body, most)).transpose()?;
        let contract = &self.rules.contract;
        Ok(match &self.subject {
            Subject::Request(rule) => contract.check_body(*rule, &body.unwrap_or_default()),
            Subject::Response {
                operation,
                status,
                content_type,
            } => contract.judge_response(&Response {
                operation: *operation,
                status: *status,
                content_type: content_type.as_deref(),
                body: body.as_deref(),
            }),
        })
    }

    fn tell(&self, first: &Violation, others: u64) {
        let (message, status) = match self.subject {
            Subject::Request(_) => ("a request breaks its contract", None),
            Subject::Response { status, .. } => ("a response breaks its contract", Some(status)),
        };
        tracing::warn!(
            route = &*self.route,
            weir.request_id = %self.request_id,
            trace_id = self.trace.map(|ids| ids.to_string()),
            status,
            place = first.place.as_str(),
            pointer = &*first.pointer,
            detail = &*first.detail,
            others,
            "{message}"
        );
    }
}
