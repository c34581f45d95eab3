//! What happens when targets fail.

use std::time::Duration;

use http::StatusCode;
use weir_core::GrpcStatus;

/// Repeats of a failed attempt. Only requests whose repetition is safe are repeated: nothing was
/// sent yet, or the method is idempotent (RFC 9110 §9.2.2) and the body is still at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts after the first; 0 turns repeats off.
    pub attempts: u32,
    /// Failures that are worth another attempt.
    pub when: Vec<RetryCondition>,
    /// Repeats and hedges allowed as a share of requests, in percent.
    pub budget_percent: u32,
    /// Wait before a repeat that goes to the same target, and before every one after the first:
    /// a random time up to this, doubled each time, up to ten times this.
    pub backoff: Duration,
}

/// A failure that may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCondition {
    /// No connection could be made.
    Connect,
    /// The connection ended before a response head arrived.
    Reset,
    /// The response head did not arrive within `first_byte`.
    Timeout,
    /// This status came back (500–599).
    Status(StatusCode),
    /// A gRPC call ended with this status, and nothing else came back. Who lists it says that such a call
    /// may be repeated, which no method tells.
    Grpc(GrpcStatus),
}

/// A second attempt while the first is still under way: for idempotent requests without a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// How long the first attempt may take before a second one starts.
    pub after: Duration,
    /// Most further attempts.
    pub attempts: u32,
}

/// Deadlines towards a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// TCP and TLS handshake together.
    pub connect: Duration,
    /// From the request being sent to the response's head.
    pub first_byte: Duration,
    /// Longest silence while a body is moving, in either direction.
    pub idle: Duration,
    /// From the request's arrival to the last byte of the answer, with all waits and repeats.
    pub total: Option<Duration>,
    /// In place of `idle`, and of the client's deadline for a body: longest silence of an event stream,
    /// and of either side of a gRPC call.
    pub stream_idle: Duration,
}

/// A circuit breaker: an upstream that mostly fails is not asked for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Share of failed attempts that opens it, in percent.
    pub error_rate_percent: u32,
    /// Response heads that take longer than this are slow.
    pub slow_call: Option<Duration>,
    /// Share of slow attempts that opens it, in percent.
    pub slow_rate_percent: u32,
    /// Time over which shares are taken.
    pub window: Duration,
    /// Attempts in that time below which the shares say nothing.
    pub minimum_requests: u32,
    /// How long it stays open before it lets probes through.
    pub open_for: Duration,
    /// Requests let through at a time while it is half open; as many successes close it.
    pub probes: u32,
}

/// A bulkhead: one upstream cannot take all that the gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Requests under way in the whole process, from the pick of a target to the answer's end.
    pub limit: u32,
    /// Requests that may wait for a place.
    pub queue: u32,
    /// How long they may wait.
    pub wait: Duration,
}
