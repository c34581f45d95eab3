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
    // The last line may not be whole yet.
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().map(serde_json::from_str::<Value>);
    lines
        .map(|line| line.expect("a line is one JSON object"))
        .filter(|line| line["event.name"] == "http.server.request")
        .collect()
}
