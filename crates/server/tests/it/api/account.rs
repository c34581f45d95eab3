//! One's own account: name and address, password, second factor.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use totp_rs::{Builder, Secret as TotpSecret};
use weir_testkit::on_both_engines;

use super::{Client, PASSWORD, World};

on_both_engines! {
    name_and_address_are_ones_own_to_change,
    a_password_is_changed_by_who_knows_it,
    a_second_factor_is_asked_for_from_then_on,
    what_a_stolen_session_must_not_do_needs_a_recent_sign_in,
}

const ANOTHER: &str = "purple giraffe on stilts";

async fn name_and_address_are_ones_own_to_change(engine: &str) {
    let world = World::begin(engine).await;
    let me = world.owner.get("/v1/me");
    assert_eq!(me.get("etag"), Some("\"1\""));
    let rename = json!({ "name": "Olivia" });
    let renamed = world
        .owner
        .send("PATCH", "/v1/me", Some(&rename), "If-Match: \"1\"\r\n");
    assert_eq!(
        (renamed.status(), renamed.get("etag")),
        (200, Some("\"2\""))
    );
    assert_eq!(renamed.json()["name"], "Olivia");
    let late = world
        .owner
        .send("PATCH", "/v1/me", Some(&rename), "If-Match: \"1\"\r\n");
    late.assert_problem(412, "stale");
    // Without mail the address is changed at once, by who knows the password.
    let other = world.anybody().sign_in("owner@weir.example");
    let change = |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        world.owner.send("PUT", "/v1/me/email", Some(&body), "")
    };
    change("olivia@weir.example", "a guess").assert_problem(403, "refused");
    let wrong = change("olivia", PASSWORD);
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/email");
    assert_eq!(change("Olivia@Weir.example", PASSWORD).status(), 204);
    let me = world.owner.get("/v1/me").json();
    assert_eq!(me["email"], "olivia@weir.example");
    assert_eq!(me["pending_email"], Value::Null);
    other.get("/v1/me").assert_problem(401, "unauthenticated");
    change("olivia@weir.example", PASSWORD).assert_problem(409, "conflict");
    world
        .owner
        .delete("/v1/me/email")
        .assert_problem(404, "not_found");
    let own = format!("/v1/users/{}", me["id"].as_str().unwrap());
    let around = json!({ "email": "thief@weir.example" });
    world
        .owner
        .patch(&own, &around)
        .assert_problem(403, "forbidden");
    let refused = world
        .owner
        .patch("/v1/me", &json!({ "suspended_at": null, "role": "owner" }));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/role");
    world
        .operator()
        .get("/v1/me")
        .assert_problem(403, "no_account");
}

async fn a_password_is_changed_by_who_knows_it(engine: &str) {
    let world = World::begin(engine).await;
    let elsewhere = world.anybody().sign_in("owner@weir.example");
    let change = |present: &str, password: &str| {
        let body = json!({ "present": present, "password": password });
        world.owner.send("PUT", "/v1/me/password", Some(&body), "")
    };
    change("not the one that it is", ANOTHER).assert_problem(403, "refused");
    let weak = change(PASSWORD, "owner@weir.example");
    assert_eq!(weak.json()["errors"][0]["pointer"], "/password");
    let done = change(PASSWORD, ANOTHER);
    assert_eq!(done.status(), 204, "{}", done.text());
    assert_eq!(world.owner.get("/v1/me").status(), 200);
    elsewhere
        .get("/v1/me")
        .assert_problem(401, "unauthenticated");
}

pub(super) fn code(secret: &str, steps_from_now: i64) -> String {
    let secret = TotpSecret::try_from_base32(secret).unwrap();
    let authenticator = Builder::new().with_secret(secret).build().unwrap();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let at = now.checked_add_signed(30 * steps_from_now).unwrap();
    authenticator.generate(at).to_string()
}

/// The token of the second step.
fn first_step(client: &Client) -> String {
    let body = json!({ "email": "owner@weir.example", "password": PASSWORD });
    let step = client.post("/v1/sign-in", &body).json();
    assert_eq!(step["status"], "second_factor", "{step}");
    assert!(step.get("token").is_none());
    step["second_factor_token"].as_str().unwrap().to_owned()
}

async fn a_second_factor_is_asked_for_from_then_on(engine: &str) {
    let world = World::begin(engine).await;
    let (owner, nobody) = (&world.owner, world.anybody());
    let known = json!({ "password": PASSWORD });
    owner
        .post("/v1/me/totp", &json!({ "password": "a guess" }))
        .assert_problem(403, "refused");
    let enrolment = owner.post("/v1/me/totp", &known).json();
    let secret = enrolment["secret"].as_str().unwrap();
    assert!(enrolment["url"].as_str().unwrap().contains(secret));
    assert_eq!(owner.get("/v1/me").json()["has_second_factor"], false);
    let wrong = owner.post("/v1/me/totp/confirm", &json!({ "code": "000000" }));
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/code");
    let shown = json!({ "code": code(secret, -1) });
    let confirmed = owner.post("/v1/me/totp/confirm", &shown).json();
    let recovery: Vec<Value> = confirmed["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(recovery.len(), 10);
    assert_eq!(owner.get("/v1/me").json()["has_second_factor"], true);
    owner
        .post("/v1/me/totp", &known)
        .assert_problem(409, "conflict");

    let second = |token: &str, code: &str| {
        let body = json!({ "token": token, "code": code });
        nobody.post("/v1/sign-in/second-factor", &body)
    };
    let token = first_step(&nobody);
    // It opens nothing but the second step.
    nobody
        .with(&token)
        .get("/v1/me")
        .assert_problem(401, "unauthenticated");
    second(&token, "000000").assert_problem(403, "refused");
    let now = code(secret, 0);
    let signed_in = second(&token, &now).json();
    assert_eq!(signed_in["session"]["is_two_factor"], true);
    let fresh = nobody.with(signed_in["token"].as_str().unwrap());
    assert_eq!(fresh.get("/v1/me").status(), 200);
    second(&token, &now).assert_problem(403, "refused");

    let spare = recovery[0].as_str().unwrap();
    assert_eq!(second(&first_step(&nobody), spare).status(), 200);
    second(&first_step(&nobody), spare).assert_problem(403, "refused");
    let with = |code: &Value| json!({ "password": PASSWORD, "code": code });
    for path in ["/v1/me/recovery-codes", "/v1/me/totp/remove"] {
        let refused = fresh.post(path, &known);
        assert_eq!(refused.json()["errors"][0]["pointer"], "/code", "{path}");
        fresh
            .post(path, &with(&json!("000000")))
            .assert_problem(403, "refused");
    }
    let renewed = fresh.post("/v1/me/recovery-codes", &with(&recovery[1]));
    let renewed = renewed.json();
    assert_ne!(renewed["recovery_codes"][1], recovery[1]);
    let remove = || fresh.post("/v1/me/totp/remove", &with(&renewed["recovery_codes"][0]));
    assert_eq!(remove().status(), 204);
    remove().assert_problem(404, "not_found");
    nobody.sign_in("owner@weir.example");
}

async fn what_a_stolen_session_must_not_do_needs_a_recent_sign_in(engine: &str) {
    let world = World::begin(engine).await;
    world.age_sessions(16).await;
    let owner = &world.owner;
    let grace = world.person("grace@navy.example").await;
    let of_grace = |part: &str| format!("/v1/users/{grace}/{part}");
    for (method, path) in [
        ("DELETE", "/v1/me/sessions".to_owned()),
        (
            "DELETE",
            "/v1/me/sessions/ses_01kc2q8r5nf0hb6x2v9w4t7zde".to_owned(),
        ),
        ("DELETE", of_grace("sessions")),
        ("DELETE", of_grace("totp")),
        ("POST", of_grace("reset-link")),
        ("POST", of_grace("erase")),
    ] {
        let refused = owner.send(method, &path, None, "");
        assert_eq!(refused.status(), 403, "{method} {path}");
        refused.assert_problem(403, "recent_sign_in_needed");
    }
    assert_eq!(owner.get("/v1/me").status(), 200);
    assert_eq!(
        owner.patch("/v1/me", &json!({ "name": "Olivia" })).status(),
        200
    );
    let fresh = world.anybody().sign_in("owner@weir.example");
    assert_eq!(
        fresh.delete("/v1/me/sessions").json(),
        json!({ "ended": 1 })
    );
}
