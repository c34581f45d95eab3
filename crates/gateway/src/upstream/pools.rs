//! One worker's connections to all targets.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use weir_config::model;

use super::{Pool, Target};
use crate::buffers::Buffers;
use crate::timer::Timers;

/// The pools in use. A pool lives as long as a plan or an exchange uses it. Upstreams that name the same
/// target have one each: what an upstream says of its connections concerns no other.
pub(crate) struct Pools {
    worker: usize,
    timers: Rc<Timers>,
    buffers: Rc<Buffers>,
    known: RefCell<HashMap<Key, Weak<Pool>>>,
}

/// An upstream's name and a target's identity.
type Key = (Arc<str>, u64);

impl Pools {
    pub(crate) fn new(worker: usize, timers: Rc<Timers>, buffers: Rc<Buffers>) -> Self {
        Self {
            worker,
            timers,
            buffers,
            known: RefCell::default(),
        }
    }

    /// The worker's time in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.timers.now()
    }

    /// An upstream's pool of a target, with the settings of the newest revision that asks.
    pub(crate) fn get(
        &self,
        upstream: &Arc<str>,
        target: &Arc<Target>,
        settings: model::Pool,
    ) -> Rc<Pool> {
        let mut known = self.known.borrow_mut();
        let key = (Arc::clone(upstream), target.identity);
        if let Some(pool) = known.get(&key).and_then(Weak::upgrade) {
            pool.configure(settings);
            return pool;
        }
        let pool = Pool::new(
            Arc::clone(target),
            self.worker,
            Rc::clone(&self.timers),
            Rc::clone(&self.buffers),
            settings,
        );
        known.insert(key, Rc::downgrade(&pool));
        pool
    }

    /// Closes connections that are of no use any more, and forgets pools that nobody uses.
    pub(crate) fn prune(&self) {
        self.known.borrow_mut().retain(|_, pool| {
            let pool = pool.upgrade();
            if let Some(pool) = &pool {
                pool.prune();
            }
            pool.is_some()
        });
    }
}
