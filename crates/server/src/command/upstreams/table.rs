//! The table of upstreams.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::age;
use crate::output::{Output, Style};

const HEADINGS: [&str; 10] = [
    "TARGET",
    "ZONE",
    "WEIGHT",
    "IN FLIGHT",
    "LATENCY",
    "EWMA",
    "REQUESTS",
    "FAILED",
    "CUT",
    "HEALTH",
];
/// Columns whose numbers are ranged at the right.
const RIGHT: [bool; 10] = [
    false, false, true, true, true, true, true, true, true, false,
];
/// The column of the health: the only one with a colour, and the last, as reasons may be long.
const HEALTH: usize = 9;

/// Requests of each target, as of the last look.
pub(super) struct Earlier {
    requests: HashMap<(String, String), u64>,
    at: Instant,
}

impl Earlier {
    pub(super) fn new(upstreams: &[Value], at: Instant) -> Self {
        let mut requests = HashMap::new();
        for (upstream, target) in each_target(upstreams) {
            let count = target["requests"].as_u64().unwrap_or_default();
            requests.insert(key(upstream, target), count);
        }
        Self { requests, at }
    }

    fn rate(&self, upstream: &Value, target: &Value) -> Option<f64> {
        let before = self.requests.get(&key(upstream, target))?;
        let now = target["requests"].as_u64()?;
        let seconds = self.at.elapsed().as_secs_f64();
        // Less than before: another process counts now.
        Some(now.checked_sub(*before)? as f64 / seconds.max(0.001))
    }
}

fn key(upstream: &Value, target: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&upstream["name"]), text(&target["address"]))
}

fn each_target(upstreams: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    upstreams.iter().flat_map(|upstream| {
        let targets = upstream["targets"].as_array().into_iter().flatten();
        targets.map(move |target| (upstream, target))
    })
}

/// Whether there are targets, all of them take traffic, and the breaker lets requests through.
pub(super) fn is_well(upstream: &Value) -> bool {
    let targets = upstream["targets"].as_array();
    let is_well = |targets: &Vec<Value>| !targets.is_empty() && targets.iter().all(takes_traffic);
    upstream["breaker"]["state"] != "open" && targets.is_some_and(is_well)
}

fn takes_traffic(target: &Value) -> bool {
    !matches!(
        target["health"]["state"].as_str(),
        Some("unhealthy" | "ejected")
    )
}

struct Row {
    cells: [String; 10],
    style: Style,
}

struct Section {
    title: String,
    notes: Vec<String>,
    rows: Vec<Row>,
}

/// What is shown, before it is laid out.
pub(super) struct Table(Vec<Section>);

impl Table {
    pub(super) fn new(upstreams: &[Value], earlier: Option<&Earlier>, now: SystemTime) -> Self {
        let section = |upstream: &Value| Section {
            title: title(upstream),
            notes: notes(upstream, now),
            rows: upstream["targets"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|target| row(upstream, target, earlier, now))
                .collect(),
        };
        Self(upstreams.iter().map(section).collect())
    }

    pub(super) fn render(&self, output: &Output) -> String {
        if self.0.is_empty() {
            return "no upstreams are configured\n".to_owned();
        }
        let mut widths = HEADINGS.map(str::len);
        for row in self.0.iter().flat_map(|section| &section.rows) {
            for (width, cell) in widths.iter_mut().zip(&row.cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for (at, section) in self.0.iter().enumerate() {
            if at > 0 {
                text.push('\n');
            }
            text.push_str(&output.style(Style::Strong, &section.title));
            text.push('\n');
            for note in &section.notes {
                text.push_str(&format!("  {}\n", output.style(Style::Warning, note)));
            }
            if section.rows.is_empty() {
                text.push_str("  no targets\n");
                continue;
            }
            let headings = HEADINGS.map(str::to_owned);
            text.push_str(&line(&headings, &widths, |_, cell| {
                output.style(Style::Faint, cell)
            }));
            for row in &section.rows {
                text.push_str(&line(&row.cells, &widths, |column, cell| {
                    if column == HEALTH {
                        output.style(row.style, cell)
                    } else {
                        cell.to_owned()
                    }
                }));
            }
        }
        text
    }
}

fn line(
    cells: &[String; 10],
    widths: &[usize; 10],
    styled: impl Fn(usize, &str) -> String,
) -> String {
    let mut text = String::from(" ");
    let last = cells.len() - 1;
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width - cell.chars().count());
        text.push(' ');
        if RIGHT[column] {
            text.push_str(&padding);
        }
        text.push_str(&styled(column, cell));
        if !RIGHT[column] && column < last {
            text.push_str(&padding);
        }
        text.push(' ');
    }
    format!("{}\n", text.trim_end())
}

/// `catalog · least_request · 2 of 3 take traffic`
fn title(upstream: &Value) -> String {
    let targets = upstream["targets"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let taking = targets
        .iter()
        .filter(|target| takes_traffic(target) && target["weight"] != 0)
        .count();
    let mut parts = vec![
        upstream["name"].as_str().unwrap_or("?").to_owned(),
        upstream["balance"].as_str().unwrap_or("?").to_owned(),
        match upstream["panic"] == true {
            true => format!("panic: all {} take traffic", targets.len()),
            false => format!("{taking} of {} take traffic", targets.len()),
        },
    ];
    if let Some(state) = upstream["breaker"]["state"].as_str() {
        parts.push(format!("breaker {}", state.replace('_', " ")));
    }
    if let Some(limit) = upstream["concurrency"]["limit"].as_u64() {
        let count = |key: &str| upstream["concurrency"][key].as_u64().unwrap_or_default();
        parts.push(format!(
            "{} of {limit} places taken, {} waiting",
            count("in_use"),
            count("queued")
        ));
    }
    parts.join(" · ")
}

/// What the operator should know about the upstream as a whole.
fn notes(upstream: &Value, now: SystemTime) -> Vec<String> {
    let mut notes = Vec::new();
    let breaker = &upstream["breaker"];
    if let Some(state @ ("open" | "half_open")) = breaker["state"].as_str() {
        let reason = breaker["reason"].as_str().unwrap_or("it failed too often");
        notes.push(format!(
            "the breaker is {}{}: {reason}",
            state.replace('_', " "),
            ago(&breaker["since"], now)
        ));
    }
    if upstream["panic"] == true {
        notes.push("so little is healthy that health is ignored".to_owned());
    }
    if let Some(error) = upstream["discovery"]["error"].as_str() {
        let since = ago(&upstream["discovery"]["error_since"], now);
        let has_some = upstream["targets"]
            .as_array()
            .is_some_and(|targets| !targets.is_empty());
        let stays = match has_some {
            true => "the last known ones stay",
            false => "and none were known",
        };
        notes.push(format!(
            "its source of targets is lost{since}, {stays}: {error}"
        ));
    }
    let left_out = upstream["discovery"]["left_out"].as_object();
    for (reason, number) in left_out.into_iter().flatten() {
        let reason = reason.replace('_', " ");
        notes.push(format!(
            "targets that its source has and that are left out: {number} {reason}"
        ));
    }
    notes
}

fn row(upstream: &Value, target: &Value, earlier: Option<&Earlier>, now: SystemTime) -> Row {
    let number = |value: &Value| value.as_u64().map_or("–".to_owned(), grouped);
    let time = |value: &Value| {
        let millis = value.as_f64();
        millis.map_or("–".to_owned(), |millis| format!("{millis:.1} ms"))
    };
    let requests = match earlier.and_then(|earlier| earlier.rate(upstream, target)) {
        Some(rate) => format!("{} ({rate:.0}/s)", number(&target["requests"])),
        None => number(&target["requests"]),
    };
    Row {
        cells: [
            target["address"].as_str().unwrap_or("?").to_owned(),
            target["zone"].as_str().unwrap_or("–").to_owned(),
            number(&target["weight"]),
            number(&target["in_flight"]),
            time(&target["latency_ms"]),
            time(&target["ewma_ms"]),
            requests,
            number(&target["failed"]),
            number(&target["cut"]),
            health(&target["health"], now),
        ],
        style: if takes_traffic(target) {
            Style::Good
        } else {
            Style::Bad
        },
    }
}

/// `healthy 3m 20s`, `ejected 2s, 28s to go: 5 failures in a row`
fn health(health: &Value, now: SystemTime) -> String {
    let state = health["state"].as_str().unwrap_or("–");
    let mut text = format!("{state}{}", ago(&health["since"], now).replace(" for", ""));
    let until = health["until"].as_str().and_then(age::parse);
    if let Some(left) = until.and_then(|until| until.duration_since(now).ok()) {
        text.push_str(&format!(", {} to go", age::short(left)));
    }
    if let Some(reason) = health["reason"].as_str() {
        text.push_str(&format!(": {reason}"));
    }
    text
}

/// ` for 12s`, or nothing if the moment is not known.
fn ago(since: &Value, now: SystemTime) -> String {
    let since = since.as_str().and_then(age::parse);
    let age = since.map(|since| now.duration_since(since).unwrap_or(Duration::ZERO));
    age.map_or(String::new(), |age| format!(" for {}", age::short(age)))
}

/// `10,392`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::ColorChoice;

    fn upstreams() -> Vec<Value> {
        let catalog = json!({
            "name": "catalog", "balance": "least_request", "panic": false,
            "breaker": { "state": "half_open", "since": "2026-01-02T03:04:00Z", "reason": "60 of 100 requests failed" },
            "concurrency": { "limit": 100, "in_use": 7, "queued": 0 },
            "targets": [
                { "address": "10.0.0.1:9001", "zone": "eu-1", "weight": 3, "in_flight": 7, "latency_ms": 1.24,
                  "ewma_ms": 4.8, "requests": 1_234_567, "failed": 12, "cut": 3,
                  "health": { "state": "healthy", "since": "2026-01-02T03:00:45Z", "ejections": 0 } },
                { "address": "10.0.0.2:9001", "weight": 1, "in_flight": 0, "requests": 99, "failed": 99, "cut": 0,
                  "health": { "state": "ejected", "since": "2026-01-02T03:04:03Z", "until": "2026-01-02T03:04:33Z",
                    "reason": "5 failures in a row", "ejections": 1 } },
            ],
        });
        let empty = json!({ "name": "empty", "balance": "round_robin", "panic": false, "targets": [],
            "discovery": { "source": "dns", "error": "connection refused", "error_since": "2026-01-02T03:04:04Z",
                "left_out": { "outside_networks": 3 } } });
        vec![catalog, empty]
    }

    fn now() -> SystemTime {
        age::parse("2026-01-02T03:04:05Z").expect("a moment")
    }

    #[test]
    fn the_table_tells_health_load_and_why() {
        let output = Output::new(ColorChoice::Never, false);
        let text = Table::new(&upstreams(), None, now()).render(&output);
        insta::assert_snapshot!(text, @r"
        catalog · least_request · 1 of 2 take traffic · breaker half open · 7 of 100 places taken, 0 waiting
          the breaker is half open for 5s: 60 of 100 requests failed
          TARGET         ZONE  WEIGHT  IN FLIGHT  LATENCY    EWMA   REQUESTS  FAILED  CUT  HEALTH
          10.0.0.1:9001  eu-1       3          7   1.2 ms  4.8 ms  1,234,567      12    3  healthy 3m 20s
          10.0.0.2:9001  –          1          0        –       –         99      99    0  ejected 2s, 28s to go: 5 failures in a row

        empty · round_robin · 0 of 0 take traffic
          its source of targets is lost for 1s, and none were known: connection refused
          targets that its source has and that are left out: 3 outside networks
          no targets
        ");
    }

    #[test]
    fn rates_come_from_two_looks_and_restart_with_the_process() {
        let before = upstreams();
        let at = Instant::now()
            .checked_sub(Duration::from_secs(10))
            .expect("the clock runs for longer");
        let earlier = Earlier::new(&before, at);
        let mut after = before.clone();
        after[0]["targets"][0]["requests"] = json!(1_235_567);
        after[0]["targets"][1]["requests"] = json!(3);
        let rate = |target: usize| earlier.rate(&after[0], &after[0]["targets"][target]);
        let growing = rate(0).expect("a rate");
        assert!((growing - 100.0).abs() < 1.0, "{growing}");
        assert_eq!(rate(1), None, "counted anew");
    }

    #[test]
    fn what_takes_no_traffic_is_not_well() {
        let [catalog, empty] = [&upstreams()[0], &upstreams()[1]];
        assert!(!is_well(catalog) && !is_well(empty));
    }
}
