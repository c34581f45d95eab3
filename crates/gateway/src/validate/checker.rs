//! The thread that looks at responses, beside the workers: no answer waits for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_config::model::Validate;
use weir_contract::Response;
use weir_core::RequestId;

use super::report;
use crate::metrics::ValidationCounters;
use crate::trace::TraceIds;

/// Responses that may wait to be looked at; beyond them they are not.
const WAITING: usize = 64;
/// A route with a fault in every response must not fill the log.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// A response that is over.
pub(super) struct Job {
    pub(super) rules: Arc<Validate>,
    /// The last set is this thread's.
    pub(super) counters: Arc<[ValidationCounters]>,
    pub(super) route: Arc<str>,
    pub(super) request_id: RequestId,
    pub(super) trace: Option<TraceIds>,
    pub(super) operation: Option<usize>,
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) body: Option<Bytes>,
}

/// Hands responses to the thread, which ends with the last of these.
#[derive(Clone)]
pub(crate) struct Checker(SyncSender<Job>);

impl Checker {
    pub(super) fn start(workers: usize) -> Self {
        let (sender, jobs) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("weir-checker".to_owned());
        if let Err(error) = thread.spawn(move || run(&jobs, workers)) {
            tracing::error!(%error, "responses are not looked at: no thread can be started");
        }
        Self(sender)
    }

    /// `counters` are those of the worker.
    pub(super) fn hand_over(&self, job: Job, counters: &ValidationCounters) {
        if self.0.try_send(job).is_err() {
            counters.unchecked.add(1);
        }
    }
}

fn run(jobs: &Receiver<Job>, workers: usize) {
    let mut told: Option<Instant> = None;
    let mut untold = 0_u64;
    while let Ok(job) = jobs.recv() {
        let judged = job.rules.contract.judge_response(&Response {
            operation: job.operation,
            status: job.status,
            content_type: job.content_type.as_deref(),
            body: job.body.as_deref(),
        });
        let counters = &job.counters[workers];
        let violations = match judged {
            Ok(()) => {
                counters.valid.add(1);
                continue;
            }
            Err(violations) => violations,
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
        tracing::warn!(
            route = &*job.route,
            weir.request_id = %job.request_id,
            trace_id = job.trace.map(|ids| ids.to_string()),
            status = job.status,
            place = first.place.as_str(),
            pointer = &*first.pointer,
            detail = &*first.detail,
            others = std::mem::take(&mut untold),
            "a response breaks its contract"
        );
    }
}
