//! What happens when there is more than can be served, or somebody asks for it on purpose.
//!
//! Each part decides, and somebody else acts: [`Connections`] and [`Bans`] know addresses,
//! [`Line`] and [`Shedder`] know how late the worker is, [`Memory`] how full the process is, [`Pace`] how fast a
//! client moves. `accept.rs`, the protocol engines and `request.rs` ask them.

pub(crate) mod admission;
mod bans;
mod connections;
mod line;
mod memory;
mod pace;
mod refusal;
mod shedder;
mod source;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use weir_config::model;

pub use bans::Ban;
pub(crate) use bans::Bans;
pub(crate) use connections::{Connections, Held};
pub(crate) use line::Line;
pub(crate) use memory::{Memory, MemoryLevel};
pub(crate) use pace::Pace;
pub use refusal::Refusal;
pub(crate) use shedder::Shedder;
pub use source::Source;

/// What all workers share of it.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    pub(crate) connections: Connections,
    pub(crate) bans: Bans,
    pub(crate) memory: Memory,
}

impl Overload {
    /// Takes up the settings of a new revision.
    pub(crate) fn configure(&self, settings: &model::Overload) {
        self.memory.configure(settings.memory);
        if settings.bans.is_none() {
            self.bans.clear();
        }
    }

    /// What time alone brings: bans end, memory is looked at. For the supervisor, every 100 ms or so.
    pub(crate) fn tick(&self, now: Instant) {
        self.bans.expire(now);
        self.memory.look();
    }
}

/// Shards of the tables by address: many more than there are cores, so that two workers rarely meet.
const SHARDS: usize = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can panic half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
