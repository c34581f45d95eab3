//! Records of the requests that an aggregate makes.

use std::time::Instant;

use super::Recorder;
use crate::failure::Failure;
use crate::trace::AttemptOutcome;

/// Numbers of attempts that are a part's own: each has its span, whichever part it is of.
const ATTEMPTS: u32 = 64;

impl Recorder {
    /// Follows a request that this one makes, under its id and within its trace. Nothing is written when
    /// that ends: see [`Self::join`].
    pub(crate) fn part(&self, at: usize, upstream: usize) -> Box<Self> {
        let first = u32::try_from(at).unwrap_or(0) * ATTEMPTS;
        let mut part = Self::start(
            &self.client,
            &self.snapshot,
            self.version,
            self.host.clone(),
            None,
            self.path.clone(),
        );
        part.started = self.started;
        // It is not the first thing that happens: attempts begin when they do.
        part.has_waited = true;
        part.id = self.id;
        part.client_address = self.client_address;
        part.route = self.route;
        part.upstream = Some(upstream);
        part.attempts = first;
        part.part = Some(first);
        part.trace = self.trace.as_ref().map(|trace| trace.part());
        part
    }

    /// A request that this one made is over, perhaps because of a failure.
    pub(crate) fn join(&mut self, mut part: Box<Self>, failure: Option<Failure>) {
        let first = part.part.unwrap_or(0);
        self.attempts += part.attempts - first;
        part.attempt_is_over(failure.map_or(Ok(200), Err), None);
        let (Some(trace), Some(ended)) = (&mut self.trace, &mut part.trace) else {
            return;
        };
        for mut attempt in ended.past.drain(..) {
            attempt.number -= first;
            trace.past.push(attempt);
        }
    }

    /// The same before its end: nobody waits for the whole any more, or there is none without another part.
    pub(super) fn let_go(&mut self, first: u32) {
        let Some(trace) = &mut self.trace else {
            return;
        };
        let (past, current) = (std::mem::take(&mut trace.past), trace.current);
        let last = self.ended_attempt(current, Instant::now(), AttemptOutcome::Abandoned, None);
        let Some(trace) = &self.trace else {
            return;
        };
        let mut left = trace.left.borrow_mut();
        for mut attempt in past.into_iter().chain(last) {
            attempt.number -= first;
            left.push(attempt);
        }
    }
}
