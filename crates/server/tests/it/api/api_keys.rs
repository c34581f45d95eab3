//! API keys as programs show them, and as people administer them.

use serde_json::{Value, json};
use weir_core::{Id, TenantId};
use weir_testkit::on_both_engines;

use super::{Client, World};

on_both_engines! {
    a_key_is_taken_in_either_field_and_does_what_it_may,
    a_key_does_nothing_that_takes_a_person,
    a_key_is_made_changed_replaced_and_revoked,
    ones_own_keys_are_ones_own,
    a_stolen_session_makes_no_keys,
    a_key_in_an_address_is_refused_with_a_word_why,
    who_finds_a_key_has_it_revoked,
}

const KEYS: &str = "/v1/organizations/acme/api-keys";

/// A key of an organization's own; all that is told of it.
fn make(client: &Client, path: &str, permissions: &[&str]) -> Value {
    let new = json!({ "name": "import", "permissions": permissions, "scopes": ["catalog:read"] });
    let made = client.post(path, &new);
    assert_eq!(made.status(), 201, "{}", made.text());
    made.json()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

async fn a_key_is_taken_in_either_field_and_does_what_it_may(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    world.organization("globex");
    let owner = world.member(&acme, "owner").await;
    let made = make(&owner, KEYS, &["role:read", "role:write"]);
    let secret = text(&made, "secret");
    let key = world.anybody().with(secret);
    let roles = "/v1/organizations/acme/roles";
    assert_eq!(key.get(roles).status(), 200);
    let field = format!("X-Api-Key: {secret}\r\n");
    let by_field = world.anybody().send("GET", roles, None, &field);
    assert_eq!(by_field.status(), 200, "{}", by_field.text());
    // Of two credentials nobody could say which counts.
    let both = owner.send("GET", roles, None, &field);
    both.assert_problem(401, "unauthenticated");
    // It does what it was given, where it was given, and is named for it.
    let new = json!({ "name": "releaser", "permissions": ["role:read"] });
    assert_eq!(key.post(roles, &new).status(), 201);
    key.get("/v1/organizations/acme/members")
        .assert_problem(403, "forbidden");
    key.get("/v1/organizations/globex")
        .assert_problem(404, "not_found");
    key.get("/v1/users").assert_problem(403, "forbidden");
    let audit = owner.get("/v1/organizations/acme/audit?limit=1").json();
    let entry = &audit["items"][0];
    assert_eq!(entry["action"], "role.create");
    assert_eq!(entry["actor_kind"], "api_key", "{entry}");
    assert_eq!(entry["actor_id"], made["id"]);
    // Nobody comes by more than they have with a key.
    let more = json!({ "name": "more", "permissions": ["member:write"] });
    key.post(roles, &more).assert_problem(403, "forbidden");
    // Mistyped, cut off, of somebody else.
    for bad in [
        &secret[..secret.len() - 1],
        &secret.to_uppercase(),
        "weir_key_",
    ] {
        world
            .anybody()
            .with(bad)
            .get(roles)
            .assert_problem(401, "unauthenticated");
    }
}

async fn a_key_does_nothing_that_takes_a_person(engine: &str) {
    let world = World::begin(engine).await;
    let platform = TenantId::platform();
    let boss = world.member(&platform, "owner").await;
    let all: Vec<_> = weir_identity::Permission::ALL
        .iter()
        .map(|one| one.as_str())
        .collect();
    let new = json!({ "organization": "platform", "name": "all", "permissions": all });
    let made = boss.post("/v1/me/api-keys", &new);
    assert_eq!(made.status(), 201, "{}", made.text());
    let key = world.anybody().with(text(&made.json(), "secret"));
    assert_eq!(key.get("/v1/users").status(), 200);
    let document = boss.get("/v1/openapi.json").json();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/v1/me") {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let path = path
                .split('/')
                .map(|segment| match segment.starts_with('{') {
                    true => Id::new("key").to_string(),
                    false => segment.to_owned(),
                })
                .collect::<Vec<_>>()
                .join("/");
            // What cannot be read is refused before anybody is asked who they are.
            let bodies = [
                json!({}),
                json!({ "present": "x", "password": "x" }),
                json!({ "password": "x", "email": "a@b.example" }),
                json!({ "password": "x" }),
                json!({ "code": "123456" }),
                json!({ "organization": "platform", "name": "x" }),
            ];
            let method = method.to_uppercase();
            let mut answers = bodies
                .iter()
                .map(|body| key.send(&method, &path, Some(body), ""));
            let read = answers.find(|answer| answer.status() != 422);
            let read = read.unwrap_or_else(|| panic!("what does {method} {path} take?"));
            read.assert_problem(403, "no_account");
            asked += 1;
        }
    }
    assert!(asked >= 15, "{asked}");
    // Nor does it decide on whose it is.
    let own = boss.get("/v1/me").json();
    let own = format!("/v1/users/{}", text(&own, "id"));
    for (method, path, reason) in [
        ("PATCH", own.clone(), "forbidden"),
        ("DELETE", own.clone(), "forbidden"),
        ("POST", format!("{own}/reset-link"), "no_account"),
        ("DELETE", format!("{own}/totp"), "no_account"),
        ("DELETE", format!("{own}/sessions"), "no_account"),
        ("POST", format!("{own}/erase"), "no_account"),
    ] {
        let body = json!({ "email": "thief@b.example" });
        let body = (method == "PATCH").then_some(&body);
        key.send(method, &path, body, "")
            .assert_problem(403, reason);
    }
}

async fn a_key_is_made_changed_replaced_and_revoked(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let editor = world.member(&acme, "editor").await;
    let fields = "Idempotency-Key: \"8e03978e\"\r\n";
    let new = json!({ "name": "import", "permissions": ["role:read"], "expires_at": null });
    let made = owner.send("POST", KEYS, Some(&new), fields);
    // Sent again, since the answer was lost: the same key, which is told again.
    let again = owner.send("POST", KEYS, Some(&new), fields);
    assert_eq!(again.get("idempotency-replayed"), Some("true"));
    assert_eq!(made.json(), again.json());
    let made = made.json();
    assert!(made["expires_at"].is_null());
    let path = format!("{KEYS}/{}", text(&made, "id"));
    let shown = owner.get(&path);
    assert_eq!(shown.get("etag"), Some("\"1\""));
    assert!(!shown.text().contains(text(&made, "secret")));
    // Who may look sees it, and may not touch it.
    assert_eq!(editor.get(&path).json()["name"], "import");
    for (method, path) in [
        ("PATCH", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/rotate")),
        ("POST", format!("{path}/revoke")),
        ("POST", KEYS.to_owned()),
    ] {
        let refused = editor.send(method, &path, Some(&json!({ "name": "x" })), "");
        let status = refused.status();
        assert!(matches!(status, 403 | 422), "{method} {path}: {status}");
    }
    let renamed = owner.patch(&path, &json!({ "name": "nightly" }));
    assert_eq!(renamed.json()["name"], "nightly", "{}", renamed.text());
    let more = owner.patch(
        &path,
        &json!({ "permissions": ["role:read", "role:write"] }),
    );
    more.assert_problem(422, "invalid");
    let stale = owner.send(
        "PATCH",
        &path,
        Some(&json!({ "name": "x" })),
        "If-Match: \"1\"\r\n",
    );
    assert_eq!(stale.status(), 412);

    let roles = "/v1/organizations/acme/roles";
    let works = |made: &Value| {
        let key = world.anybody().with(text(made, "secret"));
        key.get(roles).status() == 200
    };
    let rotated = owner.post(
        &format!("{path}/rotate"),
        &json!({ "overlap_seconds": 3600 }),
    );
    assert_eq!(rotated.status(), 201, "{}", rotated.text());
    let rotated = rotated.json();
    assert!(works(&made) && works(&rotated));
    assert_eq!(rotated["former"]["replaced_by"], rotated["id"]);
    let long = json!({ "overlap_seconds": 31 * 86_400 });
    let next = format!("{KEYS}/{}", text(&rotated, "id"));
    owner
        .post(&format!("{next}/rotate"), &long)
        .assert_problem(422, "invalid");
    let revoked = owner.send("POST", &format!("{path}/revoke"), None, "");
    assert_eq!(revoked.status(), 200, "{}", revoked.text());
    assert!(!works(&made) && works(&rotated));
    assert_eq!(owner.delete(&next).status(), 204);
    assert!(!works(&rotated));
    let listed = owner.get(&format!("{KEYS}?name=night&sort=-name")).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
}

async fn ones_own_keys_are_ones_own(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    world.organization("globex");
    let editor = world.member(&acme, "editor").await;
    let owner = world.member(&acme, "owner").await;
    let own = "/v1/me/api-keys";
    let new = |organization: &str| json!({ "organization": organization, "name": "laptop", "permissions": ["route:read"] });
    let made = editor.post(own, &new("acme"));
    assert_eq!(made.status(), 201, "{}", made.text());
    let made = made.json();
    let mine = format!("{own}/{}", text(&made, "id"));
    // Of an organization that one does not belong to, as of none.
    let elsewhere = editor.post(own, &new("globex"));
    elsewhere.assert_problem(404, "not_found");
    editor
        .post(own, &new("nowhere"))
        .assert_problem(404, "not_found");
    // The platform's people make none for themselves where they are no members.
    world
        .owner
        .post(own, &new("globex"))
        .assert_problem(404, "not_found");
    for (method, path) in [
        ("GET", mine.clone()),
        ("DELETE", mine.clone()),
        ("POST", format!("{mine}/revoke")),
    ] {
        let theirs = owner.send(method, &path, None, "");
        theirs.assert_problem(404, "not_found");
    }
    // Owners see it among the organization's, revoke it, and do not come by another one in its place.
    let seen = format!("{KEYS}/{}", text(&made, "id"));
    assert_eq!(owner.get(&seen).json()["user_id"], made["user_id"]);
    owner
        .post(&format!("{seen}/rotate"), &json!({}))
        .assert_problem(403, "forbidden");
    let rotated = editor.post(&format!("{mine}/rotate"), &json!({}));
    assert_eq!(rotated.status(), 201, "{}", rotated.text());
    let rotated = rotated.json();
    assert_eq!(editor.get(own).json()["items"].as_array().unwrap().len(), 2);
    let seen = format!("{KEYS}/{}", text(&rotated, "id"));
    let key = world.anybody().with(text(&rotated, "secret"));
    assert_eq!(key.get("/v1/openapi.json").status(), 200);
    let revoked = owner.send("POST", &format!("{seen}/revoke"), None, "");
    assert_eq!(revoked.status(), 200);
    key.get("/v1/openapi.json")
        .assert_problem(401, "unauthenticated");
    assert_eq!(editor.delete(&mine).status(), 204);
}

async fn a_stolen_session_makes_no_keys(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let made = make(&owner, KEYS, &[]);
    world.age_sessions(20).await;
    let key = format!("{KEYS}/{}", text(&made, "id"));
    let new = json!({ "name": "x", "organization": "acme" });
    for (path, body) in [
        (KEYS.to_owned(), json!({ "name": "x" })),
        (format!("{key}/rotate"), json!({})),
        ("/v1/me/api-keys".to_owned(), new),
    ] {
        let refused = owner.post(&path, &body);
        refused.assert_problem(403, "recent_sign_in_needed");
    }
    // To take one away is always possible.
    let revoked = owner.send("POST", &format!("{key}/revoke"), None, "");
    assert_eq!(revoked.status(), 200);
}

async fn a_key_in_an_address_is_refused_with_a_word_why(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let made = make(&owner, KEYS, &["role:read"]);
    let secret = text(&made, "secret");
    for path in [
        format!("/v1/organizations/acme/roles?api_key={secret}"),
        format!("/v1/openapi.json?{}", secret.replace('_', "%5F")),
        format!("/v1/users/{secret}"),
    ] {
        for client in [&world.anybody(), &owner] {
            let refused = client.get(&path);
            assert_eq!(refused.status(), 400, "{}", refused.text());
            assert_eq!(refused.json()["reason"], "key_in_address");
            assert!(!refused.text().contains(secret));
        }
    }
    assert!(!world.weir.log().contains(secret));
}

async fn who_finds_a_key_has_it_revoked(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let made = make(&owner, KEYS, &["role:read"]);
    let secret = text(&made, "secret");
    let key = world.anybody().with(secret);
    assert_eq!(key.get("/v1/openapi.json").status(), 200);
    // The last of these is of the right form: only that there is no such key is wrong with it.
    let unknown = weir_core::ApiKeyText::compose(7, [1, 2, 3]);
    let found = json!([
        { "token": secret, "type": "weir_api_key", "url": "https://github.com/acme/x/blob/a/.env",
          "source": "content" },
        { "token": &secret[..20], "type": "weir_api_key", "url": null },
        { "token": unknown.expose(), "type": "weir_api_key" },
    ]);
    let answer = world.anybody().post("/v1/leaked-keys", &found);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(!answer.text().contains(secret));
    let verdicts = answer.json();
    let labels: Vec<_> = (0..3).map(|at| text(&verdicts[at], "label")).collect();
    assert_eq!(
        labels,
        ["true_positive", "false_positive", "false_positive"]
    );
    assert_eq!(verdicts[0]["token_type"], "weir_api_key");
    key.get("/v1/openapi.json")
        .assert_problem(401, "unauthenticated");
    let shown = owner.get(&format!("{KEYS}/{}", text(&made, "id"))).json();
    assert!(shown["revoked_at"].is_string() && shown["leaked_at"].is_string());
    let audit = owner.get("/v1/organizations/acme/audit?limit=1").text();
    assert!(audit.contains("api_key.leak"), "{audit}");
    assert!(
        audit.contains("https://github.com/acme/x/blob/a/.env"),
        "{audit}"
    );
    assert!(!audit.contains(secret));
    // It stays so, and says so, however often it is found.
    let again = world.anybody().post("/v1/leaked-keys", &json!([found[0]]));
    assert_eq!(text(&again.json()[0], "label"), "true_positive");
    // Much that is no key has to wait, from wherever it is sent.
    let noise = json!([{ "token": unknown.expose(), "type": "x" }]);
    let mut answers = 0;
    let throttled = loop {
        let answer = world.anybody().post("/v1/leaked-keys", &noise);
        if answer.status() != 200 {
            break answer;
        }
        answers += 1;
        assert!(answers < 200);
    };
    throttled.assert_problem(429, "throttled");
    assert!(answers >= 90, "{answers}");
    let most = json!(vec![found[1].clone(); 101]);
    let many = world.anybody().post("/v1/leaked-keys", &most);
    assert_eq!(many.status(), 422);
}
