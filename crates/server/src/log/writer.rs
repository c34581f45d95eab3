//! The thread of the log: takes what workers and the process tell, makes lines of it and hands them to
//! the outlet, and keeps requests for those who ask. It waits for nobody: not even for the output.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use rtrb::Consumer;
use weir_gateway::AccessRecord;

use super::outlet::Outlet;
use super::output::Output;
use super::{Form, Message, access};
use crate::otlp::{self, LogQueue};
use crate::redact::Redactor;
use crate::requests::Journal;

/// How often the rings are looked at.
const POLL: Duration = Duration::from_millis(20);
/// At the end, how long workers that still run are listened to.
const LAST_RECORDS: Duration = Duration::from_secs(1);

/// Records made to lines at a time; until then their places in the ring are taken.
const CHUNK: usize = 256;

/// What the thread can be told.
pub(super) enum Command {
    /// Take records from these rings, too.
    Follow(Vec<Consumer<AccessRecord>>),
    /// Write in this form by these rules, and to another output if there is one.
    Change(Form, Arc<Redactor>, Option<Output>),
    /// Write what is pending, then answer.
    #[cfg(test)]
    Flush(Sender<()>),
    /// Write everything until the workers have ended, answer and end.
    Finish(Sender<()>),
}

/// The form in effect, for those who write lines and those who read records.
pub(super) struct SharedForm(AtomicU8);

impl SharedForm {
    pub(super) fn new(form: Form) -> Self {
        Self(AtomicU8::new(form as u8))
    }

    pub(super) fn get(&self) -> Form {
        match self.0.load(Ordering::Relaxed) {
            0 => Form::Json,
            1 => Form::Text,
            2 => Form::Colored,
            _ => Form::Otlp,
        }
    }

    fn set(&self, form: Form) {
        self.0.store(form as u8, Ordering::Relaxed);
    }
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) commands: Receiver<Command>,
    /// Application messages.
    pub(super) messages: Receiver<Message>,
    pub(super) records: Vec<Consumer<AccessRecord>>,
    pub(super) outlet: Outlet,
    pub(super) form: Arc<SharedForm>,
    /// What no line may show.
    pub(super) redactor: Arc<Redactor>,
    /// Where logs go that are exported.
    pub(super) exporter: LogQueue,
    /// Where requests go as well.
    pub(super) journal: Arc<Journal>,
}

impl Writer {
    pub(super) fn run(mut self) {
        loop {
            self.collect();
            match self.commands.try_recv() {
                Ok(command) => {
                    if self.obey(command).is_break() {
                        return;
                    }
                }
                Err(TryRecvError::Empty) => thread::park_timeout(POLL),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Writes what has come in so far; what comes in meanwhile has its turn the next time.
    fn collect(&mut self) {
        let Self {
            messages,
            records,
            outlet,
            form,
            redactor,
            exporter,
            journal,
            ..
        } = self;
        for message in messages.try_iter() {
            match message {
                Message::Lines(text) => outlet.add(|lines| lines.extend_from_slice(&text)),
                Message::Record(record) => exporter.push(*record),
            }
        }
        let form = form.get();
        let mut ended = Vec::new();
        for ring in records.iter_mut() {
            let mut left = ring.slots();
            while let Ok(chunk) = ring.read_chunk(left.min(CHUNK))
                && left > 0
            {
                left -= chunk.len();
                let (first, second) = chunk.as_slices();
                for record in first.iter().chain(second).filter(|record| record.is_logged) {
                    if form == Form::Otlp {
                        exporter.push(otlp::access(record, redactor));
                    } else {
                        outlet.add(|lines| access::write(lines, record, redactor, form));
                    }
                }
                ended.extend(chunk.into_iter().map(Arc::new));
            }
        }
        if !ended.is_empty() {
            journal.add(ended);
        }
        outlet.hand_over();
        // In this order: nothing is added to a ring that was abandoned.
        records.retain(|ring| !(ring.is_abandoned() && ring.is_empty()));
    }

    fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Follow(records) => self.records.extend(records),
            Command::Change(form, redactor, output) => {
                // What came in before belongs to the former form and output.
                self.collect();
                self.form.set(form);
                self.redactor = redactor;
                if let Some(output) = output {
                    self.outlet.change(output);
                }
            }
            #[cfg(test)]
            Command::Flush(done) => {
                self.collect();
                self.outlet.tell_when_written(done);
            }
            Command::Finish(done) => {
                self.finish();
                self.outlet.tell_when_written(done);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn finish(&mut self) {
        let end = Instant::now() + LAST_RECORDS;
        loop {
            self.collect();
            if self.records.is_empty() || Instant::now() >= end {
                break;
            }
            thread::park_timeout(POLL);
        }
        self.collect();
    }
}

#[cfg(test)]
mod tests;
