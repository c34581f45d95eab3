//! Splits, their changes while traffic flows, and mirrors.

mod guard;
mod kept;
mod mirror;
mod mistakes;
mod shift;
mod split;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::harness::{Message, Ran, Upstream, Weir, Wire, answer};

/// A server that answers with its name, and counts.
struct Side {
    server: Upstream,
    served: Arc<AtomicUsize>,
}

impl Side {
    fn new(name: &'static str) -> Self {
        Self::answering(move |_| answer(200, &[], name))
    }

    fn answering(respond: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let served = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&served);
        let server = Upstream::answering(move |request| {
            counter.fetch_add(1, Ordering::AcqRel);
            respond(request)
        });
        Self { server, served }
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::Acquire)
    }

    fn address(&self) -> SocketAddr {
        self.server.address
    }
}

/// A route `items` that is split between blue, the stable side, and green. `rest` goes into the split.
fn config(blue: &Side, green: &Side, weights: [u32; 2], rest: &str) -> String {
    format!(
        "upstreams:\n  blue: {{ targets: [\"{}\"] }}\n  green: {{ targets: [\"{}\"] }}\n\
         routes:\n  - name: items\n    match: {{ path: /* }}\n    split:\n      \
         upstreams: {{ blue: {}, green: {} }}\n{rest}",
        blue.address(),
        green.address(),
        weights[0],
        weights[1],
    )
}

/// Sends requests one by one over one connection; the texts of the answers.
fn ask(weir: &Weir, fields: &str, count: usize) -> Vec<String> {
    let mut wire = Wire::connect(weir.http());
    let request = format!("GET / HTTP/1.1\r\nHost: weir.test\r\n{fields}\r\n");
    (0..count)
        .map(|_| wire.response_to(&request).text())
        .collect()
}

fn traffic(weir: &Weir, arguments: &[&str]) -> Ran {
    weir.run("traffic", arguments)
}

/// The same, which has to succeed.
fn change(weir: &Weir, arguments: &[&str]) -> String {
    let ran = traffic(weir, arguments);
    assert_eq!(
        ran.code,
        Some(0),
        "{arguments:?}\n{}{}",
        ran.stdout,
        ran.stderr
    );
    ran.stdout
}

fn post(weir: &Weir, route: &str, body: &str) -> Message {
    let admin = weir.setup().admin;
    let operator = weir.setup().operator();
    let length = body.len();
    Wire::connect(admin).response_to(&format!(
        "POST /v1/traffic/{route} HTTP/1.1\r\nHost: {admin}\r\n{operator}Content-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

/// The split of the route `items`.
fn split(weir: &Weir) -> Value {
    weir.ask("GET", "/v1/traffic").json()["splits"][0].clone()
}

/// Share of green in percent.
fn green(weir: &Weir) -> f64 {
    split(weir)["upstreams"][1]["percent"].as_f64().unwrap()
}
