//! The view as text and as JSON, for those who do not look at a terminal.

use serde_json::{Value, json};

use super::view::{RouteRow, UpstreamRow, View};
use crate::log::printable;
use crate::output::{Output, Style};

const ROUTES: [&str; 7] = ["ROUTE", "REQ/S", "4XX", "5XX", "P50", "P95", "P99"];
const UPSTREAMS: [&str; 7] = [
    "UPSTREAM",
    "TARGETS",
    "REQ/S",
    "FAILED/S",
    "IN FLIGHT",
    "LATENCY",
    "TROUBLE",
];

/// `2,500`, `12.3`, `0.4`, and `-` for none.
pub(super) fn rate(value: f64) -> String {
    match value {
        0.0 => "-".to_owned(),
        less if less < 99.95 => format!("{less:.1}"),
        more => grouped(more.round() as u64),
    }
}

/// `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.3%`, and `-` for none.
pub(super) fn share(percent: f64) -> String {
    match percent {
        0.0 => "-".to_owned(),
        tiny if tiny < 0.05 => "<0.1%".to_owned(),
        some => format!("{some:.1}%"),
    }
}

/// `0.8ms`, `1.25s`, and `-` for none.
pub(super) fn duration(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "-".to_owned(),
        Some(short) if short < 1_000.0 => format!("{short:.1}ms"),
        Some(long) => format!("{:.2}s", long / 1_000.0),
    }
}

/// `3d 4h`, `5h 2m`, `3m 20s`, `12s`.
pub(super) fn age(seconds: f64) -> String {
    crate::command::upstreams::short(std::time::Duration::from_secs_f64(seconds.max(0.0)))
}

/// `128 MiB`
pub(super) fn bytes(size: f64) -> String {
    format!("{:.0} MiB", size / f64::from(1 << 20))
}

/// The line about the process.
pub(super) fn heading(view: &View) -> String {
    let status = &view.latest().status;
    let whole = view.whole();
    let mut parts = vec![
        format!("{} req/s", rate(whole.rate)),
        format!("{} 5xx", share(whole.errors)),
        format!("{} connections", grouped(status.connections.open)),
        format!("CPU {:.0}%", whole.cpu),
    ];
    parts.extend(status.memory_bytes.map(bytes));
    parts.push(format!(
        "loop {}",
        duration(Some(status.event_loop_delay_ms))
    ));
    if whole.refused > 0.0 {
        parts.push(format!("{} connections refused/s", rate(whole.refused)));
    }
    parts.join(" · ")
}

/// `Weir 0.1.0 · up 3h 2m · revision 7`
pub(super) fn title(view: &View) -> String {
    let status = &view.latest().status;
    let mut title = format!("Weir {}", printable(&status.version));
    if let Some(uptime) = status.uptime_seconds {
        title.push_str(&format!(" · up {}", age(uptime)));
    }
    title.push_str(&format!(" · revision {}", status.revision.number));
    if status.stage != "ready" {
        title.push_str(&format!(" · {}", printable(&status.stage)));
    }
    title
}

pub(super) fn route_cells(row: &RouteRow) -> [String; 7] {
    let quantile = |at: usize| duration(row.quantiles.map(|quantiles| quantiles[at]));
    [
        printable(&row.name),
        rate(row.rate),
        share(row.client_errors),
        share(row.server_errors),
        quantile(0),
        quantile(1),
        quantile(2),
    ]
}

pub(super) fn upstream_cells(row: &UpstreamRow) -> [String; 7] {
    [
        printable(&row.name),
        format!("{}/{}", row.takes_traffic, row.targets),
        rate(row.rate),
        rate(row.failures),
        grouped(row.in_flight),
        duration(row.latency),
        row.trouble.clone().unwrap_or_default(),
    ]
}

pub(super) const fn headings() -> ([&'static str; 7], [&'static str; 7]) {
    (ROUTES, UPSTREAMS)
}

/// The whole view as text.
pub(super) fn text(view: &View, output: &Output) -> String {
    let routes: Vec<[String; 7]> = view.routes().iter().map(route_cells).collect();
    let upstreams: Vec<[String; 7]> = view.upstreams().iter().map(upstream_cells).collect();
    let mut text = format!(
        "{}\n{}\n\n",
        output.style(Style::Strong, &title(view)),
        heading(view)
    );
    text.push_str(&columns(ROUTES, &routes, output));
    text.push('\n');
    text.push_str(&columns(UPSTREAMS, &upstreams, output));
    text
}

/// Names at the left, numbers at the right; the last column of upstreams is a text.
fn columns(headings: [&str; 7], rows: &[[String; 7]], output: &Output) -> String {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_left = |at: usize| at == 0 || headings[at] == "TROUBLE";
    let line = |cells: &[String; 7]| {
        let padded = cells.iter().enumerate().map(|(at, cell)| {
            let width = widths[at];
            match is_left(at) {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            }
        });
        let line = padded.collect::<Vec<_>>().join("  ");
        line.trim_end().to_owned()
    };
    let first = line(&headings.map(str::to_owned));
    let mut text = output.style(Style::Faint, &first) + "\n";
    for row in rows {
        text.push_str(&line(row));
        text.push('\n');
    }
    if rows.is_empty() {
        text.push_str("none\n");
    }
    text
}

/// The whole view for programs. Rates are per second, shares in percent, durations in milliseconds.
pub(super) fn json(view: &View) -> Value {
    let whole = view.whole();
    let route = |row: RouteRow| {
        json!({
            "name": row.name,
            "rate": row.rate,
            "client_error_percent": row.client_errors,
            "server_error_percent": row.server_errors,
            "p50_ms": row.quantiles.map(|quantiles| quantiles[0]),
            "p95_ms": row.quantiles.map(|quantiles| quantiles[1]),
            "p99_ms": row.quantiles.map(|quantiles| quantiles[2]),
        })
    };
    let upstream = |row: UpstreamRow| {
        json!({
            "name": row.name,
            "targets": row.targets,
            "targets_taking_traffic": row.takes_traffic,
            "rate": row.rate,
            "failure_rate": row.failures,
            "in_flight": row.in_flight,
            "latency_ms": row.latency,
            "trouble": row.trouble,
        })
    };
    json!({
        "rate": whole.rate,
        "server_error_percent": whole.errors,
        "cpu_percent": whole.cpu,
        "connections": view.latest().status.connections.open,
        "routes": view.routes().into_iter().map(route).collect::<Value>(),
        "upstreams": view.upstreams().into_iter().map(upstream).collect::<Value>(),
    })
}
