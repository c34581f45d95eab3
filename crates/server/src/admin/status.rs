//! `/v1/status`: how the process fares, at one look.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use weir_console::{LeftOut, Running};
use weir_gateway::Gateway;
use weir_gateway::metrics::{Counter, WorkerCounters};
use weir_gateway::organization::Standing;

use super::metrics::process;
use super::{COMMIT, SharedState, VERSION};
use crate::log::timestamp::rfc3339;
use crate::records::{Condition, Keeper};
use crate::serve::Stage;

#[derive(Serialize)]
struct Status {
    version: &'static str,
    commit: &'static str,
    stage: &'static str,
    revision: Revision,
    /// Null where the system does not tell, as the four below.
    uptime_seconds: Option<f64>,
    cpu_seconds: f64,
    memory_bytes: Option<f64>,
    open_files: Option<f64>,
    workers: usize,
    connections: Connections,
    /// Of the worker that is latest.
    event_loop_delay_ms: f64,
    records: Records,
    resources: Resources,
    /// Those whose keys are followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issuers: Vec<Issuer>,
    /// Those of which routes of this node carry no traffic.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    organizations: Vec<Refusing>,
}

/// A foreign issuer of tokens.
#[derive(Serialize)]
struct Issuer {
    /// Where its keys are.
    source: String,
    keys: usize,
    /// Keys of the last set that are not used.
    skipped: usize,
    /// When the keys were last found to be the issuer's, perhaps by an earlier process.
    fetched_at: Option<String>,
    /// When it is asked again, unless there is an unknown key before.
    next_at: Option<String>,
    /// What is wrong with it; its last keys are used then, until they are too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<Lost>,
}

#[derive(Serialize)]
struct Lost {
    since: String,
    error: String,
}

impl From<weir_issuers::Status> for Issuer {
    fn from(status: weir_issuers::Status) -> Self {
        let lost = status.lost.map(|lost| Lost {
            since: rfc3339(lost.since),
            error: lost.error,
        });
        Self {
            source: status.source,
            keys: status.keys,
            skipped: status.skipped,
            fetched_at: status.fetched_at.map(rfc3339),
            next_at: status.next_at.map(rfc3339),
            lost,
        }
    }
}

/// An organization whose traffic is refused here.
#[derive(Serialize)]
struct Refusing {
    slug: String,
    /// `suspended`; `missing`: deleted, or there never was one of this slug.
    standing: Standing,
    /// The routes that name it.
    routes: Vec<String>,
}

impl Refusing {
    fn all(gateway: &Gateway, running: &Running) -> Vec<Self> {
        let routes = |slug: &str| running.of_organizations.get(slug).cloned();
        let refusing = |(slug, standing): (String, Standing)| match standing {
            Standing::Unknown | Standing::Active => None,
            // What was told may be of a route that is gone.
            Standing::Suspended | Standing::Missing => Some(Self {
                routes: routes(&slug)?,
                slug,
                standing,
            }),
        };
        gateway
            .standings()
            .into_iter()
            .filter_map(refusing)
            .collect()
    }
}

/// What runs of the resources in the records.
#[derive(Serialize)]
struct Resources {
    revision: i64,
    /// Those of it that this node cannot use: it runs the others without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<LeftOut>,
    /// A later revision that this node could not put into effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
}

#[derive(Serialize)]
struct Refused {
    revision: i64,
    at: String,
    message: String,
    diagnostics: Value,
}

impl From<Running> for Resources {
    fn from(running: Running) -> Self {
        let refused = running.refused.map(|refused| Refused {
            revision: refused.revision,
            at: rfc3339(refused.at),
            message: refused.text.clone(),
            diagnostics: refused.diagnostics.clone(),
        });
        Self {
            revision: running.revision,
            left_out: running.left_out.to_vec(),
            refused,
        }
    }
}

/// How records fare; traffic does not depend on it.
#[derive(Serialize)]
struct Records {
    engine: &'static str,
    condition: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Records {
    fn of(keeper: &Keeper) -> Self {
        let condition = keeper.condition();
        let name = condition.name();
        let (since, error) = match condition {
            Condition::Starting | Condition::Available => (None, None),
            Condition::Unavailable { since, why } => (Some(rfc3339(since)), Some(why)),
            Condition::Unusable { why } => (None, Some(why)),
        };
        Self {
            engine: keeper.records().engine().name(),
            condition: name,
            since,
            error,
        }
    }
}

#[derive(Serialize)]
struct Revision {
    number: u64,
    since: String,
}

#[derive(Serialize)]
struct Connections {
    open: u64,
    accepted: u64,
    refused: u64,
}

pub(super) async fn show(State(shared): SharedState) -> Response {
    let workers: Vec<&WorkerCounters> = shared.node.gateway.worker_counters().collect();
    let sum = |counter: fn(&WorkerCounters) -> &Counter| -> u64 {
        workers.iter().map(|worker| counter(worker).get()).sum()
    };
    let refused = workers.iter().flat_map(|worker| &worker.refused);
    let delays = workers.iter().map(|worker| worker.delay_nanos.get());
    let revision = shared.node.revision();
    let running = shared.node.running();
    super::json(&Status {
        version: VERSION,
        commit: COMMIT,
        stage: match shared.node.stage() {
            Stage::Starting => "starting",
            Stage::Ready => "ready",
            Stage::Draining => "draining",
        },
        revision: Revision {
            number: revision.number,
            since: rfc3339(revision.since),
        },
        uptime_seconds: process::uptime(),
        cpu_seconds: process::cpu(),
        memory_bytes: process::resident_memory(),
        open_files: process::open_descriptors(),
        workers: workers.len(),
        connections: Connections {
            open: sum(|worker| &worker.open),
            accepted: sum(|worker| &worker.accepted),
            refused: refused.map(Counter::get).sum(),
        },
        event_loop_delay_ms: delays.max().unwrap_or_default() as f64 / 1e6,
        records: Records::of(&shared.keeper),
        issuers: shared
            .node
            .issuers
            .status()
            .into_iter()
            .map(Issuer::from)
            .collect(),
        organizations: Refusing::all(&shared.node.gateway, &running),
        resources: running.into(),
    })
}
