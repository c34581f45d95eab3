//! Access policies: what roles give is narrowed with the next request, and who may see rules hears which.

use serde_json::{Value, json};
use weir_testkit::on_both_engines;

use super::{Client, World};
use crate::harness::Message;

on_both_engines! {
    a_policy_holds_with_the_next_request,
    an_organization_has_rules_of_its_own,
    nobody_keeps_the_operator_out,
    decisions_are_explained,
    keys_are_judged_as_people_are,
    no_admin_shuts_the_owners_out,
    what_comes_back_from_the_trash_is_judged,
}

const MEMBERS: &str = "/v1/organizations/acme/members";
const OWN: &str = "/v1/organizations/acme/access-policies";

fn put(client: &Client, path: &str, text: &str) -> Message {
    client.send("PUT", path, Some(&json!({ "text": text })), "")
}

async fn a_policy_holds_with_the_next_request(engine: &str) {
    let world = World::begin(engine).await;
    let owner = &world.owner;
    let path = "/v1/access-policies/quiet";
    let text = "@id(\"no more\") forbid (principal, action == Action::\"organization:create\", resource is Platform);";
    let made = put(owner, path, text);
    assert_eq!(
        (made.status(), made.get("etag")),
        (201, Some("\"1\"")),
        "{}",
        made.text()
    );
    assert_eq!(made.get("location"), Some(path));
    assert_eq!(owner.get(path).json(), made.json());
    assert_eq!(
        owner.get("/v1/access-policies").json()["items"],
        json!([made.json()])
    );
    let new = json!({ "slug": "acme", "name": "Acme" });
    let refused = owner.post("/v1/organizations", &new);
    refused.assert_problem(403, "forbidden");
    assert_eq!(
        refused.json()["detail"],
        "The access policy's rule `no more` forbids this."
    );

    let mistaken = put(
        owner,
        path,
        "forbid (principal, action, resource)\nwhen { context.rsik > 1 };",
    );
    mistaken.assert_problem(422, "invalid");
    let error = &mistaken.json()["errors"][0];
    assert_eq!(error["pointer"], "/text");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.starts_with("quiet, line 2, column 8: "), "{detail}");
    let stale = json!({ "text": "" });
    let stale = owner.send("PUT", path, Some(&stale), "If-Match: \"9\"\r\n");
    stale.assert_problem(412, "stale");

    assert_eq!(owner.delete(path).status(), 204);
    assert_eq!(owner.post("/v1/organizations", &new).status(), 201);
}

async fn an_organization_has_rules_of_its_own(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let viewer = world.member(&acme, "viewer").await;
    let closed = "@id(\"closed\") forbid (principal, action == Action::\"member:read\", resource);";
    put(&viewer, &format!("{OWN}/closed"), closed).assert_problem(403, "forbidden");
    viewer.get(OWN).assert_problem(403, "forbidden");
    assert_eq!(put(&owner, &format!("{OWN}/closed"), closed).status(), 201);
    let said = |client: &Client| {
        let refused = client.get(MEMBERS);
        refused.assert_problem(403, "forbidden");
        refused.json()["detail"].clone()
    };
    assert_eq!(said(&viewer), "A policy forbids this.");
    assert_eq!(
        said(&owner),
        "The access policy's rule `closed` forbids this."
    );
    // Who runs the installation is let in.
    assert_eq!(world.owner.get(MEMBERS).status(), 200);

    let grant = put(
        &owner,
        &format!("{OWN}/mine"),
        "permit (principal, action, resource);",
    );
    grant.assert_problem(422, "invalid");
    let all = "forbid (principal, action, resource);";
    put(&owner, &format!("{OWN}/all"), all).assert_problem(409, "conflict");
    assert_eq!(
        put(&owner, &format!("{OWN}/all?force=true"), all).status(),
        201
    );
    owner.get(MEMBERS).assert_problem(403, "forbidden");
    assert_eq!(world.owner.delete(&format!("{OWN}/all")).status(), 204);
    assert_eq!(owner.get(OWN).status(), 200);
}

async fn nobody_keeps_the_operator_out(engine: &str) {
    let world = World::begin(engine).await;
    let path = "/v1/access-policies/all";
    let all = "forbid (principal, action, resource);";
    put(&world.owner, path, all).assert_problem(409, "conflict");
    assert_eq!(
        put(&world.owner, &format!("{path}?force=true"), all).status(),
        201
    );
    // What is of the process is asked by the same rules.
    for path in [
        "/v1/organizations/acme",
        "/v1/users",
        "/v1/status",
        "/v1/access-policies",
    ] {
        let refused = world.owner.get(path);
        assert!(
            matches!(refused.status(), 403 | 404),
            "{path}: {}",
            refused.text()
        );
    }
    let operator = world.operator();
    assert_eq!(operator.get("/v1/status").status(), 200);
    assert_eq!(operator.delete(path).status(), 204);
    assert_eq!(world.owner.get("/v1/status").status(), 200);
}

async fn decisions_are_explained(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let editor = world.member(&acme, "editor").await;
    let me = editor.get("/v1/me").json();
    let strong = "@id(\"strong\") forbid (principal, action in Action::\"write\", resource) unless { context.level == 3 };
                  @id(\"inside\") forbid (principal, action == Action::\"route:read\", resource)
                  unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };";
    assert_eq!(
        put(
            &world.owner,
            "/v1/access-policies/strong?force=true",
            strong
        )
        .status(),
        201
    );
    let explain_to = |asks: &Client, who: &Value, permission: &str, context: Value| {
        let question = json!({
            "who": who, "permission": permission, "organization": "acme", "context": context,
        });
        let answer = asks.post("/v1/access/explain", &question);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    };
    let operator = world.operator();
    let explain = |who: &Value, permission: &str, context: Value| {
        explain_to(&operator, who, permission, context)
    };
    // What the platform's rules are called is not for its tenants.
    let denied = explain_to(&owner, &me["email"], "route:write", json!({}));
    assert_eq!(
        (&denied["reason"], &denied["rules"]),
        (&json!("forbidden"), &json!([]))
    );
    let failed = explain_to(&owner, &me["email"], "route:read", json!({}));
    assert_eq!(
        (&failed["reason"], &failed["errors"]),
        (&json!("failed"), &json!([]))
    );
    let role = json!({ "name": "releaser", "permissions": [] });
    let refused = owner.post("/v1/organizations/acme/roles", &role);
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["detail"], "A policy forbids this.");
    let denied = explain(&me["email"], "route:write", json!({}));
    assert_eq!(
        (&denied["allowed"], &denied["reason"], &denied["rules"]),
        (&json!(false), &json!("forbidden"), &json!(["strong"]))
    );
    let allowed = explain(
        &me["id"],
        "route:write",
        json!({ "strength": "two_factor" }),
    );
    assert_eq!(
        (&allowed["allowed"], &allowed["rules"]),
        (&json!(true), &json!(["role"]))
    );
    let failed = explain(&me["id"], "route:read", json!({}));
    assert_eq!(
        (&failed["reason"], &failed["errors"][0]["rule"]),
        (&json!("failed"), &json!("inside"))
    );
    let inside = explain(&me["id"], "route:read", json!({ "address": "10.1.2.3" }));
    assert_eq!(inside["allowed"], true);
    // Somebody who does not belong here is like nobody.
    let nobody = explain_to(
        &owner,
        &json!("nobody@acme.example"),
        "route:read",
        json!({ "address": "10.1.2.3" }),
    );
    let others = explain_to(
        &owner,
        &json!("owner@weir.example"),
        "route:read",
        json!({ "address": "10.1.2.3" }),
    );
    assert_eq!((&nobody["reason"], &nobody), (&json!("no_permit"), &others));
    let question = json!({ "who": "x", "permission": "route:read", "organization": "acme" });
    editor
        .post("/v1/access/explain", &question)
        .assert_problem(403, "forbidden");
}

/// A key of the person's own.
fn key(of: &Client, organization: &str, permissions: &Value) -> Client {
    let new = json!({ "organization": organization, "name": "ci", "permissions": permissions });
    let made = of.post("/v1/me/api-keys", &new);
    assert_eq!(made.status(), 201, "{}", made.text());
    of.with(made.json()["secret"].as_str().unwrap())
}

async fn keys_are_judged_as_people_are(engine: &str) {
    let world = World::begin(engine).await;
    let operator = world.operator();
    let all = json!([
        "organization:read",
        "organization:create",
        "access_policy:write"
    ]);
    let of_platform = key(&world.owner, "platform", &all);
    let path = "/v1/access-policies/inside";
    let inside = "forbid (principal, action in Action::\"write\", resource)
                  unless { context.address.isInRange(ip(\"10.0.0.0/8\")) };";
    assert_eq!(put(&operator, path, inside).status(), 201);
    let new = json!({ "slug": "two", "name": "Two" });
    for client in [&world.owner, &of_platform] {
        let refused = client.post("/v1/organizations", &new);
        refused.assert_problem(403, "forbidden");
        client.delete(path).assert_problem(403, "forbidden");
        assert_eq!(client.get("/v1/organizations").status(), 200);
    }
    // What they are, and how they proved it, is what rules speak of.
    let programs = "forbid (principal is ApiKey, action, resource)
                    when { context.strength == \"key\" && !(principal has name) };";
    assert_eq!(put(&operator, path, programs).status(), 200);
    let refused = of_platform.get("/v1/organizations");
    refused.assert_problem(403, "forbidden");
    assert_eq!(world.owner.get("/v1/organizations").status(), 200);
    assert_eq!(operator.delete(path).status(), 204);

    let acme = world.organization("acme");
    let admin = world.member(&acme, "admin").await;
    let of_acme = key(
        &admin,
        "acme",
        &json!(["member:read", "access_policy:write"]),
    );
    assert_eq!(of_acme.get(MEMBERS).status(), 200);
    let people = "forbid (principal is ApiKey, action, resource);";
    let locked = put(&of_acme, &format!("{OWN}/people"), people);
    locked.assert_problem(409, "conflict");
    assert_eq!(put(&admin, &format!("{OWN}/people"), people).status(), 201);
    of_acme.get(MEMBERS).assert_problem(403, "forbidden");
    assert_eq!(admin.get(MEMBERS).status(), 200);
    // A key of the platform is no more kept out than a person with a role there.
    let of_platform = key(&world.owner, "platform", &json!(["member:read"]));
    assert_eq!(of_platform.get(MEMBERS).status(), 200);
}

async fn no_admin_shuts_the_owners_out(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let admin = world.member(&acme, "admin").await;
    let me = admin.get("/v1/me").json()["id"].clone();
    let email = owner.get("/v1/me").json()["email"].clone();
    let only_me =
        format!("forbid (principal, action, resource) unless {{ principal.id == {me} }};");
    let mine = format!("{OWN}/mine");
    assert_eq!(put(&admin, &mine, &only_me).status(), 201);
    owner.get(MEMBERS).assert_problem(403, "forbidden");
    let by_key = key(&admin, "acme", &json!(["access_policy:read"]));
    by_key.get(OWN).assert_problem(403, "forbidden");
    assert_eq!(owner.get(&mine).status(), 200);
    assert_eq!(put(&owner, &mine, "// nothing").status(), 200);
    assert_eq!(put(&admin, &mine, &only_me).status(), 200);
    // A session that somebody took along is not enough.
    world.age_sessions(16).await;
    let again = owner.delete(&mine);
    again.assert_problem(403, "recent_sign_in_needed");
    owner.get(MEMBERS).assert_problem(403, "forbidden");
    let owner = world.anybody().sign_in(email.as_str().unwrap());
    assert_eq!(owner.delete(&mine).status(), 204);
    assert_eq!(owner.get(MEMBERS).status(), 200);
}

async fn what_comes_back_from_the_trash_is_judged(engine: &str) {
    let world = World::begin(engine).await;
    let owner = &world.owner;
    let calm = "@id(\"calm\") forbid (principal, action, resource) when { context.risk > 99 };";
    let made = put(owner, "/v1/access-policies/first", calm).json();
    let restore = format!("/v1/trash/{}/restore", made["id"].as_str().unwrap());
    assert_eq!(owner.delete("/v1/access-policies/first").status(), 204);
    assert_eq!(put(owner, "/v1/access-policies/second", calm).status(), 201);
    let refused = owner.post(&restore, &json!({}));
    refused.assert_problem(422, "invalid");
    assert_eq!(owner.get("/v1/access-policies").status(), 200);
    assert_eq!(owner.delete("/v1/access-policies/second").status(), 204);
    // Who may not write them by what rules say brings none back.
    let fixed = "forbid (principal is User, action == Action::\"access_policy:write\", resource);";
    let fixed = put(&world.operator(), "/v1/access-policies/fixed", fixed);
    assert_eq!(fixed.status(), 201);
    let refused = owner.post(&restore, &json!({}));
    refused.assert_problem(403, "forbidden");
    assert_eq!(world.operator().post(&restore, &json!({})).status(), 204);
}
