//! A bulkhead: the requests of one upstream that are under way, and a bounded queue in front of them.
//!
//! The bound is that of the process. As long as there is room, taking and giving back a place is one
//! atomic step each. Only when requests wait do they meet in a queue behind a lock: whoever ends a
//! request then hands its place to the one that waits longest, on whichever worker that is. Waking
//! another worker costs a system call, which is less than letting a place lie idle.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use weir_config::model::Concurrency;

/// The places of one upstream; they outlive revisions.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    /// [`Load`], as a number.
    load: AtomicU64,
    /// As the newest revision says.
    limit: AtomicU32,
    queue: Mutex<Queue>,
}

/// Requests, by how far they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Requests that have a place.
    pub in_use: u32,
    /// Requests that wait for one.
    pub queued: u32,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// In the order of their tickets. As many as the load says are queued, while the lock is not held.
    waiting: VecDeque<(u64, oneshot::Sender<Place>)>,
}

/// What a request gets.
#[derive(Debug)]
pub(crate) enum Entry {
    Place(Place),
    Wait(Waiting),
    /// The queue is full.
    Full,
}

impl From<u64> for Load {
    fn from(number: u64) -> Self {
        Self {
            in_use: number as u32,
            queued: (number >> 32) as u32,
        }
    }
}

impl From<Load> for u64 {
    fn from(load: Load) -> Self {
        Self::from(load.queued) << 32 | Self::from(load.in_use)
    }
}

impl Load {
    /// Nobody overtakes those that wait.
    fn enter(self, limit: u32) -> Option<Self> {
        (self.queued == 0 && self.in_use < limit).then(|| Self {
            in_use: self.in_use + 1,
            ..self
        })
    }

    /// The one that waits longest gets a place that was nobody's.
    fn admit(self, limit: u32) -> Option<Self> {
        (self.queued > 0 && self.in_use < limit).then(|| Self {
            in_use: self.in_use + 1,
            queued: self.queued - 1,
        })
    }

    /// A place becomes free, unless somebody waits for it; it does also if a new revision has fewer.
    fn leave(self, limit: u32) -> Option<Self> {
        (self.queued == 0 || self.in_use > limit).then(|| Self {
            in_use: self.in_use.saturating_sub(1),
            ..self
        })
    }
}

impl Bulkhead {
    pub(crate) fn new(settings: Option<&Concurrency>) -> Arc<Self> {
        Arc::new(Self {
            load: AtomicU64::new(0),
            limit: AtomicU32::new(limit(settings)),
            queue: Mutex::default(),
        })
    }

    /// Takes up the settings of a new revision.
    pub(crate) fn configure(self: &Arc<Self>, settings: Option<&Concurrency>) {
        self.limit.store(limit(settings), Ordering::Relaxed);
        let queue = &mut *self.queue();
        // More places than before: those that wait get them.
        while self.change(|load| load.admit(limit(settings))) {
            if let Some((_, waiting)) = queue.waiting.pop_front()
                && let Err(mut unwanted) = waiting.send(Place(Some(Arc::clone(self))))
            {
                // It goes away. Not by dropping the place, which would lock again.
                unwanted.0 = None;
                self.change(|load| load.leave(0));
            }
        }
    }

    fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn load(&self) -> Load {
        Load::from(self.load.load(Ordering::Relaxed))
    }

    /// Changes the load as soon as it is what the change starts from; tells whether there was one.
    fn change(&self, change: impl Fn(Load) -> Option<Load>) -> bool {
        // What a place protects is counted, not read: no other memory is ordered by this.
        self.load
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |load| {
                change(Load::from(load)).map(u64::from)
            })
            .is_ok()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, or one in the queue.
    pub(crate) fn enter(self: &Arc<Self>, settings: &Concurrency) -> Entry {
        if self.change(|load| load.enter(self.limit())) {
            return Entry::Place(Place(Some(Arc::clone(self))));
        }
        if self.load().queued >= settings.queue {
            // No lock for those that are refused: there may be very many.
            return Entry::Full;
        }
        let queue = &mut *self.queue();
        let joins = |load: Load| {
            let is_full = load.in_use >= self.limit() || load.queued > 0;
            (is_full && load.queued < settings.queue).then(|| Load {
                queued: load.queued + 1,
                ..load
            })
        };
        loop {
            if self.change(joins) {
                break;
            }
            // A place became free in between, or the queue was filled.
            if self.change(|load| load.enter(self.limit())) {
                return Entry::Place(Place(Some(Arc::clone(self))));
            }
            if self.load().queued >= settings.queue {
                return Entry::Full;
            }
        }
        let ticket = queue.next;
        queue.next += 1;
        let (sender, receiver) = oneshot::channel();
        queue.waiting.push_back((ticket, sender));
        Entry::Wait(Waiting {
            place: receiver,
            ticket,
            bulkhead: Arc::clone(self),
        })
    }

    /// Sends away all that wait.
    pub(crate) fn turn_away(&self) {
        if self.load().queued == 0 {
            return;
        }
        let mut queue = self.queue();
        let waiting = std::mem::take(&mut queue.waiting);
        for _ in &waiting {
            self.dequeue();
        }
        drop(queue);
        // They wake when their senders go: not while others wait for the lock.
        drop(waiting);
    }

    /// Gives a place to the one that waits longest, or back.
    fn leave(self: Arc<Self>) {
        if self.change(|load| load.leave(self.limit())) {
            return;
        }
        let mut place = Place(Some(Arc::clone(&self)));
        let queue = &mut *self.queue();
        while let Some((_, waiting)) = queue.waiting.pop_front() {
            self.dequeue();
            match waiting.send(place) {
                Ok(()) => return,
                Err(unwanted) => place = unwanted,
            }
        }
        // All that waited went away in between. Not by dropping it, which would lock again.
        place.0 = None;
        self.change(|load| load.leave(0));
    }

    fn dequeue(&self) {
        self.change(|load| {
            Some(Load {
                queued: load.queued.saturating_sub(1),
                ..load
            })
        });
    }
}

fn limit(settings: Option<&Concurrency>) -> u32 {
    settings.map_or(u32::MAX, |settings| settings.limit)
}

/// A request's place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Bulkhead>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(bulkhead) = self.0.take() {
            bulkhead.leave();
        }
    }
}

/// A place in the queue; left when dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// A place that arrives when nobody waits any more is dropped with this, and so goes on.
    place: oneshot::Receiver<Place>,
    ticket: u64,
    bulkhead: Arc<Bulkhead>,
}

impl Waiting {
    /// Waits for its turn; without end, if nobody sets one. `None` if it was sent away.
    pub(crate) async fn place(&mut self) -> Option<Place> {
        (&mut self.place).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let queue = &mut *self.bulkhead.queue();
        let found = queue
            .waiting
            .binary_search_by_key(&self.ticket, |(ticket, _)| *ticket);
        if let Ok(at) = found {
            queue.waiting.remove(at);
            self.bulkhead.dequeue();
        }
    }
}

#[cfg(test)]
mod tests;
