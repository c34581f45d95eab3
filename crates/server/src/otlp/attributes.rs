//! A request's attributes, by OpenTelemetry's semantic conventions for HTTP servers.

use http::Method;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use weir_core::GrpcStatus;
use weir_gateway::AccessRecord;

use crate::log::split_host;
use crate::redact::Redactor;

/// Bytes of a value that are sent.
const MOST_BYTES: usize = 4 * 1024;

pub(crate) fn text(key: &str, value: impl AsRef<[u8]>) -> KeyValue {
    pair(key, string(value.as_ref()))
}

pub(crate) fn integer(key: &str, value: impl Into<i64>) -> KeyValue {
    pair(key, Value::IntValue(value.into()))
}

pub(super) fn flag(key: &str) -> KeyValue {
    pair(key, Value::BoolValue(true))
}

pub(crate) fn double(key: &str, value: f64) -> KeyValue {
    pair(key, Value::DoubleValue(value))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Text is UTF-8 in protobuf. What a client sends may be as long as a head: it is cut.
pub(super) fn string(bytes: &[u8]) -> Value {
    let cut = &bytes[..bytes.len().min(MOST_BYTES)];
    Value::StringValue(String::from_utf8_lossy(cut).into_owned())
}

/// Sizes beyond an `i64` do not occur.
pub(super) fn size(key: &str, bytes: u64) -> KeyValue {
    integer(key, i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// What logs and traces say alike.
pub(super) fn of_request(record: &AccessRecord, redactor: &Redactor) -> Vec<KeyValue> {
    let mut all = Vec::with_capacity(24);
    if let Some(method) = &record.method {
        all.push(text("http.request.method", known_method(method)));
        if known_method(method) != method.as_str() {
            all.push(text("http.request.method_original", method.as_str()));
        }
    }
    all.push(text("url.scheme", record.scheme));
    let (host, port) = split_host(&record.host);
    if !host.is_empty() {
        all.push(text("server.address", host));
    }
    all.extend(port.map(|port| integer("server.port", port)));
    all.push(text("url.path", redactor.path(record).as_bytes()));
    if let Some(query) = &record.query {
        all.push(text("url.query", redactor.query(query).as_bytes()));
    }
    all.push(text("network.protocol.name", "http"));
    all.push(text("network.protocol.version", record.version.as_str()));
    all.push(text("client.address", record.client.to_string()));
    if let Some(user_agent) = &record.user_agent {
        let shown = redactor.header(&http::header::USER_AGENT, user_agent.as_bytes());
        all.push(text("user_agent.original", shown));
    }
    all.extend(headers(record, redactor));
    all.push(integer("http.response.status_code", record.status));
    all.push(size("http.request.body.size", record.received));
    all.push(size("http.response.body.size", record.sent));
    all.extend(record.grpc_status.into_iter().flat_map(of_call));
    if let Some(route) = &record.route {
        all.push(text("http.route", route.as_bytes()));
    }
    all.push(text("weir.request_id", record.request_id.to_text()));
    if let Some(upstream) = &record.upstream {
        all.push(text("weir.upstream", upstream.as_bytes()));
    }
    if record.attempts > 0 {
        all.push(integer("weir.attempts", record.attempts));
    }
    all.extend(record.reason.map(|reason| text("weir.reason", reason)));
    all.extend(record.cause.map(|cause| text("weir.cause", cause)));
    all.extend(record.fault.map(|fault| text("weir.fault", fault)));
    all.extend(
        record
            .decided_by()
            .map(|setting| text("weir.decided_by", setting)),
    );
    all.extend(record.rule.as_deref().map(|rule| text("weir.rule", rule)));
    all.extend(record.user.as_deref().map(|user| text("user.id", user)));
    if !record.altered.is_empty() {
        let words = record.altered.iter().map(|alteration| AnyValue {
            value: Some(string(alteration.word().as_bytes())),
        });
        let values = words.collect();
        all.push(pair(
            "weir.altered",
            Value::ArrayValue(ArrayValue { values }),
        ));
    }
    if let Some(websocket) = &record.websocket {
        let by = websocket.closed_by.as_str();
        all.push(integer("weir.websocket.close_code", websocket.close_code));
        all.push(text("weir.websocket.closed_by", by));
        all.push(size("weir.websocket.messages_received", websocket.received));
        all.push(size("weir.websocket.messages_sent", websocket.sent));
    }
    all
}

/// How a gRPC call ended.
pub(super) fn of_call(status: GrpcStatus) -> [KeyValue; 2] {
    [
        text("rpc.system.name", "grpc"),
        text("rpc.response.status_code", status.as_str()),
    ]
}

/// Fields that occur several times are one attribute.
fn headers(record: &AccessRecord, redactor: &Redactor) -> Vec<KeyValue> {
    let mut all: Vec<(String, Vec<AnyValue>)> = Vec::new();
    for (name, value) in &record.headers {
        let key = format!("http.request.header.{name}");
        let shown = string(&redactor.header(name, value.as_bytes()));
        let shown = AnyValue { value: Some(shown) };
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(shown),
            None => all.push((key, vec![shown])),
        }
    }
    all.into_iter()
        .map(|(key, values)| pair(&key, Value::ArrayValue(ArrayValue { values })))
        .collect()
}

/// Whatever a client sends as a method must not become a name of its own.
pub(super) fn known_method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("CONNECT" | "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT"
        | "QUERY" | "TRACE") => known,
        _ => "_OTHER",
    }
}
