//! Everything known of one target's health, and whether it takes traffic.

use std::time::{Duration, Instant, SystemTime};

use weir_config::model::{ActiveCheck, PassiveCheck};

use super::Moment;
use super::ejection::Ejections;
use super::verdict::{Judge, Thresholds, Verdict};
use super::window::{Totals, Window};

/// A target's health in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// A check is configured that nothing answered yet; the target takes traffic.
    Unknown,
    /// Nothing speaks against it.
    Healthy,
    /// It answers checks wrongly, whether it is ejected or not.
    Unhealthy,
    /// It failed requests.
    Ejected,
}

impl HealthState {
    /// As reports spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
        }
    }

    /// Whether requests are sent there as long as enough others are as healthy.
    pub const fn takes_traffic(self) -> bool {
        matches!(self, Self::Unknown | Self::Healthy)
    }
}

/// Why a member takes traffic or not.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Since when it is healthy, if that is known and may matter to its slow start.
    pub healthy_since: Option<Instant>,
    /// Why it takes no traffic; empty if it does.
    pub unhealthy: Option<String>,
    /// When its state changed last.
    since: SystemTime,
    checks: Option<Checks>,
    ejections: Ejections,
    /// What requests of late came to.
    window: Window,
}

/// What came of active checks.
#[derive(Clone, Debug, Default)]
struct Checks {
    judge: Judge,
    passed: u64,
    failed: u64,
    last: Option<CheckAnswer>,
}

/// The answer to one active check.
#[derive(Clone, Debug)]
pub struct CheckAnswer {
    /// When it was there, or was given up.
    pub at: SystemTime,
    /// How long that took.
    pub took: Duration,
    /// What is wrong about it; nothing if it is right.
    pub wrong: Option<String>,
}

/// What changed a standing into another state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: HealthState,
    pub(crate) to: HealthState,
}

impl Change {
    /// Whether plans are to be built anew.
    pub(crate) fn concerns_traffic(self) -> bool {
        self.from.takes_traffic() != self.to.takes_traffic()
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            healthy_since: None,
            unhealthy: None,
            since: SystemTime::now(),
            checks: None,
            ejections: Ejections::default(),
            window: Window::default(),
        }
    }
}

impl Standing {
    pub(crate) fn state(&self) -> HealthState {
        let verdict = self.checks.as_ref().map(|checks| checks.judge.verdict());
        match verdict {
            Some(Verdict::Unhealthy) => HealthState::Unhealthy,
            _ if self.ejections.running().is_some() => HealthState::Ejected,
            Some(Verdict::Unknown) => HealthState::Unknown,
            Some(Verdict::Healthy) | None => HealthState::Healthy,
        }
    }

    /// Another active check asks from now on.
    pub(crate) fn expect_answers(&mut self, now: Moment) -> Option<Change> {
        self.change(now, |standing| {
            standing.checks.get_or_insert_default().judge.start_over();
        })
    }

    /// No active check asks any more.
    pub(crate) fn expect_no_answers(&mut self, now: Moment) -> Option<Change> {
        self.checks.as_ref()?;
        self.change(now, |standing| standing.checks = None)
    }

    /// An active check was answered; `wrong` tells what is wrong about the answer.
    pub(crate) fn answered(
        &mut self,
        check: &ActiveCheck,
        wrong: Option<String>,
        took: Duration,
        now: Moment,
    ) -> Option<Change> {
        self.change(now, |standing| {
            let checks = standing.checks.get_or_insert_default();
            let is_right = wrong.is_none();
            *(if is_right {
                &mut checks.passed
            } else {
                &mut checks.failed
            }) += 1;
            checks.last = Some(CheckAnswer {
                at: now.wall,
                took,
                wrong,
            });
            let thresholds = Thresholds {
                unhealthy_after: check.unhealthy_after,
                healthy_after: check.healthy_after,
            };
            checks.judge.hear(is_right, thresholds);
        })
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejections.running().is_some()
    }

    pub(crate) fn eject(
        &mut self,
        passive: &PassiveCheck,
        reason: String,
        now: Moment,
    ) -> Option<Change> {
        self.change(now, |standing| {
            standing.ejections.begin(passive.eject_for, reason, now);
            standing.window.clear();
        })
    }

    /// Ends an ejection that has taken its time.
    pub(crate) fn advance(&mut self, now: Moment) -> Option<Change> {
        self.ejections.running()?;
        self.change(now, |standing| {
            standing.ejections.advance(now);
            standing.window.clear();
        })
    }

    /// Requests do not count against it any more.
    pub(crate) fn pardon(&mut self, now: Moment) -> Option<Change> {
        self.window.clear();
        self.change(now, |standing| standing.ejections.pardon())
    }

    /// Takes all that was counted so far; tells what came up of late.
    pub(crate) fn observe(&mut self, totals: Totals, now: Instant) -> Totals {
        self.window.observe(totals, now)
    }

    fn change(&mut self, now: Moment, apply: impl FnOnce(&mut Self)) -> Option<Change> {
        let from = self.state();
        apply(self);
        let to = self.state();
        let change = Change { from, to };
        self.unhealthy = (!to.takes_traffic()).then(|| self.reason().unwrap_or_default());
        if from == to {
            return None;
        }
        self.since = now.wall;
        if change.concerns_traffic() && to.takes_traffic() {
            self.healthy_since = Some(now.instant);
        }
        Some(change)
    }

    fn reason(&self) -> Option<String> {
        match self.state() {
            HealthState::Unhealthy => {
                let last = self.checks.as_ref()?.last.as_ref()?;
                // The latest answer may have been right: then that is one of several that it takes.
                let wrong = last.wrong.clone();
                wrong.or_else(|| self.unhealthy.clone())
            }
            HealthState::Ejected => Some(self.ejections.running()?.reason.clone()),
            HealthState::Unknown | HealthState::Healthy => None,
        }
    }

    /// For people.
    pub(crate) fn report(&self) -> HealthReport {
        HealthReport {
            state: self.state(),
            since: self.since,
            reason: self.unhealthy.clone(),
            until: self.ejections.running().map(|running| running.until_wall),
            ejections: self.ejections.count,
            checks: self.checks.as_ref().map(|checks| ChecksReport {
                passed: checks.passed,
                failed: checks.failed,
                last: checks.last.clone(),
            }),
        }
    }
}

/// A target's health as reports tell it.
#[derive(Clone, Debug)]
pub struct HealthReport {
    /// In one word.
    pub state: HealthState,
    /// When the state changed last; when the target appeared if it never did.
    pub since: SystemTime,
    /// Why it takes no traffic.
    pub reason: Option<String>,
    /// When its ejection ends.
    pub until: Option<SystemTime>,
    /// How often it was ejected.
    pub ejections: u64,
    /// Active checks, if there are.
    pub checks: Option<ChecksReport>,
}

/// A target's active checks as reports tell them.
#[derive(Clone, Debug)]
pub struct ChecksReport {
    /// Right answers.
    pub passed: u64,
    /// Wrong ones, and none.
    pub failed: u64,
    /// The latest.
    pub last: Option<CheckAnswer>,
}

#[cfg(test)]
mod tests;
