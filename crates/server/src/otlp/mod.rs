//! Export of traces and logs by the OpenTelemetry protocol (OTLP 1.x).
//!
//! One thread of its own takes what workers and the log hand over through bounded queues, makes batches
//! of it and sends them. Nobody waits for it: what finds a queue full is dropped and counted.

mod attributes;
mod client;
mod exporting;
mod lane;
mod logs;
mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use rtrb::Consumer;
use tokio::sync::mpsc;
use weir_config::Config;
use weir_gateway::TraceRecord;

use crate::redact::Redactor;
use client::Client;

pub(crate) use attributes::{double, integer, text};
pub(crate) use logs::{access, application};

/// Log records that may wait to be taken up.
const LOGS: usize = 8 * 1024;
/// How long the end of the process waits for a receiver.
const FINISH: Duration = Duration::from_secs(2);

/// What the thread is told.
enum Command {
    /// Export the traces of these rings.
    Follow(Vec<Consumer<Box<TraceRecord>>>),
    /// Send to this receiver from now on; to none, if there is none.
    Change(Option<Box<Client>>, Arc<Redactor>),
    /// Send everything that is pending, answer and end.
    Finish(Sender<()>),
}

/// What became of a signal's items.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) exported: AtomicU64,
    /// Not taken up, because too many waited.
    pub(crate) queue_full: AtomicU64,
    /// The receiver would not have them.
    pub(crate) rejected: AtomicU64,
    /// The receiver was away for too long.
    pub(crate) expired: AtomicU64,
    /// Attempts to send that failed.
    pub(crate) failures: AtomicU64,
}

/// Counts for metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) spans: Outcomes,
    pub(crate) logs: Outcomes,
}

fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// The running exporter.
#[derive(Clone)]
pub(crate) struct Exporter(Arc<Inner>);

struct Inner {
    commands: mpsc::UnboundedSender<Command>,
    logs: mpsc::Sender<LogRecord>,
    counters: Arc<Counters>,
}

/// A receiver that can be spoken to.
pub(crate) struct Prepared {
    client: Option<Client>,
    redactor: Arc<Redactor>,
}

/// Where log records are handed over.
#[derive(Clone)]
pub(crate) struct LogQueue {
    sender: mpsc::Sender<LogRecord>,
    counters: Arc<Counters>,
}

impl LogQueue {
    /// Never waits.
    pub(crate) fn push(&self, record: LogRecord) {
        if self.sender.try_send(record).is_err() {
            count(&self.counters.logs.queue_full, 1);
        }
    }
}

impl Exporter {
    /// Starts the thread; it does nothing as long as there is no receiver.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (commands, obeyed) = mpsc::unbounded_channel();
        let (logs, taken) = mpsc::channel(LOGS);
        let counters = Arc::new(Counters::default());
        let exporting = exporting::Exporting::new(obeyed, taken, Arc::clone(&counters));
        thread::Builder::new()
            .name("weir-otlp".into())
            .spawn(move || exporting.run())
            .context("cannot start the thread of the exporter")?;
        Ok(Self(Arc::new(Inner {
            commands,
            logs,
            counters,
        })))
    }

    /// Reads what the receiver needs; nothing is changed yet.
    pub(crate) fn prepare(config: &Config) -> anyhow::Result<Prepared> {
        let client = config.otlp.as_ref().map(Client::new).transpose();
        Ok(Prepared {
            client: client.context("the receiver under `otlp` cannot be used")?,
            redactor: Arc::new(Redactor::new(&config.log.redact)),
        })
    }

    /// Sends to another receiver from now on; what is pending goes there, too.
    pub(crate) fn commit(&self, prepared: Prepared) {
        let Prepared { client, redactor } = prepared;
        self.tell(Command::Change(client.map(Box::new), redactor));
    }

    /// Exports the traces of these rings.
    pub(crate) fn follow(&self, traces: Vec<Consumer<Box<TraceRecord>>>) {
        self.tell(Command::Follow(traces));
    }

    /// Where logs are handed over.
    pub(crate) fn logs(&self) -> LogQueue {
        LogQueue {
            sender: self.0.logs.clone(),
            counters: Arc::clone(&self.0.counters),
        }
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }

    /// Sends everything that is pending and ends; a receiver that is away holds it up for two seconds
    /// at most. Call it after the data plane and the log have ended.
    pub(crate) fn finish(&self) {
        let (done, finished) = channel();
        self.tell(Command::Finish(done));
        // What is not sent by then is lost; nobody is left to tell.
        let _ = finished.recv_timeout(FINISH);
    }

    fn tell(&self, command: Command) {
        // A thread that has ended does not need to be told anything.
        let _ = self.0.commands.send(command);
    }
}
