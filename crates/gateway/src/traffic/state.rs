//! Which shares a split has now, and why: what the file says, an override, or a shift under way.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use weir_config::model::GuardAction;

use super::shares::Shares;

/// Milliseconds since 1970. Shifts go by the clock of the wall: they outlive the process.
pub(crate) type Millis = u64;

/// The clock of the wall.
pub(crate) fn wall_clock() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    millis(since)
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The shares of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// As in the file.
    file: Shares,
    /// In effect.
    shares: Shares,
    held: Option<Override>,
    shift: Option<Shift>,
    trip: Option<Trip>,
}

/// Shares that are others than in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Milliseconds since 1970.
    pub since: u64,
    /// `command` or `guard`.
    pub by: String,
}

/// A guard that acted. It acts once, until the next change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// Milliseconds since 1970.
    pub at: u64,
    /// Name of the upstream that failed.
    pub upstream: String,
    /// What was too much, with numbers.
    pub reason: String,
}

/// A gradual change of shares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shift {
    pub(super) from: Shares,
    pub(super) to: Shares,
    pub(super) begun: Millis,
    /// How long it takes.
    pub(super) over: Millis,
    /// How much of that has passed.
    pub(super) passed: Millis,
    pub(super) phase: Phase,
}

/// How a shift stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Shares are moving.
    Running,
    /// They stopped, and can go on.
    Halted,
    /// They arrived.
    Done,
    /// They went back.
    RolledBack,
}

/// What is kept of a split beyond the process: whatever is not as the file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedSplit {
    pub(super) route: String,
    pub(super) upstreams: Vec<String>,
    #[serde(flatten)]
    pub(super) state: State,
}

impl SavedSplit {
    /// Whether it is of a split with these upstreams and these shares in the file. It may come from a
    /// damaged file.
    pub(super) fn fits(&self, upstreams: &[Arc<str>], file: &Shares) -> bool {
        self.upstreams
            .iter()
            .map(String::as_str)
            .eq(upstreams.iter().map(|name| &**name))
            && self.state.is_valid(upstreams.len())
            && self.state.file().are_close_to(file)
    }
}

/// There is no shift to halt, or to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoShift;

impl State {
    pub(super) fn as_in(file: Shares) -> Self {
        Self {
            shares: file.clone(),
            file,
            held: None,
            shift: None,
            trip: None,
        }
    }

    pub(super) fn file(&self) -> &Shares {
        &self.file
    }

    pub(super) fn shares(&self) -> &Shares {
        &self.shares
    }

    pub(super) fn held(&self) -> Option<&Override> {
        self.held.as_ref()
    }

    pub(super) fn shift(&self) -> Option<&Shift> {
        self.shift.as_ref()
    }

    /// Forgets that a guard acted.
    pub(super) fn arm(&mut self) {
        self.trip = None;
    }

    pub(super) fn trip(&self) -> Option<&Trip> {
        self.trip.as_ref()
    }

    /// Whether there is anything that the file does not say.
    pub(super) fn is_as_in_file(&self) -> bool {
        self.held.is_none() && self.trip.is_none()
    }

    /// Whether it fits a split with so many backends: it may come from a damaged file.
    pub(super) fn is_valid(&self, count: usize) -> bool {
        let shifted = self.shift.iter().flat_map(|shift| [&shift.from, &shift.to]);
        let mut all = [&self.file, &self.shares].into_iter().chain(shifted);
        all.all(|shares| shares.are_valid(count))
    }

    /// Other shares at once.
    pub(super) fn set(&mut self, shares: Shares, now: Millis) {
        *self = Self {
            shares,
            held: Some(held(now, "command")),
            shift: None,
            trip: None,
            file: self.file.clone(),
        };
    }

    /// Other shares step by step.
    pub(super) fn shift_to(&mut self, to: Shares, over: Duration, now: Millis) {
        let from = self.shares.clone();
        self.set(from.clone(), now);
        self.shift = Some(Shift {
            from,
            to,
            begun: now,
            over: millis(over),
            passed: 0,
            phase: Phase::Running,
        });
        self.advance(now);
    }

    pub(super) fn halt(&mut self, now: Millis) -> Result<(), NoShift> {
        self.advance(now);
        let shift = self.shift.as_mut().ok_or(NoShift)?;
        if shift.phase != Phase::Running {
            return Err(NoShift);
        }
        shift.phase = Phase::Halted;
        self.trip = None;
        Ok(())
    }

    pub(super) fn resume(&mut self, now: Millis) -> Result<(), NoShift> {
        let shift = self.shift.as_mut().ok_or(NoShift)?;
        if shift.phase != Phase::Halted {
            return Err(NoShift);
        }
        shift.phase = Phase::Running;
        shift.begun = now.saturating_sub(shift.passed);
        self.trip = None;
        Ok(())
    }

    /// Everything to the first backend.
    pub(super) fn roll_back(&mut self, count: usize, now: Millis, by: &str) {
        self.advance(now);
        self.shares = Shares::all_to(0, count);
        self.held = Some(held(now, by));
        self.trip = None;
        if let Some(shift) = &mut self.shift {
            shift.phase = Phase::RolledBack;
        }
    }

    /// Back to what the file says.
    pub(super) fn reset(&mut self) {
        *self = Self::as_in(self.file.clone());
    }

    /// A guard acts.
    pub(super) fn act(&mut self, then: GuardAction, count: usize, trip: Trip, now: Millis) {
        match then {
            GuardAction::Rollback => self.roll_back(count, now, "guard"),
            // Without a shift under way there is nothing to halt.
            GuardAction::Halt => drop(self.halt(now)),
        }
        self.trip = Some(trip);
    }

    /// Goes on with a shift; tells whether it arrived just now.
    pub(super) fn advance(&mut self, now: Millis) -> bool {
        let Some(shift) = &mut self.shift else {
            return false;
        };
        if shift.phase != Phase::Running {
            return false;
        }
        // A clock that is set back does not take anything back.
        shift.passed = shift
            .passed
            .max(now.saturating_sub(shift.begun))
            .min(shift.over);
        self.shares = shift.from.towards(&shift.to, shift.progress());
        if shift.passed < shift.over {
            return false;
        }
        shift.phase = Phase::Done;
        true
    }
}

impl Shift {
    /// From 0 to 1.
    pub(super) fn progress(&self) -> f64 {
        if self.over == 0 {
            return 1.0;
        }
        self.passed as f64 / self.over as f64
    }
}

fn held(since: Millis, by: &str) -> Override {
    Override {
        since,
        by: by.to_owned(),
    }
}

#[cfg(test)]
mod tests;
