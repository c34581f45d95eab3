//! The way to the output: lines are put together on one side and written on the other, by a thread of
//! its own. An output that takes nothing holds up that thread only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::Context;

use super::output::{Counters, Output, Writing};

/// Bytes collected before they are handed over.
const BATCH: usize = 64 * 1024;
/// Bytes that may wait for the output: what a busy process logs in about a second.
const MOST_WAITING: usize = 16 << 20;
/// Buffers that are used again.
const SPARE: usize = 4;

enum Job {
    Lines(Vec<u8>),
    /// Write to this one from now on.
    Change(Output),
    /// Tell that everything before it was written.
    Tell(Sender<()>),
}

/// Where lines are put together.
pub(super) struct Outlet {
    lines: Vec<u8>,
    jobs: Sender<Job>,
    /// Buffers that came back.
    spare: Receiver<Vec<u8>>,
    /// Bytes that were handed over and are not written yet.
    waiting: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

impl Outlet {
    /// Starts the thread. It ends with this, behind what waits then.
    pub(super) fn start(output: Output, counters: Arc<Counters>) -> anyhow::Result<Self> {
        let (jobs, done) = channel();
        let (used, spare) = sync_channel(SPARE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let pump = Pump {
            jobs: done,
            used,
            waiting: Arc::clone(&waiting),
            writing: Writing::new(output, Arc::clone(&counters)),
        };
        thread::Builder::new()
            .name("weir-output".into())
            .spawn(move || pump.run())
            .context("cannot start the thread of the log's output")?;
        Ok(Self {
            lines: Vec::with_capacity(2 * BATCH),
            jobs,
            spare,
            waiting,
            counters,
        })
    }

    /// Adds whole lines; hands over if enough came together.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.lines);
        if self.lines.len() >= BATCH {
            self.hand_over();
        }
    }

    /// Hands over what came together. What finds too much waiting is counted and forgotten.
    pub(super) fn hand_over(&mut self) {
        let length = self.lines.len();
        if length == 0 {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) + length > MOST_WAITING {
            self.counters.lose_lines(&self.lines);
            self.lines.clear();
            return;
        }
        let room = self.spare.try_recv();
        let room = room.unwrap_or_else(|_| Vec::with_capacity(2 * BATCH));
        let lines = std::mem::replace(&mut self.lines, room);
        self.waiting.fetch_add(length, Ordering::Relaxed);
        self.give(Job::Lines(lines));
    }

    /// Goes on with another output; what came together still goes to the former one.
    pub(super) fn change(&mut self, output: Output) {
        self.hand_over();
        self.give(Job::Change(output));
    }

    /// Tells when all that was added is written, or lost.
    pub(super) fn tell_when_written(&mut self, done: Sender<()>) {
        self.hand_over();
        self.give(Job::Tell(done));
    }

    fn give(&self, job: Job) {
        // The thread ends with this, and not before.
        let _ = self.jobs.send(job);
    }
}

/// The other side.
struct Pump {
    jobs: Receiver<Job>,
    used: SyncSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    writing: Writing,
}

impl Pump {
    fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            match job {
                Job::Lines(mut lines) => {
                    self.writing.write(&lines);
                    self.waiting.fetch_sub(lines.len(), Ordering::Relaxed);
                    lines.clear();
                    // Those that a slow output has piled up are not kept.
                    let _ = self.used.try_send(lines);
                }
                Job::Change(output) => self.writing.change(output),
                Job::Tell(done) => {
                    // Whoever asked may have lost patience.
                    let _ = done.send(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
