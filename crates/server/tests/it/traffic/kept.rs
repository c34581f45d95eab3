//! Shares that were set while running, across restarts, upgrades and reloads.

use rustix::process::Signal;

use super::{Side, ask, change, config, green, split, traffic};
use crate::harness::{Setup, Weir, wait_until};

fn setup(data: &tempfile::TempDir) -> Setup {
    Setup::new().data_directory(data.path())
}

#[test]
fn shares_survive_a_restart_from_the_first_request_on() {
    let data = tempfile::tempdir().unwrap();
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let file = config(&blue, &green_side, [1, 0], "");
    let weir = setup(&data).start(&file);
    change(&weir, &["switch", "items", "green"]);
    // Killed: what was answered must have been written.
    weir.signal(Signal::KILL);
    drop(weir);
    let mut weir = setup(&data).start(&file);
    assert_eq!(ask(&weir, "", 1), ["green"]);
    assert_eq!(split(&weir)["override"]["by"], "command");
    change(&weir, &["shift", "items", "blue", "--over", "10m"]);
    let left = split(&weir)["shift"]["left_ms"].as_u64().unwrap();
    weir.signal(Signal::TERM);
    weir.wait_exit();
    let weir = setup(&data).start(&file);
    let shift = split(&weir)["shift"].clone();
    assert_eq!(shift["state"], "running");
    assert!(
        shift["left_ms"].as_u64().unwrap() < left,
        "the clock went on: {shift}"
    );
    let share = green(&weir);
    assert!(share > 90.0 && share <= 100.0, "{share}");
    change(&weir, &["reset", "items"]);
    drop(weir);
    let weir = setup(&data).start(&file);
    assert_eq!(green(&weir), 0.0);
    assert!(split(&weir)["override"].is_null());
}

#[test]
fn another_split_in_the_file_replaces_them_and_any_other_change_does_not() {
    let data = tempfile::tempdir().unwrap();
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let weir = setup(&data).start(&config(&blue, &green_side, [90, 10], ""));
    change(&weir, &["switch", "items", "green"]);
    let sticky = config(&blue, &green_side, [900, 100], "      sticky: address\n");
    assert_eq!(weir.reload(&sticky).status(), 200);
    assert_eq!(green(&weir), 100.0, "the weights are the same ones");
    let requests = split(&weir)["upstreams"][1]["requests"].clone();
    let other = config(&blue, &green_side, [80, 20], "      sticky: address\n");
    assert_eq!(weir.reload(&other).status(), 200);
    assert_eq!(green(&weir), 20.0);
    assert_eq!(split(&weir)["upstreams"][1]["requests"], requests);
    assert!(
        weir.log()
            .contains("replaces the shares that were set while running")
    );
    drop(weir);
    // Also after a restart: the file that was kept is of the former split.
    let weir = setup(&data).start(&other);
    assert_eq!(green(&weir), 20.0);
}

#[test]
fn an_upgrade_goes_on_with_them() {
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let weir = Weir::start(&config(&blue, &green_side, [1, 0], ""));
    change(&weir, &["switch", "items", "green"]);
    let before = weir.serving_id().unwrap();
    weir.signal_serving(Signal::USR2);
    wait_until("the successor serves", || {
        for name in ask(&weir, "Connection: close\r\n", 1) {
            assert_eq!(name, "green");
        }
        weir.serving_id().is_some_and(|id| id != before)
    });
    // A connection that the former process still takes ends with the next answer.
    for _ in 0..5 {
        assert_eq!(ask(&weir, "Connection: close\r\n", 1), ["green"]);
    }
    // The former process may still have taken a connection to the admin listener along.
    wait_until("the successor says so", || {
        traffic(&weir, &[]).stdout.contains("set by command since")
    });
}

#[test]
fn a_damaged_file_is_said_so_and_kept_aside_from_traffic() {
    let data = tempfile::tempdir().unwrap();
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let damaged = b"{\"splits\":[{\"route\":\"items\"".as_slice();
    std::fs::write(data.path().join("traffic.json"), damaged).unwrap();
    let weir = setup(&data).start(&config(&blue, &green_side, [1, 0], ""));
    assert_eq!(ask(&weir, "", 1), ["blue"]);
    assert!(
        weir.log().contains("traffic.json is damaged"),
        "{}",
        weir.log()
    );
    let kept = std::fs::read(data.path().join("traffic.json")).unwrap();
    assert_eq!(kept, damaged, "nothing is there to keep yet");
    change(&weir, &["switch", "items", "green"]);
    let kept = std::fs::read_to_string(data.path().join("traffic.json")).unwrap();
    assert!(kept.contains("\"command\""), "{kept}");
}
