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
    owner.get(OWN).assert_problem(403, "forbidden");
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
    let explain = |who: &Value, permission: &str, context: Value| {
        let question = json!({
            "who": who, "permission": permission, "organization": "acme", "context": context,
        });
        let answer = owner.post("/v1/access/explain", &question);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    };
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
    let nobody = explain(
        &json!("nobody@acme.example"),
        "route:read",
        json!({ "address": "10.1.2.3" }),
    );
    let others = explain(
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
