//! Who may ask what. The document is what is gone through, so that no endpoint is forgotten.

use serde_json::json;
use weir_core::TenantId;
use weir_testkit::on_both_engines;

use super::{Client, World};

on_both_engines! {
    nothing_but_what_is_named_answers_without_a_credential,
    each_role_may_do_what_it_says,
    the_node_is_for_those_who_run_the_platform,
}

/// What must work before there is a session.
const OPEN: &[&str] = &[
    "POST /v1/email/verify",
    "POST /v1/invitations/accept",
    "POST /v1/invitations/look",
    "POST /v1/leaked-keys",
    "POST /v1/password/forgotten",
    "POST /v1/password/reset",
    "POST /v1/setup",
    "POST /v1/sign-in",
    "POST /v1/sign-in/second-factor",
    "POST /v1/tokens/refresh",
    "POST /v1/tokens/revoke",
];

/// Method and path of every operation.
fn operations(client: &Client) -> Vec<(String, String)> {
    let document = client.get("/v1/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let operations: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    assert!(operations.len() >= 17, "{operations:?}");
    operations
}

/// A path with every placeholder filled.
fn filled(path: &str, organization: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{organization}" => organization.to_owned(),
        segment if segment.starts_with('{') => "usr_01kc2q8r5nf0hb6x2v9w4t7zde".to_owned(),
        segment => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

async fn nothing_but_what_is_named_answers_without_a_credential(engine: &str) {
    let world = World::begin(engine).await;
    let signed_out = world.anybody().sign_in("owner@weir.example");
    assert_eq!(
        signed_out.send("POST", "/v1/sign-out", None, "").status(),
        204
    );
    let nobody = world.anybody();
    let strangers = [
        nobody.clone(),
        nobody.with("weir_operator_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        nobody.with("weir_session_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        signed_out,
    ];
    for (method, path) in operations(&world.owner) {
        let is_open = OPEN.contains(&format!("{method} {path}").as_str());
        let path = filled(&path, "platform");
        for stranger in &strangers {
            for body in [None, Some(json!({})), Some(json!([1]))] {
                let answer = stranger.send(&method, &path, body.as_ref(), "");
                if is_open {
                    assert_ne!(answer.status(), 401, "{method} {path}");
                    continue;
                }
                assert_eq!(answer.status(), 401, "{method} {path}: {}", answer.text());
                answer.assert_problem(401, "unauthenticated");
                assert!(answer.get("www-authenticate").is_some());
            }
        }
    }
}

async fn each_role_may_do_what_it_says(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let platform = TenantId::platform();
    let mut who = Vec::new();
    for role in ["owner", "admin", "editor", "viewer"] {
        who.push((role, world.member(&acme, role).await));
    }
    for role in ["operator", "auditor"] {
        who.push((role, world.member(&platform, role).await));
    }
    let rename = json!({ "name": "Acme" });
    let reason = json!({ "reason": "unpaid" });
    let own = "/v1/organizations/acme";
    let suspend = "/v1/organizations/acme/suspend";
    let resume = "/v1/organizations/acme/resume";
    let matrix = [
        (
            "GET",
            own,
            None,
            "organization:read",
            "owner admin editor viewer operator auditor",
        ),
        (
            "PATCH",
            own,
            Some(&rename),
            "organization:write",
            "owner admin operator",
        ),
        (
            "POST",
            suspend,
            Some(&reason),
            "organization:suspend",
            "operator",
        ),
        ("POST", resume, None, "organization:suspend", "operator"),
        ("DELETE", own, None, "organization:delete", "owner"),
    ];
    for (method, path, body, permission, allowed) in matrix {
        let is_allowed = |role: &str| allowed.split(' ').any(|one| one == role);
        let (may, may_not): (Vec<_>, Vec<_>) = who.iter().partition(|(role, _)| is_allowed(role));
        // Nobody is left to look at it when it is deleted.
        for (role, client) in may_not {
            let refused = client.send(method, path, body, "");
            assert_eq!(refused.status(), 403, "{role}: {method} {path}");
            refused.assert_problem(403, "forbidden");
            assert_eq!(refused.json()["permission"], permission);
        }
        for (role, client) in may {
            let done = client.send(method, path, body, "");
            assert!(
                done.status() < 300,
                "{role}: {method} {path}: {}",
                done.text()
            );
        }
    }
    for (role, client) in &who {
        let new = json!({ "slug": format!("by-{role}"), "name": "New" });
        let status = client.post("/v1/organizations", &new).status();
        assert_eq!(
            status,
            if *role == "operator" { 201 } else { 403 },
            "{role}"
        );
    }
}

async fn the_node_is_for_those_who_run_the_platform(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let platform = TenantId::platform();
    let member = world.member(&acme, "owner").await;
    let auditor = world.member(&platform, "auditor").await;
    let operator = world.member(&platform, "operator").await;
    for path in ["/v1/status", "/v1/routes", "/v1/bans", "/v1/revision"] {
        member.get(path).assert_problem(403, "forbidden");
        assert_eq!(auditor.get(path).status(), 200, "{path}");
    }
    // It asks by a body, and changes nothing.
    let question = json!({ "method": "GET", "url": "http://shop.example/" });
    member
        .post("/v1/match", &question)
        .assert_problem(403, "forbidden");
    assert_eq!(auditor.post("/v1/match", &question).status(), 200);
    let refused = auditor.post("/v1/reload", &json!({}));
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["permission"], "revision:write");
    assert_eq!(operator.post("/v1/reload", &json!({})).status(), 200);
}
