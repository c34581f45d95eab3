//! What is kept of a traced request.

use std::net::SocketAddr;
use std::time::Duration;

use bytestring::ByteString;
use http::HeaderValue;
use weir_core::GrpcStatus;

use crate::record::AccessRecord;

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceIds {
    /// The trace's id.
    pub trace_id: u128,
    /// The span of the request here.
    pub span_id: u64,
    /// What targets were told: whether the head's decision was to trace it.
    pub is_sampled: bool,
}

impl std::fmt::Display for TraceIds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:032x}", self.trace_id)
    }
}

/// A request whose spans are to be exported.
#[derive(Debug)]
pub struct TraceRecord {
    /// What the access log tells, too.
    pub request: AccessRecord,
    /// Its place; the request's span is the parent of all others.
    pub ids: TraceIds,
    /// The caller's span, if its trace is continued.
    pub parent: Option<u64>,
    /// The caller's `tracestate`.
    pub state: Option<HeaderValue>,
    /// Who connected.
    pub peer: SocketAddr,
    /// When it began to wait for its place among the upstream's requests, seen from its head's
    /// arrival, and for how long.
    pub queued: Option<(Duration, Duration)>,
    /// Attempts, in the order in which they ended.
    pub attempts: Vec<AttemptRecord>,
    /// Whether it counts as an error: a 5xx, a gRPC call that ended with the like of one, or an answer that
    /// was cut short.
    pub is_error: bool,
}

/// An attempt to have a request answered by a target. Times are seen from the arrival of the request's
/// head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// From 1.
    pub number: u32,
    /// What the target was told as its parent.
    pub span_id: u64,
    /// `host:port`
    pub target: ByteString,
    /// When it began.
    pub began: Duration,
    /// When it was over.
    pub ended: Duration,
    /// What it took to connect (name, TCP and TLS); `None` on a kept connection.
    pub connecting: Option<Duration>,
    /// When the response's head came.
    pub answered: Option<Duration>,
    /// How it ended, if it is a gRPC call that the target answered.
    pub call: Option<GrpcStatus>,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// A response with this status.
    Answered(u16),
    /// The beginning of one with this status; why not all of it.
    Cut(u16, &'static str),
    /// None that could be passed on; why.
    Failed(&'static str),
    /// Nobody wanted its response any more: another attempt was faster, or the client has left.
    Abandoned,
}
