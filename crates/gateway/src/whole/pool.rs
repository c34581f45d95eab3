//! Threads for what takes longer than a worker can wait: programs, decompression, large bodies.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use weir_transform::STACK;

/// Jobs that may wait, for each thread.
const WAITING: usize = 32;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads, started when they are needed first, and a line of limited length in front of them.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    line: Mutex<Line>,
    arrived: Condvar,
    most_threads: usize,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Work>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Pool {
    pub(crate) fn new(most_threads: usize) -> Self {
        Self(Arc::new(Shared {
            line: Mutex::default(),
            arrived: Condvar::new(),
            most_threads: most_threads.max(1),
        }))
    }

    /// Hands a job over; `None` if too many wait. Nothing is computed for somebody who has gone.
    ///
    /// The line is locked, though only for a moment and by those who have much to compute: a job costs a
    /// thousand times as much as its place.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let (sender, receiver) = oneshot::channel();
        let work = Box::new(move || {
            if !sender.is_closed() {
                let _ = sender.send(job());
            }
        });
        let mut line = self.0.line();
        if line.jobs.len() >= WAITING * self.0.most_threads {
            return None;
        }
        line.jobs.push_back(work);
        if line.idle < line.jobs.len() && line.threads < self.0.most_threads {
            let shared = Arc::clone(&self.0);
            let thread = std::thread::Builder::new()
                .name(format!("weir-bodies-{}", line.threads))
                .stack_size(STACK);
            match thread.spawn(move || shared.work()) {
                Ok(_) => line.threads += 1,
                Err(error) if line.threads == 0 => {
                    tracing::error!(%error, "bodies cannot be looked through: no thread can be started");
                    line.jobs.pop_back();
                    return None;
                }
                // Those that there are will do it.
                Err(_) => {}
            }
        }
        drop(line);
        self.0.arrived.notify_one();
        Some(receiver)
    }

    /// Lets the threads end once nothing is left to do.
    pub(crate) fn close(&self) {
        self.0.line().is_closed = true;
        self.0.arrived.notify_all();
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        // Jobs run outside of the lock.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            let mut line = self.line();
            let job = loop {
                if let Some(job) = line.jobs.pop_front() {
                    break job;
                }
                if line.is_closed {
                    return;
                }
                line.idle += 1;
                line = self
                    .arrived
                    .wait(line)
                    .unwrap_or_else(PoisonError::into_inner);
                line.idle -= 1;
            };
            drop(line);
            job();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_limited_and_what_nobody_waits_for_is_not_done() {
        let pool = Pool::new(1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = std::sync::mpsc::channel();
        let first = pool.submit(move || {
            let _ = begin.send(());
            released.recv().is_ok()
        });
        begun.recv().unwrap();
        let gone = pool.submit(|| unreachable!("nobody waits for it"));
        drop(gone);
        let waiting: Vec<_> = (1..WAITING).map(|at| pool.submit(move || at)).collect();
        assert!(waiting.iter().all(Option::is_some));
        assert!(pool.submit(|| 0).is_none());
        release.send(()).unwrap();
        assert_eq!(first.unwrap().blocking_recv(), Ok(true));
        for (at, waiting) in waiting.into_iter().enumerate() {
            assert_eq!(waiting.unwrap().blocking_recv(), Ok(at + 1));
        }
        pool.close();
    }
}
