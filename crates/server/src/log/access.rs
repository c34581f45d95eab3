//! The access log: one line for each request.

use std::time::Duration;

use http::header::USER_AGENT;
use weir_gateway::{AccessRecord, Alteration};

use super::Form;
use super::escape::word;
use super::json::JsonLine;
use super::timestamp::Timestamp;
use crate::redact::Redactor;

/// Writes the line of a request, or of a connection that ended before it brought one.
pub(super) fn write(line: &mut Vec<u8>, record: &AccessRecord, redactor: &Redactor, form: Form) {
    match form {
        Form::Json => write_json(line, record, redactor),
        Form::Text | Form::Otlp => write_text(line, record, redactor, false),
        Form::Colored => write_text(line, record, redactor, true),
    }
}

/// Names are OpenTelemetry's where it has one (semantic conventions for HTTP servers); what is not
/// known is left out.
pub(crate) fn write_json(line: &mut Vec<u8>, record: &AccessRecord, redactor: &Redactor) {
    let mut json = JsonLine::begin(line, Timestamp::of(record.time), "INFO");
    if record.status == 0 {
        json.string("event.name", b"weir.connection.refused");
        json.string("url.scheme", record.scheme.as_bytes());
        json.string("client.address", record.client.to_string().as_bytes());
        json.string("weir.reason", record.reason.unwrap_or_default().as_bytes());
        return json.end();
    }
    json.string("event.name", b"http.server.request");
    if let Some(method) = &record.method {
        json.string("http.request.method", method.as_str().as_bytes());
    }
    json.string("url.scheme", record.scheme.as_bytes());
    let (host, port) = split_host(&record.host);
    if !host.is_empty() {
        json.string("server.address", host.as_bytes());
    }
    if let Some(port) = port {
        json.number("server.port", port);
    }
    json.string("url.path", redactor.path(record).as_bytes());
    if let Some(query) = &record.query {
        json.string("url.query", redactor.query(query).as_bytes());
    }
    json.string(
        "network.protocol.version",
        record.version.as_str().as_bytes(),
    );
    json.string("client.address", record.client.to_string().as_bytes());
    if let Some(user_agent) = &record.user_agent {
        let shown = redactor.header(&USER_AGENT, user_agent.as_bytes());
        json.string("user_agent.original", &shown);
    }
    write_headers(&mut json, record, redactor);
    json.number("http.response.status_code", record.status);
    json.number("http.request.body.size", record.received);
    json.number("http.response.body.size", record.sent);
    if let Some(status) = record.grpc_status {
        json.string("rpc.system.name", b"grpc");
        json.string("rpc.response.status_code", status.as_str().as_bytes());
    }
    if let Some(route) = &record.route {
        json.string("http.route", route.as_bytes());
    }
    json.string("weir.request_id", &record.request_id.to_text());
    if let Some(ids) = record.trace {
        json.hex("trace_id", &ids.trace_id.to_be_bytes());
        json.hex("span_id", &ids.span_id.to_be_bytes());
        json.hex("trace_flags", &[u8::from(ids.is_sampled)]);
    }
    if let Some(upstream) = &record.upstream {
        json.string("weir.upstream", upstream.as_bytes());
    }
    if let Some(target) = &record.target {
        json.string("weir.target", target.as_bytes());
    }
    if record.attempts > 0 {
        json.number("weir.attempts", record.attempts);
    }
    json.milliseconds("duration_ms", record.duration);
    if let Some(connect) = record.upstream_connect {
        json.milliseconds("upstream_connect_ms", connect);
    }
    if let Some(head) = record.upstream_head {
        json.milliseconds("upstream_duration_ms", head);
    }
    if let Some(fault) = record.fault {
        json.string("weir.fault", fault.as_bytes());
    }
    if let Some(reason) = record.reason {
        json.string("weir.reason", reason.as_bytes());
    }
    if let Some(cause) = record.cause {
        json.string("weir.cause", cause.as_bytes());
    }
    if let Some(setting) = record.decided_by() {
        json.string("weir.decided_by", setting.as_bytes());
    }
    if let Some(rule) = &record.rule {
        json.string("weir.rule", rule.as_bytes());
    }
    if let Some(user) = &record.user {
        json.string("user.id", user.as_bytes());
    }
    if !record.altered.is_empty() {
        json.strings("weir.altered", record.altered.iter().map(Alteration::word));
    }
    if let Some(websocket) = &record.websocket {
        json.number("weir.websocket.close_code", websocket.close_code);
        json.string(
            "weir.websocket.closed_by",
            websocket.closed_by.as_str().as_bytes(),
        );
        json.number("weir.websocket.messages_received", websocket.received);
        json.number("weir.websocket.messages_sent", websocket.sent);
    }
    json.end();
}

/// A field that occurs several times is one list (RFC 9110 §5.3).
fn write_headers(json: &mut JsonLine<'_>, record: &AccessRecord, redactor: &Redactor) {
    for (at, (name, _)) in record.headers.iter().enumerate() {
        if record.headers[..at].iter().any(|(known, _)| known == name) {
            continue;
        }
        let mut list = Vec::new();
        for (_, value) in record.headers.iter().filter(|(same, _)| same == name) {
            if !list.is_empty() {
                list.extend_from_slice(b", ");
            }
            list.extend_from_slice(&redactor.header(name, value.as_bytes()));
        }
        json.named("http.request.header.", name.as_str(), &list);
    }
}

/// Host and port of a `Host` field. What does not look like a port stays with the host: nothing of
/// what a client sent gets lost.
pub(crate) fn split_host(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if is_number => (without_brackets(host), Some(port)),
        _ => (without_brackets(authority), None),
    }
}

fn without_brackets(host: &str) -> &str {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inside.unwrap_or(host)
}

/// `12:00:01.123 200 GET  example.com/items 1.2ms items→catalog 127.0.0.1:9001`
fn write_text(line: &mut Vec<u8>, record: &AccessRecord, redactor: &Redactor, colored: bool) {
    if record.status == 0 {
        return write_refusal(line, record);
    }
    let (tint, faint, end) = if colored {
        (status_tint(record.status), "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    line.extend_from_slice(faint.as_bytes());
    Timestamp::of(record.time).write_clock(line);
    line.extend_from_slice(end.as_bytes());
    line.push(b' ');
    line.extend_from_slice(tint.as_bytes());
    line.extend_from_slice(itoa::Buffer::new().format(record.status).as_bytes());
    line.extend_from_slice(end.as_bytes());
    line.push(b' ');
    let method = record.method.as_ref().map_or("-", http::Method::as_str);
    word(line, method.as_bytes());
    line.resize(line.len() + 4_usize.saturating_sub(method.len()), b' ');
    line.push(b' ');
    word(line, record.host.as_bytes());
    word(line, redactor.path(record).as_bytes());
    if let Some(query) = &record.query {
        line.push(b'?');
        word(line, redactor.query(query).as_bytes());
    }
    line.push(b' ');
    line.extend_from_slice(readable(record.duration).as_bytes());
    line.push(b' ');
    word(line, record.route.as_deref().unwrap_or("-").as_bytes());
    if let Some(upstream) = &record.upstream {
        line.extend_from_slice("→".as_bytes());
        word(line, upstream.as_bytes());
    }
    if let Some(target) = &record.target {
        line.push(b' ');
        word(line, target.as_bytes());
    }
    if record.attempts > 1 {
        line.extend_from_slice(b" attempts=");
        line.extend_from_slice(itoa::Buffer::new().format(record.attempts).as_bytes());
    }
    if let Some(status) = record.grpc_status {
        line.extend_from_slice(b" grpc=");
        line.extend_from_slice(status.as_str().as_bytes());
    }
    if let Some(fault) = record.fault {
        line.extend_from_slice(b" fault=");
        line.extend_from_slice(fault.as_bytes());
    }
    if let Some(reason) = record.reason {
        line.push(b' ');
        line.extend_from_slice(tint.as_bytes());
        line.extend_from_slice(reason.as_bytes());
        line.extend_from_slice(end.as_bytes());
    }
    if let Some(cause) = record.cause {
        line.extend_from_slice(b" (");
        line.extend_from_slice(cause.as_bytes());
        line.push(b')');
    }
    if let Some(websocket) = &record.websocket {
        let (by, code) = (websocket.closed_by.as_str(), websocket.close_code);
        let (received, sent) = (websocket.received, websocket.sent);
        let text = format!(" websocket: {received} in, {sent} out, {code} by {by}");
        line.extend_from_slice(text.as_bytes());
    }
    line.push(b'\n');
}

/// `12:00:01.123 --- 192.0.2.1 banned`
fn write_refusal(line: &mut Vec<u8>, record: &AccessRecord) {
    Timestamp::of(record.time).write_clock(line);
    line.extend_from_slice(b" --- ");
    line.extend_from_slice(record.client.to_string().as_bytes());
    line.push(b' ');
    line.extend_from_slice(record.reason.unwrap_or_default().as_bytes());
    line.push(b'\n');
}

fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.1}ms", seconds * 1_000.0)
    } else {
        format!("{seconds:.2}s")
    }
}

fn status_tint(status: u16) -> &'static str {
    match status {
        0..300 => "\x1b[32m",
        300..400 => "\x1b[36m",
        400..500 => "\x1b[33m",
        _ => "\x1b[31m",
    }
}

#[cfg(test)]
pub(crate) mod tests;
