//! What waits to be exported of one signal: bounded in number and in bytes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// Items that may wait.
const MOST_ITEMS: usize = 8 * 1024;
/// Bytes that may wait.
const MOST_BYTES: usize = 16 << 20;
/// Items of one export.
const BATCH_ITEMS: usize = 1024;
/// Bytes of one export: receivers of gRPC take 4 MiB unless they are told otherwise.
const BATCH_BYTES: usize = 2 << 20;
/// How long the first of a batch waits for others.
const PATIENCE: Duration = Duration::from_secs(1);

/// One of the things that OTLP carries.
pub(super) trait Signal: Message + Sized + 'static {
    /// Path of OTLP/HTTP.
    const HTTP: &'static str;
    /// Path of the service's method in gRPC.
    const GRPC: &'static str;

    /// A request of the export service.
    fn request(items: Vec<Self>, resource: Resource) -> Bytes;
    /// How many items the receiver would not have, and why.
    fn rejected(response: &[u8]) -> Option<(u64, String)>;
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "weir".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

impl Signal for Span {
    const HTTP: &'static str = "/v1/traces";
    const GRPC: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    fn request(spans: Vec<Self>, resource: Resource) -> Bytes {
        let scope_spans = ScopeSpans {
            scope: Some(scope()),
            spans,
            ..ScopeSpans::default()
        };
        let resource_spans = ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![resource_spans],
        };
        request.encode_to_vec().into()
    }

    fn rejected(response: &[u8]) -> Option<(u64, String)> {
        let response = ExportTraceServiceResponse::decode(response).ok()?;
        let partial = response.partial_success?;
        Some((
            partial.rejected_spans.try_into().ok()?,
            partial.error_message,
        ))
    }
}

impl Signal for LogRecord {
    const HTTP: &'static str = "/v1/logs";
    const GRPC: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

    fn request(log_records: Vec<Self>, resource: Resource) -> Bytes {
        let scope_logs = ScopeLogs {
            scope: Some(scope()),
            log_records,
            ..ScopeLogs::default()
        };
        let resource_logs = ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        };
        let request = ExportLogsServiceRequest {
            resource_logs: vec![resource_logs],
        };
        request.encode_to_vec().into()
    }

    fn rejected(response: &[u8]) -> Option<(u64, String)> {
        let response = ExportLogsServiceResponse::decode(response).ok()?;
        let partial = response.partial_success?;
        Some((
            partial.rejected_log_records.try_into().ok()?,
            partial.error_message,
        ))
    }
}

/// Items that wait, oldest first, each with its size.
pub(super) struct Lane<S> {
    items: VecDeque<(S, usize)>,
    bytes: usize,
    /// When the oldest came.
    since: Option<Instant>,
}

impl<S: Signal> Lane<S> {
    pub(super) fn new() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            since: None,
        }
    }

    /// Whether there was room. The newest goes: what waits is sent when the receiver is back, and shows
    /// how its absence began.
    pub(super) fn push(&mut self, item: S, now: Instant) -> bool {
        let size = item.encoded_len();
        if self.items.len() >= MOST_ITEMS || self.bytes + size > MOST_BYTES {
            return false;
        }
        self.bytes += size;
        self.items.push_back((item, size));
        self.since.get_or_insert(now);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn clear(&mut self) -> u64 {
        let count = self.items.len() as u64;
        *self = Self::new();
        count
    }

    /// Whether it is time to send some of it.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let is_old = self.since.is_some_and(|since| now >= since + PATIENCE);
        is_old || self.items.len() >= BATCH_ITEMS || self.bytes >= BATCH_BYTES
    }

    /// The oldest that fit into one export.
    pub(super) fn batch(&mut self, now: Instant) -> Vec<S> {
        let mut batch = Vec::with_capacity(self.items.len().min(BATCH_ITEMS));
        let mut bytes = 0;
        while let Some((item, size)) = self.items.pop_front() {
            // A single one is always sent.
            if batch.len() == BATCH_ITEMS || (!batch.is_empty() && bytes + size > BATCH_BYTES) {
                self.items.push_front((item, size));
                break;
            }
            bytes += size;
            self.bytes -= size;
            batch.push(item);
        }
        self.since = (!self.items.is_empty()).then_some(now);
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(size: usize) -> Span {
        Span {
            name: "n".repeat(size),
            ..Span::default()
        }
    }

    #[test]
    fn a_lane_is_bounded_in_number_and_in_bytes() {
        let now = Instant::now();
        let mut lane = Lane::new();
        let taken = (0..10_000).filter(|_| lane.push(span(1), now)).count();
        assert_eq!(taken, MOST_ITEMS);
        assert_eq!(lane.clear(), MOST_ITEMS as u64);
        let taken = (0..100).filter(|_| lane.push(span(1 << 20), now)).count();
        assert_eq!(taken, 15);
        assert_eq!(lane.batch(now).len(), 1);
        assert!(lane.push(span(1 << 20), now));
    }

    #[test]
    fn a_batch_is_due_when_it_is_full_or_old() {
        let now = Instant::now();
        let mut lane = Lane::new();
        assert!(!lane.is_due(now + PATIENCE));
        lane.push(span(1), now);
        assert!(!lane.is_due(now) && lane.is_due(now + PATIENCE));
        for _ in 0..BATCH_ITEMS {
            lane.push(span(1), now);
        }
        assert!(lane.is_due(now));
        assert_eq!(lane.batch(now).len(), BATCH_ITEMS);
        assert!(!lane.is_due(now) && !lane.is_empty());
        assert_eq!(lane.batch(now).len(), 1);
        assert!(lane.is_empty());
    }
}
