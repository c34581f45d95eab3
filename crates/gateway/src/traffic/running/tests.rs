use std::sync::atomic::{AtomicBool, Ordering};

use weir_config::model::{GuardAction, Share};

use super::*;
use crate::traffic::state::Millis;

const NOW: Millis = 1_700_000_000_000;
const GUARD: Guard = Guard {
    error_rate: Share::of_millionths(50_000),
    latency: None,
    window: Duration::from_secs(10),
    minimum_requests: 20,
    then: GuardAction::Rollback,
};

fn running(begin: Instant) -> Running {
    let upstreams = ["blue", "green"].map(Arc::from).to_vec();
    let state = State::as_in(Shares::of(&[90.0, 10.0]));
    Running::new("items".into(), upstreams, 2, state, Some(GUARD), begin)
}

fn set(green: f64) -> Change {
    Change::Set(vec![
        ("green".into(), green),
        ("blue".into(), 100.0 - green),
    ])
}

fn green(running: &Running) -> f64 {
    running.report().backends[1].percent
}

/// Answers of a side, spread over both workers.
fn answers(running: &Running, backend: usize, status: u16, count: usize) {
    for at in 0..count {
        running.count(backend, at % 2, status, Duration::from_millis(5));
    }
}

#[test]
fn workers_see_a_change_at_once() {
    let begin = Instant::now();
    let running = running(begin);
    assert_eq!((running.side(0), running.side(u32::MAX)), (0, 1));
    running
        .change(&Change::Switch("green".into()), begin, NOW)
        .unwrap();
    assert_eq!((running.side(0), running.side(u32::MAX)), (1, 1));
    running.change(&Change::Rollback, begin, NOW).unwrap();
    assert_eq!((running.side(0), running.side(u32::MAX)), (0, 0));
    let unknown = running.change(&Change::Switch("red".into()), begin, NOW);
    assert_eq!(unknown, Err(ChangeError::UnknownUpstream("red".into())));
    assert_eq!(running.side(u32::MAX), 0);
}

#[test]
fn a_side_without_a_share_gets_nothing_while_others_swap_theirs() {
    let upstreams = ["blue", "green", "red"].map(Arc::from).to_vec();
    let state = State::as_in(Shares::of(&[1.0, 0.0, 0.0]));
    let begin = Instant::now();
    let running = Running::new("items".into(), upstreams, 1, state, None, begin);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20_000 {
                for side in ["red", "blue"] {
                    let change = Change::Switch(side.into());
                    running.change(&change, begin, NOW).unwrap();
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let mut picks = 0u32;
        while !is_over.load(Ordering::Relaxed) {
            picks = picks.wrapping_add(0x9E37_79B9);
            assert_ne!(running.side(picks), 1, "green has no share at any time");
        }
    });
}

#[test]
fn a_guard_rolls_back_says_why_and_waits_for_the_next_change() {
    let begin = Instant::now();
    let after = |millis| begin + Duration::from_millis(millis);
    let running = running(begin);
    answers(&running, 0, 500, 100);
    assert!(
        !running.advance(after(1_000), NOW, true),
        "the first upstream is not watched"
    );
    answers(&running, 1, 200, 60);
    answers(&running, 1, 503, 3);
    assert!(!running.advance(after(2_000), NOW, true), "4.8% may fail");
    answers(&running, 1, 503, 7);
    assert!(
        !running.advance(after(2_100), NOW, true),
        "it does not look all the time"
    );
    assert!(running.advance(after(3_000), NOW, true));
    let report = running.report();
    assert_eq!(report.backends[1].percent, 0.0);
    assert_eq!(running.side(u32::MAX), 0);
    let trip = report.trip.unwrap();
    assert_eq!(trip.upstream, "green");
    let reason = "14.29% of requests failed, 5% may (70 requests in at most 10s)";
    assert_eq!(trip.reason, reason);
    assert_eq!(report.held.unwrap().by, "guard");

    // What was before the next change does not count against it.
    running.change(&set(50.0), after(4_000), NOW).unwrap();
    assert!(!running.advance(after(5_000), NOW, true));
    assert_eq!(green(&running), 50.0);
    answers(&running, 1, 500, 30);
    assert!(running.advance(after(6_000), NOW, true));
    assert_eq!(green(&running), 0.0);
}

#[test]
fn a_guard_with_a_short_window_acts_too_and_watches_again_when_it_was_changed() {
    let begin = Instant::now();
    let after = |millis| begin + Duration::from_millis(millis);
    let running = running(begin);
    let file = || Shares::of(&[90.0, 10.0]);
    let short = Guard {
        window: Duration::from_secs(2),
        ..GUARD
    };
    running.configure(file(), Some(short), begin);
    let tick = |from: u64, to: u64| {
        (from..to).step_by(100).any(|millis| {
            answers(&running, 1, 500, 5);
            running.advance(after(millis), NOW, true)
        })
    };
    assert!(
        tick(100, 2_000),
        "looks every 200 ms do not put the judgement off"
    );
    running.configure(file(), Some(short), after(2_000));
    assert!(running.report().trip.is_some(), "nothing has changed");
    let lenient = Guard {
        minimum_requests: 30,
        ..short
    };
    running.configure(file(), Some(lenient), after(2_000));
    assert!(running.report().trip.is_none());
    running.change(&set(50.0), after(2_000), NOW).unwrap();
    assert!(tick(2_100, 4_000));
}

#[test]
fn a_guard_does_not_mind_pinned_requests_to_a_side_without_a_share() {
    let begin = Instant::now();
    let running = running(begin);
    running.change(&Change::Rollback, begin, NOW).unwrap();
    answers(&running, 1, 500, 100);
    assert!(!running.advance(begin + Duration::from_secs(1), NOW, true));
    assert!(running.report().trip.is_none());
}

#[test]
fn shares_set_while_running_hold_until_the_file_says_otherwise() {
    let begin = Instant::now();
    let running = running(begin);
    let file = |green| Shares::of(&[100.0 - green, green]);
    assert!(running.saved().is_none());
    running.change(&set(40.0), begin, NOW).unwrap();
    assert!(
        !running.configure(file(10.0), None, begin),
        "only the guard is another one"
    );
    assert_eq!((green(&running), running.saved().is_some()), (40.0, true));
    assert!(running.configure(file(20.0), None, begin));
    assert_eq!((green(&running), running.saved().is_none()), (20.0, true));
    assert!(
        !running.configure(file(30.0), None, begin),
        "nothing was lost"
    );
    assert_eq!(green(&running), 30.0);
}

#[test]
fn a_shift_moves_with_the_ticks_and_is_saved_when_it_arrives() {
    let begin = Instant::now();
    let running = running(begin);
    let change = Change::Shift {
        to: vec![("green".into(), 100.0)],
        over: Duration::from_secs(9),
    };
    running.change(&change, begin, NOW).unwrap();
    for second in 0..9 {
        let now = begin + Duration::from_secs(second);
        assert!(!running.advance(now, NOW + second * 1_000, true));
        assert_eq!(green(&running), 10.0 + 10.0 * second as f64);
    }
    assert!(running.advance(begin + Duration::from_secs(9), NOW + 9_000, true));
    let shift = running.report().shift.unwrap();
    assert_eq!((shift.phase, shift.progress), (Phase::Done, 1.0));
    assert_eq!(running.side(0), 1);
}

#[test]
fn what_another_process_decided_is_taken_up_and_judged_from_there_on() {
    let begin = Instant::now();
    let after = |millis| begin + Duration::from_millis(millis);
    let (former, successor) = (running(begin), running(begin));
    for (at, running) in [(1, &former), (1, &successor)] {
        answers(running, at, 500, 40);
    }
    assert!(
        !successor.advance(after(1_000), NOW, false),
        "the former process decides"
    );
    assert!(former.advance(after(1_000), NOW, true));
    successor.adopt(former.saved().as_ref(), after(1_100), NOW);
    assert_eq!(green(&successor), 0.0);
    assert!(successor.report().trip.is_some());
    former.change(&set(50.0), after(1_200), NOW).unwrap();
    successor.adopt(former.saved().as_ref(), after(1_300), NOW);
    assert_eq!(green(&successor), 50.0);
    assert!(
        !successor.advance(after(2_000), NOW, true),
        "failures from before that change do not count"
    );
    answers(&successor, 1, 500, 40);
    assert!(successor.advance(after(3_000), NOW, true));
    successor.adopt(None, after(3_100), NOW);
    assert_eq!(green(&successor), 10.0, "as in the file");
}
