//! What the tests of plans and picks are built from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_config::model::{Balance, Health, Reach, UpstreamHttp2, Zones};

use super::local::View;
use super::plan::{self, Placed, Plan, Rules};
use super::target::{Speech, Targets};
use super::{Member, Pools};
use crate::buffers::Buffers;
use crate::timer::Timers;

/// Rules that a test changes.
pub(super) struct Setting {
    pub(super) balance: Balance,
    pub(super) health: Health,
    pub(super) zones: Zones,
    pub(super) zone: Option<&'static str>,
    pub(super) is_sticky: bool,
}

impl Setting {
    pub(super) fn new(balance: Balance) -> Self {
        Self {
            balance,
            health: Health {
                active: None,
                passive: None,
                slow_start: Duration::ZERO,
                panic_threshold_percent: 50,
            },
            zones: Zones {
                prefer_own: true,
                overflow_below_percent: 70,
            },
            zone: None,
            is_sticky: false,
        }
    }

    pub(super) fn plan(&self, members: &[Member], now: Instant) -> Plan {
        let rules = Rules {
            upstream: "up",
            balance: &self.balance,
            is_sticky: self.is_sticky,
            health: &self.health,
            zones: self.zones,
            own_zone: self.zone,
        };
        Plan::build(members.to_vec(), &rules, now)
    }

    /// The view of a worker that has seen nothing yet.
    pub(super) fn view(&self, members: &[Member]) -> View {
        let pools = Pools::new(0, Timers::new(), Buffers::new());
        View::of(self.plan(members, Instant::now()), &pools)
    }
}

/// Targets with these weights and zones; the same places are the same targets.
pub(super) fn placed(targets: &Targets, list: &[(u32, Option<&str>)]) -> Vec<Placed> {
    let speech = Speech {
        http2: UpstreamHttp2::Never,
        tls: None,
        reach: Reach::Anywhere,
    };
    let placed = list.iter().enumerate().map(|(at, (weight, zone))| {
        let host = format!("10.0.{}.{}", at / 256, at % 256);
        let target = targets.get(&speech, &host, 8080).expect("a target");
        (target, *weight, zone.map(Arc::from))
    });
    placed.collect()
}

/// Members that were there from the start.
pub(super) fn members(list: &[(u32, Option<&str>)]) -> Vec<Member> {
    plan::members(placed(&Targets::new(1), list), &[], Instant::now())
}

/// So many alike.
pub(super) fn alike(count: usize) -> Vec<Member> {
    members(&vec![(1, None); count])
}

/// Takes a member out of traffic.
pub(super) fn fail(member: &Member) {
    member.state.standing().unhealthy = Some("refused".to_owned());
}

/// Brings it back.
pub(super) fn recover(member: &Member, now: Instant) {
    let mut standing = member.state.standing();
    standing.unhealthy = None;
    standing.healthy_since = Some(now);
}
