//! Watches over the health of upstreams: runs the checks that are configured, hears what workers say,
//! and has plans built anew. All of it on the supervisor's thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_config::model;

use super::passive;
use super::prober::Prober;
use super::standing::{Change, Standing};
use super::window::Totals;
use super::{Fault, HealthState, Moment};
use crate::upstream::cluster::{Cluster, Settings};
use crate::upstream::{Member, MemberState, Target};

/// Members from which on plans are not built for every single change: hundreds may change at once.
pub(super) const MANY: usize = 32;
/// Large plans are built, and ejections that could not be are thought over, no more often than this.
const RECENT: Duration = Duration::from_millis(50);
/// The first checks of an upstream come one after another, this long apart, within an interval.
const FIRST_CHECKS_APART: Duration = Duration::from_millis(10);

/// All upstreams that are watched.
#[derive(Default)]
pub(crate) struct Health {
    upstreams: Vec<Upstream>,
}

struct Upstream {
    watched: Rc<Watched>,
    /// Version of the roster that was taken up; the next two are of that one.
    version: u64,
    settings: Arc<Settings>,
    members: Vec<Member>,
    /// By the address of the member's state, which the prober keeps in place.
    probers: HashMap<*const MemberState, Prober>,
    /// Epoch of the plan whose panic was told.
    told: u64,
    is_panicking: bool,
    /// When an ejection was thought over on a worker's word.
    considered: RefCell<HashMap<u64, Instant>>,
}

/// An upstream as probers see it.
pub(super) struct Watched {
    cluster: Arc<Cluster>,
    rebuilt: Cell<Option<Instant>>,
    /// Whether the plan does not show the latest.
    is_behind: Cell<bool>,
}

impl Health {
    /// These upstreams are configured now. Those that stay keep what runs for them.
    pub(crate) fn configure(&mut self, clusters: &[Arc<Cluster>], now: Moment) {
        let mut known: HashMap<*const Cluster, Upstream> = self
            .upstreams
            .drain(..)
            .map(|upstream| (Arc::as_ptr(&upstream.watched.cluster), upstream))
            .collect();
        let upstreams = clusters.iter().map(|cluster| {
            known
                .remove(&Arc::as_ptr(cluster))
                .unwrap_or_else(|| Upstream::new(cluster))
        });
        self.upstreams = upstreams.collect();
        self.tick(now);
    }

    /// A target failed so many requests in a row, the latest in this way.
    pub(crate) fn failing(
        &mut self,
        cluster: &Arc<Cluster>,
        identity: u64,
        failures: u32,
        last: Fault,
        now: Moment,
    ) {
        let watched = self
            .upstreams
            .iter_mut()
            .find(|upstream| Arc::ptr_eq(&upstream.watched.cluster, cluster));
        if let Some(upstream) = watched {
            upstream.take_up(now);
            upstream.failing(identity, failures, last, now);
        }
    }

    /// Looks at members that came or left, and at what time alone changes.
    pub(crate) fn tick(&mut self, now: Moment) {
        for upstream in &mut self.upstreams {
            upstream.take_up(now);
            upstream.advance(now);
            upstream.watched.catch_up(now.instant);
            upstream.tell_of_panic();
        }
    }
}

impl Upstream {
    fn new(cluster: &Arc<Cluster>) -> Self {
        let watched = Watched {
            cluster: Arc::clone(cluster),
            rebuilt: Cell::new(None),
            is_behind: Cell::new(false),
        };
        let settings = Arc::clone(&cluster.roster().settings);
        Self {
            watched: Rc::new(watched),
            version: 0,
            settings,
            members: Vec::new(),
            probers: HashMap::new(),
            told: 0,
            is_panicking: false,
            considered: RefCell::default(),
        }
    }

    /// Takes up new settings and members, if there are. Members that stay under the same check keep
    /// their rhythm.
    fn take_up(&mut self, now: Moment) {
        let roster = self.watched.cluster.roster();
        if roster.version == self.version {
            return;
        }
        self.version = roster.version;
        self.settings = Arc::clone(&roster.settings);
        self.members = roster.members.clone();
        drop(roster);
        let settings = Arc::clone(&self.settings);
        let health = &settings.model().health;
        if health.passive.is_none() {
            self.each(now, |standing| standing.pardon(now));
        }
        match &health.active {
            Some(check) => self.check(check, now),
            None => {
                self.probers.clear();
                self.each(now, |standing| standing.expect_no_answers(now));
            }
        }
    }

    fn each(&self, now: Moment, change: impl Fn(&mut Standing) -> Option<Change>) {
        for member in &self.members {
            let change = change(&mut member.state.standing());
            self.watched.note(member, change, now);
        }
    }

    fn check(&mut self, check: &model::ActiveCheck, now: Moment) {
        let mut known = std::mem::take(&mut self.probers);
        let count = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let spread = check.interval.min(FIRST_CHECKS_APART * count);
        for member in &self.members {
            let key = Arc::as_ptr(&member.state);
            let prober = match known.remove(&key) {
                Some(prober) if prober.check == *check => prober,
                _ => {
                    let change = member.state.standing().expect_answers(now);
                    self.watched.note(member, change, now);
                    let first = spread.mul_f64(fastrand::f64());
                    Prober::start(&self.watched, member, check, first)
                }
            };
            self.probers.insert(key, prober);
        }
    }

    fn failing(&self, identity: u64, failures: u32, last: Fault, now: Moment) {
        // When all fail, all workers tell so all the time, and nobody may be ejected. Each member has its
        // turn: that another one was considered a moment ago says nothing about it.
        let considered = &mut *self.considered.borrow_mut();
        considered.retain(|_, at| is_recent(Some(*at), now.instant));
        if let Entry::Vacant(vacant) = considered.entry(identity) {
            vacant.insert(now.instant);
            self.eject(identity, || passive::row(failures, last), now);
        }
    }

    /// Ends ejections that took their time, and looks at the rates of failures.
    fn advance(&self, now: Moment) {
        let Some(passive) = &self.settings.model().health.passive else {
            return;
        };
        for member in &self.members {
            let change = member.state.standing().advance(now);
            if change.is_some() {
                // What was under way when it was ejected does not count any more.
                member.state.succeeded();
            }
            self.watched.note(member, change, now);
            if passive.failure_rate_percent.is_none() {
                continue;
            }
            let totals = totals(&member.target);
            let recent = member.state.standing().observe(totals, now.instant);
            if recent.is_over(passive) {
                let reason =
                    || format!("{}% of {} requests failed", recent.percent(), recent.ended);
                self.eject(member.target.identity, reason, now);
            }
        }
    }

    fn eject(&self, identity: u64, reason: impl FnOnce() -> String, now: Moment) {
        let cluster = &self.watched.cluster;
        let change = passive::eject(cluster, &cluster.roster(), identity, reason, now);
        if let Some(change) = change {
            self.watched.rebuild_for(change, now);
        }
    }

    fn tell_of_panic(&mut self) {
        let epoch = self.watched.cluster.epoch();
        if std::mem::replace(&mut self.told, epoch) == epoch {
            return;
        }
        let is_panicking = self.watched.cluster.plan().is_panicking;
        if std::mem::replace(&mut self.is_panicking, is_panicking) == is_panicking {
            return;
        }
        let upstream = &self.watched.cluster.name;
        if is_panicking {
            tracing::warn!(%upstream, "too few targets are healthy: health is ignored");
        } else {
            tracing::info!(%upstream, "enough targets are healthy again");
        }
    }
}

impl Watched {
    /// A member's state changed: says so, and has the plan built anew if traffic is concerned.
    pub(super) fn changed(&self, member: &Member, change: Change, now: Moment) {
        tell(&self.cluster.name, member, change);
        self.rebuild_for(change, now);
    }

    fn rebuild_for(&self, change: Change, now: Moment) {
        if !change.concerns_traffic() {
            return;
        }
        self.is_behind.set(true);
        // Of many members, what comes at once waits for the next tick.
        let is_large = self.cluster.plan().members.len() > MANY;
        if !is_large || !is_recent(self.rebuilt.get(), now.instant) {
            self.catch_up(now.instant);
        }
    }

    fn note(&self, member: &Member, change: Option<Change>, now: Moment) {
        if let Some(change) = change {
            self.changed(member, change, now);
        }
    }

    fn catch_up(&self, now: Instant) {
        if self.is_behind.replace(false) {
            self.rebuilt.set(Some(now));
            self.cluster.rebuild(now);
        }
    }
}

/// One line for each change.
pub(super) fn tell(upstream: &str, member: &Member, change: Change) {
    let target = &member.target.authority;
    let report = member.state.health();
    let reason = report.reason.unwrap_or_default();
    match change.to {
        HealthState::Unhealthy => {
            tracing::warn!(%upstream, %target, reason, "target unhealthy");
        }
        HealthState::Ejected => {
            let until = report.until.unwrap_or(std::time::SystemTime::UNIX_EPOCH);
            let left = until.duration_since(std::time::SystemTime::now());
            let seconds = left.unwrap_or_default().as_secs_f64().round();
            tracing::warn!(%upstream, %target, reason, seconds, "target ejected");
        }
        HealthState::Healthy if change.from == HealthState::Unknown => {
            tracing::debug!(%upstream, %target, "target healthy");
        }
        HealthState::Healthy => tracing::info!(%upstream, %target, "target healthy"),
        HealthState::Unknown if change.from == HealthState::Ejected => {
            tracing::info!(%upstream, %target, "target no longer ejected");
        }
        HealthState::Unknown => {}
    }
}

fn is_recent(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now.saturating_duration_since(at) < RECENT)
}

/// What all workers counted for a target.
fn totals(target: &Target) -> Totals {
    let mut totals = Totals::default();
    for worker in target.counters.iter() {
        let under_way = worker.in_flight.get();
        totals.ended += worker.requests.get().saturating_sub(under_way);
        totals.failed += worker.faults.get();
    }
    totals
}

#[cfg(test)]
mod tests;
