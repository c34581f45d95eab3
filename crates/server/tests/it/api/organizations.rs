//! Organizations: versions, merge patches, lists, suspension.

use serde_json::json;
use weir_testkit::on_both_engines;

use super::World;

on_both_engines! {
    an_organization_is_changed_on_the_version_that_was_seen,
    a_patch_changes_what_it_names,
    many_patches_at_once_all_take_effect,
    lists_page_to_their_end,
    a_suspended_organization_is_looked_at_only,
    mistakes_are_pointed_at,
    nobody_lifts_the_limits_that_others_set_for_them,
    what_somebody_may_not_do_is_said_before_their_body_is_read,
}

const ACME: &str = "/v1/organizations/acme";

async fn an_organization_is_changed_on_the_version_that_was_seen(engine: &str) {
    let world = World::begin(engine).await;
    let id = world.organization("acme");
    let seen = world.owner.get(ACME);
    assert_eq!(seen.get("etag"), Some("\"1\""));
    assert_eq!(seen.json()["id"], id.as_str());
    let rename = json!({ "name": "Acme Works" });
    let changed = world
        .owner
        .send("PATCH", ACME, Some(&rename), "If-Match: \"1\"\r\n");
    assert_eq!(
        (changed.status(), changed.get("etag")),
        (200, Some("\"2\""))
    );
    assert_eq!(changed.json()["name"], "Acme Works");
    let late = world
        .owner
        .send("PATCH", ACME, Some(&rename), "If-Match: \"1\"\r\n");
    late.assert_problem(412, "stale");
    assert_eq!(late.json()["version"], 2);
    let late = world
        .owner
        .send("DELETE", ACME, None, "If-Match: \"1\"\r\n");
    late.assert_problem(412, "stale");
    let gone = world
        .owner
        .send("DELETE", ACME, None, "If-Match: \"2\"\r\n");
    assert_eq!((gone.status(), gone.text().as_str()), (204, ""));
    world.owner.get(ACME).assert_problem(404, "not_found");
    world
        .owner
        .delete("/v1/organizations/platform")
        .assert_problem(409, "conflict");
}

async fn a_patch_changes_what_it_names(engine: &str) {
    let world = World::begin(engine).await;
    world.organization("acme");
    let settings = json!({ "settings": {
        "limits": { "members": 5, "roles": 2 }, "features": { "beta": true },
        "branding": { "display_name": "ACME" },
    } });
    assert_eq!(world.owner.patch(ACME, &settings).status(), 200);
    let patch = json!({ "settings": { "limits": { "members": null }, "branding": null } });
    let patched = world.owner.patch(ACME, &patch).json();
    assert_eq!(patched["name"], "The acme");
    assert_eq!(
        patched["settings"],
        json!({ "branding": {}, "features": { "beta": true }, "limits": { "roles": 2 } })
    );
    let refused = world.owner.patch(ACME, &json!({ "name": null }));
    refused.assert_problem(422, "invalid");
    let refused = world.owner.patch(ACME, &json!({ "slug": "other" }));
    assert_eq!(refused.json()["errors"][0]["pointer"], "/slug");
}

async fn many_patches_at_once_all_take_effect(engine: &str) {
    let world = World::begin(engine).await;
    world.organization("acme");
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let owner = world.owner.clone();
            std::thread::spawn(move || {
                let name = format!("feature-{number}");
                let patch = json!({ "settings": { "features": { name: true } } });
                owner.patch(ACME, &patch).status()
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 200);
    }
    let features = &world.owner.get(ACME).json()["settings"]["features"];
    assert_eq!(features.as_object().unwrap().len(), 8, "{features}");
}

async fn lists_page_to_their_end(engine: &str) {
    let world = World::begin(engine).await;
    for slug in ["bb", "dd", "aa", "cc", "ee"] {
        world.organization(slug);
    }
    let first = "/v1/organizations?sort=-slug&limit=2&name=The";
    let mut path = first.to_owned();
    let mut slugs = Vec::new();
    loop {
        let answer = world.owner.get(&path);
        let page = answer.json();
        let items = page["items"].as_array().unwrap();
        slugs.extend(
            items
                .iter()
                .map(|one| one["slug"].as_str().unwrap().to_owned()),
        );
        let Some(link) = answer.get("link") else {
            assert!(page["next"].is_null());
            break;
        };
        assert!(link.ends_with("; rel=\"next\""), "{link}");
        path = link[1..link.find('>').unwrap()].to_owned();
        let cursor = page["next"].as_str().unwrap();
        assert!(path.contains(cursor));
        // It belongs to this list alone.
        let other = world
            .owner
            .get(&format!("/v1/organizations?sort=slug&cursor={cursor}"));
        other.assert_problem(422, "invalid");
    }
    assert_eq!(slugs, ["ee", "dd", "cc", "bb", "aa"]);
    let one = world
        .owner
        .get("/v1/organizations?slug=cc&suspended=false")
        .json();
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    for bad in [
        "limit=0",
        "limit=201",
        "limit=x",
        "sort=id",
        "cursor=x",
        "colour=red",
        "suspended=1",
    ] {
        let refused = world.owner.get(&format!("/v1/organizations?{bad}"));
        assert_eq!(refused.status(), 422, "{bad}: {}", refused.text());
        refused.assert_problem(422, "invalid");
    }
}

async fn a_suspended_organization_is_looked_at_only(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let member = world.member(&acme, "owner").await;
    let reason = json!({ "reason": "unpaid invoices" });
    let suspended = world
        .owner
        .post("/v1/organizations/acme/suspend", &reason)
        .json();
    assert_eq!(suspended["suspension_reason"], "unpaid invoices");
    assert_eq!(
        member.get(ACME).json()["suspension_reason"],
        "unpaid invoices"
    );
    let rename = json!({ "name": "Acme" });
    member
        .patch(ACME, &rename)
        .assert_problem(409, "organization_suspended");
    member
        .delete(ACME)
        .assert_problem(409, "organization_suspended");
    assert_eq!(world.owner.patch(ACME, &rename).status(), 200);
    let resumed = world
        .owner
        .send("POST", "/v1/organizations/acme/resume", None, "");
    assert!(resumed.json()["suspended_at"].is_null());
    assert_eq!(member.patch(ACME, &rename).status(), 200);
}

async fn mistakes_are_pointed_at(engine: &str) {
    let world = World::begin(engine).await;
    world.organization("acme");
    let pointer = |body| {
        let refused = world.owner.post("/v1/organizations", &body);
        assert_eq!(refused.status(), 422, "{}", refused.text());
        refused.assert_problem(422, "invalid");
        refused.json()["errors"][0]["pointer"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(pointer(json!({ "slug": "A b", "name": "x" })), "/slug");
    assert_eq!(pointer(json!({ "slug": "ok", "name": "" })), "/name");
    assert_eq!(pointer(json!({ "slug": "ok", "name": 7 })), "/name");
    let logo = json!({ "slug": "ok", "name": "x", "settings": { "branding": { "logo_url": "http://x" } } });
    assert_eq!(pointer(logo), "/settings/branding/logo_url");
    let taken = world
        .owner
        .post("/v1/organizations", &json!({ "slug": "acme", "name": "x" }));
    taken.assert_problem(409, "taken");
    assert_eq!(taken.json()["errors"][0]["pointer"], "/slug");
    let owner = &world.owner;
    let broken = owner.send("POST", "/v1/organizations", Some(&json!("x")), "");
    assert_eq!(broken.status(), 422);
}

async fn nobody_lifts_the_limits_that_others_set_for_them(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let limits = json!({ "settings": { "limits": { "members": 20 } } });
    let set = world.owner.patch(ACME, &limits);
    assert_eq!(set.status(), 200, "{}", set.text());
    for lifted in [
        json!({ "settings": { "limits": null } }),
        json!({ "settings": { "limits": { "members": 21 } } }),
    ] {
        let refused = owner.patch(ACME, &lifted);
        refused.assert_problem(403, "forbidden");
        let said = refused.json()["detail"].clone();
        assert!(
            said.as_str()
                .unwrap()
                .contains("those who run the platform"),
            "{said}"
        );
    }
    // What is theirs they do change.
    let rename = json!({ "name": "Acme Works" });
    assert_eq!(owner.patch(ACME, &rename).status(), 200);
    let shown = world.owner.get(ACME).json();
    assert_eq!(shown["settings"]["limits"]["members"], 20);
}

async fn what_somebody_may_not_do_is_said_before_their_body_is_read(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let viewer = world.member(&acme, "viewer").await;
    // Not even JSON: whoever had read it would say that.
    let batch = "[".repeat(10_000);
    viewer
        .send_text("POST", "/v1/revisions", &batch, "")
        .assert_problem(403, "forbidden");
    // With a key bodies are read first, and small ones only.
    let large = "[".repeat(2 << 20);
    viewer
        .send_text("POST", "/v1/revisions", &large, "Idempotency-Key: a\r\n")
        .assert_problem(413, "body_too_large");
    world
        .owner
        .get("/v1/config/routes?name=%00")
        .assert_problem(422, "invalid");
}
