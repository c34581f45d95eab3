//! A request in one line.

use serde_json::Value;

use crate::log::printable;
use crate::output::{Output, Style};

/// Digits of an id that are shown; as many find the request again.
const ID_DIGITS: usize = 8;

/// `12:00:01.123 4bf92f35 502 GET    1204.0ms api.example.com/items/7 items→catalog upstream_reset`
pub(super) fn render(request: &Value, output: &Output) -> String {
    let status = status(request);
    let style = style(status);
    let mut parts = vec![
        output.style(Style::Faint, &clock(request)),
        short_id(request),
    ];
    if status == 0 {
        parts.push(output.style(style, "---"));
        parts.push(text(request, "client.address"));
    } else {
        let took = format!("{:>9}", duration(request["duration_ms"].as_f64()));
        parts.push(output.style(style, &status.to_string()));
        parts.push(format!("{:<7}", method(request)));
        parts.push(took);
        parts.push(target(request));
        parts.push(output.style(Style::Faint, &way(request)));
    }
    if let Some(reason) = reason(request) {
        parts.push(output.style(style, &reason));
    }
    parts.join(" ") + "\n"
}

pub(super) fn status(request: &Value) -> u64 {
    let status = &request["http.response.status_code"];
    status.as_u64().unwrap_or_default()
}

pub(super) fn style(status: u64) -> Style {
    match status {
        100..400 => Style::Good,
        400..500 => Style::Warning,
        _ => Style::Bad,
    }
}

/// A text that may come from a client, safe to print.
pub(super) fn text(request: &Value, key: &str) -> String {
    printable(request[key].as_str().unwrap_or_default())
}

pub(super) fn method(request: &Value) -> String {
    match request["http.request.method"].as_str() {
        Some(method) => printable(method),
        None => "-".to_owned(),
    }
}

/// `1.2ms`, `3.40s`.
pub(super) fn duration(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "-".to_owned(),
        Some(short) if short < 1_000.0 => format!("{short:.1}ms"),
        Some(long) => format!("{:.2}s", long / 1_000.0),
    }
}

/// Host, path and query.
pub(super) fn target(request: &Value) -> String {
    let mut target = text(request, "server.address");
    if let Some(port) = request["server.port"].as_u64() {
        target.push_str(&format!(":{port}"));
    }
    target.push_str(&text(request, "url.path"));
    if request["url.query"].is_string() {
        target.push('?');
        target.push_str(&text(request, "url.query"));
    }
    if target.is_empty() {
        return "-".to_owned(); // its head could not be read
    }
    target
}

/// `items→catalog 127.0.0.1:9001`
fn way(request: &Value) -> String {
    let mut way = match request["http.route"].as_str() {
        Some(route) => printable(route),
        None => "-".to_owned(),
    };
    if request["weir.upstream"].is_string() {
        way.push('→');
        way.push_str(&text(request, "weir.upstream"));
    }
    if request["weir.target"].is_string() {
        way.push(' ');
        way.push_str(&text(request, "weir.target"));
    }
    match request["weir.attempts"].as_u64() {
        Some(attempts @ 2..) => format!("{way} ×{attempts}"),
        _ => way,
    }
}

/// `upstream_reset (closed before the head)`
fn reason(request: &Value) -> Option<String> {
    request["weir.reason"].as_str()?;
    let reason = text(request, "weir.reason");
    if request["weir.cause"].is_string() {
        return Some(format!("{reason} ({})", text(request, "weir.cause")));
    }
    Some(reason)
}

fn short_id(request: &Value) -> String {
    let id = text(request, "weir.request_id");
    let shown = id.get(..ID_DIGITS).unwrap_or(&id);
    format!("{shown:<ID_DIGITS$}")
}

/// The time of day of an RFC 3339 timestamp, to the millisecond.
fn clock(request: &Value) -> String {
    let timestamp = request["timestamp"].as_str().unwrap_or_default();
    timestamp.get(11..23).unwrap_or(timestamp).to_owned()
}
