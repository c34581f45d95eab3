//! Traces and logs: between real gateways, files, and a receiver that others wrote.

mod attempts;
mod hidden;
mod logs;
mod outage;
mod traces;

use serde_json::Value;

use crate::harness::Weir;

/// Lines of the log that are about requests.
fn access_lines(weir: &Weir) -> Vec<Value> {
    requests(&weir.log())
}

fn requests(log: &str) -> Vec<Value> {
    let lines = log.lines().map(serde_json::from_str::<Value>);
    lines
        .map(|line| line.expect("a line is one JSON object"))
        .filter(|line| line["event.name"] == "http.server.request")
        .collect()
}
