//! A target in its upstream, and whether it takes traffic.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Target;
use crate::health::{HealthReport, Standing};

/// Share of its weight with which a slow start begins.
const FIRST_SHARE: f64 = 0.1;

/// One target of an upstream.
#[derive(Clone, Debug)]
pub struct Member {
    /// The server.
    pub target: Arc<Target>,
    /// Share of the traffic relative to its siblings, as configured or discovered.
    pub weight: u32,
    /// Availability zone.
    pub zone: Option<Arc<str>>,
    /// What is known of its health; it survives a new revision.
    pub state: Arc<MemberState>,
}

/// What is known of a member's health.
#[derive(Debug)]
pub struct MemberState {
    /// Failures in a row, by all workers. The one number that workers write together: only when a
    /// request fails, or when one succeeds after failures.
    failures: AtomicU32,
    // Read and written where plans are built and by reports, never on a request's way.
    standing: Mutex<Standing>,
}

impl Member {
    pub(super) fn is_in(&self, zone: &str) -> bool {
        self.zone.as_deref() == Some(zone)
    }
}

impl MemberState {
    /// A member that is there from the start.
    pub(crate) fn settled() -> Self {
        Self {
            failures: AtomicU32::new(0),
            standing: Mutex::default(),
        }
    }

    /// A member that joins others.
    pub(crate) fn joining(now: Instant) -> Self {
        let state = Self::settled();
        state.standing().healthy_since = Some(now);
        state
    }

    /// What is known now.
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn takes_traffic(&self) -> bool {
        self.standing().unhealthy.is_none()
    }

    /// The part of its weight that counts now, from [`FIRST_SHARE`] to 1.
    pub(crate) fn ramp(&self, slow_start: Duration, now: Instant) -> f64 {
        let Some(since) = self.standing().healthy_since else {
            return 1.0;
        };
        let passed = now.saturating_duration_since(since);
        if passed >= slow_start {
            return 1.0;
        }
        (passed.as_secs_f64() / slow_start.as_secs_f64()).max(FIRST_SHARE)
    }

    /// A request succeeded.
    pub(crate) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request failed; tells how many did in a row.
    pub(crate) fn failed(&self) -> u32 {
        self.failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1)
    }

    /// For people.
    pub fn health(&self) -> HealthReport {
        self.standing().report()
    }
}
