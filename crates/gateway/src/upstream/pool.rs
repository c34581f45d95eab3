//! One worker's connections to one target of an upstream.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use weir_config::model;

use super::Target;
use super::latency::Latency;
use super::opening::Opening;
use super::shared::SharedConnections;
use super::slots::{Slot, Slots};
use crate::buffers::Buffers;
use crate::http1;
use crate::metrics::TargetCounters;
use crate::timer::Timers;

/// Idle connections, newest last: reusing the newest lets the others grow old and go.
pub(crate) struct Pool {
    pub(crate) target: Arc<Target>,
    worker: usize,
    timers: Rc<Timers>,
    buffers: Rc<Buffers>,
    settings: Cell<model::Pool>,
    idle: RefCell<Vec<Idle>>,
    /// Places for HTTP/1 connections. Shared with them: they give theirs back, wherever they end.
    pub(super) slots: Rc<Slots>,
    /// Places for requests whose body was not all here when they asked for such a connection: clients that
    /// send slowly do not get all of them.
    pub(super) uploads: Rc<Slots>,
    /// HTTP/2 connections, if the target speaks that.
    pub(super) http2: SharedConnections,
    /// The turn to make one of these.
    pub(super) opening: Opening,
    /// Addresses of a named target and until when (worker's milliseconds) they are believed.
    pub(super) resolved: RefCell<(Vec<SocketAddr>, u64)>,
    /// Whether its name is being looked up.
    pub(super) is_looking_up: Cell<bool>,
    /// It was looked up.
    pub(super) looked_up: tokio::sync::Notify,
    /// Which of the addresses comes first next time.
    pub(super) next_address: Cell<usize>,
    in_flight: Cell<u32>,
    latency: Cell<Latency>,
    /// Mean of late of what was answered alone, in nanoseconds, for reports: who balances counts failures
    /// as long waits, and nobody waited so long.
    answered: Cell<f64>,
    answers_large: Cell<bool>,
}

struct Idle {
    connection: http1::Connection,
    since: u64,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Pool({})", self.target.authority)
    }
}

impl Pool {
    pub(crate) fn new(
        target: Arc<Target>,
        worker: usize,
        timers: Rc<Timers>,
        buffers: Rc<Buffers>,
        settings: model::Pool,
    ) -> Rc<Self> {
        Rc::new(Self {
            opening: Opening::new(&target.connector),
            target,
            worker,
            timers,
            buffers,
            settings: Cell::new(settings),
            idle: RefCell::default(),
            slots: Rc::default(),
            uploads: Rc::default(),
            http2: SharedConnections::default(),
            is_looking_up: Cell::new(false),
            looked_up: tokio::sync::Notify::new(),
            resolved: RefCell::default(),
            next_address: Cell::new(worker),
            in_flight: Cell::new(0),
            latency: Cell::default(),
            answered: Cell::new(0.0),
            answers_large: Cell::new(false),
        })
    }

    /// Bounds of a new revision.
    pub(crate) fn configure(&self, settings: model::Pool) {
        self.settings.set(settings);
        // There may be more of them now; whoever waits for one looks.
        self.slots.free();
        self.uploads.free();
    }

    /// Connections that requests may have whose body is still to come: three quarters of all, so that one
    /// is left for others where there are two.
    pub(super) fn most_uploads(&self) -> u32 {
        most_uploads(self.settings.get().max_connections)
    }

    /// Whether somebody who waits for a connection would get one.
    pub(super) fn has_room(&self) -> bool {
        let most = self.settings.get().max_connections;
        self.slots.has_room(most) || !self.idle.borrow().is_empty()
    }

    pub(crate) fn counters(&self) -> &TargetCounters {
        &self.target.counters[self.worker]
    }

    /// The worker's spare buffers.
    pub(crate) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// Whether the last response did not fit into a small buffer.
    pub(crate) fn answers_large(&self) -> bool {
        self.answers_large.get()
    }

    pub(crate) fn expect_large(&self, large: bool) {
        self.answers_large.set(large);
    }

    pub(crate) fn now(&self) -> u64 {
        self.timers.now()
    }

    pub(super) fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }

    /// How a new HTTP/2 connection is kept an eye on.
    pub(super) fn pings(&self) -> Option<model::Pings> {
        self.settings.get().pings
    }

    /// An idle connection that still stands.
    pub(super) fn take(&self) -> Option<http1::Connection> {
        // The waker does not matter: whoever gets the connection polls it with its own.
        let context = &mut Context::from_waker(Waker::noop());
        loop {
            let mut idle = self.idle.borrow_mut().pop()?;
            if idle.connection.is_fresh(context) {
                self.counters().reused.add(1);
                return Some(idle.connection);
            }
        }
    }

    /// A place for another connection, if the target may have one more.
    pub(super) fn slot(&self) -> Option<Slot> {
        self.slots.take(self.settings.get().max_connections)
    }

    /// Whether connections to the target are getting scarce.
    pub(crate) fn is_crowded(&self) -> bool {
        self.slots.is_crowded(self.settings.get().max_connections)
    }

    /// Keeps a connection whose exchange is complete.
    pub(crate) fn put(&self, connection: http1::Connection) {
        // Most often nobody waits; who does is woken, and runs when this is done.
        self.slots.free();
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.settings.get().max_idle {
            idle.push(Idle {
                connection,
                since: self.timers.now(),
            });
        }
    }

    /// Closes what has been idle for too long or was closed by the target.
    pub(crate) fn prune(&self) {
        let timeout =
            u64::try_from(self.settings.get().idle_timeout.as_millis()).unwrap_or(u64::MAX);
        let now = self.timers.now();
        let context = &mut Context::from_waker(Waker::noop());
        self.idle.borrow_mut().retain_mut(|idle| {
            now.saturating_sub(idle.since) < timeout && idle.connection.is_fresh(context)
        });
        self.http2.prune(context, now, timeout);
    }

    /// Mean time to the response's head in nanoseconds; 0 if nothing is known.
    pub(crate) fn mean_latency(&self) -> f64 {
        self.latency.get().mean(self.timers.now())
    }

    /// The same, but the worst of late.
    pub(crate) fn peak_latency(&self) -> f64 {
        self.latency.get().peak(self.timers.now())
    }

    /// Learns how long a response's head took.
    pub(super) fn observe(&self, took: Duration) {
        self.learn(|latency, now| latency.with(took, now));
        let took = took.as_nanos() as f64;
        let mean = match self.answered.get() {
            0.0 => took,
            mean => mean + (took - mean) / 16.0,
        };
        self.answered.set(mean);
        self.counters().latency_nanos.set(mean as u64);
    }

    /// Learns that a request failed after this time.
    pub(super) fn observe_failure(&self, took: Duration) {
        self.learn(|latency, now| latency.with_failure(took, now));
    }

    /// Learns that a response's head had not come after this time, when it was of no use any more.
    pub(super) fn observe_abandoned(&self, waited: Duration) {
        self.learn(|latency, now| latency.with_abandoned(waited, now));
    }

    fn learn(&self, news: impl FnOnce(Latency, u64) -> Latency) {
        let now = self.timers.now();
        let latency = news(self.latency.get(), now);
        self.latency.set(latency);
        let counters = self.counters();
        counters.mean_nanos.set(latency.mean(now) as u64);
        counters.peak_nanos.set(latency.peak(now) as u64);
    }

    /// Requests under way, by this worker.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }
}

fn most_uploads(most: u32) -> u32 {
    (most - most.div_ceil(4)).max(1)
}

/// Counts a request as being under way until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<Pool>);

impl InFlight {
    pub(crate) fn begin(pool: &Rc<Pool>) -> Self {
        let in_flight = Self(Rc::clone(pool));
        in_flight.change(1);
        in_flight
    }

    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.0
    }

    /// The target's counter is of all upstreams that name it.
    fn change(&self, by: i32) {
        let (own, all) = (&self.0.in_flight, &self.0.counters().in_flight);
        own.set(own.get().saturating_add_signed(by));
        all.set(all.get().saturating_add_signed(by.into()));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.change(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_leave_a_quarter_of_the_connections_to_others() {
        let most = [1, 2, 3, 4, 5, 20, 4_096, u32::MAX];
        let uploads = [1, 1, 2, 3, 3, 15, 3_072, 3_221_225_471];
        assert_eq!(most.map(most_uploads), uploads);
    }
}
