//! Ejects targets that fail requests.

use std::sync::Arc;

use super::ejection::Crowd;
use super::standing::Change;
use super::watch::{MANY, tell};
use super::{Fault, Moment};
use crate::upstream::cluster::{Cluster, Roster};

/// A worker found that a target failed so many requests in a row, the latest in this way. Tells whether
/// that is settled; if not, the supervisor is to be told.
///
/// Where it is quick, it is settled at once and not by the supervisor: until the target is out, its
/// share of requests goes on failing, and a thousand of them in the moment that another thread takes to wake
/// would use up what repeats there are. This is once for an ejection, and nobody is waited for.
pub(crate) fn settle(cluster: &Cluster, identity: u64, failures: u32, last: Fault) -> bool {
    let Some(roster) = cluster.try_roster() else {
        return false;
    };
    if roster.members.len() > MANY {
        return false;
    }
    let now = Moment::now();
    let reason = || row(failures, last);
    let change = eject(cluster, &roster, identity, reason, now);
    if change.is_some_and(Change::concerns_traffic) {
        cluster.publish(&roster, now.instant);
    }
    true
}

/// Why a target is ejected that failed so many requests in a row.
pub(super) fn row(failures: u32, last: Fault) -> String {
    format!("{failures} failures in a row, the latest {last}")
}

/// Ejects a member, if that is configured and it can be spared. The roster is held meanwhile, so that no
/// two threads take each other's for one that stays.
pub(super) fn eject(
    cluster: &Cluster,
    roster: &Roster,
    identity: u64,
    reason: impl FnOnce() -> String,
    now: Moment,
) -> Option<Change> {
    let settings = Arc::clone(&roster.settings);
    let passive = settings.model().health.passive.as_ref()?;
    let mut members = roster.members.iter();
    let member = members.find(|member| member.target.identity == identity)?;
    // It may be out already: what was under way fails, too.
    if !member.state.takes_traffic() {
        return None;
    }
    let mut crowd = Crowd::default();
    for member in &roster.members {
        let standing = member.state.standing();
        crowd.all += 1;
        crowd.ejected += usize::from(standing.is_ejected());
        crowd.taking_traffic += usize::from(standing.state().takes_traffic());
    }
    if !crowd.can_spare_one(passive) {
        return None;
    }
    let change = member.state.standing().eject(passive, reason(), now)?;
    tell(&cluster.name, member, change);
    Some(change)
}
