//! All that is known of a request, for a person.

use http::StatusCode;
use serde_json::Value;
use weir_gateway::reason;

use super::line::{duration, method, status, style, target, text};
use crate::log::printable;
use crate::output::{Output, Style};

/// Width of the column of names.
const NAMES: usize = 10;
/// Where a column of the timeline begins.
const TIMES: usize = 9;

/// Shows it as sections of one or a few lines each; what is not known is left out.
pub(super) fn render(request: &Value, output: &Output) -> String {
    let mut sheet = Sheet {
        output,
        text: String::new(),
    };
    let status = status(request);
    if status == 0 {
        sheet.row("connection", &refused(request));
    } else {
        let asked = format!(
            "{} {}://{}",
            method(request),
            text(request, "url.scheme"),
            target(request)
        );
        sheet.row("request", &output.style(Style::Strong, &asked));
        sheet.row("answer", &answer(request, status, output));
    }
    why(&mut sheet, request, status);
    if status != 0 {
        sheet.row("client", &client(request));
        sheet.row("way", &way(request));
        altered(&mut sheet, request);
        headers(&mut sheet, request);
        timeline(&mut sheet, request);
    }
    sheet.row("id", &text(request, "weir.request_id"));
    if request["trace_id"].is_string() {
        let mut trace = text(request, "trace_id");
        if request["trace_flags"] == "01" {
            trace.push_str(", sampled by its head");
        }
        sheet.row("trace", &trace);
    }
    sheet.text
}

struct Sheet<'a> {
    output: &'a Output,
    text: String,
}

impl Sheet<'_> {
    fn row(&mut self, name: &str, value: &str) {
        let name = self.output.style(Style::Faint, &format!("{name:<NAMES$}"));
        self.text.push_str(&format!("{name} {value}\n"));
    }
}

fn refused(request: &Value) -> String {
    format!(
        "from {} at {}, before it brought a request",
        text(request, "client.address"),
        text(request, "timestamp")
    )
}

fn answer(request: &Value, status: u64, output: &Output) -> String {
    let code = u16::try_from(status).ok();
    let known = code.and_then(|code| StatusCode::from_u16(code).ok());
    let phrase = match status {
        499 => "the client left before it",
        _ => known
            .and_then(|known| known.canonical_reason())
            .unwrap_or_default(),
    };
    let shown = output.style(style(status), &format!("{status} {phrase}"));
    let took = duration(request["duration_ms"].as_f64());
    let sent = bytes(&request["http.response.body.size"]);
    match request["http.request.body.size"].as_u64() {
        Some(0) | None => format!("{shown} after {took}, {sent}"),
        Some(_) => {
            let received = bytes(&request["http.request.body.size"]);
            format!("{shown} after {took}, {sent} for {received}")
        }
    }
}

fn bytes(size: &Value) -> String {
    match size.as_u64().unwrap_or_default() {
        1 => "1 byte".to_owned(),
        size => format!("{size} bytes"),
    }
}

/// The reason, what it means and which setting decided.
fn why(sheet: &mut Sheet<'_>, request: &Value, status: u64) {
    let Some(word) = request["weir.reason"].as_str() else {
        return;
    };
    let output = sheet.output;
    let mut shown = output.style(style(status), &text(request, "weir.reason"));
    if request["weir.cause"].is_string() {
        shown.push_str(&format!(": {}", text(request, "weir.cause")));
    }
    sheet.row("reason", &shown);
    if let Some(known) = reason::find(word) {
        sheet.row("", known.meaning);
    }
    if request["weir.decided_by"].is_string() {
        sheet.row("decided by", &text(request, "weir.decided_by"));
    }
    if request["weir.rule"].is_string() {
        sheet.row("rule", &text(request, "weir.rule"));
    }
}

fn client(request: &Value) -> String {
    let mut client = text(request, "client.address");
    client.push_str(&format!(
        ", HTTP/{}",
        text(request, "network.protocol.version")
    ));
    if request["user_agent.original"].is_string() {
        client.push_str(&format!(", {}", text(request, "user_agent.original")));
    }
    client
}

fn way(request: &Value) -> String {
    if !request["http.route"].is_string() {
        return "no route".to_owned();
    }
    let mut way = format!("route {}", text(request, "http.route"));
    if request["weir.upstream"].is_string() {
        way.push_str(&format!(" → upstream {}", text(request, "weir.upstream")));
    }
    if request["weir.target"].is_string() {
        way.push_str(&format!(" → {}", text(request, "weir.target")));
    }
    if let Some(attempts @ 2..) = request["weir.attempts"].as_u64() {
        way.push_str(&format!(", the last of {attempts} attempts"));
    }
    way
}

fn altered(sheet: &mut Sheet<'_>, request: &Value) {
    let words = request["weir.altered"].as_array().into_iter().flatten();
    let words: Vec<String> = words.filter_map(Value::as_str).map(printable).collect();
    if !words.is_empty() {
        sheet.row("changed by", &words.join(", "));
    }
}

fn headers(sheet: &mut Sheet<'_>, request: &Value) {
    const PREFIX: &str = "http.request.header.";
    let fields = request.as_object().into_iter().flatten();
    for (key, _) in fields {
        if let Some(name) = key.strip_prefix(PREFIX) {
            sheet.row("header", &format!("{name}: {}", text(request, key)));
        }
    }
}

/// When what happened, counted from the request's head.
fn timeline(sheet: &mut Sheet<'_>, request: &Value) {
    let of = |key: &str| request[key].as_f64();
    let mut name = "time";
    let mut moment = |at: &str, what: &str| {
        sheet.row(name, &format!("{at:>TIMES$}  {what}"));
        name = "";
    };
    moment(
        "0ms",
        &format!("the head was there, at {}", text(request, "timestamp")),
    );
    if let Some(head) = of("upstream_duration_ms") {
        let connecting = match of("upstream_connect_ms") {
            Some(connect) => format!("connecting took {}", duration(Some(connect))),
            None => "over a kept connection".to_owned(),
        };
        let what = format!("the target's answer began ({connecting})");
        moment(&duration(Some(head)), &what);
    } else if let Some(connect) = of("upstream_connect_ms") {
        let what = format!(
            "the target did not answer (connecting took {})",
            duration(Some(connect))
        );
        moment("", &what);
    }
    moment(&duration(of("duration_ms")), "it was over");
}
