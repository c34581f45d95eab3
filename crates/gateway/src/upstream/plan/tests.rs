use std::time::Duration;

use weir_config::model::{Balance, HashKey};

use super::super::target::Targets;
use super::super::testing::{Setting, alike, fail, members, placed, recover};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const EAST: Option<&str> = Some("east");
const WEST: Option<&str> = Some("west");

/// Share of the traffic that each member gets, in percent.
fn shares(plan: &Plan) -> Vec<f64> {
    let mut counts = vec![0_u32; plan.members.len()];
    match &plan.choice {
        Choice::Nobody => {}
        Choice::Only(only) => counts[usize::from(*only)] += 1,
        Choice::Schedule(schedule) => {
            for at in schedule {
                counts[usize::from(*at)] += 1;
            }
        }
        Choice::Table(table) => {
            for key in 0..100_000_u32 {
                let hash = maglev::hash(&key.to_le_bytes(), 0);
                counts[usize::from(table.get(hash))] += 1;
            }
        }
    }
    let total: u32 = counts.iter().sum();
    counts
        .iter()
        .map(|count| f64::from(*count) * 100.0 / f64::from(total))
        .collect()
}

fn assert_shares(plan: &Plan, expected: &[f64], within: f64) {
    let found = shares(plan);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(
            off <= within,
            "{found:.2}% in place of {expected}%: {:.2?}",
            shares(plan)
        );
    }
}

fn round_robin() -> Setting {
    Setting::new(Balance::RoundRobin)
}

fn in_east() -> Setting {
    Setting {
        zone: EAST,
        ..round_robin()
    }
}

#[test]
fn a_plan_is_as_simple_as_it_can_be() {
    let now = Instant::now();
    let choice = |list: &[(u32, Option<&str>)]| round_robin().plan(&members(list), now).choice;
    assert!(matches!(choice(&[]), Choice::Nobody));
    assert!(matches!(choice(&[(0, None)]), Choice::Nobody));
    assert!(matches!(choice(&[(0, None), (3, None)]), Choice::Only(1)));
    assert!(matches!(
        choice(&[(1, None), (3, None)]),
        Choice::Schedule(_)
    ));
}

#[test]
fn who_is_unhealthy_takes_no_traffic_and_the_others_share_it() {
    let list = members(&[(2, None), (1, None), (1, None)]);
    fail(&list[1]);
    let plan = round_robin().plan(&list, Instant::now());
    assert!(!plan.is_panicking);
    assert_shares(&plan, &[66.67, 0.0, 33.33], 0.01);
}

#[test]
fn below_the_panic_threshold_health_is_ignored() {
    let list = alike(4);
    let now = Instant::now();
    fail(&list[0]);
    fail(&list[1]);
    let plan = round_robin().plan(&list, now);
    assert!(!plan.is_panicking, "half is as much as is asked for");
    assert_shares(&plan, &[0.0, 0.0, 50.0, 50.0], 0.01);
    fail(&list[2]);
    let plan = round_robin().plan(&list, now);
    assert!(plan.is_panicking);
    assert_shares(&plan, &[25.0; 4], 0.01);
    recover(&list[0], now);
    assert!(!round_robin().plan(&list, now).is_panicking, "and back");
}

#[test]
fn the_panic_threshold_is_one_of_weight() {
    let list = members(&[(8, None), (1, None), (1, None)]);
    fail(&list[0]);
    let plan = round_robin().plan(&list, Instant::now());
    assert!(plan.is_panicking, "two of three, but a fifth of the weight");
}

#[test]
fn without_panic_nobody_healthy_is_nobody() {
    let list = alike(2);
    let mut setting = round_robin();
    setting.health.panic_threshold_percent = 0;
    fail(&list[0]);
    assert_shares(&setting.plan(&list, Instant::now()), &[0.0, 100.0], 0.0);
    fail(&list[1]);
    let plan = setting.plan(&list, Instant::now());
    assert!(!plan.is_panicking && matches!(plan.choice, Choice::Nobody));
}

#[test]
fn a_member_that_joins_gets_from_a_tenth_up() {
    let targets = Targets::new(1);
    let start = Instant::now();
    let before = super::members(placed(&targets, &[(1, None)]), &[], start);
    let list = super::members(placed(&targets, &[(1, None), (1, None)]), &before, start);
    let mut setting = round_robin();
    setting.health.slow_start = 10 * SECOND;
    let at = |passed: Duration| setting.plan(&list, start + passed);
    for (passed, part) in [(0.0, 0.1), (0.5, 0.1), (2.0, 0.2), (5.0, 0.5), (9.0, 0.9)] {
        let plan = at(Duration::from_secs_f64(passed));
        let share = 100.0 * part / (1.0 + part);
        assert_shares(&plan, &[100.0 - share, share], 0.2);
        assert!(plan.is_moving);
    }
    let plan = at(10 * SECOND);
    assert_shares(&plan, &[50.0, 50.0], 0.0);
    assert!(!plan.is_moving, "nothing is left to wait for");
}

#[test]
fn at_the_start_and_after_a_reload_nobody_is_slow() {
    let targets = Targets::new(1);
    let now = Instant::now();
    let mut setting = round_robin();
    setting.health.slow_start = 10 * SECOND;
    let first = super::members(placed(&targets, &[(1, None), (1, None)]), &[], now);
    assert!(!setting.plan(&first, now).is_moving);
    let again = super::members(placed(&targets, &[(3, None), (1, None)]), &first, now);
    let plan = setting.plan(&again, now);
    assert!(!plan.is_moving);
    assert_shares(&plan, &[75.0, 25.0], 0.0);
}

/// Nodes agree on whom a key belongs to, whenever each of them learnt of a member.
#[test]
fn consistent_hashing_knows_no_slow_start() {
    let list = alike(4);
    let now = Instant::now();
    recover(&list[2], now);
    let mut setting = Setting::new(Balance::ConsistentHash(HashKey::Path));
    setting.health.slow_start = 10 * SECOND;
    let plan = setting.plan(&list, now);
    assert!(!plan.is_moving);
    assert_shares(&plan, &[25.0; 4], 1.0);
}

#[test]
fn the_own_zone_takes_all_while_it_can() {
    let list = members(&[
        (1, EAST),
        (1, EAST),
        (1, EAST),
        (1, EAST),
        (4, WEST),
        (4, None),
    ]);
    let now = Instant::now();
    let all_east = [25.0, 25.0, 25.0, 25.0, 0.0, 0.0];
    assert_shares(&in_east().plan(&list, now), &all_east, 0.0);
    fail(&list[0]);
    // Three quarters are healthy, and seven tenths are asked for.
    let plan = in_east().plan(&list, now);
    assert_shares(&plan, &[0.0, 33.33, 33.33, 33.33, 0.0, 0.0], 0.01);
}

#[test]
fn what_the_own_zone_cannot_carry_overflows_in_proportion() {
    let list = members(&[(1, EAST), (1, EAST), (1, WEST), (3, Some("south"))]);
    let now = Instant::now();
    fail(&list[0]);
    // Half of seven tenths: five sevenths stay.
    let stays = 100.0 * 0.5 / 0.7;
    let leaves = 100.0 - stays;
    let plan = in_east().plan(&list, now);
    assert_shares(&plan, &[0.0, stays, leaves / 4.0, leaves * 3.0 / 4.0], 0.1);
    fail(&list[1]);
    // Nothing of it is left: 4 of 6 are healthy, so that health counts.
    let plan = in_east().plan(&list, now);
    assert!(!plan.is_panicking);
    assert_shares(&plan, &[0.0, 0.0, 25.0, 75.0], 0.0);
    recover(&list[0], now);
    recover(&list[1], now);
    assert_shares(&in_east().plan(&list, now), &[50.0, 50.0, 0.0, 0.0], 0.0);
}

/// However few are left in all: who can carry the traffic gets it, and who fails does not.
#[test]
fn one_side_that_is_well_is_enough() {
    let now = Instant::now();
    let list = members(&[(1, EAST), (1, EAST), (1, WEST)]);
    fail(&list[0]);
    fail(&list[1]);
    let plan = in_east().plan(&list, now);
    assert!(!plan.is_panicking);
    assert_shares(&plan, &[0.0, 0.0, 100.0], 0.0);
    // Who has no zone, or does not care, has one side only.
    let mut told = in_east();
    told.zones.prefer_own = false;
    for plan in [told.plan(&list, now), round_robin().plan(&list, now)] {
        assert!(plan.is_panicking);
        assert_shares(&plan, &[33.33; 3], 0.01);
    }

    let list = members(&[(1, EAST), (2, WEST), (2, Some("south"))]);
    fail(&list[1]);
    fail(&list[2]);
    let plan = in_east().plan(&list, now);
    assert!(!plan.is_panicking, "the own zone needs no other");
    assert_shares(&plan, &[100.0, 0.0, 0.0], 0.0);

    // A third of either side: too little everywhere.
    let list = members(&[(1, EAST), (2, EAST), (1, WEST), (2, WEST)]);
    fail(&list[1]);
    assert!(!in_east().plan(&list, now).is_panicking);
    fail(&list[3]);
    let plan = in_east().plan(&list, now);
    assert!(plan.is_panicking);
    assert_shares(&plan, &[16.67, 33.33, 16.67, 33.33], 0.01);
}

#[test]
fn overflow_has_no_steps() {
    let list = members(&[(100, EAST), (100, EAST), (100, WEST)]);
    let mut before = 100.0;
    for percent in 50..=100 {
        let mut setting = in_east();
        setting.zones.overflow_below_percent = percent;
        fail(&list[0]);
        let east = shares(&setting.plan(&list, Instant::now()))[1];
        let expected = 100.0 * 50.0 / f64::from(percent);
        assert!((east - expected).abs() < 0.1, "{percent}: {east}");
        assert!(east <= before);
        before = east;
    }
}

/// A zone of one target that comes back would else get everything at once.
#[test]
fn a_zone_that_recovers_gets_its_traffic_back_step_by_step() {
    let list = members(&[(1, EAST), (1, WEST), (1, WEST)]);
    let start = Instant::now();
    let mut setting = in_east();
    setting.health.slow_start = 10 * SECOND;
    fail(&list[0]);
    assert_shares(&setting.plan(&list, start), &[0.0, 50.0, 50.0], 0.0);
    recover(&list[0], start);
    for (seconds, east) in [
        (0, 10.0 / 0.7),
        (2, 20.0 / 0.7),
        (5, 50.0 / 0.7),
        (7, 100.0),
    ] {
        let plan = setting.plan(&list, start + seconds * SECOND);
        let west = (100.0 - east) / 2.0;
        assert_shares(&plan, &[east, west, west], 0.1);
        assert!(plan.is_moving, "it goes on");
    }
}

#[test]
fn zones_do_not_matter_without_one_or_when_told_so_or_in_a_panic() {
    let list = members(&[(1, EAST), (1, WEST), (2, WEST)]);
    let now = Instant::now();
    let all = [25.0, 25.0, 50.0];
    assert_shares(&round_robin().plan(&list, now), &all, 0.0);
    let elsewhere = Setting {
        zone: Some("north"),
        ..round_robin()
    };
    assert_shares(&elsewhere.plan(&list, now), &all, 0.0);
    let mut told = in_east();
    told.zones.prefer_own = false;
    assert_shares(&told.plan(&list, now), &all, 0.0);
    fail(&list[0]);
    fail(&list[2]);
    let plan = in_east().plan(&list, now);
    assert!(plan.is_panicking);
    assert_shares(&plan, &all, 0.0);
}

#[test]
fn a_zone_far_away_of_many_keeps_its_small_share() {
    let mut list = vec![(1, EAST); 20];
    list.extend(vec![(1, WEST); 2_000]);
    let list = members(&list);
    for member in &list[..7] {
        fail(member);
    }
    // 13 of 20 are 65%, so that 5 of 70 leave.
    let west: f64 = shares(&in_east().plan(&list, Instant::now()))[20..]
        .iter()
        .sum();
    assert!((west - 100.0 * 5.0 / 70.0).abs() < 0.5, "{west}");
}

#[test]
fn tokens_are_the_same_everywhere_and_known_while_the_member_is_healthy() {
    let list = members(&[(1, EAST), (0, EAST), (1, WEST)]);
    let now = Instant::now();
    let setting = Setting {
        is_sticky: true,
        ..in_east()
    };
    let plan = setting.plan(&list, now);
    for at in 0..3 {
        let token = plan.token(at).expect("a token");
        assert_eq!(
            plan.by_token[&token], at as u16,
            "also without weight, or in another zone"
        );
    }
    let elsewhere = members(&[(7, None), (7, None)]);
    let there = setting.plan(&elsewhere, now);
    assert_eq!(
        there.token(1),
        plan.token(1),
        "another node, another weight"
    );
    assert_eq!(
        plan.token(0),
        Some(0x7732_434e_c7f6_52c1),
        "a new version changes nothing"
    );
    fail(&list[0]);
    let after = setting.plan(&list, now);
    let token = plan.token(0).expect("a token");
    assert!(!after.is_panicking && !after.by_token.contains_key(&token));
    assert_eq!(
        round_robin().plan(&list, now).token(0),
        None,
        "no cookie, no token"
    );
}

#[test]
fn more_members_than_can_be_numbered_are_left_out() {
    let list = members(&vec![(1, None); MOST_MEMBERS + 10]);
    assert_eq!(list.len(), MOST_MEMBERS);
    let hash = Balance::ConsistentHash(HashKey::Path);
    for balance in [Balance::RoundRobin, hash] {
        let plan = Setting::new(balance).plan(&list, Instant::now());
        match plan.choice {
            Choice::Schedule(schedule) => assert_eq!(schedule.len(), MOST_MEMBERS),
            Choice::Table(table) => assert!(usize::from(table.get(u64::MAX)) < MOST_MEMBERS),
            other => panic!("{other:?}"),
        }
    }
}

/// Generous: a debug build beside other tests. Figures of a release build are in `docs/balancing.md`.
#[test]
fn ten_thousand_members_are_planned_quickly() {
    let list = alike(10_000);
    let start = Instant::now();
    for member in list.iter().take(9) {
        recover(member, start);
    }
    let hash = Balance::ConsistentHash(HashKey::Path);
    for balance in [Balance::RoundRobin, Balance::LeastRequest, hash] {
        let mut setting = Setting {
            is_sticky: true,
            ..Setting::new(balance)
        };
        setting.health.slow_start = 60 * SECOND;
        let began = Instant::now();
        let plan = setting.plan(&list, start + 7 * SECOND);
        let took = began.elapsed();
        println!("{}: 10,000 members in {took:?}", setting.balance.name());
        assert_eq!(plan.members.len(), 10_000);
        assert!(took < 5 * SECOND, "{took:?}");
    }
}

#[test]
fn a_target_that_is_listed_twice_is_one_with_the_weight_of_both() {
    let now = Instant::now();
    let targets = Targets::new(1);
    let mut listed = placed(&targets, &[(1, EAST), (5, WEST)]);
    listed.push((Arc::clone(&listed[0].0), 2, WEST.map(Arc::from)));
    let members = super::members(listed, &[], now);
    let kept = members
        .iter()
        .map(|member| (member.weight, member.zone.as_deref()));
    assert_eq!(kept.collect::<Vec<_>>(), [(3, EAST), (5, WEST)]);
    fail(&members[0]);
    let plan = round_robin().plan(&members, now);
    assert!(matches!(plan.choice, Choice::Only(1)));
}
