//! Shares that change while traffic flows.

use super::{Side, ask, change, config, green, split, traffic};
use crate::harness::{Load, Weir, alone, answer, wait_until};

/// Both sides answer alike, so that a load can check every answer.
fn fine() -> Side {
    Side::answering(|_| answer(200, &[], "fine"))
}

#[test]
fn a_shift_under_load_fails_nobody_and_arrives() {
    let _alone = alone();
    let (blue, green_side) = (fine(), fine());
    let weir = Weir::start(&format!(
        "log: {{ access: false }}\n{}",
        config(&blue, &green_side, [1, 0], "")
    ));
    let loads = [
        Load::keep_alive(weir.http(), 4, "fine"),
        Load::new_connections(weir.http(), 2, "fine"),
        Load::http2(weir.http(), 1, "fine"),
    ];
    assert_eq!(green_side.served(), 0);
    let shown = change(
        &weir,
        &["shift", "items", "green", "--over", "3s", "--watch"],
    );
    assert!(
        shown.ends_with("100%  blue 0%, green 100%\ndone\n"),
        "{shown}"
    );
    assert!(shown.lines().count() > 3, "no steps in between:\n{shown}");
    // What began before the last step may still end at blue.
    loads.iter().for_each(|load| load.wait_for_more(50));
    let before = blue.served();
    loads.iter().for_each(|load| load.wait_for_more(200));
    assert_eq!(blue.served(), before);
    for load in loads {
        load.finish();
    }
    eprintln!("blue {}, green {}", blue.served(), green_side.served());
    let split = split(&weir);
    assert_eq!(split["shift"]["state"], "done");
    assert_eq!(split["override"]["by"], "command");
    assert_eq!(split["upstreams"][1]["failed"], 0);
    assert!(split["upstreams"][1]["recent"]["p99_ms"].is_number());
}

#[test]
fn a_switch_holds_for_the_next_request_and_a_rollback_and_a_reset_too() {
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let weir = Weir::start(&config(&blue, &green_side, [50, 50], ""));
    let all = |name: &str| {
        // Each on a connection of its own: every worker must know.
        for _ in 0..20 {
            assert_eq!(ask(&weir, "", 1), [name]);
        }
    };
    change(&weir, &["switch", "items", "green"]);
    all("green");
    change(&weir, &["rollback", "items"]);
    all("blue");
    assert_eq!(green(&weir), 0.0);
    let shown = change(&weir, &["reset", "items"]);
    assert!(shown.contains("50%"), "{shown}");
    assert_eq!(green(&weir), 50.0);
    assert!(split(&weir)["override"].is_null());
}

#[test]
fn a_shift_can_be_halted_resumed_and_replaced() {
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let weir = Weir::start(&config(&blue, &green_side, [100, 0], ""));
    change(
        &weir,
        &["shift", "items", "green", "--to", "40%", "--over", "10m"],
    );
    wait_until("the shift moves", || green(&weir) > 0.0);
    let shown = change(&weir, &["halt", "items"]);
    assert!(shown.contains("shift halted"), "{shown}");
    let halted = green(&weir);
    assert!(halted > 0.0 && halted < 5.0, "{halted}");
    let again = traffic(&weir, &["halt", "items"]);
    assert_eq!(again.code, Some(1));
    assert_eq!(again.stderr, "error: no shift is under way\n");
    assert_eq!(green(&weir), halted);
    change(&weir, &["resume", "items"]);
    wait_until("it goes on", || green(&weir) > halted);
    change(&weir, &["set", "items", "blue=99.5", "green=0.5"]);
    assert_eq!(green(&weir), 0.5);
    assert!(split(&weir)["shift"].is_null());
    let json = change(&weir, &["show", "items", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["upstreams"][1]["percent"], 0.5);
    assert_eq!(weir.metric("weir_split_share_ratio", &["green"]), 0.005);
}
