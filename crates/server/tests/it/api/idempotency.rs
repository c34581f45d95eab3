//! Requests that are sent again.

use serde_json::{Value, json};
use weir_identity::{Caller, NewOrganization};
use weir_store::audit::Actor;
use weir_store::records::{Once, PlatformTable};
use weir_testkit::on_both_engines;

use super::World;
use super::world::Client;
use crate::harness::Message;

on_both_engines! {
    a_request_that_is_sent_again_takes_effect_once,
    of_many_at_once_one_takes_effect,
    a_key_belongs_to_one_request_of_one_person,
    what_took_effect_without_an_answer_is_read_again,
    what_did_not_take_effect_may_be_tried_again,
    a_kept_answer_takes_the_rights_of_today,
    what_must_be_so_is_part_of_the_request,
    what_is_kept_of_a_request_is_nothing_to_guess_at,
}

const PATH: &str = "/v1/organizations";
const KEY: &str = "Idempotency-Key: \"8e03978e-40d5-43dd-bc93-6894a57f9324\"\r\n";

fn acme() -> Value {
    json!({ "slug": "acme", "name": "Acme" })
}

fn create(client: &Client, body: &Value) -> Message {
    client.send("POST", PATH, Some(body), KEY)
}

fn organizations(world: &World) -> usize {
    let listed = world.owner.get(PATH).json();
    // Beside the platform.
    listed["items"].as_array().unwrap().len() - 1
}

async fn a_request_that_is_sent_again_takes_effect_once(engine: &str) {
    let world = World::begin(engine).await;
    let first = create(&world.owner, &acme());
    assert_eq!(first.status(), 201, "{}", first.text());
    assert_eq!(first.get("idempotency-replayed"), None);
    // What is told is what was answered, whatever has become of it.
    let path = first.get("location").unwrap();
    assert_eq!(
        world
            .owner
            .patch(path, &json!({ "name": "Other" }))
            .status(),
        200
    );
    let second = create(&world.owner, &acme());
    assert_eq!(second.get("idempotency-replayed"), Some("true"));
    assert_eq!((second.status(), second.text()), (201, first.text()));
    for name in ["location", "etag", "content-type"] {
        assert_eq!(second.get(name), first.get(name), "{name}");
    }
    assert_ne!(second.get("x-request-id"), first.get("x-request-id"));
    assert_eq!(organizations(&world), 1);
}

async fn of_many_at_once_one_takes_effect(engine: &str) {
    let world = World::begin(engine).await;
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let owner = world.owner.clone();
            std::thread::spawn(move || create(&owner, &acme()))
        })
        .collect();
    let mut made = Vec::new();
    for thread in threads {
        let answer = thread.join().unwrap();
        match answer.status() {
            201 => made.push(answer.json()["id"].clone()),
            _ => {
                answer.assert_problem(409, "idempotency_key_in_use");
                assert_eq!(answer.get("retry-after"), Some("1"));
            }
        }
    }
    made.dedup();
    assert_eq!(made.len(), 1);
    assert_eq!(organizations(&world), 1);
}

async fn a_key_belongs_to_one_request_of_one_person(engine: &str) {
    let world = World::begin(engine).await;
    create(&world.owner, &acme());
    let other = create(&world.owner, &json!({ "slug": "globex", "name": "Globex" }));
    other.assert_problem(422, "idempotency_key_reused");
    let suspend = "/v1/organizations/acme/suspend";
    let other = world.owner.send("POST", suspend, Some(&acme()), KEY);
    other.assert_problem(422, "idempotency_key_reused");
    // The same key of somebody else is another one.
    create(&world.operator(), &acme()).assert_problem(409, "taken");
    for bad in ["\"\"", "a b", "\"a", &"k".repeat(256)] {
        let field = format!("Idempotency-Key: {bad}\r\n");
        let refused = world.owner.send("POST", PATH, Some(&acme()), &field);
        refused.assert_problem(400, "bad_idempotency_key");
    }
    let stranger = world.anybody().send("POST", PATH, Some(&acme()), KEY);
    stranger.assert_problem(401, "unauthenticated");
}

/// As if the process had ended between the commit and its answer: the row is there, and no answer.
async fn what_took_effect_without_an_answer_is_read_again(engine: &str) {
    let world = World::begin(engine).await;
    let first = create(&world.owner, &acme());
    let id = first.json()["id"].clone();
    world.forget_answers().await;
    let again = create(&world.owner, &acme());
    assert_eq!(again.status(), 201, "{}", again.text());
    assert_eq!(again.get("idempotency-replayed"), Some("true"));
    assert_eq!(again.get("location"), first.get("location"));
    assert_eq!(
        (&again.json()["id"], again.get("etag")),
        (&id, Some("\"1\""))
    );
    // The change and the row are there together: of one that is known, there is no second.
    let once = Once {
        key_hash: [1; 32],
        fingerprint: [2; 32],
        former_fingerprints: Vec::new(),
    };
    let caller = Caller {
        actor: Actor::Operator,
        once: Some(once),
        ..Caller::system()
    };
    let new = |slug: &str| NewOrganization {
        slug: slug.to_owned(),
        name: "New".to_owned(),
        settings: Default::default(),
    };
    let identity = &world.identity;
    identity
        .create_organization(&caller, new("one"))
        .await
        .unwrap();
    let refused = identity.create_organization(&caller, new("two")).await;
    assert_eq!(refused.unwrap_err().word(), "taken");
    assert_eq!(organizations(&world), 2);
}

async fn what_did_not_take_effect_may_be_tried_again(engine: &str) {
    let world = World::begin(engine).await;
    let bad = json!({ "slug": "acme", "name": "" });
    create(&world.owner, &bad).assert_problem(422, "invalid");
    let good = create(&world.owner, &acme());
    assert_eq!(
        (good.status(), good.get("idempotency-replayed")),
        (201, None)
    );
}

async fn a_kept_answer_takes_the_rights_of_today(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let admin = world.member(&acme, "admin").await;
    let id = admin.get("/v1/me").json()["id"].clone();
    let member = format!("{PATH}/acme/members/{}", id.as_str().unwrap());
    let path = format!("{PATH}/acme/invitations");
    let body = json!({ "email": "grace@acme.example", "role": "viewer" });
    let invite = || admin.send("POST", &path, Some(&body), KEY);
    let first = invite();
    assert_eq!(first.status(), 201, "{}", first.text());
    assert!(first.text().contains("weir_once_"), "it tells a secret");
    let role = |role: &str| {
        let changed = world.owner.patch(&member, &json!({ "role": role }));
        assert_eq!(changed.status(), 200, "{}", changed.text());
    };

    role("viewer");
    let refused = invite();
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["permission"], "invitation:write");
    assert_eq!(refused.get("idempotency-replayed"), None);

    role("admin");
    let suspend = format!("{PATH}/acme/suspend");
    assert_eq!(
        world
            .owner
            .post(&suspend, &json!({ "reason": "x" }))
            .status(),
        200
    );
    invite().assert_problem(409, "organization_suspended");
    let resume = format!("{PATH}/acme/resume");
    assert_eq!(world.owner.send("POST", &resume, None, "").status(), 200);

    let again = invite();
    assert_eq!((again.status(), again.text()), (201, first.text()));
    assert_eq!(again.get("idempotency-replayed"), Some("true"));

    assert_eq!(world.owner.delete(&member).status(), 204);
    invite().assert_problem(404, "not_found");
    let sent = world.owner.get(&path).json();
    assert_eq!(sent["items"].as_array().unwrap().len(), 1);
}

async fn what_must_be_so_is_part_of_the_request(engine: &str) {
    let world = World::begin(engine).await;
    let send = |fields: &str| {
        let fields = format!("{KEY}{fields}");
        world.owner.send("POST", PATH, Some(&acme()), &fields)
    };
    assert_eq!(send("If-Match: \"1\"\r\n").status(), 201);
    for other in [
        "",
        "If-Match: \"2\"\r\n",
        "If-None-Match: \"1\"\r\n",
        "If-Match: \"1\"\r\nIf-None-Match: *\r\n",
    ] {
        send(other).assert_problem(422, "idempotency_key_reused");
    }
    let again = send("If-Match: \"1\"\r\n");
    assert_eq!(again.get("idempotency-replayed"), Some("true"));
}

/// A body may have a password in it, which a plain hash of the request would let whoever has the records try.
async fn what_is_kept_of_a_request_is_nothing_to_guess_at(engine: &str) {
    let mut kept = Vec::new();
    for _ in 0..2 {
        let world = World::begin(engine).await;
        // The same in two installations.
        assert_eq!(create(&world.operator(), &acme()).status(), 201);
        let keys = PlatformTable::new("idempotency_keys").rows();
        let rows = world.records().all(keys.select()).await.unwrap();
        assert_eq!(rows.len(), 1);
        let column = |name: &str| rows[0].bytes(name).unwrap();
        kept.push((column("key_hash"), column("fingerprint")));
    }
    assert_eq!(kept[0].0, kept[1].0);
    assert_ne!(kept[0].1, kept[1].1);
}
