//! Signing in and out.

use serde_json::{Value, json};
use weir_testkit::on_both_engines;

use super::{PASSWORD, World};

on_both_engines! {
    a_wrong_password_and_an_unknown_address_look_alike,
    a_session_ends_when_its_owner_says_so,
    who_guesses_has_to_wait,
}

async fn a_wrong_password_and_an_unknown_address_look_alike(engine: &str) {
    let world = World::begin(engine).await;
    let answer = |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        let answer = world.anybody().post("/v1/sign-in", &body);
        let mut told = answer.json();
        told["request_id"] = Value::Null;
        (answer.status(), told)
    };
    let wrong = answer("owner@weir.example", "not the password of hers");
    assert_eq!(wrong.0, 403);
    assert_eq!(wrong.1["reason"], "refused");
    assert_eq!(answer("nobody@weir.example", PASSWORD), wrong);
    assert_eq!(answer("no address at all", PASSWORD), wrong);
    assert_eq!(answer("owner@weir.example", &"long ".repeat(200)), wrong);
}

async fn a_session_ends_when_its_owner_says_so(engine: &str) {
    let world = World::begin(engine).await;
    let (first, second, third) = (
        world.owner.clone(),
        world.anybody().sign_in("owner@weir.example"),
        world.anybody().sign_in("Owner@Weir.example"),
    );
    let sessions = first.get("/v1/me/sessions").json();
    assert_eq!(sessions["items"].as_array().unwrap().len(), 3);
    assert_eq!(sessions["items"][0]["agent"], "weir-tests");
    assert_eq!(sessions["items"][0]["address"], "127.0.0.1");
    assert!(!sessions.to_string().contains("weir_session_"));
    assert_eq!(third.send("POST", "/v1/sign-out", None, "").status(), 204);
    third.get("/v1/me").assert_problem(401, "unauthenticated");
    assert_eq!(first.get("/v1/me").status(), 200);
    let ended = first.delete("/v1/me/sessions");
    assert_eq!(ended.json(), json!({ "ended": 1 }));
    second.get("/v1/me").assert_problem(401, "unauthenticated");
    let id = first.get("/v1/me").json()["session"]["id"].clone();
    let other = world.person("other@weir.example").await;
    let other = world.signed_in(&other).await;
    let path = format!("/v1/me/sessions/{}", id.as_str().unwrap());
    other.delete(&path).assert_problem(404, "not_found");
    assert_eq!(first.delete(&path).status(), 204);
    first.get("/v1/me").assert_problem(401, "unauthenticated");
}

async fn who_guesses_has_to_wait(engine: &str) {
    let world = World::begin(engine).await;
    for email in ["owner@weir.example", "nobody@weir.example"] {
        let body = json!({ "email": email, "password": "not the password of hers" });
        let mut reasons = (0..12).map(|_| world.anybody().post("/v1/sign-in", &body));
        let throttled = reasons.find(|answer| answer.status() == 429).unwrap();
        throttled.assert_problem(429, "throttled");
        let seconds: u64 = throttled.get("retry-after").unwrap().parse().unwrap();
        assert!(seconds >= 1);
        // The right password is not looked at, either.
        let right = json!({ "email": email, "password": PASSWORD });
        world
            .anybody()
            .post("/v1/sign-in", &right)
            .assert_problem(429, "throttled");
    }
}
