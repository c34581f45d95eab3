//! Splits for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::output::{Output, Style};

const HEADINGS: [&str; 7] = [
    "UPSTREAM", "SHARE", "FILE", "REQUESTS", "RECENT", "FAILED", "P99",
];

pub(super) fn render(splits: &[&Value], output: &Output) -> String {
    if splits.is_empty() {
        return "no route has a split\n".to_owned();
    }
    let rendered: Vec<String> = splits.iter().map(|split| one(split, output)).collect();
    rendered.join("\n")
}

fn one(split: &Value, output: &Output) -> String {
    let name = split["route"].as_str().unwrap_or_default();
    let mut text = format!("{}\n", output.style(Style::Strong, name));
    let upstreams = split["upstreams"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows: Vec<[String; 7]> = upstreams.iter().map(row).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headings = line(&HEADINGS.map(str::to_owned), &widths);
    let _ = writeln!(text, "  {}", output.style(Style::Faint, &headings));
    for row in &rows {
        let _ = writeln!(text, "  {}", line(row, &widths));
    }
    for note in notes(split, output) {
        let _ = writeln!(text, "  {note}");
    }
    text
}

/// Names to the left, numbers to the right.
fn line(cells: &[String; 7], widths: &[usize; 7]) -> String {
    let pad = |(at, (cell, width)): (usize, (&String, &usize))| match at {
        0 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    };
    let cells: Vec<String> = cells.iter().zip(widths).enumerate().map(pad).collect();
    cells.join("  ")
}

fn row(upstream: &Value) -> [String; 7] {
    let recent = &upstream["recent"];
    [
        upstream["name"].as_str().unwrap_or_default().to_owned(),
        percent(&upstream["percent"]),
        percent(&upstream["configured_percent"]),
        upstream["requests"].to_string(),
        recent["requests"].to_string(),
        percent(&recent["failed_percent"]),
        match recent["p99_ms"].as_f64() {
            Some(millis) => format!("{millis:.1}ms"),
            None => "-".to_owned(),
        },
    ]
}

/// `12.5%`; `-` for what is not known. Small ones have more digits: they must not look like none.
pub(super) fn percent(value: &Value) -> String {
    match value.as_f64() {
        Some(percent) if percent < 1.0 => format!("{}%", (percent * 1e4).round() / 1e4),
        Some(percent) => format!("{}%", (percent * 100.0).round() / 100.0),
        None => "-".to_owned(),
    }
}

fn notes(split: &Value, output: &Output) -> Vec<String> {
    let mut notes = Vec::new();
    let held = &split["override"];
    if let (Some(by), Some(since)) = (held["by"].as_str(), held["since"].as_str()) {
        notes.push(format!(
            "set by {by} since {since}; `weir traffic reset` returns to the file"
        ));
    }
    let shift = &split["shift"];
    if shift.is_object() {
        notes.push(shift_note(shift));
    }
    let acted = &split["guard"]["acted"];
    if let (Some(upstream), Some(reason)) = (acted["upstream"].as_str(), acted["reason"].as_str()) {
        let head = output.style(Style::Bad, "guard acted:");
        notes.push(format!("{head} {upstream}: {reason}"));
    }
    notes
}

/// `shift running: 40% done, 6m left, to blue 0%, green 100%`.
pub(super) fn shift_note(shift: &Value) -> String {
    let state = shift["state"]
        .as_str()
        .unwrap_or_default()
        .replace('_', " ");
    let to: Vec<String> = shift["to"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, share)| format!("{name} {}", percent(share)))
        .collect();
    let left = shift["left_ms"]
        .as_u64()
        .unwrap_or_default()
        .div_ceil(1_000);
    let left = match left {
        0..=119 => format!("{left}s"),
        120..=7_199 => format!("{}m", left.div_ceil(60)),
        _ => format!("{}h", left.div_ceil(3_600)),
    };
    let done = percent(&shift["progress_percent"]);
    match state.as_str() {
        "running" | "halted" => {
            format!(
                "shift {state}: {done} done, {left} left, to {}",
                to.join(", ")
            )
        }
        _ => format!("shift {state}: to {}", to.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::ColorChoice;

    #[test]
    fn a_split_is_a_table_with_what_is_to_be_known_below() {
        let split = json!({
            "route": "items",
            "upstreams": [
                { "name": "blue", "percent": 72.5, "configured_percent": 95.0, "requests": 1200,
                  "recent": { "requests": 310, "failed_percent": 0.0, "p99_ms": 12.34 } },
                { "name": "green", "percent": 27.5, "configured_percent": 5.0, "requests": 0,
                  "recent": { "requests": 0, "failed_percent": null, "p99_ms": null } },
            ],
            "override": { "since": "2026-01-02T03:04:05.006Z", "by": "command" },
            "shift": { "state": "running", "from": {}, "to": { "blue": 0.0, "green": 100.0 },
                       "over_ms": 600_000, "left_ms": 450_000, "progress_percent": 25.0 },
            "guard": { "acted": { "at": "", "upstream": "green", "reason": "too much" } },
        });
        let output = Output::new(ColorChoice::Never, false);
        let expected = "\
items
  UPSTREAM  SHARE  FILE  REQUESTS  RECENT  FAILED     P99
  blue      72.5%   95%      1200     310      0%  12.3ms
  green     27.5%    5%         0       0       -       -
  set by command since 2026-01-02T03:04:05.006Z; `weir traffic reset` returns to the file
  shift running: 25% done, 8m left, to blue 0%, green 100%
  guard acted: green: too much
";
        assert_eq!(render(&[&split], &output), expected);
        assert_eq!(render(&[], &output), "no route has a split\n");
    }

    #[test]
    fn an_answer_without_what_is_expected_is_no_panic() {
        let output = Output::new(ColorChoice::Never, false);
        for odd in [
            json!(null),
            json!({ "upstreams": [1, {}], "shift": {}, "guard": 7 }),
        ] {
            assert!(!render(&[&odd], &output).is_empty());
        }
    }
}
