//! Which target a request goes to.

mod affinity;
mod failing;
mod slow;
mod sticky;
mod zones;

use std::fmt::Write as _;

use crate::harness::{Message, Upstream, Weir, Wire, answer};

/// A server that answers with its name and, on further lines, with the cookies that it got.
fn named(name: &'static str) -> Upstream {
    Upstream::answering(move |request| {
        let mut text = name.to_owned();
        for (field, value) in &request.fields {
            if field == "cookie" {
                // Writing to a String cannot fail.
                let _ = write!(text, "\n{value}");
            }
        }
        answer(200, &[], text)
    })
}

/// A configuration with one upstream: its further keys, and its targets.
fn upstream(keys: &str, targets: &[&Upstream]) -> String {
    let targets: Vec<String> = targets
        .iter()
        .map(|target| format!("\"{}\"", target.address))
        .collect();
    format!(
        "upstreams:\n  up: {{ {keys}, targets: [{}] }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n",
        targets.join(", ")
    )
}

/// Asks over a connection of its own, which either worker may get.
fn ask(weir: &Weir, path: &str, fields: &str) -> Message {
    let mut wire = Wire::connect(weir.http());
    wire.response_to(&format!(
        "GET {path} HTTP/1.1\r\nHost: weir.test\r\nConnection: close\r\n{fields}\r\n"
    ))
}
