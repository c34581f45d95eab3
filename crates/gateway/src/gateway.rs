//! The data plane as a whole: start, change, report, stop.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{self, UnboundedSender, unbounded_channel};
use weir_config::Config;

use crate::accept::Backlog;
use crate::control::{Control, Notice};
use crate::identify::{self, Changes, Lookup, Risk, Signer};
use crate::listen;
use crate::metrics::WorkerCounters;
use crate::organization::{Organizations, Standing, Standings};
use crate::overload::{Ban, Overload, Source};
use crate::record::AccessRecord;
use crate::snapshot::{Compiler, Snapshot};
use crate::tls::TlsError;
use crate::trace::TraceRecord;
use crate::traffic::{SavedSplit, Traffic};
use crate::upstream::Targets;
use crate::worker::{self, Command, Shared, Start};

/// Access records that may wait for the log's writer, per worker.
const RECORDS: usize = 8 * 1024;
/// Traced requests that may wait for their exporter, per worker.
const TRACES: usize = 4 * 1024;
/// Time that the last WebSockets have to close at the end of a drain.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often a drain looks whether connections are left.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// The data plane cannot run with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A listener's address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a data-plane thread")]
    Thread(#[source] io::Error),
}

/// A listening socket with the address that the configuration names; they differ if the
/// configuration leaves the port to the system.
#[derive(Debug)]
pub struct Socket {
    /// As configured.
    pub address: SocketAddr,
    /// One of the listener's sockets; there is one per worker.
    pub listener: TcpListener,
}

/// What a former process knew, and a start must not forget.
#[derive(Debug, Default)]
pub struct Remembered {
    /// What [`Traffic::saved`] said.
    pub splits: Vec<SavedSplit>,
    /// Whether that process still decides about splits, until [`Traffic::decide`].
    pub former_decides: bool,
    /// How organizations stood.
    pub standings: Standings,
}

/// What leaves the workers: of requests, one ring for each worker.
#[derive(Debug)]
pub struct Rings {
    /// For the access log.
    pub records: Vec<rtrb::Consumer<AccessRecord>>,
    /// Traced requests.
    pub traces: Vec<rtrb::Consumer<Box<TraceRecord>>>,
    /// Questions about credentials, of all workers. Requests wait for the answers.
    pub lookups: mpsc::Receiver<Lookup>,
}

/// Somebody looks on as requests end.
pub struct Watching(Arc<Shared>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Thread {
    commands: UnboundedSender<Command>,
    counters: Arc<WorkerCounters>,
    /// Taken by whoever waits for the thread.
    join: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

/// The running data plane.
pub struct Gateway {
    shared: Arc<Shared>,
    workers: Vec<Thread>,
    targets: Arc<Targets>,
    traffic: Arc<Traffic>,
    organizations: Arc<Organizations>,
    revisions: Mutex<Revisions>,
    /// Taken by whoever waits for its end.
    control: Mutex<Option<Control>>,
}

/// What changes with a revision. Behind one lock: revisions come one at a time.
struct Revisions {
    compiler: Compiler,
    /// Kept beside the workers' own handles, so that they can be handed to a new process.
    sockets: BTreeMap<SocketAddr, Vec<TcpListener>>,
}

impl Gateway {
    /// Starts the data plane. `inherited` are sockets from a former process or a service manager;
    /// those whose address the configuration does not name are closed.
    ///
    /// Returns the workers' rings beside it.
    pub fn start(
        config: &Arc<Config>,
        inherited: Vec<Socket>,
        remembered: Remembered,
    ) -> Result<(Self, Rings), GatewayError> {
        let count = config.workers.max(1);
        let traffic = Traffic::new(remembered.splits, !remembered.former_decides);
        let organizations = Arc::new(Organizations::new(remembered.standings));
        let mut compiler = Compiler::new(count, Arc::clone(&traffic), Arc::clone(&organizations));
        let snapshot = compiler.compile(Arc::clone(config))?;
        let overload = Arc::new(Overload::default());
        overload.configure(&config.overload);
        let control = Control::start(Arc::clone(&traffic), Arc::clone(&overload))
            .map_err(GatewayError::Thread)?;
        let mut sockets = listen::adopt(inherited);
        let wanted: HashSet<SocketAddr> = addresses(config).collect();
        sockets.retain(|address, _| wanted.contains(address));
        listen::complete(&mut sockets, &wanted, count)?;
        let (asking, lookups) = identify::queue();
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            generation: AtomicU64::new(1),
            connections: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            watchers: AtomicUsize::new(0),
            overload,
            asking,
            changes: Arc::default(),
            signer: Signer::default(),
            risk: Risk::default(),
            control: control.notices(),
        });
        let mut workers = Vec::with_capacity(count);
        let mut rings = Rings {
            records: Vec::with_capacity(count),
            traces: Vec::with_capacity(count),
            lookups,
        };
        for index in 0..count {
            let (records, written) = rtrb::RingBuffer::new(RECORDS);
            let (traces, exported) = rtrb::RingBuffer::new(TRACES);
            workers.push(start_worker(index, Arc::clone(&shared), records, traces)?);
            rings.records.push(written);
            rings.traces.push(exported);
        }
        let gateway = Self {
            shared,
            workers,
            targets: Arc::clone(&compiler.targets),
            traffic,
            organizations,
            revisions: Mutex::new(Revisions {
                compiler,
                sockets: BTreeMap::new(),
            }),
            control: Mutex::new(Some(control)),
        };
        gateway.listen(duplicates(&sockets)?);
        let mut revisions = gateway.revisions();
        revisions.sockets = sockets;
        gateway.supervise(&revisions.compiler);
        drop(revisions);
        Ok((gateway, rings))
    }

    /// Until this is dropped, every request comes with a record, whether it is logged or not.
    pub fn watch_requests(&self) -> Watching {
        self.shared.watchers.fetch_add(1, Ordering::Relaxed);
        Watching(Arc::clone(&self.shared))
    }

    fn revisions(&self) -> MutexGuard<'_, Revisions> {
        // A panic between two steps of a change leaves nothing half done that a reader could see.
        self.revisions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the supervisor which upstreams there are.
    fn supervise(&self, compiler: &Compiler) {
        let clusters = compiler.clusters.values().map(Arc::clone).collect();
        let _ = self.shared.control.send(Notice::Upstreams(clusters));
    }

    /// Hands sockets to the workers, spread evenly.
    fn listen(&self, sockets: Vec<Socket>) {
        let mut next = BTreeMap::new();
        for Socket { address, listener } in sockets {
            let worker = next.entry(address).or_insert(0);
            self.tell(
                *worker % self.workers.len(),
                Command::Listen(address, listener),
            );
            *worker += 1;
        }
    }

    fn tell(&self, worker: usize, command: Command) {
        // A worker that ended does not need to be told anything.
        let _ = self.workers[worker].commands.send(command);
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for worker in 0..self.workers.len() {
            self.tell(worker, command());
        }
    }

    /// Puts a configuration into effect: all of it or nothing. Requests under way end with the
    /// configuration that they began with. The number of workers stays what it was at the start.
    pub fn apply(&self, config: Arc<Config>) -> Result<(), GatewayError> {
        let mut revisions = self.revisions();
        let wanted: HashSet<SocketAddr> = addresses(&config).collect();
        let missing: HashSet<SocketAddr> = wanted
            .iter()
            .filter(|at| !revisions.sockets.contains_key(at))
            .copied()
            .collect();
        let mut added = BTreeMap::new();
        listen::complete(&mut added, &missing, self.workers.len())?;
        let handed = duplicates(&added)?;
        let snapshot = revisions.compiler.compile(config)?;
        self.shared.overload.configure(&snapshot.config.overload);
        self.supervise(&revisions.compiler);
        self.shared.snapshot.store(Arc::new(snapshot));
        self.shared.generation.fetch_add(1, Ordering::Release);
        // Workers without traffic take up the new revision, too, and let go of the old one.
        self.tell_all(|| Command::Refresh);
        self.listen(handed);
        revisions.sockets.extend(added);
        let gone: Vec<SocketAddr> = revisions
            .sockets
            .keys()
            .filter(|at| !wanted.contains(at))
            .copied()
            .collect();
        for address in gone {
            revisions.sockets.remove(&address);
            self.tell_all(|| Command::Unlisten(address));
        }
        Ok(())
    }

    /// Replaces an upstream's targets by those that a discovery found. Targets that stay keep their
    /// connections, counters and health; requests under way end where they are. An upstream that is
    /// not there, or lists its targets itself, stays as it is.
    pub fn discovered(&self, upstream: &str, found: Vec<weir_config::model::Target>) {
        let cluster = self.revisions().compiler.clusters.get(upstream).cloned();
        if let Some(cluster) = cluster {
            cluster.discovered(found, &self.targets, Instant::now());
        }
    }

    /// Takes up how organizations stand that routes name. Routes of one that has no traffic refuse requests
    /// from the next one on; their streams and WebSockets end when something would pass. Tells how all
    /// stand now.
    pub fn stand(&self, standing: impl Fn(&str) -> Standing) -> Standings {
        self.organizations.tell(standing)
    }

    /// How organizations stand that routes name.
    pub fn standings(&self) -> Standings {
        self.organizations.standings()
    }

    /// How many organizations routes name of which nobody has said how they stand.
    pub fn unknown_organizations(&self) -> usize {
        self.organizations.unknown()
    }

    /// Which credentials changed: whoever hears of a change notes it there, and no worker believes what it knew.
    pub fn changes(&self) -> &Arc<Changes> {
        &self.shared.changes
    }

    /// What signs tokens for upstreams: whoever has the installation's keys tells it.
    pub fn signer(&self) -> &Signer {
        &self.shared.signer
    }

    /// The splits of routes.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What runs now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Counters, one set per worker.
    pub fn worker_counters(&self) -> impl Iterator<Item = &WorkerCounters> {
        self.workers.iter().map(|worker| &*worker.counters)
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Addresses that are banned now, the longest first.
    pub fn bans(&self) -> Vec<Ban> {
        self.shared.overload.bans.list(Instant::now())
    }

    /// How many these are.
    pub fn bans_active(&self) -> usize {
        self.shared.overload.bans.active()
    }

    /// Lifts an address' ban; tells whether there was one.
    pub fn lift_ban(&self, address: IpAddr) -> bool {
        let bans = &self.shared.overload.bans;
        bans.lift(Source::from(address), Instant::now())
    }

    /// Bans given since the start.
    pub fn bans_given(&self) -> u64 {
        self.shared.overload.bans.given()
    }

    /// 0 while memory is below its mark, 1 above it, 2 a tenth above.
    pub fn memory_pressure(&self) -> u8 {
        self.shared.overload.memory.level() as u8
    }

    /// Addresses listened on: as configured, and as bound.
    pub fn addresses(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let revisions = self.revisions();
        let bound = |listeners: &Vec<TcpListener>| listeners.first()?.local_addr().ok();
        revisions
            .sockets
            .iter()
            .filter_map(|(address, listeners)| Some((*address, bound(listeners)?)))
            .collect()
    }

    /// Copies of the listening sockets, for a new process to go on with.
    pub fn sockets(&self) -> Result<Vec<Socket>, GatewayError> {
        duplicates(&self.revisions().sockets)
    }

    /// Stops accepting, lets requests under way end, and asks clients to leave with their next
    /// answer. Connections that stay silent are closed after half of `within`; from then on until
    /// [`FAREWELL`] before its end WebSockets are closed, each at a time of its own, so that their clients
    /// do not come back all at once. What is left at the end is cut. Tells how many connections that were.
    ///
    /// `handed_over` says that another process has the same listening sockets: connections that
    /// wait in them are its to serve.
    pub async fn drain(&self, within: Duration, handed_over: bool) -> usize {
        let backlog = if handed_over {
            Backlog::Leave
        } else {
            Backlog::Serve
        };
        self.tell_all(|| Command::Drain(backlog));
        self.revisions().sockets.clear();
        let end = tokio::time::Instant::now() + within;
        let close = tokio::time::Instant::now() + within / 2;
        // What they do not need is theirs to go on.
        let leave = end - FAREWELL.min(within / 4);
        let mut closing = false;
        let mut leaving = false;
        let mut interval = tokio::time::interval(DRAIN_LOOK);
        loop {
            let now = interval.tick().await;
            // Before all have closed, connections may still come from what waited to be accepted.
            let is_closed = self.shared.closed.load(Ordering::Acquire) >= self.workers.len();
            if (is_closed && self.connections() == 0) || now >= end {
                break;
            }
            if !closing && now >= close {
                self.tell_all(|| Command::Close {
                    websockets_within: leave - close,
                });
                closing = true;
            }
            if !leaving && now >= leave {
                self.tell_all(|| Command::Leave);
                leaving = true;
            }
        }
        let left = self.connections();
        self.tell_all(|| Command::Stop);
        left
    }

    /// Ends the workers at once and waits until they have ended; their last records are in the rings
    /// then.
    pub fn join(&self) {
        self.tell_all(|| Command::Stop);
        let control = self
            .control
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(control) = control {
            control.join();
        }
        for worker in &self.workers {
            let join = worker
                .join
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(Err(_)) = join.map(JoinHandle::join) {
                tracing::error!("a data-plane thread ended in a panic");
            }
        }
    }
}

/// The same sockets for somebody else to use.
fn duplicates(
    sockets: &BTreeMap<SocketAddr, Vec<TcpListener>>,
) -> Result<Vec<Socket>, GatewayError> {
    let pairs = sockets
        .iter()
        .flat_map(|(address, listeners)| listeners.iter().map(|listener| (*address, listener)));
    pairs
        .map(|(address, listener)| match listener.try_clone() {
            Ok(listener) => Ok(Socket { address, listener }),
            Err(source) => Err(GatewayError::Listen { address, source }),
        })
        .collect()
}

fn addresses(config: &Config) -> impl Iterator<Item = SocketAddr> {
    config.listeners.iter().map(|listener| listener.address)
}

fn start_worker(
    index: usize,
    shared: Arc<Shared>,
    records: rtrb::Producer<AccessRecord>,
    traces: rtrb::Producer<Box<TraceRecord>>,
) -> Result<Thread, GatewayError> {
    let (sender, commands) = unbounded_channel();
    let counters = Arc::new(WorkerCounters::default());
    let start = Start {
        index,
        shared,
        counters: Arc::clone(&counters),
        commands,
        records,
        traces,
    };
    let join = std::thread::Builder::new()
        .name(format!("weir-worker-{index}"))
        .spawn(move || worker::run(start))
        .map_err(GatewayError::Thread)?;
    Ok(Thread {
        commands: sender,
        counters,
        join: Mutex::new(Some(join)),
    })
}
