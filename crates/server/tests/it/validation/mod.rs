//! Messages judged by contracts.

mod bodies;
mod hostile;
mod openapi;
mod responses;

use serde_json::Value;

use crate::harness::{Curl, Message, Upstream, Weir, answer, curl, wait_until};

/// Answers with what it got.
fn echo() -> Upstream {
    Upstream::answering(|request| answer(201, &[], &request.body))
}

/// A route behind a policy, to that server.
fn config(server: &Upstream, validate: &str) -> String {
    format!(
        "upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
         policies: {{ contract: {{ validate: {validate} }} }}\n\
         routes: [{{ name: orders, policies: [contract], upstream: up }}]\n\
         log: {{ format: json }}\n",
        server.address
    )
}

fn post(weir: &Weir, path: &str, body: &str, more: &[&str]) -> Message {
    sent(weir, path, body, more).answer()
}

fn sent(weir: &Weir, path: &str, body: &str, more: &[&str]) -> Curl {
    let url = weir.url(path);
    let mut arguments = vec!["--data-binary", body];
    if more
        .iter()
        .all(|argument| !argument.starts_with("content-type"))
    {
        arguments.extend(["-H", "content-type: application/json"]);
    }
    arguments.extend(more);
    arguments.push(&url);
    curl(&arguments)
}

/// Status, reason and errors of an answer that says no.
fn refusal(message: &Message) -> (u16, String, Vec<(String, String, String)>) {
    let problem: Value = serde_json::from_slice(&message.body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&message.body)));
    assert_eq!(
        message.get("content-type"),
        Some("application/problem+json")
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let errors = errors.iter().map(|error| {
        let place = match error.get("name") {
            Some(name) => format!("{} {}", text(&error["in"]), text(name)),
            None => text(&error["in"]),
        };
        (place, text(&error["pointer"]), text(&error["detail"]))
    });
    (message.status(), text(&problem["reason"]), errors.collect())
}

fn metrics(weir: &Weir) -> String {
    weir.ask("GET", "/metrics").text()
}

/// A counter of the route, once it is that.
fn await_counter(weir: &Weir, name: &str, labels: &str, value: u64) {
    let line = format!("{name}{{http_route=\"orders\",{labels}}} {value}\n");
    wait_until(&line, || metrics(weir).contains(&line));
}
