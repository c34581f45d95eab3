//! Log lines as OTLP has them.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use tracing::Level;
use weir_gateway::AccessRecord;

use super::attributes::{double, of_request, string, text};
use super::spans::nanos;
use crate::redact::Redactor;

/// The record of a request, or of a connection that ended before it brought one.
pub(crate) fn access(record: &AccessRecord, redactor: &Redactor) -> LogRecord {
    let mut log = LogRecord {
        time_unix_nano: nanos(record.time),
        observed_time_unix_nano: nanos(SystemTime::now()),
        severity_number: SeverityNumber::Info as i32,
        severity_text: "INFO".to_owned(),
        ..LogRecord::default()
    };
    if record.status == 0 {
        log.event_name = "weir.connection.refused".to_owned();
        log.attributes = vec![
            text("url.scheme", record.scheme),
            text("client.address", record.client.to_string()),
            text("weir.reason", record.reason.unwrap_or_default()),
        ];
        return log;
    }
    log.event_name = "http.server.request".to_owned();
    log.attributes = of_request(record, redactor);
    let milliseconds = |key, duration: Duration| double(key, duration.as_secs_f64() * 1e3);
    let mut more = vec![milliseconds("duration_ms", record.duration)];
    let connect = record.upstream_connect;
    more.extend(connect.map(|connect| milliseconds("upstream_connect_ms", connect)));
    let head = record.upstream_head;
    more.extend(head.map(|head| milliseconds("upstream_duration_ms", head)));
    let target = record.target.as_ref();
    more.extend(target.map(|target| text("weir.target", target.as_bytes())));
    log.attributes.extend(more);
    if let Some(ids) = record.trace {
        log.trace_id = ids.trace_id.to_be_bytes().to_vec();
        log.span_id = ids.span_id.to_be_bytes().to_vec();
        log.flags = u32::from(ids.is_sampled);
    }
    log
}

/// What the process says about itself.
pub(crate) fn application(
    level: Level,
    scope: &str,
    body: &str,
    attributes: Vec<KeyValue>,
) -> LogRecord {
    let (number, name) = match level {
        Level::ERROR => (SeverityNumber::Error, "ERROR"),
        Level::WARN => (SeverityNumber::Warn, "WARN"),
        Level::INFO => (SeverityNumber::Info, "INFO"),
        Level::DEBUG => (SeverityNumber::Debug, "DEBUG"),
        Level::TRACE => (SeverityNumber::Trace, "TRACE"),
    };
    let now = nanos(SystemTime::now());
    let mut log = LogRecord {
        time_unix_nano: now,
        observed_time_unix_nano: now,
        severity_number: number as i32,
        severity_text: name.to_owned(),
        body: Some(AnyValue {
            value: Some(string(body.as_bytes())),
        }),
        attributes,
        ..LogRecord::default()
    };
    log.trace_id = trace_id(&log.attributes).unwrap_or_default();
    log.attributes.push(text("scope.name", scope));
    log
}

/// What a message about a request says of its trace.
fn trace_id(attributes: &[KeyValue]) -> Option<Vec<u8>> {
    let attribute = attributes.iter().find(|pair| pair.key == "trace_id")?;
    let Value::StringValue(text) = attribute.value.as_ref()?.value.as_ref()? else {
        return None;
    };
    let id = u128::from_str_radix(text, 16).ok()?;
    Some(id.to_be_bytes().to_vec())
}
