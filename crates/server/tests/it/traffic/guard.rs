//! Guards that act by themselves.

use super::{Side, ask, change, config, green, split, traffic};
use crate::harness::{Weir, answer, wait_until};

fn guard(rules: &str) -> String {
    format!("      guard: {{ {rules}, window: 10s, min_requests: 20 }}\n")
}

#[test]
fn a_side_that_fails_loses_its_traffic_and_says_why() {
    let (blue, bad) = (
        Side::new("blue"),
        Side::answering(|_| answer(500, &[], "bad")),
    );
    let weir = Weir::start(&config(&blue, &bad, [100, 0], &guard("error_rate: 5%")));
    let arguments = ["shift", "items", "green", "--over", "20s", "--watch"];
    let watching = std::thread::scope(|scope| {
        let watching = scope.spawn(|| traffic(&weir, &arguments));
        wait_until("the guard acts", || {
            ask(&weir, "", 20);
            !split(&weir)["guard"]["acted"].is_null()
        });
        watching.join().unwrap()
    });
    assert_eq!(watching.code, Some(1));
    let last = watching.stdout.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("rolled back by the guard: green: "),
        "{}",
        watching.stdout
    );
    assert_eq!(green(&weir), 0.0);
    assert!(ask(&weir, "", 50).iter().all(|answer| answer == "blue"));
    let told = split(&weir);
    assert_eq!(told["shift"]["state"], "rolled_back");
    assert_eq!(told["override"]["by"], "guard");
    let reason = told["guard"]["acted"]["reason"].as_str().unwrap();
    assert!(reason.contains("of requests failed, 5% may"), "{reason}");
    assert!(weir.log().contains("traffic guard acts"), "{}", weir.log());
    assert_eq!(weir.metric("weir_split_guard_acted", &[]), 1.0);
    assert!(traffic(&weir, &[]).stdout.contains("guard acted: green: "));

    // The next change arms it again, and what was before does not count.
    change(&weir, &["set", "items", "blue=50", "green=50"]);
    assert!(split(&weir)["guard"]["acted"].is_null());
    wait_until("it acts again", || {
        ask(&weir, "", 20);
        green(&weir) == 0.0
    });
}

#[test]
fn a_slow_side_halts_a_shift_where_it_is() {
    let (blue, slow) = (
        Side::new("blue"),
        Side::answering(|_| {
            #[allow(clippy::disallowed_methods, reason = "a slow server")]
            std::thread::sleep(std::time::Duration::from_millis(60));
            answer(200, &[], "slow")
        }),
    );
    let rules = guard("latency: 30ms, then: halt");
    let weir = Weir::start(&config(&blue, &slow, [50, 50], &rules));
    change(&weir, &["shift", "items", "green", "--over", "10m"]);
    wait_until("the guard acts", || {
        ask(&weir, "", 20);
        !split(&weir)["guard"]["acted"].is_null()
    });
    let told = split(&weir);
    assert_eq!(told["shift"]["state"], "halted");
    let share = green(&weir);
    assert!((50.0..60.0).contains(&share), "{share}");
    let reason = told["guard"]["acted"]["reason"].as_str().unwrap();
    assert!(reason.contains("30ms is allowed"), "{reason}");
}

#[test]
fn a_side_that_hangs_up_fails_by_the_gateways_own_answers() {
    let blue = Side::new("blue");
    let gone = Side::new("gone");
    let weir = Weir::start(&config(&blue, &gone, [50, 50], &guard("error_rate: 10%")));
    drop(gone);
    wait_until("the guard acts", || {
        ask(&weir, "", 20);
        green(&weir) == 0.0
    });
    assert!(ask(&weir, "", 20).iter().all(|answer| answer == "blue"));
}
