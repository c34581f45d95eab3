//! The data plane's own supervisor: one thread beside the workers that watches upstreams and changes
//! what the workers choose from. Workers never wait for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::health::{Fault, Health, Moment};
use crate::overload::Overload;
use crate::traffic::Traffic;
use crate::upstream::cluster::Cluster;

/// How often time alone is looked at: slow starts, ejections that end, shifts and guards of splits.
const TICK: Duration = Duration::from_millis(100);
/// Names that are resolved at a time.
const MOST_RESOLVING: usize = 16;

/// What the supervisor is told.
pub(crate) enum Notice {
    /// These upstreams are configured now.
    Upstreams(Vec<Arc<Cluster>>),
    /// As many requests in a row as the passive check allows failed at a target.
    Failing {
        cluster: Arc<Cluster>,
        /// Of the target.
        identity: u64,
        /// How many in a row.
        failures: u32,
        /// How the latest one failed.
        last: Fault,
    },
    /// The data plane ends.
    Stop,
}

/// The running supervisor.
pub(crate) struct Control {
    notices: UnboundedSender<Notice>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Control {
    pub(crate) fn start(traffic: Arc<Traffic>, overload: Arc<Overload>) -> std::io::Result<Self> {
        let (notices, receiver) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("weir-control".to_owned())
            .spawn(move || run(receiver, &traffic, &overload))?;
        Ok(Self { notices, thread })
    }

    /// Where workers and revisions send what happens.
    pub(crate) fn notices(&self) -> UnboundedSender<Notice> {
        self.notices.clone()
    }

    /// Ends the thread and waits for it.
    pub(crate) fn join(self) {
        let _ = self.notices.send(Notice::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the supervisor of upstreams ended in a panic");
        }
    }
}

fn run(
    mut notices: UnboundedReceiver<Notice>,
    traffic: &Traffic,
    overload: &Overload,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Names are resolved by threads that wait.
        .max_blocking_threads(MOST_RESOLVING)
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, supervise(&mut notices, traffic, overload));
    // Name resolution may still be waiting on another thread; nobody waits for it.
    drop(tasks);
    runtime.shutdown_background();
    Ok(())
}

async fn supervise(
    notices: &mut UnboundedReceiver<Notice>,
    traffic: &Traffic,
    overload: &Overload,
) {
    let mut supervisor = Supervisor::default();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let notice = tokio::select! {
            notice = notices.recv() => notice,
            _ = tick.tick() => {
                let now = Instant::now();
                overload.tick(now);
                supervisor.tick(now);
                traffic.advance(now);
                continue;
            }
        };
        match notice {
            Some(Notice::Stop) | None => return,
            Some(notice) => supervisor.take(notice),
        }
    }
}

/// What the thread keeps.
#[derive(Default)]
struct Supervisor {
    clusters: Vec<Arc<Cluster>>,
    health: Health,
}

impl Supervisor {
    /// What time alone changes: one call for each concern.
    fn tick(&mut self, now: Instant) {
        self.advance_plans(now);
        self.health.tick(Moment::now());
        self.advance_breakers(now);
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Upstreams(configured) => {
                self.clusters = configured;
                self.health.configure(&self.clusters, Moment::now());
            }
            Notice::Failing {
                cluster,
                identity,
                failures,
                last,
            } => {
                let now = Moment::now();
                self.health.failing(&cluster, identity, failures, last, now);
            }
            Notice::Stop => {}
        }
    }

    fn advance_breakers(&self, now: Instant) {
        for cluster in &self.clusters {
            cluster.advance_breaker(now);
        }
    }

    fn advance_plans(&self, now: Instant) {
        for cluster in &self.clusters {
            cluster.advance(now);
        }
    }
}
