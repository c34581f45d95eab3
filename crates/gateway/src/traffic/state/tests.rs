use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const NOW: Millis = 1_700_000_000_000;

fn blue_green() -> State {
    State::as_in(Shares::of(&[95.0, 5.0]))
}

fn green(state: &State) -> f64 {
    state.shares().percent(1)
}

fn trip() -> Trip {
    Trip {
        at: NOW,
        upstream: "green".into(),
        reason: "too much".into(),
    }
}

#[test]
fn a_shift_goes_by_the_clock_and_arrives() {
    let mut state = blue_green();
    state.shift_to(Shares::all_to(1, 2), MINUTE, NOW);
    assert_eq!(green(&state), 5.0);
    assert!(!state.advance(NOW + 30_000));
    assert_eq!(green(&state), 52.5);
    // A clock that jumps back holds it up and takes nothing back.
    assert!(!state.advance(NOW - 3_600_000));
    assert_eq!(green(&state), 52.5);
    assert!(state.advance(NOW + 90_000));
    assert_eq!(green(&state), 100.0);
    assert!(!state.advance(NOW + 91_000), "it arrives once");
    assert_eq!(state.shift().unwrap().phase, Phase::Done);
    assert!(state.held().is_some());
}

#[test]
fn a_halted_shift_stays_and_goes_on_with_the_time_that_was_left() {
    let mut state = blue_green();
    assert_eq!(state.halt(NOW), Err(NoShift));
    assert_eq!(state.resume(NOW), Err(NoShift));
    state.shift_to(Shares::all_to(1, 2), MINUTE, NOW);
    state.halt(NOW + 15_000).unwrap();
    let stopped = green(&state);
    assert_eq!(stopped, 28.75);
    assert!(!state.advance(NOW + 500_000));
    assert_eq!(green(&state), stopped);
    state.resume(NOW + 600_000).unwrap();
    state.advance(NOW + 615_000);
    assert_eq!(green(&state), 52.5);
    assert!(state.advance(NOW + 645_000));
}

#[test]
fn a_new_order_replaces_the_one_under_way() {
    let mut state = blue_green();
    state.shift_to(Shares::all_to(1, 2), MINUTE, NOW);
    state.advance(NOW + 30_000);
    state.shift_to(Shares::all_to(0, 2), MINUTE, NOW + 30_000);
    assert_eq!(green(&state), 52.5, "it begins where the other one was");
    state.set(Shares::of(&[80.0, 20.0]), NOW + 31_000);
    assert!(state.shift().is_none());
    assert_eq!(green(&state), 20.0);
    state.reset();
    assert_eq!(state, blue_green());
}

#[test]
fn a_guard_rolls_back_or_halts_and_is_armed_again_by_the_next_order() {
    let mut state = blue_green();
    state.shift_to(Shares::all_to(1, 2), MINUTE, NOW);
    state.act(GuardAction::Rollback, 2, trip(), NOW + 30_000);
    assert_eq!(green(&state), 0.0);
    assert_eq!(state.held().unwrap().by, "guard");
    assert_eq!(state.shift().unwrap().phase, Phase::RolledBack);
    assert!(!state.advance(NOW + 60_000));
    assert_eq!(green(&state), 0.0);
    assert_eq!(state.resume(NOW), Err(NoShift));

    state.shift_to(Shares::all_to(1, 2), MINUTE, NOW);
    assert!(state.trip.is_none());
    state.act(GuardAction::Halt, 2, trip(), NOW + 30_000);
    assert_eq!(
        (green(&state), state.shift().unwrap().phase),
        (50.0, Phase::Halted)
    );
    assert!(state.trip.is_some());

    let mut still = blue_green();
    still.act(GuardAction::Halt, 2, trip(), NOW);
    assert_eq!(green(&still), 5.0, "there is nothing to halt");
    assert!(
        !still.is_as_in_file(),
        "but it is to be seen, also after a restart"
    );
}

#[test]
fn what_was_saved_comes_back_and_goes_on_where_the_clock_is() {
    let mut state = blue_green();
    state.shift_to(Shares::all_to(1, 2), MINUTE, NOW);
    let saved = SavedSplit {
        route: "items".into(),
        upstreams: vec!["blue".into(), "green".into()],
        state,
    };
    let text = serde_json::to_string(&saved).unwrap();
    let mut back: SavedSplit = serde_json::from_str(&text).unwrap();
    assert_eq!(back, saved);
    assert!(back.state.is_valid(2) && !back.state.is_valid(3));
    back.state.advance(NOW + 30_000);
    assert_eq!(green(&back.state), 52.5);
    let damaged = text
        .replace("[1.0,0.0]", "[9.0,0.0]")
        .replace("[0.0,1.0]", "[0.0,-1.0]");
    let damaged: SavedSplit = serde_json::from_str(&damaged).unwrap();
    assert!(!damaged.state.is_valid(2));
}
