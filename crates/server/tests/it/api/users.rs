//! Everybody's accounts.

use serde_json::{Value, json};
use weir_core::{Id, TenantId};
use weir_identity::Caller;
use weir_testkit::on_both_engines;

use super::{PASSWORD, World};

on_both_engines! {
    an_account_is_made_found_changed_and_deleted,
    a_suspended_account_is_signed_out,
    sessions_of_others_are_ended,
    a_person_is_erased_with_a_certificate,
    what_is_not_erased_says_why,
    accounts_are_for_those_who_run_the_platform,
    who_lost_everything_is_helped_without_mail,
}

const USERS: &str = "/v1/users";

async fn an_account_is_made_found_changed_and_deleted(engine: &str) {
    let world = World::begin(engine).await;
    let owner = &world.owner;
    let new = json!({ "email": "Grace@navy.example", "name": "Grace Hopper" });
    let made = owner.post(USERS, &new);
    assert_eq!(made.status(), 201, "{}", made.text());
    let path = made.get("location").unwrap().to_owned();
    let user = owner.get(&path).json();
    assert_eq!(user["email"], "grace@navy.example");
    assert_eq!(
        (&user["has_password"], &user["version"]),
        (&json!(false), &json!(1))
    );
    owner.post(USERS, &new).assert_problem(409, "taken");
    let found = owner.get("/v1/users?email=gra&sort=-email").json();
    assert_eq!(found["items"], json!([user]));
    assert_eq!(found["next"], Value::Null);
    let mut emails = Vec::new();
    let mut next = Some("/v1/users?sort=email&limit=1".to_owned());
    while let Some(path) = next {
        let page = owner.get(&path).json();
        emails.push(page["items"][0]["email"].as_str().unwrap().to_owned());
        let cursor = page["next"].as_str();
        next = cursor.map(|cursor| format!("/v1/users?sort=email&limit=1&cursor={cursor}"));
    }
    assert_eq!(emails, ["grace@navy.example", "owner@weir.example"]);
    let changed = owner.patch(&path, &json!({ "email": "hopper@navy.example" }));
    assert_eq!(changed.json()["name"], "Grace Hopper");
    let late = owner.send("PATCH", &path, Some(&json!({})), "If-Match: \"1\"\r\n");
    late.assert_problem(412, "stale");
    let wrong = owner.patch(&path, &json!({ "email": "nobody" }));
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/email");
    assert_eq!(owner.delete(&path).status(), 204);
    owner.get(&path).assert_problem(404, "not_found");
    let me = owner.get("/v1/me").json();
    let own = format!("{USERS}/{}", me["id"].as_str().unwrap());
    owner.delete(&own).assert_problem(409, "conflict");
}

async fn a_suspended_account_is_signed_out(engine: &str) {
    let world = World::begin(engine).await;
    let user = world.person("grace@navy.example").await;
    let grace = world.signed_in(&user).await;
    let path = format!("{USERS}/{user}");
    let reason = json!({ "reason": "left" });
    let suspended = world.owner.post(&format!("{path}/suspend"), &reason).json();
    assert_eq!(suspended["suspension_reason"], "left");
    assert!(suspended["suspended_at"].is_string());
    grace.get("/v1/me").assert_problem(401, "unauthenticated");
    let listed = world.owner.get("/v1/users?suspended=true").json();
    assert_eq!(listed["items"][0]["id"], user.as_str());
    let resumed = world
        .owner
        .post(&format!("{path}/resume"), &json!({}))
        .json();
    assert_eq!(resumed["suspended_at"], Value::Null);
    // What has ended does not begin again.
    grace.get("/v1/me").assert_problem(401, "unauthenticated");
    assert_eq!(world.signed_in(&user).await.get("/v1/me").status(), 200);
}

async fn sessions_of_others_are_ended(engine: &str) {
    let world = World::begin(engine).await;
    let user = world.person("grace@navy.example").await;
    let grace = world.signed_in(&user).await;
    let path = format!("{USERS}/{user}/sessions");
    let sessions = world.owner.get(&path);
    assert_eq!(sessions.json()["items"].as_array().unwrap().len(), 1);
    assert!(!sessions.text().contains(grace.token()));
    assert_eq!(world.owner.delete(&path).json(), json!({ "ended": 1 }));
    grace.get("/v1/me").assert_problem(401, "unauthenticated");
    let nobody = format!("{USERS}/{}/sessions", Id::new("usr"));
    world.owner.get(&nobody).assert_problem(404, "not_found");
    world.owner.delete(&nobody).assert_problem(404, "not_found");
    assert_eq!(world.operator().delete(&path).json(), json!({ "ended": 0 }));
}

async fn a_person_is_erased_with_a_certificate(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let viewer = world.member(&acme, "viewer").await;
    let me = viewer.get("/v1/me").json();
    let (user, email) = (me["id"].as_str().unwrap(), me["email"].as_str().unwrap());
    let path = format!("{USERS}/{user}");
    let certificate = world.owner.post(&format!("{path}/erase"), &json!({}));
    assert_eq!(certificate.status(), 200, "{}", certificate.text());
    let certificate = certificate.json();
    assert_eq!(
        (&certificate["users"], &certificate["rows"]["users"]),
        (&json!([user]), &json!(1))
    );
    assert_eq!(certificate["rows"]["memberships"], 1);
    assert!(!certificate.to_string().contains(email));
    viewer.get("/v1/me").assert_problem(401, "unauthenticated");
    world.owner.get(&path).assert_problem(404, "not_found");
    // The audit says so, and no more than that.
    let told = format!("/v1/audit?action=user.erase&subject={user}");
    let told = world.owner.get(&told).json();
    assert_eq!(told["items"][0]["after"]["digest"], certificate["digest"]);
    for path in [
        "/v1/audit?format=ndjson",
        "/v1/organizations/acme/audit?format=csv",
    ] {
        let audit = world.owner.get(path).text();
        assert!(audit.contains(user) && !audit.contains(email), "{audit}");
    }
    world.weir.verify_audit();
}

async fn what_is_not_erased_says_why(engine: &str) {
    let world = World::begin(engine).await;
    let nobody = world
        .owner
        .post("/v1/erasures", &json!({ "email": "nobody@a.example" }));
    nobody.assert_problem(404, "not_found");
    let detail = &nobody.json()["detail"];
    assert!(
        detail
            .as_str()
            .unwrap()
            .contains("know nothing of this address"),
        "{detail}"
    );
    for slug in ["globex", "acme"] {
        let organization = world.organization(slug);
        let owner = "owner".parse().unwrap();
        let me = world.owner.get("/v1/me").json();
        let me = me["id"].as_str().unwrap().parse().unwrap();
        world
            .identity
            .add_member(&Caller::system(), &organization, &me, &owner)
            .await
            .unwrap();
    }
    let own = json!({ "email": "owner@weir.example" });
    let refused = world.operator().post("/v1/erasures", &own);
    refused.assert_problem(409, "conflict");
    assert_eq!(
        refused.json()["detail"],
        "This is the last owner of `acme`, `globex`, `platform`: somebody else must be owner there first."
    );
}

async fn accounts_are_for_those_who_run_the_platform(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let member = world.member(&acme, "owner").await;
    let auditor = world.member(&TenantId::platform(), "auditor").await;
    let user = world.person("grace@navy.example").await;
    let path = format!("{USERS}/{user}");
    let new = json!({ "email": "new@a.example", "name": "New" });
    let refused = member.get(USERS);
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["permission"], "user:read");
    member.get(&path).assert_problem(403, "forbidden");
    assert_eq!(auditor.get(&path).status(), 200);
    let refused = auditor.post(USERS, &new);
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["permission"], "user:write");
    let refused = auditor.post(&format!("{path}/erase"), &json!({}));
    assert_eq!(refused.json()["permission"], "user:erase");
}

async fn who_lost_everything_is_helped_without_mail(engine: &str) {
    let world = World::begin(engine).await;
    let user = world.person("grace@navy.example").await;
    let grace = world.signed_in(&user).await;
    let enrolment = grace.post("/v1/me/totp", &json!({ "password": PASSWORD }));
    let secret = enrolment.json()["secret"].as_str().unwrap().to_owned();
    let shown = json!({ "code": super::account::code(&secret, 0) });
    let confirmed = grace.post("/v1/me/totp/confirm", &shown);
    assert_eq!(confirmed.status(), 200, "{}", confirmed.text());
    let path = format!("{USERS}/{user}");
    let made = world.owner.post(&format!("{path}/reset-link"), &json!({}));
    assert_eq!(made.status(), 200, "{}", made.text());
    let link = made.json()["link"].as_str().unwrap().to_owned();
    let (page, token) = link.split_once("?token=").unwrap();
    assert!(page.ends_with("/reset"), "{link}");
    // It ends nothing by itself.
    assert_eq!(grace.get("/v1/me").json()["has_second_factor"], true);
    let new = json!({ "token": token, "password": "purple giraffe on stilts" });
    let reset = || world.anybody().post("/v1/password/reset", &new);
    assert_eq!(reset().status(), 204);
    reset().assert_problem(403, "refused");
    assert_eq!(world.owner.delete(&format!("{path}/totp")).status(), 204);
    world
        .owner
        .delete(&format!("{path}/totp"))
        .assert_problem(404, "not_found");
    let step = json!({ "email": "grace@navy.example", "password": "purple giraffe on stilts" });
    let step = world.anybody().post("/v1/sign-in", &step).json();
    assert_eq!(step["status"], "signed_in", "{step}");
    // Who did it stands in the audit, and one's own account is not among those helped.
    let me = world.owner.get("/v1/me").json()["id"].clone();
    for action in ["password.issue_reset", "totp.remove"] {
        let told = format!("/v1/audit?action={action}&subject={user}");
        let told = world.owner.get(&told).json();
        assert_eq!(told["items"][0]["actor_id"], me, "{action}");
    }
    let own = format!("{USERS}/{}", me.as_str().unwrap());
    for refused in [
        world.owner.post(&format!("{own}/reset-link"), &json!({})),
        world.owner.delete(&format!("{own}/totp")),
    ] {
        refused.assert_problem(403, "forbidden");
    }
    let nobody = format!("{USERS}/{}", Id::new("usr"));
    for refused in [
        world
            .owner
            .post(&format!("{nobody}/reset-link"), &json!({})),
        world.owner.delete(&format!("{nobody}/totp")),
    ] {
        refused.assert_problem(404, "not_found");
    }
}
