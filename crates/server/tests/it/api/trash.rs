//! What was deleted comes back, or goes for good.

use serde_json::{Value, json};
use weir_testkit::on_both_engines;

use super::{Client, World};

on_both_engines! {
    what_an_organization_deleted_comes_back,
    an_organization_comes_back_with_all_it_had,
    what_is_purged_does_not_come_back,
    the_trash_is_for_those_who_may,
}

const TRASH: &str = "/v1/organizations/acme/trash";

/// Kinds and names of what is in a trash, the latest first.
fn names(client: &Client, path: &str) -> Vec<(String, String)> {
    let items = client.get(path).json()["items"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = items.as_array().unwrap().iter();
    items
        .map(|item| (text(&item["kind"]), text(&item["name"])))
        .collect()
}

fn restore(client: &Client, trash: &str, id: &str) -> u16 {
    client
        .post(&format!("{trash}/{id}/restore"), &json!({}))
        .status()
}

fn make_role(client: &Client) -> String {
    let new = json!({ "name": "releaser", "permissions": ["route:read"] });
    let made = client.post("/v1/organizations/acme/roles", &new).json();
    made["id"].as_str().unwrap().to_owned()
}

async fn what_an_organization_deleted_comes_back(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let viewer = world.member(&acme, "viewer").await;
    let me = viewer.get("/v1/me").json();
    let (user, email) = (me["id"].as_str().unwrap(), me["email"].as_str().unwrap());
    let role = make_role(&owner);
    let path = format!("/v1/organizations/acme/roles/{role}");
    let member = format!("/v1/organizations/acme/members/{user}");
    let membership = owner.get(&member).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(owner.delete(&path).status(), 204);
    assert_eq!(owner.delete(&member).status(), 204);
    let expected = [("member", email), ("role", "releaser")]
        .map(|(kind, name)| (kind.to_owned(), name.to_owned()));
    assert_eq!(names(&owner, TRASH), expected);
    let oldest = owner
        .get(&format!("{TRASH}?sort=deleted_at&limit=1"))
        .json();
    assert_eq!(oldest["items"][0]["id"], role.as_str());
    let next = oldest["next"].as_str().unwrap();
    let next = owner.get(&format!("{TRASH}?sort=deleted_at&limit=1&cursor={next}"));
    assert_eq!(next.json()["items"][0]["id"], membership.as_str());
    assert_eq!(restore(&owner, TRASH, &membership), 204);
    assert_eq!(viewer.get("/v1/organizations/acme").status(), 200);
    // Its name is another's by now.
    let other = make_role(&owner);
    let taken = owner.post(&format!("{TRASH}/{role}/restore"), &json!({}));
    taken.assert_problem(409, "taken");
    assert_eq!(
        owner
            .delete(&format!("/v1/organizations/acme/roles/{other}"))
            .status(),
        204
    );
    assert_eq!(restore(&owner, TRASH, &role), 204);
    assert_eq!(owner.get(&path).status(), 200);
    assert_eq!(restore(&owner, TRASH, &role), 404);
}

async fn an_organization_comes_back_with_all_it_had(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let user = world.person("grace@navy.example").await;
    make_role(&owner);
    assert_eq!(owner.delete("/v1/organizations/acme").status(), 204);
    assert_eq!(
        world.owner.delete(&format!("/v1/users/{user}")).status(),
        204
    );
    owner
        .get("/v1/organizations/acme")
        .assert_problem(404, "not_found");
    let expected = [("user", "grace@navy.example"), ("organization", "acme")]
        .map(|(kind, name)| (kind.to_owned(), name.to_owned()));
    // The installation's own trash, by either name.
    for trash in ["/v1/trash", "/v1/organizations/platform/trash"] {
        assert_eq!(names(&world.owner, trash), expected);
    }
    assert_eq!(restore(&world.owner, "/v1/trash", acme.as_str()), 204);
    assert_eq!(restore(&world.owner, "/v1/trash", user.as_str()), 204);
    let roles = owner.get("/v1/organizations/acme/roles").json();
    assert_eq!(roles["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.owner.get(&format!("/v1/users/{user}")).status(), 200);
    assert!(names(&world.owner, "/v1/trash").is_empty());
}

async fn what_is_purged_does_not_come_back(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let role = make_role(&owner);
    let gone = |client: &Client, path: &str| client.delete(path).status();
    // What is not in the trash is not removed.
    assert_eq!(gone(&owner, &format!("{TRASH}/{role}")), 404);
    assert_eq!(gone(&world.owner, &format!("/v1/trash/{acme}")), 404);
    assert_eq!(
        owner
            .delete(&format!("/v1/organizations/acme/roles/{role}"))
            .status(),
        204
    );
    // Nor by the name of another trash.
    assert_eq!(gone(&world.owner, &format!("/v1/trash/{role}")), 404);
    assert_eq!(gone(&owner, &format!("{TRASH}/{role}")), 204);
    assert_eq!(restore(&owner, TRASH, &role), 404);
    let told = owner
        .get("/v1/organizations/acme/audit?action=trash.purge")
        .json();
    assert_eq!(told["items"][0]["subject_id"], role.as_str());
    assert_eq!(owner.delete("/v1/organizations/acme").status(), 204);
    assert_eq!(gone(&world.owner, &format!("/v1/trash/{acme}")), 204);
    assert_eq!(restore(&world.owner, "/v1/trash", acme.as_str()), 404);
    // Its slug is free by now, and its members are people still.
    world.organization("acme");
    assert_eq!(owner.get("/v1/me").status(), 200);
}

async fn the_trash_is_for_those_who_may(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let platform = weir_core::TenantId::platform();
    let editor = world.member(&acme, "editor").await;
    let owner = world.member(&acme, "owner").await;
    let operator = world.member(&platform, "operator").await;
    let user = world.person("grace@navy.example").await;
    assert_eq!(
        world.owner.delete(&format!("/v1/users/{user}")).status(),
        204
    );
    let said = |answer: crate::harness::Message| {
        answer.assert_problem(403, "forbidden");
        answer.json()["permission"].as_str().unwrap().to_owned()
    };
    assert_eq!(said(editor.get(TRASH)), "trash:read");
    assert_eq!(said(owner.get("/v1/trash")), "trash:read");
    assert_eq!(operator.get("/v1/trash").status(), 200);
    // Who runs organizations brings back organizations, and decides on no account.
    for trash in ["/v1/trash", "/v1/organizations/platform/trash"] {
        let restore = format!("{trash}/{user}/restore");
        assert_eq!(said(operator.post(&restore, &json!({}))), "user:write");
        assert_eq!(
            said(operator.delete(&format!("{trash}/{user}"))),
            "trash:purge"
        );
    }
    assert_eq!(owner.delete("/v1/organizations/acme").status(), 204);
    assert_eq!(restore(&operator, "/v1/trash", acme.as_str()), 204);
}
