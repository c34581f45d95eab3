//! One thread of the data plane: its runtime, its listeners, its state.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::accept::{self, Backlog};
use crate::buffers::Buffers;
use crate::control::Notice;
use crate::identify::{Asking, Changes, Risk, Signer, Suspects, Verified};
use crate::metrics::WorkerCounters;
use crate::overload::{Line, MemoryLevel, Overload, Shedder};
use crate::record::AccessRecord;
use crate::shaping::Encoders;
use crate::snapshot::{LocalSnapshot, Snapshot};
use crate::timer::{RESOLUTION, Timers};
use crate::trace::TraceRecord;
use crate::upstream::Pools;
use crate::whole::Strangers;

/// How often pools are looked through for connections that are of no use any more.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// Grows with every snapshot, after it was stored.
    pub(crate) generation: AtomicU64,
    /// Open client connections of the process.
    pub(crate) connections: AtomicUsize,
    /// Workers that accept nothing more, and have taken up what waited to be accepted.
    pub(crate) closed: AtomicUsize,
    /// How many look on as requests end.
    pub(crate) watchers: AtomicUsize,
    /// What is known of addresses and memory.
    pub(crate) overload: Arc<Overload>,
    /// Who is asked about credentials.
    pub(crate) asking: Asking,
    /// Which of them changed.
    pub(crate) changes: Arc<Changes>,
    /// What signs tokens for upstreams.
    pub(crate) signer: Signer,
    /// What failures of addresses come to.
    pub(crate) risk: Risk,
    /// The supervisor of upstreams.
    pub(crate) control: UnboundedSender<Notice>,
}

/// What a worker can be told.
pub(crate) enum Command {
    /// Accept on this socket, which belongs to the listener of that address.
    Listen(SocketAddr, std::net::TcpListener),
    /// Accept no more for the listener of that address.
    Unlisten(SocketAddr),
    /// Look at the snapshot: it is new.
    Refresh,
    /// Accept nothing more; each connection's next answer is its last.
    Drain(Backlog),
    /// Close idle connections, and WebSockets one by one within this time.
    Close { websockets_within: Duration },
    /// Close the WebSockets that are left.
    Leave,
    /// End at once.
    Stop,
}

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// Clients are asked to leave with their next answer.
    Draining,
    /// Connections without a request are closed, and now and then a WebSocket, which nothing else would
    /// end.
    Closing,
    /// All WebSockets are closed.
    Leaving,
}

/// The state that connections of one worker share. Never leaves its thread.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) timers: Rc<Timers>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) pools: Pools,
    pub(crate) encoders: Rc<Encoders>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<WorkerCounters>,
    phase: Cell<Phase>,
    /// By when WebSockets are closed, in the worker's time.
    left_by: Cell<u64>,
    current: RefCell<Rc<LocalSnapshot>>,
    records: RefCell<rtrb::Producer<AccessRecord>>,
    traces: RefCell<rtrb::Producer<Box<TraceRecord>>>,
    date: Cell<[u8; 29]>,
    pub(crate) open: Cell<u64>,
    pub(crate) line: Line,
    pub(crate) shedder: Shedder,
    /// The process' level, as of the last round of housekeeping.
    pub(crate) memory: Cell<MemoryLevel>,
    /// Grows when connections that are idle at that moment are to be closed.
    pub(crate) idle_closings: Cell<u32>,
    /// Bytes of bodies that are held as a whole.
    pub(crate) held: Cell<usize>,
    /// Those of them that may not be good.
    pub(crate) strangers: RefCell<Strangers>,
    /// Credentials that were found to be good.
    pub(crate) verified: Verified,
    /// Connections whose credentials were not good.
    pub(crate) suspects: Suspects,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// The snapshot to serve a request with.
    pub(crate) fn snapshot(&self) -> Rc<LocalSnapshot> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if self.current.borrow().generation != generation {
            self.refresh(generation);
        }
        Rc::clone(&self.current.borrow())
    }

    fn refresh(&self, generation: u64) {
        let shared = self.shared.snapshot.load_full();
        let fresh = LocalSnapshot::new(
            shared,
            generation,
            Some(&self.current.borrow()),
            &self.pools,
        );
        self.verified.resize(fresh.credential_cache);
        *self.current.borrow_mut() = Rc::new(fresh);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// When a WebSocket is to be closed, in the worker's time; another time for each one. `None` as long
    /// as the process is not about to end.
    pub(crate) fn time_to_leave(&self) -> Option<u64> {
        let now = self.timers.now();
        match self.phase() {
            Phase::Serving | Phase::Draining => None,
            Phase::Closing => Some(fastrand::u64(now..=self.left_by.get().max(now))),
            Phase::Leaving => Some(now),
        }
    }

    /// The value of a `Date` field (RFC 9110 §6.6.1), at most [`RESOLUTION`] and a second old.
    pub(crate) fn date(&self) -> [u8; 29] {
        self.date.get()
    }

    /// Hands a record to whoever writes the log; counts it as dropped if that one is too slow.
    pub(crate) fn push_record(&self, record: AccessRecord) {
        if self.records.borrow_mut().push(record).is_err() {
            self.counters.records_dropped.add(1);
        }
    }

    /// Hands a traced request to whoever exports it; counts it as dropped if that one is too slow.
    pub(crate) fn push_trace(&self, record: Box<TraceRecord>) {
        if self.traces.borrow_mut().push(record).is_err() {
            self.counters.traces_dropped.add(1);
        }
    }

    /// Whether somebody looks on as requests end. Read by each request, and written when somebody comes
    /// or goes.
    pub(crate) fn is_watched(&self) -> bool {
        self.shared.watchers.load(Ordering::Relaxed) > 0
    }

    /// Whether there is time and memory for every request, at once.
    pub(crate) fn is_calm(&self) -> bool {
        !self.line.is_open() && self.shedder.is_calm() && self.memory.get() == MemoryLevel::Calm
    }

    /// Takes up how the worker and the process fare. `delay` is how late this is: it waited behind
    /// everything that was ready to run.
    fn look_after_load(&self, since: Duration, delay: Duration) {
        let snapshot = self.snapshot();
        self.line.look(Instant::now(), since, delay);
        self.shedder
            .look(since, delay, snapshot.config.overload.delay);
        let pressure = f64::from(self.shedder.pressure()) * 1e3;
        self.counters.pressure.set(pressure.round() as u64);
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.counters.delay_nanos.set(nanos);
        let wait = self.line.expected_wait().as_nanos();
        let wait = u64::try_from(wait).unwrap_or(u64::MAX);
        self.counters.turn_nanos.set(wait);
        let level = self.shared.overload.memory.level();
        if self.memory.replace(level) < level {
            self.close_idle();
        }
    }

    /// Closes the connections that wait for a request now.
    fn close_idle(&self) {
        self.idle_closings.set(self.idle_closings.get() + 1);
        self.timers.wake_all();
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(self.phase.get().max(phase));
        self.timers.wake_all();
    }

    async fn keep_house(self: Rc<Self>) {
        let mut interval = tokio::time::interval(RESOLUTION);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pruned = 0;
        let mut second = 0;
        let mut looked = Instant::now();
        loop {
            let due = interval.tick().await;
            let (delay, since) = (due.elapsed(), looked.elapsed());
            looked = Instant::now();
            self.look_after_load(since, delay);
            let now = SystemTime::now();
            let since_epoch = now
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            if since_epoch.as_secs() != second {
                second = since_epoch.as_secs();
                self.date.set(format_date(now));
            }
            if self.timers.now() >= pruned + PRUNE_EVERY.as_millis() as u64 {
                pruned = self.timers.now();
                self.snapshot().refresh_views(&self.pools);
                self.pools.prune();
                if self.memory.get() > MemoryLevel::Calm {
                    self.close_idle();
                }
            }
        }
    }
}

fn format_date(now: SystemTime) -> [u8; 29] {
    let text = httpdate::fmt_http_date(now);
    let mut date = [b' '; 29];
    for (to, from) in date.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    date
}

/// A listener that accepts.
struct Accepting {
    stop: oneshot::Sender<Backlog>,
    task: JoinHandle<()>,
}

impl Accepting {
    /// Waits until nothing more is accepted; that takes a moment only.
    async fn stop(self, backlog: Backlog) {
        let _ = self.stop.send(backlog);
        let _ = self.task.await;
    }
}

/// What a worker starts with.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) commands: UnboundedReceiver<Command>,
    pub(crate) records: rtrb::Producer<AccessRecord>,
    pub(crate) traces: rtrb::Producer<Box<TraceRecord>>,
}

/// Runs a worker on the calling thread until it is told to stop, or is drained and idle.
pub(crate) fn run(start: Start) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, serve(start));
    // Name resolution may still be waiting on another thread; nobody waits for it.
    drop(tasks);
    runtime.shutdown_background();
    Ok(())
}

async fn serve(start: Start) {
    let Start {
        index,
        shared,
        counters,
        mut commands,
        records,
        traces,
    } = start;
    let timers = Timers::new();
    let buffers = Buffers::new();
    let pools = Pools::new(index, Rc::clone(&timers), Rc::clone(&buffers));
    let generation = shared.generation.load(Ordering::Acquire);
    let first = LocalSnapshot::new(shared.snapshot.load_full(), generation, None, &pools);
    let verified = Verified::new(first.credential_cache, &counters);
    let worker = Rc::new(Worker {
        index,
        timers: Rc::clone(&timers),
        buffers,
        pools,
        encoders: Rc::default(),
        shared,
        counters,
        phase: Cell::new(Phase::Serving),
        left_by: Cell::new(0),
        current: RefCell::new(Rc::new(first)),
        records: RefCell::new(records),
        traces: RefCell::new(traces),
        date: Cell::new(format_date(SystemTime::now())),
        open: Cell::new(0),
        line: Line::default(),
        shedder: Shedder::default(),
        memory: Cell::default(),
        idle_closings: Cell::new(0),
        held: Cell::new(0),
        strangers: RefCell::default(),
        verified,
        suspects: Suspects::new(),
    });
    tokio::task::spawn_local(timers.run());
    tokio::task::spawn_local(Rc::clone(&worker).keep_house());
    let calling = Rc::clone(&worker);
    tokio::task::spawn_local(async move { calling.line.call_up().await });
    let mut listeners: HashMap<SocketAddr, Vec<Accepting>> = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen(address, socket) => {
                let (stop, stopped) = oneshot::channel();
                let accepting = accept::run(Rc::clone(&worker), address, socket, stopped);
                let task = tokio::task::spawn_local(accepting);
                listeners
                    .entry(address)
                    .or_default()
                    .push(Accepting { stop, task });
            }
            Command::Unlisten(address) => {
                for accepting in listeners.remove(&address).into_iter().flatten() {
                    accepting.stop(Backlog::Serve).await;
                }
            }
            Command::Refresh => drop(worker.snapshot()),
            Command::Drain(backlog) => {
                for accepting in listeners.drain().flat_map(|(_, accepting)| accepting) {
                    accepting.stop(backlog).await;
                }
                worker.shared.closed.fetch_add(1, Ordering::Release);
                worker.enter(Phase::Draining);
            }
            Command::Close { websockets_within } => {
                let within = u64::try_from(websockets_within.as_millis()).unwrap_or(u64::MAX);
                let left_by = worker.timers.now().saturating_add(within);
                worker.left_by.set(left_by);
                worker.enter(Phase::Closing);
            }
            Command::Leave => worker.enter(Phase::Leaving),
            Command::Stop => return,
        }
    }
}
