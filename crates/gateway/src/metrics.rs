//! Counters of the data plane.
//!
//! Each worker has its own set and is the only one that writes to it, so that counting is a plain
//! load and store: no locked instruction, no cache line that moves between cores. Readers add the
//! sets up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weir_core::GrpcStatus;

use crate::altered::{Alteration, Altered};
use crate::message::Version;
use crate::overload::Refusal;
use crate::reason::REASONS;

mod identity;

pub use identity::{
    CredentialKind, DenialCounters, IdentityCounters, LookupCounters, RememberedCounters,
};

/// A number written by one thread and read by any.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning worker may call this.
    pub(crate) fn add(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Replaces the value; only the owning worker may call this.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value as of now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the duration histogram's buckets, in seconds; the last one is unbounded. They
/// are those of OpenTelemetry's `http.server.request.duration`, with two finer ones in front.
pub const DURATION_BUCKETS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

const BUCKET_NANOS: [u64; 16] = [
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// What is counted for a route, by one worker.
// Aligned to two cache lines: neighbours belong to other workers, and prefetchers fetch in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct RouteCounters {
    /// Requests by class of status, 1xx to 5xx.
    pub by_class: [Counter; 5],
    /// gRPC calls by the number of their status.
    pub by_grpc_status: [Counter; GrpcStatus::ALL.len()],
    /// Requests by duration, not cumulative; one more than [`DURATION_BUCKETS`].
    pub durations: [Counter; 17],
    /// Sum of durations in nanoseconds.
    pub duration_nanos: Counter,
    /// Bytes of request bodies.
    pub received: Counter,
    /// Bytes of response bodies.
    pub sent: Counter,
}

impl RouteCounters {
    pub(crate) fn record(&self, status: u16, duration: Duration, received: u64, sent: u64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.by_class[class].add(1);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKET_NANOS.iter().position(|bound| nanos <= *bound);
        self.durations[bucket.unwrap_or(BUCKET_NANOS.len())].add(1);
        self.duration_nanos.add(nanos);
        if received > 0 {
            self.received.add(received);
        }
        self.sent.add(sent);
    }
}

/// What is counted for a target, by one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct TargetCounters {
    /// Connections made.
    pub connected: Counter,
    /// Connections that could not be made.
    pub connect_failed: Counter,
    /// Requests that went over a connection that had served before.
    pub reused: Counter,
    /// Attempts sent.
    pub requests: Counter,
    /// Attempts that brought no response.
    pub failed: Counter,
    /// Requests that count against the target's health.
    pub faults: Counter,
    /// Answers that ended early, after their head.
    pub cut: Counter,
    /// Attempts under way now.
    pub in_flight: Counter,
    /// Mean time to the response's head of late, in nanoseconds; 0 before the first response.
    pub latency_nanos: Counter,
    /// The averages that balancing decides by, as of the last news: failures count as long waits, and so
    /// do clients that left. Nanoseconds; 0 before the first news.
    pub mean_nanos: Counter,
    /// The same, but the worst of late.
    pub peak_nanos: Counter,
}

/// What is counted for an upstream as a whole, by one worker.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct UpstreamCounters {
    /// Attempts that its circuit breaker looks at; counted while one is configured.
    pub attempts: Counter,
    /// Those of them that failed.
    pub failed: Counter,
    /// Those of them that took too long.
    pub slow: Counter,
    /// Requests refused because the circuit breaker was open.
    pub circuit_open: Counter,
    /// Requests refused because too many were under way and waiting.
    pub busy: Counter,
    /// Requests refused because they waited for too long.
    pub queue_timeout: Counter,
    /// Attempts started beside one that was still under way.
    pub hedges: Counter,
    /// Those of them whose answer the client got.
    pub hedges_won: Counter,
}

/// Parts of messages, in the order of [`ValidationCounters::by_place`].
pub const PLACES: [&str; weir_contract::Place::ALL.len()] = {
    let mut names = [""; weir_contract::Place::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = weir_contract::Place::ALL[at].as_str();
        at += 1;
    }
    names
};

/// What came of checking a route's messages by its contract, counted by one thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ValidationCounters {
    /// Messages without a fault.
    pub valid: Counter,
    /// Messages that were refused.
    pub refused: Counter,
    /// Messages with a fault that passed.
    pub reported: Counter,
    /// Messages that could not be looked at: too long, in a coding that cannot be undone, or too many.
    pub unchecked: Counter,
    /// Messages with a fault, by the part that the first one is in, in the order of
    /// [`PLACES`].
    pub by_place: [Counter; PLACES.len()],
}

/// One set of counters for each worker.
pub(crate) fn per_worker<T: Default>(workers: usize) -> std::sync::Arc<[T]> {
    (0..workers).map(|_| T::default()).collect()
}

/// What is counted for a worker as a whole.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCounters {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections that ended before they brought a request, in the order of [`Refusal::ALL`].
    pub refused: [Counter; Refusal::ALL.len()],
    /// Connections open now.
    pub open: Counter,
    /// Handshakes (PROXY protocol or TLS) that failed.
    pub handshakes_failed: Counter,
    /// Attempts that were repeats.
    pub retries: Counter,
    /// Access records that found the ring full.
    pub records_dropped: Counter,
    /// Traced requests that found the ring full.
    pub traces_dropped: Counter,
    /// Header values that a rule produced and that were not valid.
    pub header_values_dropped: Counter,
    /// How late the event loop was when it was looked at last, in nanoseconds.
    pub delay_nanos: Counter,
    /// How long a request waits for its turn, in nanoseconds; 0 while none do.
    pub turn_nanos: Counter,
    /// How far the worker has come with refusing requests, from 0 to 3,000: a thousand for each class
    /// of priority.
    pub pressure: Counter,
    /// Requests by the client's version of HTTP, in the order of [`Version::ALL`].
    pub by_version: [Counter; Version::ALL.len()],
    /// Requests of which something was changed, in the order of [`Alteration::ALL`].
    pub altered: [Counter; Alteration::ALL.len()],
    /// Answers compressed, by coding: gzip, br, zstd.
    pub compression: [CompressionCounters; 3],
    /// What is counted of credentials.
    pub identity: IdentityCounters,
    /// Answers made here or cut short, in the order of [`REASONS`].
    pub by_reason: Counters<{ REASONS.len() }>,
}

/// As many numbers; arrays have a default only up to 32.
#[derive(Debug)]
pub struct Counters<const N: usize>([Counter; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl<const N: usize> std::ops::Deref for Counters<N> {
    type Target = [Counter; N];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// What is counted for a content coding, by one worker.
#[derive(Debug, Default)]
pub struct CompressionCounters {
    /// Answers that were compressed.
    pub answers: Counter,
    /// Bytes before.
    pub taken: Counter,
    /// Bytes after.
    pub written: Counter,
}

/// What became of a route's bodies that a policy is to change, as one worker counts it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct TransformCounters {
    /// Of requests.
    pub request: TransformedCounters,
    /// Of responses.
    pub response: TransformedCounters,
    /// Runs of programs that took too long for the worker.
    pub pooled: Counter,
}

/// What became of bodies on one side.
#[derive(Debug, Default)]
pub struct TransformedCounters {
    /// They were changed.
    pub changed: Counter,
    /// They are no JSON, and passed.
    pub passed: Counter,
    /// They could not be changed, and were not sent.
    pub failed: Counter,
}

/// What became of a part of a route's aggregate, as one worker counts it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct PartCounters {
    /// It was there.
    pub answered: Counter,
    /// It failed.
    pub failed: Counter,
    /// It took too long.
    pub timed_out: Counter,
}

impl WorkerCounters {
    pub(crate) fn count_altered(&self, altered: Altered) {
        for alteration in altered.iter() {
            self.altered[alteration as usize].add(1);
        }
    }

    pub(crate) fn count_reason(&self, reason: &str) {
        if let Some(at) = REASONS.iter().position(|known| known.word == reason) {
            self.by_reason[at].add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_they_do_not_exceed() {
        let counters = RouteCounters::default();
        counters.record(200, Duration::from_millis(1), 0, 5);
        counters.record(503, Duration::from_micros(1_001), 7, 5);
        counters.record(200, Duration::from_secs(60), 0, 5);
        let filled: Vec<usize> = (0..17)
            .filter(|at| counters.durations[*at].get() > 0)
            .collect();
        assert_eq!(filled, [0, 1, 16]);
        assert_eq!(counters.by_class[1].get(), 2);
        assert_eq!(counters.by_class[4].get(), 1);
        assert_eq!((counters.received.get(), counters.sent.get()), (7, 15));
    }

    #[test]
    fn bounds_in_seconds_and_in_nanoseconds_are_the_same() {
        for (seconds, nanos) in DURATION_BUCKETS.iter().zip(BUCKET_NANOS) {
            assert_eq!(
                Duration::from_secs_f64(*seconds),
                Duration::from_nanos(nanos)
            );
        }
    }
}
