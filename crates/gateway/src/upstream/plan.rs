//! What targets are picked from: an upstream's members at one moment, ready for quick choices.
//!
//! A plan is built when something changes (targets, health, a slow start's step), once for the whole
//! process, and shared by the workers. A request only reads it.

pub(super) mod maglev;
pub(super) mod schedule;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use weir_config::model::{Balance, Health, Zones};

use super::Target;
use super::member::{Member, MemberState};
use maglev::Maglev;
pub(crate) use maglev::hash as stable_hash;
use schedule::schedule;

/// What the largest of shares that are no whole numbers becomes, so that a small part of it is not 0.
const PRECISION: f64 = 1_000_000.0;
/// Steps of a slow start.
const STEPS: u32 = 64;
/// Most members of an upstream: their numbers have 16 bits, and one number stands for nobody.
pub(super) const MOST_MEMBERS: usize = u16::MAX as usize;

/// Members, and how to choose among them.
#[derive(Debug)]
pub(crate) struct Plan {
    /// All of them, also those that take no traffic.
    pub(crate) members: Vec<Member>,
    pub(crate) choice: Choice,
    /// Too little is healthy: health is ignored.
    pub(crate) is_panicking: bool,
    /// For sticky cookies; only members that may take traffic of clients that know them.
    pub(crate) by_token: HashMap<u64, u16>,
    /// The token of each member; none if the upstream has no sticky cookie.
    tokens: Vec<u64>,
    /// Whether building it again later gives another result although nothing happened.
    pub(crate) is_moving: bool,
    /// When that is worth it: slow starts go in small steps, not with every tick.
    pub(crate) next_step: Instant,
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

impl<'a> Rules<'a> {
    /// The zone that traffic stays in, if there is one.
    fn preferred_zone(&self) -> Option<&'a str> {
        self.own_zone.filter(|_| self.zones.prefer_own)
    }
}

impl Plan {
    pub(crate) fn build(members: Vec<Member>, rules: &Rules<'_>, now: Instant) -> Self {
        let shares = Shares::of(&members, rules, now);
        let tokens: Vec<u64> = members
            .iter()
            .filter(|_| rules.is_sticky)
            .map(|member| token(rules.upstream, &member.target))
            .collect();
        Self {
            choice: choose(&members, &shares.weights, rules.balance),
            by_token: by_token(&members, &tokens, shares.is_panicking),
            is_panicking: shares.is_panicking,
            is_moving: shares.is_moving,
            next_step: now + rules.health.slow_start / STEPS,
            tokens,
            members,
        }
    }

    /// What stands for a member in a client's cookie, if the upstream has one.
    pub(crate) fn token(&self, at: usize) -> Option<u64> {
        self.tokens.get(at).copied()
    }
}

fn choose(members: &[Member], weights: &[u32], balance: &Balance) -> Choice {
    let mut taking = (0..u16::MAX)
        .zip(weights)
        .filter(|(_, weight)| **weight > 0);
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
/// restart. It does not show the member's address; who guesses the address can tell that it is right.
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

/// Clients come back to a member as long as it is healthy, also if its weight is 0 by now, or traffic
/// of new clients stays in another zone: what they left there is there.
fn by_token(members: &[Member], tokens: &[u64], is_panicking: bool) -> HashMap<u64, u16> {
    let known = (0..u16::MAX).zip(members).zip(tokens);
    known
        .filter(|((_, member), _)| is_panicking || member.state.takes_traffic())
        .map(|((at, _), token)| (*token, at))
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
        let is_panicking = is_panicking(members, rules);
        // Which member a key belongs to is the same on every node, whoever joined when.
        let is_gradual = !matches!(rules.balance, Balance::ConsistentHash(_));
        let mut is_moving = false;
        let mut weights: Vec<f64> = members
            .iter()
            .map(|member| {
                if is_panicking {
                    return f64::from(member.weight);
                }
                if !member.state.takes_traffic() {
                    return 0.0;
                }
                if !is_gradual {
                    return f64::from(member.weight);
                }
                let ramp = member.state.ramp(rules.health.slow_start, now);
                is_moving |= ramp < 1.0;
                f64::from(member.weight) * ramp
            })
            .collect();
        // If so much fails that health is ignored, nobody knows what any zone can carry.
        if !is_panicking {
            prefer_own_zone(members, &mut weights, rules);
        }
        Self {
            weights: whole(&weights),
            is_panicking,
            is_moving,
        }
    }
}

/// Whether so much fails that health is ignored. Where zones matter, the own one and the others are judged
/// apart: as long as one side can carry the traffic, it gets it, however many fail on the other.
fn is_panicking(members: &[Member], rules: &Rules<'_>) -> bool {
    let threshold = u64::from(rules.health.panic_threshold_percent);
    let is_own = |member: &Member| rules.preferred_zone().is_some_and(|own| member.is_in(own));
    let sides = [true, false].map(|own| {
        let side = members.iter().filter(|member| is_own(member) == own);
        side.fold((0, 0), |(healthy, total), member| {
            let weight = u64::from(member.weight);
            let counted = weight * u64::from(member.state.takes_traffic());
            (healthy + counted, total + weight)
        })
    });
    let is_enough =
        |(healthy, total): &(u64, u64)| *total > 0 && healthy * 100 >= total * threshold;
    sides.iter().any(|(_, total)| *total > 0) && !sides.iter().any(is_enough)
}

/// Keeps traffic in the node's own zone as far as the zone's healthy weight carries it. A member in its
/// slow start counts as it takes traffic: a zone that recovers gets its traffic back step by step.
fn prefer_own_zone(members: &[Member], weights: &mut [f64], rules: &Rules<'_>) {
    let Some(own) = rules.preferred_zone() else {
        return;
    };
    let is_own = |member: &Member| member.is_in(own);
    let (mut configured, mut own_weight, mut other_weight) = (0.0, 0.0, 0.0);
    for (member, weight) in members.iter().zip(weights.iter()) {
        if is_own(member) {
            configured += f64::from(member.weight);
            own_weight += weight;
        } else {
            other_weight += weight;
        }
    }
    if own_weight == 0.0 || other_weight == 0.0 {
        return;
    }
    let needed = f64::from(rules.zones.overflow_below_percent.max(1)) / 100.0;
    let stays = (own_weight / configured / needed).min(1.0);
    if stays >= 1.0 {
        // Exactly nothing leaves, and weights that are whole numbers stay so.
        for (member, weight) in members.iter().zip(weights) {
            *weight *= f64::from(u8::from(is_own(member)));
        }
        return;
    }
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

/// A target with its weight and zone in the upstream.
pub(super) type Placed = (Arc<Target>, u32, Option<Arc<str>>);

/// Members of a list, at most [`MOST_MEMBERS`], each with the state of the member that had the same target before.
pub(crate) fn members(targets: Vec<Placed>, before: &[Member], now: Instant) -> Vec<Member> {
    let mut targets = merged(targets);
    if targets.len() > MOST_MEMBERS {
        let left_out = targets.len() - MOST_MEMBERS;
        tracing::warn!(left_out, "an upstream has more than {MOST_MEMBERS} targets");
        targets.truncate(MOST_MEMBERS);
    }
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

/// What is listed several times is one target with the weight of all of them, where it stands first: one
/// server is healthy or not, and is not asked again as if it were another.
fn merged(targets: Vec<Placed>) -> Vec<Placed> {
    let mut places: HashMap<u64, usize> = HashMap::with_capacity(targets.len());
    let mut merged: Vec<Placed> = Vec::with_capacity(targets.len());
    for (target, weight, zone) in targets {
        match places.entry(target.identity) {
            Entry::Occupied(place) => {
                let (_, first, _) = &mut merged[*place.get()];
                *first = first.saturating_add(weight);
            }
            Entry::Vacant(vacant) => {
                vacant.insert(merged.len());
                merged.push((target, weight, zone));
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests;
