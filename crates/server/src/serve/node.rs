//! What runs: the data plane, the revision in effect, and how the last change went.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot, watch};
use weir_config::Resources;
use weir_console::{LeftOut, Refused, Running};
use weir_discovery::Discoverer;
use weir_gateway::Gateway;
use weir_issuers::Issuers;

use super::keeping::Keeping;
use super::own_tokens::OwnIssuer;
use super::traffic_file::TrafficFile;

/// A configuration that was put into effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// Counts up from 1 with each change that took effect since the process started.
    pub(crate) number: u64,
    /// Fingerprint of the configuration's text and of everything that it refers to.
    pub(crate) digest: String,
    /// When it took effect.
    pub(crate) since: SystemTime,
    /// Where it was read from.
    pub(crate) file: PathBuf,
    /// Environment whose overlay was applied.
    pub(crate) environment: Option<String>,
    /// Whether it is the last good revision from the data directory instead of the file.
    pub(crate) last_good: bool,
    /// The revision of the resources beside it; 0 before the first.
    pub(crate) resources: i64,
}

/// A configuration that did not take effect.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    /// When it was tried.
    pub(crate) at: SystemTime,
    /// What is wrong, for a person.
    pub(crate) text: String,
    /// The same for programs: an array of diagnostics, or of one object with `message`.
    pub(crate) diagnostics: serde_json::Value,
    /// The resources that it is wrong with.
    pub(crate) at_fault: Vec<LeftOut>,
}

/// How a reload went.
#[derive(Clone, Debug)]
pub(crate) enum Reloaded {
    /// A new revision is in effect.
    Applied(Revision),
    /// The file says what is in effect already.
    Unchanged(Revision),
    /// The running revision stays.
    Rejected(Rejection),
}

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Not serving yet.
    Starting = 0,
    /// Serving.
    Ready = 1,
    /// Finishing what is under way.
    Draining = 2,
}

/// The running process, shared by signals, the admin listener and the watcher.
pub(crate) struct Node {
    /// The data plane.
    pub(crate) gateway: Gateway,
    /// Who is asked for targets.
    pub(crate) discoverer: Discoverer,
    /// Who is asked for keys.
    pub(crate) issuers: Issuers,
    /// What policies are told of this installation's own tokens.
    pub(crate) own_issuer: OwnIssuer,
    /// Where shares of splits are kept that were changed while running.
    pub(crate) traffic_file: TrafficFile,
    /// Who may change what outlives the process.
    pub(crate) keeping: Keeping,
    /// Reloads, by how they went.
    pub(crate) reloads_applied: AtomicU64,
    pub(crate) reloads_rejected: AtomicU64,
    /// How often something that runs beside traffic ended early.
    pub(crate) early_ends: Arc<AtomicU64>,
    stage: AtomicU8,
    changes: Mutex<Changes>,
    /// What runs of the resources in the records.
    running: watch::Sender<Running>,
    requests: mpsc::Sender<Order>,
}

/// What is to be beside the file.
pub(crate) enum Beside {
    /// What is there now.
    Same,
    /// All of these, or what is there now.
    All(Arc<Resources>),
    /// Those of these that can be used.
    WhatFits(Arc<Resources>),
}

/// Asks for a reload.
pub(crate) struct Order {
    /// What is to be beside the file from now on.
    pub(crate) beside: Beside,
    /// Who hears how it went.
    pub(crate) answer: oneshot::Sender<Reloaded>,
}

struct Changes {
    revision: Revision,
    rejection: Option<Rejection>,
}

impl Node {
    /// A node that is starting with this revision. Reload requests arrive at the other end of
    /// `requests`.
    pub(crate) fn new(
        gateway: Gateway,
        discoverer: Discoverer,
        (issuers, own_issuer): (Issuers, OwnIssuer),
        revision: Revision,
        requests: mpsc::Sender<Order>,
        traffic_file: TrafficFile,
        running: watch::Sender<Running>,
    ) -> Arc<Self> {
        Arc::new(Self {
            gateway,
            discoverer,
            issuers,
            own_issuer,
            traffic_file,
            reloads_applied: AtomicU64::new(0),
            reloads_rejected: AtomicU64::new(0),
            early_ends: Arc::default(),
            stage: AtomicU8::new(Stage::Starting as u8),
            keeping: Keeping::default(),
            changes: Mutex::new(Changes {
                revision,
                rejection: None,
            }),
            running,
            requests,
        })
    }

    /// Where the process is in its life.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Starting,
            1 => Stage::Ready,
            _ => Stage::Draining,
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// The revision in effect.
    pub(crate) fn revision(&self) -> Revision {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .revision
            .clone()
    }

    /// The last change that was refused, unless another took effect since.
    pub(crate) fn rejection(&self) -> Option<Rejection> {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .rejection
            .clone()
    }

    /// Notes how a reload went.
    pub(crate) fn note(&self, outcome: &Reloaded) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Reloaded::Applied(revision) => {
                changes.revision = revision.clone();
                changes.rejection = None;
                self.reloads_applied.fetch_add(1, Ordering::Relaxed);
            }
            Reloaded::Unchanged(_) => changes.rejection = None,
            Reloaded::Rejected(rejection) => {
                changes.rejection = Some(rejection.clone());
                self.reloads_rejected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What runs of the resources in the records.
    pub(crate) fn running(&self) -> Running {
        self.running.borrow().clone()
    }

    /// Notes what runs of the resources in the records.
    pub(super) fn note_running(&self, change: impl FnOnce(&mut Running)) {
        self.running.send_modify(change);
    }

    /// Notes that resources could not be put into effect.
    pub(super) fn note_refused(&self, revision: i64, rejection: &Rejection) {
        self.reloads_rejected.fetch_add(1, Ordering::Relaxed);
        let refused = Refused {
            revision,
            at: rejection.at,
            text: rejection.text.clone(),
            diagnostics: rejection.diagnostics.clone(),
        };
        self.note_running(|running| running.refused = Some(Arc::new(refused)));
    }

    /// Reads the configuration anew and puts it into effect; `None` if the process is ending.
    pub(crate) async fn reload(&self) -> Option<Reloaded> {
        self.reload_with(Beside::Same).await
    }

    /// The same, with other resources beside the file.
    pub(crate) async fn reload_with(&self, beside: Beside) -> Option<Reloaded> {
        let (answer, outcome) = oneshot::channel();
        let order = Order { beside, answer };
        self.requests.send(order).await.ok()?;
        outcome.await.ok()
    }
}
