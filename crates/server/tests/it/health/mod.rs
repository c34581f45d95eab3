//! Which servers take traffic, as clients and operators see it.

mod active;
mod kill;
mod passive;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use serde_json::Value;

use crate::harness::{Upstream, Weir, answer, wait_until};

/// A server that answers with its name, and checks with the status of the moment.
struct Server {
    upstream: Upstream,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn named(name: &'static str) -> Self {
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::<AtomicUsize>::default());
        let (now, count) = (Arc::clone(&status), Arc::clone(&asked));
        let upstream = Upstream::answering(move |request| {
            if request.target() != "/healthz" {
                return answer(200, &[], name);
            }
            count.fetch_add(1, Ordering::Relaxed);
            answer(now.load(Ordering::Relaxed), &[], "a word on health")
        });
        Self {
            upstream,
            status,
            asked,
        }
    }

    fn turns(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }
}

/// Forwards everything to these servers.
fn watched(servers: &[&Server], settings: &str) -> String {
    let addresses = servers
        .iter()
        .map(|server| server.upstream.address.to_string());
    to(&addresses.collect::<Vec<_>>(), settings)
}

fn to(addresses: &[String], settings: &str) -> String {
    format!(
        "upstreams:\n  up:\n    targets: {addresses:?}\n    {settings}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n"
    )
}

/// What the admin listener says of each target's health.
fn health(weir: &Weir) -> Vec<Value> {
    let told = weir.ask("GET", "/v1/upstreams").json();
    let targets = told["upstreams"][0]["targets"].as_array().cloned();
    let targets = targets.expect("targets").into_iter();
    targets.map(|mut target| target["health"].take()).collect()
}

fn wait_for_states(weir: &Weir, states: &[&str]) {
    wait_until("the targets' states are as expected", || {
        let health = health(weir);
        health.iter().map(|health| &health["state"]).eq(states)
    });
}

/// The different answers to many requests, in order.
fn voices(weir: &Weir) -> Vec<String> {
    let mut heard: Vec<String> = (0..20).map(|_| weir.get("/").text()).collect();
    heard.sort();
    heard.dedup();
    heard
}
