//! What targets are picked from: an upstream's members at one moment, ready for quick choices.
//!
//! A plan is built when something changes (targets, health, a slow start's step), once for the whole
//! process, and shared by the workers. A request only reads it.

pub(super) mod maglev;
pub(super) mod schedule;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use weir_config::model::{Balance, Health, Zones};

use super::Target;
use super::member::{Member, MemberState};
use maglev::Maglev;
pub(crate) use maglev::hash as stable_hash;
use schedule::schedule;

/// Weights are multiplied by this before shares are taken from them, so that a tenth of 1 is not 0.
const PRECISION: f64 = 1_000.0;

/// Members, and how to choose among them.
#[derive(Debug)]
pub(crate) struct Plan {
    /// All of them, also those that take no traffic.
    pub(crate) members: Vec<Member>,
    pub(crate) choice: Choice,
    /// Too little is healthy: health is ignored.
    pub(crate) is_panicking: bool,
    /// For sticky cookies; only members that take traffic.
    pub(crate) by_token: HashMap<u64, u16>,
    /// Whether building it again later gives another result although nothing happened.
    pub(crate) is_moving: bool,
}

/// Indices into [`Plan::members`] in a form that suits the algorithm.
#[derive(Debug)]
pub(crate) enum Choice {
    /// Nobody takes traffic.
    Nobody,
    /// One member takes all of it.
    Only(u16),
    /// In weighted order.
    Schedule(Vec<u16>),
    Table(Maglev),
}

/// What a plan is built by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) balance: &'a Balance,
    pub(crate) is_sticky: bool,
    pub(crate) health: &'a Health,
    pub(crate) zones: Zones,
    /// This node's zone.
    pub(crate) own_zone: Option<&'a str>,
}

impl Plan {
    pub(crate) fn build(members: Vec<Member>, rules: &Rules<'_>, now: Instant) -> Self {
        let shares = Shares::of(&members, rules, now);
        let by_token = if rules.is_sticky {
            tokens(&members, &shares.weights, rules.upstream)
        } else {
            HashMap::new()
        };
        Self {
            choice: choose(&members, &shares.weights, rules.balance),
            is_panicking: shares.is_panicking,
            is_moving: shares.is_moving,
            by_token,
            members,
        }
    }
}

fn choose(members: &[Member], weights: &[u32], balance: &Balance) -> Choice {
    let mut taking = (0..).zip(weights).filter(|(_, weight)| **weight > 0);
    match (taking.next(), taking.next()) {
        (None, _) => return Choice::Nobody,
        (Some((only, _)), None) => return Choice::Only(only),
        _ => {}
    }
    match balance {
        Balance::ConsistentHash(_) => {
            let names = members.iter().map(|member| &*member.target.authority);
            Choice::Table(Maglev::build(names.zip(weights.iter().copied())))
        }
        Balance::RoundRobin | Balance::LeastRequest | Balance::PeakEwma => {
            Choice::Schedule(schedule(weights))
        }
    }
}

/// A value that stands for a member in a client's cookie, the same on every node and after every
/// restart, from which nobody reads the member's address.
pub(crate) fn token(upstream: &str, target: &Target) -> u64 {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    digest.update(b"weir sticky\0");
    digest.update(upstream.as_bytes());
    digest.update(b"\0");
    digest.update(target.authority.as_bytes());
    let digest = digest.finish();
    digest.as_ref()[..8]
        .iter()
        .fold(0, |token, byte| token << 8 | u64::from(*byte))
}

fn tokens(members: &[Member], weights: &[u32], upstream: &str) -> HashMap<u64, u16> {
    let taking = (0..)
        .zip(members)
        .zip(weights)
        .filter(|(_, weight)| **weight > 0);
    taking
        .map(|((at, member), _)| (token(upstream, &member.target), at))
        .collect()
}

/// The share of each member, after health, slow start and zones.
struct Shares {
    weights: Vec<u32>,
    is_panicking: bool,
    is_moving: bool,
}

impl Shares {
    fn of(members: &[Member], rules: &Rules<'_>, now: Instant) -> Self {
        let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
        let healthy: u64 = members
            .iter()
            .filter(|member| member.state.takes_traffic())
            .map(|member| u64::from(member.weight))
            .sum();
        // Nobody healthy is the extreme case: even if panic is turned off, no answer helps nobody.
        let threshold = u64::from(rules.health.panic_threshold_percent);
        let is_panicking = healthy < total && healthy * 100 < total * threshold;
        let ignores_health = is_panicking;
        let mut is_moving = false;
        let mut weights: Vec<f64> = members
            .iter()
            .map(|member| {
                if !ignores_health && !member.state.takes_traffic() {
                    return 0.0;
                }
                let ramp = member.state.ramp(rules.health.slow_start, now);
                is_moving |= ramp < 1.0;
                f64::from(member.weight) * ramp
            })
            .collect();
        prefer_own_zone(members, &mut weights, rules, ignores_health);
        Self {
            weights: whole(&weights),
            is_panicking,
            is_moving,
        }
    }
}

/// Keeps traffic in the node's own zone as far as the zone's healthy weight carries it.
fn prefer_own_zone(
    members: &[Member],
    weights: &mut [f64],
    rules: &Rules<'_>,
    ignores_health: bool,
) {
    let Some(own) = rules.own_zone.filter(|_| rules.zones.prefer_own) else {
        return;
    };
    let is_own = |member: &Member| member.zone.as_deref() == Some(own);
    let (mut all, mut healthy, mut own_weight, mut other_weight) = (0.0, 0.0, 0.0, 0.0);
    for (member, weight) in members.iter().zip(weights.iter()) {
        if !is_own(member) {
            other_weight += weight;
            continue;
        }
        own_weight += weight;
        all += f64::from(member.weight);
        if ignores_health || member.state.takes_traffic() {
            healthy += f64::from(member.weight);
        }
    }
    if all == 0.0 || own_weight == 0.0 || other_weight == 0.0 {
        return;
    }
    let needed = f64::from(rules.zones.overflow_below_percent.max(1)) / 100.0;
    let stays = (healthy / all / needed).min(1.0);
    for (member, weight) in members.iter().zip(weights) {
        *weight *= if is_own(member) {
            stays / own_weight
        } else {
            (1.0 - stays) / other_weight
        };
    }
}

/// Whole numbers in the same proportion; what has a share keeps one.
fn whole(weights: &[f64]) -> Vec<u32> {
    let are_whole = weights.iter().all(|weight| weight.fract() == 0.0);
    if are_whole {
        return weights.iter().map(|weight| *weight as u32).collect();
    }
    let most = weights.iter().copied().fold(0.0, f64::max);
    let scale = PRECISION / most;
    let scaled = weights.iter().map(|weight| {
        let scaled = (weight * scale).round();
        if *weight > 0.0 { scaled.max(1.0) } else { 0.0 }
    });
    scaled.map(|weight| weight as u32).collect()
}

/// Members of a list, each with the state of the member that had the same target before.
pub(crate) fn members(
    targets: Vec<(Arc<Target>, u32, Option<Arc<str>>)>,
    before: &[Member],
    now: Instant,
) -> Vec<Member> {
    let known: HashMap<u64, &Arc<MemberState>> = before
        .iter()
        .map(|member| (member.target.identity, &member.state))
        .collect();
    let is_first = before.is_empty();
    targets
        .into_iter()
        .map(|(target, weight, zone)| Member {
            state: match known.get(&target.identity) {
                Some(state) => Arc::clone(state),
                // Slow start is for those that join others; at the start all are alike.
                None if is_first => Arc::new(MemberState::settled()),
                None => Arc::new(MemberState::joining(now)),
            },
            target,
            weight,
            zone,
        })
        .collect()
}

#[cfg(test)]
mod tests;
