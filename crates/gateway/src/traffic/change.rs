//! What an operator can have done to a split.

use std::sync::Arc;
use std::time::Duration;

use super::shares::Shares;
use super::state::{Millis, NoShift, State};

/// A change of a split's shares while traffic flows. Shares are in percent.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// These shares at once; upstreams that are not named get nothing.
    Set(Vec<(String, f64)>),
    /// Everything to one upstream at once.
    Switch(String),
    /// These shares step by step; the others divide the rest as they do now.
    Shift {
        /// Shares to arrive at.
        to: Vec<(String, f64)>,
        /// How long it takes.
        over: Duration,
    },
    /// A shift under way stops where it is.
    Halt,
    /// A halted shift goes on.
    Resume,
    /// Everything to the first upstream at once.
    Rollback,
    /// What the file says.
    Reset,
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// No route has this name and a split.
    #[error("no route `{0}` with a split")]
    UnknownRoute(String),
    /// The split does not have this upstream.
    #[error("the split has no upstream `{0}`")]
    UnknownUpstream(String),
    /// An upstream is named more than once.
    #[error("the upstream `{0}` is named twice")]
    Twice(String),
    /// No share.
    #[error("the share of `{0}` is not between 0 and 100 percent")]
    BadShare(String),
    /// Shares of a whole that is none.
    #[error("the shares add up to {0}%, not to 100%")]
    BadSum(f64),
    /// Nothing to halt.
    #[error("no shift is under way")]
    NothingToHalt,
    /// Nothing to go on with.
    #[error("no shift is halted")]
    NothingToResume,
    /// Another process decides: the successor of this one, or the one that this one succeeds.
    #[error("another process is taking over")]
    HandedOver,
}

/// Shares may be written with this much of an error, in percent.
const TOLERANCE: f64 = 0.001;

impl Change {
    /// Makes the change, or leaves everything as it is.
    pub(super) fn apply(
        &self,
        state: &mut State,
        upstreams: &[Arc<str>],
        now: Millis,
    ) -> Result<(), ChangeError> {
        let count = upstreams.len();
        match self {
            Self::Set(shares) => {
                let given = resolve(shares, upstreams)?;
                let sum = sum(shares);
                if (sum - 100.0).abs() > TOLERANCE {
                    return Err(ChangeError::BadSum(sum));
                }
                let mut weights = vec![0.0; count];
                for (at, share) in given {
                    weights[at] = share;
                }
                state.set(Shares::of(&weights), now);
            }
            Self::Switch(name) => {
                let at = index(name, upstreams)?;
                state.set(Shares::all_to(at, count), now);
            }
            Self::Shift { to, over } => {
                let given = resolve(to, upstreams)?;
                let sum = sum(to);
                let is_all = given.len() == count;
                if sum > 100.0 + TOLERANCE || (is_all && sum < 100.0 - TOLERANCE) {
                    return Err(ChangeError::BadSum(sum));
                }
                let target = if is_all {
                    let mut weights = vec![0.0; count];
                    for (at, share) in given {
                        weights[at] = share;
                    }
                    Shares::of(&weights)
                } else {
                    state.advance(now);
                    state.shares().with(&given)
                };
                state.shift_to(target, *over, now);
            }
            Self::Halt => state
                .halt(now)
                .map_err(|NoShift| ChangeError::NothingToHalt)?,
            Self::Resume => state
                .resume(now)
                .map_err(|NoShift| ChangeError::NothingToResume)?,
            Self::Rollback => state.roll_back(count, now, "command"),
            Self::Reset => state.reset(),
        }
        Ok(())
    }

    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Switch(_) => "switch",
            Self::Shift { .. } => "shift",
            Self::Halt => "halt",
            Self::Resume => "resume",
            Self::Rollback => "rollback",
            Self::Reset => "reset",
        }
    }
}

fn index(name: &str, upstreams: &[Arc<str>]) -> Result<usize, ChangeError> {
    upstreams
        .iter()
        .position(|known| **known == *name)
        .ok_or_else(|| ChangeError::UnknownUpstream(name.to_owned()))
}

fn resolve(
    shares: &[(String, f64)],
    upstreams: &[Arc<str>],
) -> Result<Vec<(usize, f64)>, ChangeError> {
    let mut given: Vec<(usize, f64)> = Vec::with_capacity(shares.len());
    for (name, percent) in shares {
        let at = index(name, upstreams)?;
        // Of what is no number, nothing is true.
        if !(0.0..=100.0).contains(percent) {
            return Err(ChangeError::BadShare(name.clone()));
        }
        if given.iter().any(|(known, _)| *known == at) {
            return Err(ChangeError::Twice(name.clone()));
        }
        given.push((at, percent / 100.0));
    }
    Ok(given)
}

fn sum(shares: &[(String, f64)]) -> f64 {
    let sum: f64 = shares.iter().map(|(_, percent)| percent).sum();
    // As people wrote it, without what binary fractions add.
    (sum * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(change: &Change) -> Result<Vec<f64>, ChangeError> {
        let upstreams: Vec<Arc<str>> = ["blue", "green", "red"].map(Arc::from).to_vec();
        let mut state = State::as_in(Shares::of(&[60.0, 20.0, 20.0]));
        let before = state.clone();
        let done = change.apply(&mut state, &upstreams, 0);
        if done.is_err() {
            assert_eq!(state, before);
        }
        state.advance(u64::MAX);
        done.map(|()| (0..3).map(|at| state.shares().percent(at)).collect())
    }

    fn shares(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
        pairs
            .iter()
            .map(|(name, share)| ((*name).to_owned(), *share))
            .collect()
    }

    fn shift(pairs: &[(&str, f64)]) -> Change {
        Change::Shift {
            to: shares(pairs),
            over: Duration::from_secs(1),
        }
    }

    #[test]
    fn every_change_has_its_shares() {
        let set = Change::Set(shares(&[("green", 0.3), ("blue", 99.7)]));
        assert_eq!(apply(&set).unwrap(), [99.7, 0.3, 0.0]);
        assert_eq!(
            apply(&Change::Switch("red".into())).unwrap(),
            [0.0, 0.0, 100.0]
        );
        assert_eq!(
            apply(&shift(&[("green", 60.0)])).unwrap(),
            [30.0, 60.0, 10.0]
        );
        let all = [("green", 100.0), ("blue", 0.0), ("red", 0.0)];
        assert_eq!(apply(&shift(&all)).unwrap(), [0.0, 100.0, 0.0]);
        assert_eq!(apply(&Change::Rollback).unwrap(), [100.0, 0.0, 0.0]);
        assert_eq!(apply(&Change::Reset).unwrap(), [60.0, 20.0, 20.0]);
    }

    #[test]
    fn mistakes_change_nothing_and_are_named() {
        let set = |pairs: &[(&str, f64)]| apply(&Change::Set(shares(pairs))).unwrap_err();
        assert_eq!(
            set(&[("gren", 100.0)]).to_string(),
            "the split has no upstream `gren`"
        );
        assert_eq!(
            set(&[("green", 20.0)]).to_string(),
            "the shares add up to 20%, not to 100%"
        );
        assert_eq!(set(&[]), ChangeError::BadSum(0.0));
        assert_eq!(
            set(&[("green", f64::NAN)]),
            ChangeError::BadShare("green".into())
        );
        assert_eq!(
            set(&[("green", -1.0)]),
            ChangeError::BadShare("green".into())
        );
        assert_eq!(
            set(&[("green", 50.0), ("green", 50.0)]),
            ChangeError::Twice("green".into())
        );
        let over = shift(&[("green", 60.0), ("red", 60.0)]);
        assert_eq!(apply(&over).unwrap_err(), ChangeError::BadSum(120.0));
        let short = shift(&[("green", 10.0), ("red", 10.0), ("blue", 10.0)]);
        assert_eq!(apply(&short).unwrap_err(), ChangeError::BadSum(30.0));
        assert_eq!(
            apply(&Change::Halt).unwrap_err(),
            ChangeError::NothingToHalt
        );
        assert_eq!(
            apply(&Change::Resume).unwrap_err(),
            ChangeError::NothingToResume
        );
    }
}
