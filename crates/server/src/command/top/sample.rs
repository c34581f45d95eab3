//! What the running Weir says of itself at one moment.

use std::time::{Duration, Instant};

use anyhow::Context;
use http::Method;
use serde::Deserialize;

use crate::admin_client::{self, Admin, Refusal};

/// Time for one answer of the admin listener.
const WITHIN: Duration = Duration::from_secs(5);

/// Everything that is shown, as of one moment. Counters are those since the process started.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) status: Status,
    pub(super) routes: Routes,
    pub(super) upstreams: Vec<Upstream>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) stage: String,
    pub(super) revision: Revision,
    pub(super) uptime_seconds: Option<f64>,
    pub(super) cpu_seconds: f64,
    pub(super) memory_bytes: Option<f64>,
    pub(super) connections: Connections,
    pub(super) event_loop_delay_ms: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Revision {
    pub(super) number: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Connections {
    pub(super) open: u64,
    pub(super) refused: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Routes {
    #[serde(rename = "duration_bounds_ms")]
    pub(super) bounds: Vec<f64>,
    pub(super) routes: Vec<Route>,
    pub(super) unrouted: Served,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Route {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) served: Served,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Served {
    pub(super) requests: Requests,
    #[serde(default)]
    pub(super) durations: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Requests {
    pub(super) total: u64,
    #[serde(rename = "4xx")]
    pub(super) client_error: u64,
    #[serde(rename = "5xx")]
    pub(super) server_error: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) panic: bool,
    pub(super) breaker: Option<Breaker>,
    pub(super) discovery: Option<Discovery>,
    pub(super) targets: Vec<Target>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Breaker {
    pub(super) state: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Discovery {
    pub(super) error: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Target {
    pub(super) in_flight: u64,
    pub(super) latency_ms: Option<f64>,
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) health: Health,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Health {
    pub(super) state: String,
}

#[derive(Deserialize)]
struct Upstreams {
    upstreams: Vec<Upstream>,
}

impl Sample {
    /// Asks for all of it.
    pub(super) fn take(admin: &Admin) -> anyhow::Result<Self> {
        Ok(Self {
            status: ask(admin, "/v1/status")?,
            routes: ask(admin, "/v1/routes?durations=true")?,
            upstreams: ask::<Upstreams>(admin, "/v1/upstreams")?.upstreams,
            at: Instant::now(),
        })
    }
}

fn ask<T: for<'a> Deserialize<'a>>(admin: &Admin, path: &str) -> anyhow::Result<T> {
    let response = admin_client::request(admin, Method::GET, path, WITHIN)?;
    if response.status != 200 {
        return Err(Refusal::of(&response, admin).into());
    }
    serde_json::from_slice(&response.body)
        .with_context(|| format!("the admin listener's answer for {path} is not understood"))
}
