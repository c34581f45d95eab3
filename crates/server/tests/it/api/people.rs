//! Members, roles and invitations of an organization.

use serde_json::{Value, json};
use weir_testkit::on_both_engines;

use super::{Client, PASSWORD, World};

on_both_engines! {
    a_role_is_made_given_and_taken,
    nobody_gives_more_than_they_have,
    somebody_is_invited_until_they_are_not,
    who_was_invited_joins_once,
    everybody_may_leave,
}

const ROLES: &str = "/v1/organizations/acme/roles";
const MEMBERS: &str = "/v1/organizations/acme/members";
const INVITATIONS: &str = "/v1/organizations/acme/invitations";

/// Who somebody is.
fn id(client: &Client) -> String {
    client.get("/v1/me").json()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn emails(client: &Client, path: &str) -> Vec<String> {
    let listed = client.get(path).json();
    let items = listed["items"].as_array().unwrap().iter();
    items
        .map(|item| item["email"].as_str().unwrap().to_owned())
        .collect()
}

async fn a_role_is_made_given_and_taken(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let viewer = world.member(&acme, "viewer").await;
    let owner = world.member(&acme, "owner").await;
    let new = json!({ "name": "releaser", "permissions": ["route:read", "organization:read"] });
    let made = owner.post(ROLES, &new);
    assert_eq!((made.status(), made.get("etag")), (201, Some("\"1\"")));
    let role = made.json();
    let path = format!(
        "/v1/organizations/{acme}/roles/{}",
        role["id"].as_str().unwrap()
    );
    assert_eq!(made.get("location"), Some(path.as_str()));
    assert_eq!(
        role["permissions"],
        json!(["organization:read", "route:read"])
    );
    assert_eq!(owner.get(&path).json(), role);
    assert_eq!(owner.get(ROLES).json()["items"], json!([role]));
    owner.post(ROLES, &new).assert_problem(409, "taken");

    let member = format!("{MEMBERS}/{}", id(&viewer));
    let given = owner.patch(&member, &json!({ "role": role["id"] }));
    assert_eq!((given.status(), given.get("etag")), (200, Some("\"2\"")));
    assert_eq!(given.json()["role"], role["id"]);
    // It counts from the next request on.
    assert_eq!(viewer.get("/v1/organizations/acme").status(), 200);
    viewer.get(MEMBERS).assert_problem(403, "forbidden");
    owner.delete(&path).assert_problem(409, "conflict");
    let stale = json!({ "description": "x" });
    let stale = owner.send("PATCH", &path, Some(&stale), "If-Match: \"9\"\r\n");
    stale.assert_problem(412, "stale");
    let more = json!({ "permissions": ["organization:read", "member:read"] });
    let changed = owner.patch(&path, &more).json();
    assert_eq!(
        (&changed["name"], &changed["version"]),
        (&json!("releaser"), &json!(2))
    );
    assert_eq!(viewer.get(MEMBERS).status(), 200);

    let shown = owner.get(&member);
    let back = json!({ "role": "viewer" });
    let etag = format!("If-Match: {}\r\n", shown.get("etag").unwrap());
    assert_eq!(
        owner.send("PATCH", &member, Some(&back), &etag).status(),
        200
    );
    assert_eq!(owner.delete(&path).status(), 204);
    owner.get(&path).assert_problem(404, "not_found");
}

async fn nobody_gives_more_than_they_have(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let admin = world.member(&acme, "admin").await;
    let viewer = world.member(&acme, "viewer").await;
    let all = json!({ "name": "all", "permissions": ["organization:delete"] });
    admin.post(ROLES, &all).assert_problem(403, "forbidden");
    let promote = json!({ "role": "owner" });
    let path = |client: &Client| format!("{MEMBERS}/{}", id(client));
    admin
        .patch(&path(&viewer), &promote)
        .assert_problem(403, "forbidden");
    admin
        .patch(&path(&admin), &promote)
        .assert_problem(403, "forbidden");
    admin.delete(&path(&owner)).assert_problem(403, "forbidden");
    let invite = json!({ "email": "new@acme.example", "role": "owner" });
    admin
        .post(INVITATIONS, &invite)
        .assert_problem(403, "forbidden");
    let platforms = json!({ "name": "all", "permissions": ["user:erase"] });
    let refused = owner.post(ROLES, &platforms);
    refused.assert_problem(422, "invalid");
    assert_eq!(refused.json()["errors"][0]["pointer"], "/permissions");
    owner
        .patch(&path(&owner), &json!({ "role": "viewer" }))
        .assert_problem(409, "conflict");
    let refused = viewer.patch(&path(&viewer), &promote);
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["permission"], "member:write");
    assert_eq!(admin.delete(&path(&viewer)).status(), 204);
    assert_eq!(emails(&owner, MEMBERS).len(), 2);
}

async fn somebody_is_invited_until_they_are_not(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let invite = json!({ "email": "Grace@acme.example", "role": "editor" });
    let sent = owner.post(INVITATIONS, &invite);
    assert_eq!(sent.status(), 201, "{}", sent.text());
    let first = sent.json();
    assert_eq!(
        (&first["email"], &first["role"]),
        (&json!("grace@acme.example"), &json!("editor"))
    );
    let path = sent.get("location").unwrap().to_owned();
    owner
        .post(INVITATIONS, &invite)
        .assert_problem(409, "taken");
    let member = json!({ "email": owner.get("/v1/me").json()["email"], "role": "viewer" });
    owner
        .post(INVITATIONS, &member)
        .assert_problem(409, "conflict");
    // The link is told by what makes it, and never again.
    let is_link = |answer: &Value| {
        let link = answer["link"].as_str().unwrap_or_default();
        link.contains("/accept?token=weir_once_")
    };
    assert!(is_link(&first));
    let resent = owner.post(&format!("{path}/resend"), &json!({})).json();
    assert!(is_link(&resent) && resent["link"] != first["link"]);
    for path in [INVITATIONS, path.as_str()] {
        assert!(!owner.get(path).text().contains("weir_once_"));
    }
    assert_eq!(emails(&owner, INVITATIONS), ["grace@acme.example"]);
    let stale = owner.send("DELETE", &path, None, "If-Match: \"1\"\r\n");
    stale.assert_problem(412, "stale");
    assert_eq!(owner.delete(&path).status(), 204);
    owner.delete(&path).assert_problem(404, "not_found");
    assert!(emails(&owner, INVITATIONS).is_empty());
}

async fn who_was_invited_joins_once(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let nobody = world.anybody();
    let invite = |email: &str| {
        let invite = json!({ "email": email, "role": "viewer" });
        let sent = world.owner.post(INVITATIONS, &invite).json();
        let (_, token) = sent["link"]
            .as_str()
            .unwrap()
            .split_once("?token=")
            .unwrap();
        token.to_owned()
    };
    let (look, accept) = ("/v1/invitations/look", "/v1/invitations/accept");

    let token = invite("grace@acme.example");
    let offer = nobody.post(look, &json!({ "token": token }));
    assert_eq!(
        offer.json(),
        json!({ "email": "grace@acme.example", "organization": "The acme", "has_account": false })
    );
    let half = nobody.post(accept, &json!({ "token": token, "name": "Grace" }));
    half.assert_problem(422, "invalid");
    assert_eq!(half.json()["errors"][0]["pointer"], "/password");
    let new = json!({ "token": token, "name": "Grace", "password": PASSWORD });
    let joined = nobody.post(accept, &new);
    assert_eq!(joined.status(), 200, "{}", joined.text());
    assert_eq!(joined.json()["organization"], acme.as_str());
    let grace = nobody.sign_in("grace@acme.example");
    assert_eq!(grace.get("/v1/organizations/acme").status(), 200);
    for path in [look, accept] {
        let body = if path == look {
            json!({ "token": token })
        } else {
            new.clone()
        };
        nobody.post(path, &body).assert_problem(403, "refused");
    }

    // An account accepts as itself, and nobody else does for it.
    let user = world.person("ada@acme.example").await;
    let token = invite("ada@acme.example");
    let body = json!({ "token": token });
    assert_eq!(nobody.post(look, &body).json()["has_account"], true);
    nobody.post(accept, &body).assert_problem(409, "conflict");
    grace.post(accept, &body).assert_problem(409, "conflict");
    let ada = world.signed_in(&user).await;
    assert_eq!(ada.post(accept, &body).json()["user"]["id"], user.as_str());
    assert_eq!(ada.get("/v1/organizations/acme").status(), 200);
}

async fn everybody_may_leave(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let viewer = world.member(&acme, "viewer").await;
    let editor = world.member(&acme, "editor").await;
    let path = |client: &Client| format!("{MEMBERS}/{}", id(client));
    viewer
        .delete(&path(&editor))
        .assert_problem(403, "forbidden");
    assert_eq!(viewer.delete(&path(&viewer)).status(), 204);
    viewer.get(MEMBERS).assert_problem(404, "not_found");
    viewer
        .delete(&path(&viewer))
        .assert_problem(404, "not_found");
    // Also out of one that is suspended.
    let reason = json!({ "reason": "unpaid" });
    let suspend = world.owner.post("/v1/organizations/acme/suspend", &reason);
    assert_eq!(suspend.status(), 200);
    owner
        .delete(&path(&editor))
        .assert_problem(409, "organization_suspended");
    assert_eq!(editor.delete(&path(&editor)).status(), 204);
    owner.delete(&path(&owner)).assert_problem(409, "conflict");
}
