//! A shift, followed until it ends.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::{split_of, splits, table};
use crate::admin_client::Admin;
use crate::output::{Output, Style};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(500);

/// Prints each new step. The exit code tells whether the shift arrived.
#[allow(
    clippy::disallowed_methods,
    reason = "a command has one thread, and nothing else to do"
)]
pub(super) fn watch(admin: &Admin, route: &str, output: &Output) -> anyhow::Result<ExitCode> {
    let mut last = String::new();
    loop {
        let splits = splits(admin)?;
        let split = split_of(&splits, route)?;
        let shift = &split["shift"];
        let text = step(split);
        if !output.json && text != last {
            output.print(&format!("{text}\n"))?;
            last = text;
        }
        if shift["state"] == "running" {
            sleep(EVERY);
            continue;
        }
        let has_arrived = shift["state"] == "done";
        if output.json {
            output.print_json(split)?;
        } else {
            output.print(&ending(split, has_arrived, output))?;
        }
        return Ok(if has_arrived {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
}

/// ` 42%  blue 58%, green 42%`
fn step(split: &Value) -> String {
    let upstreams = split["upstreams"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let share = |upstream: &Value| {
        let name = upstream["name"].as_str().unwrap_or_default();
        format!("{name} {}", table::percent(&upstream["percent"]))
    };
    let shares: Vec<String> = upstreams.iter().map(share).collect();
    let progress = split["shift"]["progress_percent"]
        .as_f64()
        .unwrap_or_default();
    format!("{progress:>4.0}%  {}", shares.join(", "))
}

fn ending(split: &Value, has_arrived: bool, output: &Output) -> String {
    if has_arrived {
        return format!("{}\n", output.style(Style::Good, "done"));
    }
    let state = match split["shift"]["state"].as_str() {
        Some(state) => state.replace('_', " "),
        None => "replaced by another change".to_owned(),
    };
    let state = output.style(Style::Bad, &state);
    let acted = &split["guard"]["acted"];
    match (acted["upstream"].as_str(), acted["reason"].as_str()) {
        (Some(upstream), Some(reason)) => format!("{state} by the guard: {upstream}: {reason}\n"),
        _ => format!("{state}\n"),
    }
}
