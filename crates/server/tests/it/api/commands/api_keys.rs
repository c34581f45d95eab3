//! `weir api-key update`.

use weir_testkit::on_both_engines;

use super::{World, done, fails, json, run};

on_both_engines! {
    a_key_is_made_less,
    a_former_key_is_not_forgotten,
}

async fn a_key_is_made_less(engine: &str) {
    let world = World::begin(engine).await;
    world.organization("acme");
    let made = json(
        &world,
        "api-key create --org acme import --permission role:read,member:read --scope a:read,a:write",
    );
    let update = "api-key update --org acme import";
    let key = world.anybody().with(made["secret"].as_str().unwrap());
    let members = "/v1/organizations/acme/members";
    assert_eq!(key.get(members).status(), 200);
    let changed = json(
        &world,
        &format!("{update} --name nightly --permission role:read --scope a:read --expires-in 2d"),
    );
    assert_eq!(changed["version"], 2);
    assert_eq!(changed["permissions"], serde_json::json!(["role:read"]));
    assert_eq!(changed["scopes"], serde_json::json!(["a:read"]));
    assert!(changed["expires_at"].as_str() < made["expires_at"].as_str());
    // Whoever has it hears of it with the next request.
    key.get(members).assert_problem(403, "forbidden");
    let update = "api-key update --org acme nightly";
    for (more, said) in [
        ("--permission role:read,member:read", "permissions: has one"),
        ("--scope a:write", "scopes: has one"),
        ("--expires-in 3d", "expires_at: is later than"),
    ] {
        let refused = fails(&world, &format!("{update} {more}"), 1);
        assert!(refused.contains(said), "{more}: {refused}");
    }
    let create = "api-key create --org acme more";
    for (command, said) in [
        (
            format!("{update} --expires-in never"),
            "earlier, never later",
        ),
        (format!("{update} --expires-in 0s"), "weir api-key revoke"),
        (format!("{create} --expires-in 0s"), "write `never`"),
    ] {
        let ran = run(&world, &command);
        assert_eq!(ran.code, Some(2), "{command}");
        assert!(ran.stderr.contains(said), "{command}: {}", ran.stderr);
    }
    let refused = fails(&world, &format!("{create} --scope ä"), 1);
    assert!(refused.contains("scopes: are each 1 to 100"), "{refused}");
    let bare = json(&world, &format!("{update} --no-permissions --no-scopes"));
    assert_eq!(
        (&bare["permissions"], &bare["scopes"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
    // Nothing to change is no change.
    assert_eq!(run(&world, update).code, Some(2));
    let entries = json(&world, "audit list --org acme");
    assert_eq!(entries[0]["action"], "api_key.update");
}

async fn a_former_key_is_not_forgotten(engine: &str) {
    let world = World::begin(engine).await;
    world.organization("acme");
    let first = json(&world, "api-key create --org acme import");
    let rotate = |overlap: &str| {
        let line = format!("api-key rotate --org acme import --overlap {overlap}");
        json(&world, &line)
    };
    let second = rotate("7d");
    let third = rotate("0s");
    let revoke = "api-key revoke --org acme --yes";
    let said = done(&world, &format!("{revoke} import"));
    // The second does not work any more; the first, of which that took the place, does.
    let (id, end) = (
        first["id"].as_str().unwrap(),
        &second["former"]["expires_at"],
    );
    let end = end.as_str().unwrap();
    assert_eq!(
        said,
        format!(
            "revoked the key import\nits former key {id} works until {end}: `weir api-key revoke {id}` ends it, too\n"
        )
    );
    let said = done(&world, &format!("{revoke} {id}"));
    assert_eq!(said, format!("revoked the key {id}\n"));
    let key = world.anybody().with(third["secret"].as_str().unwrap());
    let refused = key.get("/v1/me");
    refused.assert_problem(401, "unauthenticated");
    let detail = refused.json()["detail"].to_string();
    assert!(
        detail.starts_with("\"The credential is missing, wrong or has ended.")
            && detail.contains("`X-Api-Key`"),
        "{detail}"
    );
    assert_eq!(
        world.anybody().get("/v1/me").json()["detail"].to_string(),
        detail
    );
}
