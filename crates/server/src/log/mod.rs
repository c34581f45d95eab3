//! The access log and the application log: one output, one form, one thread that writes.
//!
//! Workers put access records into rings; everything else comes through `tracing`. Neither waits
//! for the output: what it cannot take is counted, and lost.

mod access;
mod application;
mod escape;
mod json;
mod output;
pub(crate) mod timestamp;
mod writer;

use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use anyhow::Context;
use rtrb::Consumer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};
use weir_config::model::{Log, LogFormat, LogOutput};
use weir_gateway::AccessRecord;

use application::Lines;
pub(crate) use output::Counters;
use output::{Batch, Output};
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
}

impl Form {
    /// Colours only where a person sees them, and not if they asked for none (no-color.org).
    fn of(format: LogFormat, is_terminal: bool) -> Self {
        match format {
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
    messages: SyncSender<Vec<u8>>,
    thread: Thread,
    form: Arc<SharedForm>,
    counters: Arc<Counters>,
    /// What can change the level; not there while `WEIR_LOG` sets it.
    filter: Mutex<Option<Handle<EnvFilter, Registry>>>,
    current: Mutex<Current>,
}

struct Current {
    output: LogOutput,
    is_terminal: bool,
    format: LogFormat,
}

impl LogHandle {
    /// Opens the output, starts the writer and takes up what `tracing` reports from now on.
    pub(crate) fn start(settings: &Log) -> anyhow::Result<Self> {
        let chosen = application::filter_from_environment()?;
        let is_chosen = chosen.is_some();
        let log = Self::write_to(settings)?;
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
    fn write_to(settings: &Log) -> anyhow::Result<Self> {
        let output = open(&settings.output)?;
        let is_terminal = output.is_terminal;
        let form = Arc::new(SharedForm::new(Form::of(settings.format, is_terminal)));
        let counters = Arc::new(Counters::default());
        let (commands, obeyed) = channel();
        let (messages, written) = sync_channel(MESSAGES);
        let writer = Writer {
            commands: obeyed,
            messages: written,
            records: Vec::new(),
            batch: Batch::new(output, Arc::clone(&counters)),
            form: Arc::clone(&form),
        };
        let thread = thread::Builder::new()
            .name("weir-log".into())
            .spawn(move || writer.run())
            .context("cannot start the log's thread")?;
        let current = Current {
            output: settings.output.clone(),
            is_terminal,
            format: settings.format,
        };
        Ok(Self(Arc::new(Inner {
            commands,
            messages,
            thread: thread.thread().clone(),
            form,
            counters,
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
        let is_changed = lock(&self.0.current).output != settings.output;
        let opened = if is_changed {
            Some(open(&settings.output)?)
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
            current.is_terminal = output.is_terminal;
        }
        current.format = settings.format;
        self.tell(Command::Change(
            Form::of(current.format, current.is_terminal),
            opened,
        ));
    }

    /// Opens the file anew after it was moved away; other outputs stay as they are. If that fails,
    /// the moved file is written on.
    pub(crate) fn reopen(&self) {
        let current = lock(&self.0.current);
        if !matches!(current.output, LogOutput::File(_)) {
            return;
        }
        match open(&current.output) {
            Ok(output) => {
                self.tell(Command::Change(
                    Form::of(current.format, false),
                    Some(output),
                ));
            }
            Err(error) => tracing::error!("the former log file is written on: {error:#}"),
        }
    }

    /// Writes everything that is pending and ends. Call it after the data plane has drained; an
    /// output that takes nothing holds it up for three seconds at most.
    pub(crate) fn finish(&self) {
        let (done, finished) = channel();
        self.tell(Command::Finish(done));
        // Nobody is left to tell that lines are lost.
        let _ = finished.recv_timeout(FINISH);
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

fn open(output: &LogOutput) -> anyhow::Result<Output> {
    Output::open(output).with_context(|| match output {
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
mod tests;
