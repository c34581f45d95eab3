//! Discovery end to end: each source drives traffic to servers, and its loss stops none.

mod registration;
mod sources;

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Message, Setup, Upstream, Weir, Wire, answer, wait_until};

/// The configuration of one discovered upstream that takes everything.
fn discovered(settings: &str) -> String {
    format!(
        "upstreams:\n  up: {{ discovery: {settings} }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n"
    )
}

/// A server that answers with a word.
fn saying(word: &'static str) -> Upstream {
    Upstream::answering(move |_| answer(200, &[], word))
}

/// What the admin listener says of the upstream.
fn upstream(weir: &Weir) -> Value {
    weir.ask("GET", "/v1/upstreams").json()["upstreams"][0].take()
}

/// Addresses of the targets in use.
fn targets(weir: &Weir) -> Vec<String> {
    let upstream = upstream(weir);
    let each = upstream["targets"].as_array().unwrap().iter();
    each.map(|target| target["address"].as_str().unwrap().to_owned())
        .collect()
}

fn wait_for_targets(weir: &Weir, addresses: &[SocketAddr]) {
    let mut expected: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    expected.sort();
    wait_until("the targets are known", || {
        let mut found = targets(weir);
        found.sort();
        found == expected
    });
}

/// What is wrong with the source, once something is.
fn lost(weir: &Weir) -> String {
    wait_until("the source is lost", || {
        !upstream(weir)["discovery"]["error"].is_null()
    });
    let error = upstream(weir)["discovery"]["error"].take();
    error.as_str().unwrap().to_owned()
}

/// Ends the process and starts another one with its data, at the same place. The former value holds
/// the directory that both share.
fn restart(mut weir: Weir, config: &str) -> (Weir, Weir) {
    weir.signal(Signal::TERM);
    weir.wait_exit();
    let from = weir.directory().join("data");
    let config = config.replace("$DIR", &weir.directory().display().to_string());
    let setup = Setup::new().data_directory(&from);
    let next = setup.at(weir.setup().admin, weir.http()).start(&config);
    (next, weir)
}

/// Sends a request with a JSON body to the admin listener, as the operator if no token is given.
fn send(weir: &Weir, method: &str, path: &str, token: Option<&str>, body: &str) -> Message {
    let mut wire = Wire::connect(weir.setup().admin);
    let token = token.map_or_else(
        || weir.setup().operator(),
        |token| format!("Authorization: Bearer {token}\r\n"),
    );
    wire.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{token}Connection: close\r\n\r\n{body}",
        weir.setup().admin,
        body.len()
    ));
    wire.response(method)
}
