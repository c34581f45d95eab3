use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use weir_config::model::{Balance, HashKey};

use super::super::plan::Choice;
use super::super::testing::{Setting, alike, members};
use super::super::{InFlight, Member};
use super::*;

fn view(balance: Balance, members: &[Member]) -> View {
    Setting::new(balance).view(members)
}

fn schedule(view: &View) -> &[u16] {
    match &view.plan.choice {
        Choice::Schedule(schedule) => schedule,
        other => panic!("a schedule, not {other:?}"),
    }
}

fn tried(view: &View, at: &[usize]) -> Wish {
    let identity = |at: &usize| view.plan.members[*at].target.identity;
    Wish {
        tried: at.iter().map(identity).collect(),
        ..Wish::default()
    }
}

/// Whom each of these requests goes to, none of which ever ends.
fn loads(view: &View, requests: usize, pick: impl Fn(&View) -> u16) -> Vec<u32> {
    let _under_way: Vec<InFlight> = (0..requests)
        .map(|_| InFlight::begin(&view.pools[usize::from(pick(view))]))
        .collect();
    view.pools.iter().map(|pool| pool.in_flight()).collect()
}

#[test]
fn round_robin_is_exact_over_every_period() {
    let view = view(
        Balance::RoundRobin,
        &members(&[(5, None), (3, None), (0, None), (2, None)]),
    );
    let turns = Turns::default();
    for _ in 0..3 {
        let mut counts = [0; 4];
        for _ in 0..10 {
            let at = round_robin(&view, &turns, schedule(&view), &Wish::default());
            counts[usize::from(at)] += 1;
        }
        assert_eq!(counts, [5, 3, 0, 2]);
    }
}

/// n requests at n targets: two choices leave at most ln ln n ÷ ln 2 + O(1) at one (Azar, Broder,
/// Karlin, Upfal 1994), one choice ln n ÷ ln ln n.
#[test]
fn two_choices_keep_the_busiest_target_near_the_others() {
    const TARGETS: usize = 5_000;
    fastrand::seed(3);
    let members = alike(TARGETS);
    let view = view(Balance::LeastRequest, &members);
    let most = |loads: Vec<u32>| loads.into_iter().max().expect("one");
    let two = most(loads(&view, TARGETS, |view| {
        least_request(view, schedule(view), &Wish::default())
    }));
    let one = most(loads(&view, TARGETS, |view| {
        schedule(view)[fastrand::usize(..TARGETS)]
    }));
    let bound = (TARGETS as f64).ln().ln() / 2_f64.ln();
    println!(
        "{TARGETS} requests at as many targets: {two} at most, {one} at random, bound {bound:.1} + O(1)"
    );
    assert!(f64::from(two) <= bound + 2.0, "{two}");
    assert!(one > two, "{one} at random");
}

/// However many requests there are, the busiest target is that close to the mean (Berenbrink, Czumaj,
/// Steger, Vöcking 2000).
#[test]
fn the_gap_does_not_grow_with_the_load() {
    const TARGETS: usize = 500;
    fastrand::seed(4);
    let members = alike(TARGETS);
    let view = view(Balance::LeastRequest, &members);
    let loads = loads(&view, 100 * TARGETS, |view| {
        least_request(view, schedule(view), &Wish::default())
    });
    let most = loads.into_iter().max().expect("one");
    let bound = 100.0 + (TARGETS as f64).ln().ln() / 2_f64.ln() + 3.0;
    assert!(f64::from(most) <= bound, "{most} of {bound}");
}

#[test]
fn weights_decide_how_often_a_target_is_a_candidate() {
    fastrand::seed(5);
    for balance in [Balance::LeastRequest, Balance::PeakEwma] {
        let view = view(
            balance.clone(),
            &members(&[(3, None), (1, None), (1, None)]),
        );
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            // Nobody is busy: whoever comes up first wins.
            let at = match balance {
                Balance::PeakEwma => peak_ewma(&view, schedule(&view), &Wish::default()),
                _ => least_request(&view, schedule(&view), &Wish::default()),
            };
            counts[usize::from(at)] += 1;
        }
        let share = f64::from(counts[0]) / 30_000.0;
        assert!((share - 0.6).abs() < 0.02, "{balance:?}: {counts:?}");
    }
}

#[test]
fn a_request_that_failed_goes_elsewhere_while_there_is_somebody() {
    let all = alike(3);
    let key = Balance::ConsistentHash(HashKey::Path);
    for balance in [
        Balance::RoundRobin,
        Balance::LeastRequest,
        Balance::PeakEwma,
        key,
    ] {
        let view = view(balance.clone(), &all);
        let turns = Turns::default();
        let pick = |wish: &Wish| match &view.plan.choice {
            Choice::Table(table) => by_hash(&view, table, wish),
            Choice::Schedule(schedule) => match balance {
                Balance::RoundRobin => round_robin(&view, &turns, schedule, wish),
                Balance::LeastRequest => least_request(&view, schedule, wish),
                _ => peak_ewma(&view, schedule, wish),
            },
            other => panic!("{other:?}"),
        };
        for hash in 0..100 {
            let mut wish = tried(&view, &[0, 2]);
            wish.hash = Some(maglev::hash(&[hash], 0));
            assert_eq!(pick(&wish), 1, "{balance:?}");
            let mut wish = tried(&view, &[0, 1, 2]);
            wish.hash = Some(maglev::hash(&[hash], 0));
            assert!(pick(&wish) < 3, "{balance:?}: better a chance than none");
        }
    }
}

#[test]
fn a_key_has_one_target_and_one_substitute() {
    let view = view(Balance::ConsistentHash(HashKey::Path), &alike(10));
    let Choice::Table(table) = &view.plan.choice else {
        panic!("a table");
    };
    let mut substitutes = std::collections::HashSet::new();
    for key in 0..200_u8 {
        let hash = Some(maglev::hash(&[key], 0));
        let wish = Wish {
            hash,
            ..Wish::default()
        };
        let first = by_hash(&view, table, &wish);
        assert_eq!(by_hash(&view, table, &wish), first);
        let wish = Wish {
            hash,
            ..tried(&view, &[usize::from(first)])
        };
        let second = by_hash(&view, table, &wish);
        assert_ne!(second, first);
        assert_eq!(by_hash(&view, table, &wish), second);
        substitutes.insert((first, second));
    }
    assert!(
        substitutes.len() > 50,
        "the load of one is spread over all others"
    );
}

#[test]
fn a_request_without_a_key_goes_anywhere() {
    let view = view(Balance::ConsistentHash(HashKey::Path), &alike(4));
    let Choice::Table(table) = &view.plan.choice else {
        panic!("a table");
    };
    let mut counts = [0; 4];
    for _ in 0..1_000 {
        counts[usize::from(by_hash(&view, table, &Wish::default()))] += 1;
    }
    assert!(counts.iter().all(|count| *count > 150), "{counts:?}");
}

/// Clients that ask again as soon as they have an answer, of targets that answer in a time around
/// `means`, in microseconds; the times that they waited, and how many requests each target got.
fn closed_loop(
    view: &View,
    means: &[u64],
    fails: Option<usize>,
    pick: impl Fn(&View) -> u16,
) -> (Vec<u64>, Vec<u32>) {
    const CLIENTS: u64 = 12;
    const REQUESTS: usize = 20_000;
    let mut waiting: BinaryHeap<Reverse<(u64, u64, usize)>> = BinaryHeap::new();
    let mut under_way: Vec<Option<InFlight>> = (0..CLIENTS).map(|_| None).collect();
    let (mut waits, mut counts) = (Vec::new(), vec![0; means.len()]);
    let start = |now: u64, client: u64| {
        let at = usize::from(pick(view));
        let takes = means[at] / 2 + fastrand::u64(..means[at]);
        (Reverse((now + takes, client, at)), takes)
    };
    let mut begin = |now, client: u64, waits: &mut Vec<u64>, under_way: &mut Vec<_>| {
        let (event, takes) = start(now, client);
        let Reverse((.., at)) = event;
        under_way[client as usize] = Some(InFlight::begin(&view.pools[at]));
        counts[at] += 1;
        waits.push(takes);
        event
    };
    for client in 0..CLIENTS {
        waiting.push(begin(0, client, &mut waits, &mut under_way));
    }
    while let Some(Reverse((now, client, at))) = waiting.pop() {
        if fails == Some(at) {
            view.pools[at].observe_failure(Duration::from_micros(means[at]));
        } else {
            view.pools[at].observe(Duration::from_micros(means[at]));
        }
        under_way[client as usize] = None;
        if waits.len() < REQUESTS {
            waiting.push(begin(now, client, &mut waits, &mut under_way));
        }
    }
    // What was learnt at first is over.
    (waits.split_off(REQUESTS / 10), counts)
}

fn percentile_99(mut waits: Vec<u64>) -> u64 {
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

fn picked(balance: &Balance, view: &View) -> u16 {
    match balance {
        Balance::PeakEwma => peak_ewma(view, schedule(view), &Wish::default()),
        _ => least_request(view, schedule(view), &Wish::default()),
    }
}

#[test]
fn a_target_ten_times_slower_does_not_show_in_the_99th_percentile() {
    fastrand::seed(6);
    for balance in [Balance::LeastRequest, Balance::PeakEwma] {
        let run = |means: &[u64]| {
            let view = view(balance.clone(), &alike(means.len()));
            let (waits, counts) = closed_loop(&view, means, None, |view| picked(&balance, view));
            (percentile_99(waits), counts)
        };
        let (calm, _) = run(&[1_000, 1_000]);
        let (beside, counts) = run(&[1_000, 1_000, 10_000]);
        println!(
            "{}: p99 {beside} µs, fast ones alone {calm} µs; {counts:?}",
            balance.name()
        );
        assert!(beside * 2 <= calm * 3, "{beside} of {calm}");
    }
}

/// It fails in a tenth of the time that others take to answer.
#[test]
fn a_target_that_fails_at_once_is_no_black_hole() {
    fastrand::seed(7);
    for balance in [Balance::LeastRequest, Balance::PeakEwma] {
        let view = view(balance.clone(), &alike(3));
        let means = [1_000, 1_000, 100];
        let (_, counts) = closed_loop(&view, &means, Some(2), |view| picked(&balance, view));
        let share = f64::from(counts[2]) / f64::from(counts.iter().sum::<u32>());
        println!(
            "{}: {:.2}% to the one that fails",
            balance.name(),
            share * 100.0
        );
        assert!(share < 0.05, "{counts:?}");
    }
}
