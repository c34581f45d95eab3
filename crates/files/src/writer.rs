//! A thread that writes files for others.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::atomic;

/// Writes files in the order in which it was asked to. Of what is asked for one file while an earlier
/// state of it waits, only the last is written: a slow disk makes for fewer writes, not for a queue.
///
/// Clones are handles to the same. After the last is dropped what waits is still written. There is no
/// thread until there is something to write.
#[derive(Clone)]
pub struct Writer(Arc<Handle>);

struct Handle(Arc<Shared>);

struct Shared {
    name: String,
    /// Hears of each file that cannot be written.
    failed: Box<Failed>,
    queue: Mutex<Queue>,
    /// There is something to write, or nobody will ask any more.
    asked: Condvar,
    /// Everything is written.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeMap<PathBuf, Order>,
    has_thread: bool,
    is_writing: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Order {
    /// What the file is to hold; `None`: it is to go.
    content: Option<Vec<u8>>,
    /// Who wants to know how it went; also those whose own content was overtaken.
    told: Vec<Sender<io::Result<()>>>,
}

/// Told of a file that cannot be written, and why.
type Failed = dyn Fn(&Path, &io::Error) + Send + Sync;

/// The outcome of an order, once there is one.
#[derive(Debug)]
pub struct Written(Receiver<io::Result<()>>);

impl Written {
    /// Waits until the file holds what was asked for, or something later, durably.
    pub fn wait(self) -> io::Result<()> {
        let gone = || io::Error::other("the thread that writes files has ended");
        self.0.recv().unwrap_or_else(|_| Err(gone()))
    }
}

impl Writer {
    /// With a name for the thread. `failed` hears of each file that cannot be written.
    pub fn new(name: &str, failed: impl Fn(&Path, &io::Error) + Send + Sync + 'static) -> Self {
        let shared = Shared {
            name: name.to_owned(),
            failed: Box::new(failed),
            queue: Mutex::default(),
            asked: Condvar::new(),
            idle: Condvar::new(),
        };
        Self(Arc::new(Handle(Arc::new(shared))))
    }

    /// Has a file replaced; see [`replace`](crate::replace). Returns at once.
    pub fn replace(&self, path: &Path, content: Vec<u8>) -> Written {
        self.order(path, Some(content))
    }

    /// Has a file removed. Returns at once.
    pub fn remove(&self, path: &Path) -> Written {
        self.order(path, None)
    }

    /// Waits until everything that was asked for is written, but no longer than this; whether it is.
    pub fn flush(&self, within: Duration) -> bool {
        let shared = &*self.0.0;
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.waiting.is_empty();
        let waited = shared
            .idle
            .wait_timeout_while(shared.lock(), within, is_busy);
        let (_queue, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        !outcome.timed_out()
    }

    fn order(&self, path: &Path, content: Option<Vec<u8>>) -> Written {
        let shared = &self.0.0;
        let (tell, written) = channel();
        let mut queue = shared.lock();
        if let Err(error) = shared.start(&mut queue) {
            drop(queue);
            (shared.failed)(path, &error);
            let _ = tell.send(Err(error));
            return Written(written);
        }
        match queue.waiting.get_mut(path) {
            Some(order) => {
                order.content = content;
                order.told.push(tell);
            }
            None => {
                let told = vec![tell];
                queue
                    .waiting
                    .insert(path.to_owned(), Order { content, told });
            }
        }
        drop(queue);
        shared.asked.notify_one();
        Written(written)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.asked.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, queue: &mut Queue) -> io::Result<()> {
        if !queue.has_thread {
            let own = Arc::clone(self);
            let thread = std::thread::Builder::new().name(self.name.clone());
            thread.spawn(move || own.run())?;
            queue.has_thread = true;
        }
        Ok(())
    }

    fn run(&self) {
        while let Some(orders) = self.next() {
            for (path, Order { content, told }) in orders {
                let outcome = match content {
                    Some(content) => atomic::replace(&path, &content),
                    None => atomic::remove(&path),
                };
                if let Err(error) = &outcome {
                    (self.failed)(&path, error);
                }
                for tell in told {
                    // Who does not want to know has dropped the other end.
                    let _ = tell.send(same(&outcome));
                }
            }
        }
    }

    /// All that waits, once something does; `None` if nothing will.
    fn next(&self) -> Option<BTreeMap<PathBuf, Order>> {
        let mut queue = self.lock();
        queue.is_writing = false;
        if queue.waiting.is_empty() {
            self.idle.notify_all();
        }
        let waited = self
            .asked
            .wait_while(queue, |queue| queue.waiting.is_empty() && !queue.is_closed);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        let orders = std::mem::take(&mut queue.waiting);
        queue.is_writing = !orders.is_empty();
        queue.is_writing.then_some(orders)
    }
}

/// An outcome once more: errors of the system cannot be cloned.
fn same(outcome: &io::Result<()>) -> io::Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn writer() -> Writer {
        Writer::new("weir-files", |_, _| {})
    }

    #[test]
    fn the_last_state_of_a_file_is_what_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b.json");
        let writer = writer();
        assert!(writer.flush(Duration::ZERO), "there is nothing to wait for");
        writer.remove(&path).wait().unwrap();
        writer.replace(&path, b"one".to_vec()).wait().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        for number in 0..100 {
            writer.replace(&path, format!("{number}").into_bytes());
        }
        assert!(writer.flush(PATIENCE));
        assert_eq!(fs::read(&path).unwrap(), b"99");
        writer.replace(&path, b"late".to_vec());
        writer.remove(&path).wait().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn whoever_asks_does_not_wait_and_the_disk_sees_the_newest_only() {
        let directory = tempfile::tempdir().unwrap();
        // Cannot be written: a directory is in its place. The one who hears of it holds the thread up.
        let blocked = directory.path().join("blocked");
        fs::create_dir_all(blocked.join("full")).unwrap();
        let (told, heard) = channel();
        let (release, released) = channel::<()>();
        let released = Mutex::new(released);
        let writer = Writer::new("weir-files", move |path: &Path, _: &io::Error| {
            told.send(path.to_owned()).unwrap();
            let _ = released.lock().unwrap().recv();
        });
        let first = writer.replace(&blocked, b"never".to_vec());
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), blocked);
        let path = directory.path().join("file");
        let orders: Vec<Written> = (0..1000)
            .map(|number| writer.replace(&path, format!("{number}").into_bytes()))
            .collect();
        assert_eq!(writer.0.0.lock().waiting.len(), 1);
        assert!(!writer.flush(Duration::ZERO));
        assert!(!path.exists());
        release.send(()).unwrap();
        assert!(first.wait().is_err());
        for order in orders {
            order.wait().unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), b"999");
    }

    #[test]
    fn what_waits_is_written_after_the_last_handle_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let writer = writer();
        let written = writer.replace(&path, b"kept".to_vec());
        drop(writer);
        written.wait().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }
}
