//! What cannot be done, and how that is said.

use super::{Side, config, green, post, traffic};
use crate::harness::Weir;

#[test]
fn mistakes_change_nothing_and_name_the_fix() {
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let weir = Weir::start(&config(&blue, &green_side, [90, 10], ""));
    let refused = |arguments: &[&str], text: &str| {
        let ran = traffic(&weir, arguments);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(1), ""),
            "{arguments:?}"
        );
        assert_eq!(ran.stderr, format!("error: {text}\n"), "{arguments:?}");
    };
    refused(
        &["switch", "itmes", "green"],
        "no route `itmes` with a split; did you mean `items`?",
    );
    refused(
        &["show", "orders"],
        "no route `orders` with a split; routes with a split: `items`",
    );
    refused(
        &["shift", "items", "gren", "--over", "1m"],
        "the split has no upstream `gren`; did you mean `green`?",
    );
    refused(
        &["set", "items", "green=20"],
        "the shares add up to 20%, not to 100%; name every upstream with a share: blue, green",
    );
    refused(&["resume", "items"], "no shift is halted");
    refused(
        &["reset", "../reload"],
        "`../reload` is not the name of a route",
    );
    for arguments in [
        &["set", "items", "green"][..],
        &["set", "items"],
        &["shift", "items", "green", "--over", "10"],
        &["shift", "items", "green"],
        &["shift", "items", "green", "--to", "101%", "--over", "1m"],
    ] {
        assert_eq!(traffic(&weir, arguments).code, Some(2), "{arguments:?}");
    }
    assert_eq!(green(&weir), 10.0);
}

#[test]
fn the_admin_listener_answers_mistakes_with_problems() {
    let (blue, green_side) = (Side::new("blue"), Side::new("green"));
    let weir = Weir::start(&config(&blue, &green_side, [90, 10], ""));
    for (route, body, status, reason) in [
        ("items", "{}", 400, "bad_body"),
        (
            "items",
            "{\"halt\": true, \"reset\": true}",
            400,
            "bad_body",
        ),
        ("items", "{\"set\": {\"green\": 1e999}}", 400, "bad_body"),
        (
            "items",
            "{\"set\": {\"green\": -5, \"blue\": 105}}",
            422,
            "bad_shares",
        ),
        ("items", "{\"set\": {\"green\": 50}}", 422, "bad_shares"),
        ("items", "{\"switch\": \"red\"}", 422, "unknown_upstream"),
        ("items", "{\"halt\": true}", 409, "no_shift"),
        ("orders", "{\"reset\": true}", 404, "unknown_route"),
        ("items%2F..", "{\"reset\": true}", 404, "unknown_route"),
    ] {
        let answer = post(&weir, route, body);
        assert_eq!(answer.status(), status, "{body}: {}", answer.text());
        assert_eq!(answer.json()["reason"], reason, "{body}");
    }
    let large = format!("{{\"switch\": \"{}\"}}", "x".repeat(20_000));
    assert_eq!(post(&weir, "items", &large).status(), 413);
    assert_eq!(green(&weir), 10.0);
    let done = post(
        &weir,
        "items",
        "{\"set\": {\"green\": 25.5, \"blue\": 74.5}}",
    );
    assert_eq!(
        (
            done.status(),
            done.json()["upstreams"][1]["percent"].as_f64()
        ),
        (200, Some(25.5))
    );
}

#[test]
fn without_a_split_there_is_nothing_to_show() {
    let blue = Side::new("blue");
    let weir = Weir::to(blue.address());
    let ran = traffic(&weir, &[]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "no route has a split\n")
    );
}
