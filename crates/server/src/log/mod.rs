//! The access log and the application log: one output, one form; one thread that makes lines, and one
//! that writes them.
//!
//! Workers put access records into rings; everything else comes through `tracing`. Neither waits
//! for the output: what it cannot take is counted, and lost.

mod access;
mod application;
mod escape;
mod file;
mod json;
mod outlet;
mod output;
pub(crate) mod timestamp;
mod writer;

use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use anyhow::Context;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use rtrb::Consumer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};
use weir_config::model::{Log, LogFormat, LogOutput, LogRotation};
use weir_gateway::AccessRecord;

use crate::otlp::LogQueue;
use crate::redact::Redactor;
use crate::requests::Journal;

pub(crate) use access::{split_host, write_json};
use application::Lines;
pub(crate) use escape::printable;
use outlet::Outlet;
pub(crate) use output::Counters;
use output::Output;
use writer::{Command, SharedForm, Writer};

/// Application messages that may wait for the writer.
const MESSAGES: usize = 4 * 1024;
/// How long the end of the process waits for an output that takes nothing.
const FINISH: Duration = Duration::from_secs(3);

/// Form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    /// One JSON object.
    Json = 0,
    /// For people.
    Text = 1,
    /// For people, with colours.
    Colored = 2,
    /// No line, but a record for a receiver.
    Otlp = 3,
}

/// What the process says about itself, on its way to the writer.
enum Message {
    /// One or more whole lines.
    Lines(Vec<u8>),
    Record(Box<LogRecord>),
}

impl Form {
    /// Colours only where a person sees them, and not if they asked for none (no-color.org).
    fn of(format: LogFormat, output: &LogOutput, is_terminal: bool) -> Self {
        match format {
            _ if *output == LogOutput::Otlp => Self::Otlp,
            LogFormat::Json => Self::Json,
            LogFormat::Text if is_terminal && !no_color() => Self::Colored,
            LogFormat::Text => Self::Text,
        }
    }
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The running log.
#[derive(Clone)]
pub(crate) struct LogHandle(Arc<Inner>);

struct Inner {
    commands: Sender<Command>,
    messages: SyncSender<Message>,
    thread: Thread,
    form: Arc<SharedForm>,
    counters: Arc<Counters>,
    journal: Arc<Journal>,
    /// What can change the level; not there while `WEIR_LOG` sets it.
    filter: Mutex<Option<Handle<EnvFilter, Registry>>>,
    current: Mutex<Current>,
}

struct Current {
    output: LogOutput,
    is_terminal: bool,
    format: LogFormat,
    rotation: Option<LogRotation>,
    redactor: Arc<Redactor>,
}

impl LogHandle {
    /// Opens the output, starts the writer and takes up what `tracing` reports from now on.
    pub(crate) fn start(settings: &Log, exporter: LogQueue) -> anyhow::Result<Self> {
        let chosen = application::filter_from_environment()?;
        let is_chosen = chosen.is_some();
        let log = Self::write_to(settings, exporter)?;
        let filter = chosen.unwrap_or_else(|| application::filter(settings.level));
        let (filter, handle) = reload::Layer::new(filter);
        tracing_subscriber::registry()
            .with(log.lines().with_filter(filter))
            .try_init()
            .context("cannot set up the application log")?;
        if !is_chosen {
            *lock(&log.0.filter) = Some(handle);
        }
        Ok(log)
    }

    /// Everything but `tracing`.
    fn write_to(settings: &Log, exporter: LogQueue) -> anyhow::Result<Self> {
        let output = open(&settings.output, settings.rotate)?;
        let is_terminal = output.is_terminal;
        let form = Form::of(settings.format, &settings.output, is_terminal);
        let form = Arc::new(SharedForm::new(form));
        let redactor = Arc::new(Redactor::new(&settings.redact));
        let counters = Arc::new(Counters::default());
        let journal = Arc::new(Journal::default());
        let (commands, obeyed) = channel();
        let (messages, written) = sync_channel(MESSAGES);
        let writer = Writer {
            commands: obeyed,
            messages: written,
            records: Vec::new(),
            outlet: Outlet::start(output, Arc::clone(&counters))?,
            form: Arc::clone(&form),
            redactor: Arc::clone(&redactor),
            exporter,
            journal: Arc::clone(&journal),
        };
        let thread = thread::Builder::new()
            .name("weir-log".into())
            .spawn(move || writer.run())
            .context("cannot start the log's thread")?;
        let current = Current {
            output: settings.output.clone(),
            is_terminal,
            format: settings.format,
            rotation: settings.rotate,
            redactor,
        };
        Ok(Self(Arc::new(Inner {
            commands,
            messages,
            thread: thread.thread().clone(),
            form,
            counters,
            journal,
            filter: Mutex::new(None),
            current: Mutex::new(current),
        })))
    }

    fn lines(&self) -> Lines {
        Lines {
            messages: self.0.messages.clone(),
            form: Arc::clone(&self.0.form),
            counters: Arc::clone(&self.0.counters),
        }
    }

    /// Writes the access records of these rings from now on.
    pub(crate) fn follow(&self, records: Vec<Consumer<AccessRecord>>) {
        self.tell(Command::Follow(records));
    }

    /// Opens what changed settings write to; nothing is changed yet.
    pub(crate) fn prepare(&self, settings: &Log) -> anyhow::Result<Prepared> {
        let is_changed = {
            let current = lock(&self.0.current);
            current.output != settings.output || current.rotation != settings.rotate
        };
        let opened = if is_changed {
            Some(open(&settings.output, settings.rotate)?)
        } else {
            None
        };
        Ok(Prepared {
            settings: settings.clone(),
            opened,
        })
    }

    /// Takes up settings that were prepared.
    pub(crate) fn commit(&self, prepared: Prepared) {
        let Prepared { settings, opened } = prepared;
        if let Some(filter) = &*lock(&self.0.filter) {
            // It fails only when the process ends.
            let _ = filter.reload(application::filter(settings.level));
        }
        let mut current = lock(&self.0.current);
        if let Some(output) = &opened {
            current.output = settings.output;
            current.rotation = settings.rotate;
            current.is_terminal = output.is_terminal;
        }
        current.format = settings.format;
        current.redactor = Arc::new(Redactor::new(&settings.redact));
        self.change(&current, opened);
    }

    /// Opens the file anew after it was moved away; other outputs stay as they are. If that fails,
    /// the moved file is written on.
    pub(crate) fn reopen(&self) {
        let current = lock(&self.0.current);
        if !matches!(current.output, LogOutput::File(_)) {
            return;
        }
        match open(&current.output, current.rotation) {
            Ok(output) => self.change(&current, Some(output)),
            Err(error) => tracing::error!("the former log file is written on: {error:#}"),
        }
    }

    fn change(&self, current: &Current, opened: Option<Output>) {
        let form = Form::of(current.format, &current.output, current.is_terminal);
        let redactor = Arc::clone(&current.redactor);
        self.tell(Command::Change(form, redactor, opened));
    }

    /// Writes everything that is pending and ends. Call it after the data plane has drained; an
    /// output that takes nothing holds it up for three seconds at most.
    pub(crate) fn finish(&self) {
        let (done, finished) = channel();
        self.tell(Command::Finish(done));
        // Nobody is left to tell that lines are lost.
        let _ = finished.recv_timeout(FINISH);
    }

    /// The latest requests.
    pub(crate) fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.0.journal)
    }

    /// What nobody may be shown of a request.
    pub(crate) fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&lock(&self.0.current).redactor)
    }

    /// What was lost, for metrics.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.counters)
    }

    #[cfg(test)]
    fn flush(&self) {
        let (done, flushed) = channel();
        self.tell(Command::Flush(done));
        flushed.recv().expect("the writer lives");
    }

    fn tell(&self, command: Command) {
        // A writer that has ended does not need to be told anything.
        let _ = self.0.commands.send(command);
        self.0.thread.unpark();
    }
}

/// Settings whose output is open already.
pub(crate) struct Prepared {
    settings: Log,
    opened: Option<Output>,
}

fn open(output: &LogOutput, rotation: Option<LogRotation>) -> anyhow::Result<Output> {
    Output::open(output, rotation).with_context(|| match output {
        LogOutput::Otlp => "cannot log to the receiver".to_owned(),
        LogOutput::Stdout => "cannot log to standard output".to_owned(),
        LogOutput::Stderr => "cannot log to standard error".to_owned(),
        LogOutput::File(path) => format!("cannot open the log file {}", path.display()),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change under these locks is a single assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests;
