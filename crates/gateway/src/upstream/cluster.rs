//! An upstream as the process runs it: who its members are now, and what is known of it as a whole.
//! It outlives the revisions that configure it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use arc_swap::ArcSwap;
use weir_config::Config;
use weir_config::model;

use super::breaker::Breaker;
use super::bulkhead::Bulkhead;
use super::member::Member;
use super::plan::{self, Placed, Plan, Rules};
use super::target::{Speech, Targets};
use crate::metrics::{UpstreamCounters, per_worker};
use crate::tls::TlsError;

/// One upstream of one revision, compiled.
pub(crate) struct Settings {
    config: Arc<Config>,
    /// Index into the configuration's upstreams.
    index: usize,
    pub(crate) speech: Speech,
    /// As configured; none if they are discovered.
    configured: Vec<Placed>,
}

impl Settings {
    /// Compiles an upstream. Nothing that runs changes.
    pub(crate) fn compile(
        config: &Arc<Config>,
        index: usize,
        targets: &Targets,
    ) -> Result<Self, TlsError> {
        let upstream = &config.upstreams[index];
        let speech = Speech::compile(
            upstream.tls.as_ref(),
            upstream.http2,
            upstream.reach.clone(),
        )?;
        let configured = place(&upstream.targets, &speech, targets)?;
        Ok(Self {
            config: Arc::clone(config),
            index,
            speech,
            configured,
        })
    }

    /// What the configuration says.
    pub(crate) fn model(&self) -> &model::Upstream {
        &self.config.upstreams[self.index]
    }

    pub(crate) fn rules(&self) -> Rules<'_> {
        let model = self.model();
        Rules {
            upstream: &model.name,
            balance: &model.balance,
            is_sticky: model.sticky.is_some(),
            health: &model.health,
            zones: model.zones,
            own_zone: self.config.zone.as_deref(),
        }
    }
}

fn place(
    found: &[model::Target],
    speech: &Speech,
    targets: &Targets,
) -> Result<Vec<Placed>, TlsError> {
    let placed = found.iter().map(|target| {
        let zone = target.zone.as_deref().map(Arc::from);
        Ok((
            targets.get(speech, &target.host, target.port)?,
            target.weight,
            zone,
        ))
    });
    placed.collect()
}

/// As [`place`], without the targets that TLS has no name for.
fn place_valid(found: &[model::Target], settings: &Settings, targets: &Targets) -> Vec<Placed> {
    let placed = found.iter().filter_map(|target| {
        match place(std::slice::from_ref(target), &settings.speech, targets) {
            Ok(placed) => placed.into_iter().next(),
            Err(error) => {
                let upstream = &settings.model().name;
                tracing::warn!(%upstream, target = %target.host, %error, "discovered target left out");
                None
            }
        }
    });
    placed.collect()
}

/// The running state of an upstream.
pub(crate) struct Cluster {
    pub(crate) name: Arc<str>,
    /// Grows with every plan, after it was stored.
    epoch: AtomicU64,
    plan: ArcSwap<Plan>,
    roster: Mutex<Roster>,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) bulkhead: Arc<Bulkhead>,
    /// One set per worker.
    pub(crate) counters: Arc<[UpstreamCounters]>,
}

/// What plans are built from.
pub(crate) struct Roster {
    pub(crate) settings: Arc<Settings>,
    /// The last word of a discovery, kept for revisions that spell it otherwise.
    discovered: Option<Vec<model::Target>>,
    pub(crate) members: Vec<Member>,
    /// Grows when settings or members change.
    pub(crate) version: u64,
}

impl Cluster {
    pub(crate) fn new(settings: Arc<Settings>, workers: usize, now: Instant) -> Arc<Self> {
        let members = plan::members(settings.configured.clone(), &[], now);
        let plan = Plan::build(members.clone(), &settings.rules(), now);
        Arc::new(Self {
            name: Arc::from(settings.model().name.as_str()),
            epoch: AtomicU64::new(1),
            plan: ArcSwap::from_pointee(plan),
            breaker: Breaker::new(now),
            bulkhead: Bulkhead::new(settings.model().concurrency.as_ref()),
            counters: per_worker(workers),
            roster: Mutex::new(Roster {
                settings,
                discovered: None,
                members,
                version: 1,
            }),
        })
    }

    /// Which plan is the newest: one load of a number that hardly ever changes.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    pub(crate) fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless somebody has it.
    pub(crate) fn try_roster(&self) -> Option<MutexGuard<'_, Roster>> {
        match self.roster.try_lock() {
            Ok(roster) => Some(roster),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes up the settings of a new revision. Members that stay keep what is known of them.
    pub(crate) fn configure(&self, settings: Arc<Settings>, targets: &Targets, now: Instant) {
        let roster = &mut *self.roster();
        if settings.model().discovery.is_none() {
            roster.discovered = None;
        }
        let placed = match &roster.discovered {
            Some(found) => place_valid(found, &settings, targets),
            None => settings.configured.clone(),
        };
        roster.members = plan::members(placed, &roster.members, now);
        self.bulkhead
            .configure(settings.model().concurrency.as_ref());
        roster.settings = settings;
        roster.version += 1;
        self.publish(roster, now);
    }

    /// Replaces the targets by discovered ones. Targets that stay keep their connections and what is
    /// known of them.
    pub(crate) fn discovered(&self, found: Vec<model::Target>, targets: &Targets, now: Instant) {
        let roster = &mut *self.roster();
        if roster.settings.model().discovery.is_none() {
            // The word of a source that a new revision has just done away with.
            return;
        }
        let placed = place_valid(&found, &roster.settings, targets);
        roster.members = plan::members(placed, &roster.members, now);
        roster.discovered = Some(found);
        roster.version += 1;
        self.publish(roster, now);
    }

    /// Builds the plan anew: something about the members changed.
    pub(crate) fn rebuild(&self, now: Instant) {
        self.publish(&self.roster(), now);
    }

    /// Builds the plan anew if time alone changes it.
    pub(crate) fn advance(&self, now: Instant) {
        let plan = self.plan.load();
        if plan.is_moving && now >= plan.next_step {
            self.rebuild(now);
        }
    }

    /// Opens and half opens the circuit breaker when it is time. While it is open nobody waits for a place.
    pub(crate) fn advance_breaker(&self, now: Instant) {
        let settings = Arc::clone(&self.roster().settings);
        let breaker = settings.model().breaker.as_ref();
        self.breaker
            .advance(&self.name, breaker, &self.counters, now);
        if self.breaker.refusal().is_some() {
            self.bulkhead.turn_away();
        }
    }

    // The roster's lock is held, so that plans are published in the order of their causes.
    pub(crate) fn publish(&self, roster: &Roster, now: Instant) {
        let plan = Plan::build(roster.members.clone(), &roster.settings.rules(), now);
        self.plan.store(Arc::new(plan));
        self.epoch.fetch_add(1, Ordering::Release);
    }
}
