//! Bodies changed by programs.

mod aggregate;
mod hostile;
mod requests;
mod responses;

use std::net::SocketAddr;

use crate::harness::{Message, Weir, Wire};

/// A route `all` to this upstream with a policy that transforms.
fn with(transform: &str, upstream: SocketAddr) -> String {
    format!(
        "upstreams: {{ up: {{ targets: [{upstream}] }} }}\n\
         policies: {{ shape: {{ transform: {transform} }} }}\n\
         routes: [{{ name: all, match: {{ path: \"/{{kind}}/*\" }}, policies: [shape], upstream: up }},\n\
                  {{ name: plain, match: {{ path: /plain }}, upstream: up }}]\n"
    )
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn ask(weir: &Weir, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Message {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: a.example\r\n");
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut wire = Wire::connect(weir.http());
    wire.send(request);
    // Weir may have answered before it read all of it.
    let _ = wire.try_send(body);
    wire.response(method)
}

/// The log line of the only request.
fn logged(weir: &Weir) -> serde_json::Value {
    let mut found = None;
    crate::harness::wait_until("the access log", || {
        let log = weir.log();
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        found = lines.find(|line: &serde_json::Value| line["http.route"] == "all");
        found.is_some()
    });
    found.unwrap()
}
