//! Tokens of this installation at its own gateway: verified by the keys that it knows, and refused within a second once they are
//! taken back.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value as Json, json};
use weir_identity::Caller;
use weir_testkit::{Postgres, on_both_engines};

use crate::api::{Client, World, config};
use crate::harness::{Message, Setup, Upstream, Weir, Wire, wait_within};

on_both_engines! {
    a_token_of_our_own_is_let_in_until_it_is_taken_back,
    a_token_for_one_organization_opens_nothing_of_another,
}

const AUDIENCE: &str = "https://api.acme.example";

fn routes(records: &str, upstream: &Upstream) -> String {
    let records = records.replace("routes: []\n", "");
    format!(
        "{records}upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
         policies:\n  own: {{ jwt: {{ audience: '{AUDIENCE}', jwks: weir, forward: false }} }}\n  who: {{ identity: {{}} }}\n\
         routes:\n  - {{ name: items, policies: [own, who], upstream: up }}\n  \
           - {{ name: acme, match: {{ host: acme.test }}, organization: acme, policies: [own, who], upstream: up }}\n\
         log: {{ format: json }}\n",
        upstream.address
    )
}

fn issue(client: &Client, more: &Json) -> Json {
    let mut body = json!({ "audience": AUDIENCE });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let issued = client.post("/v1/tokens", &body);
    assert_eq!(issued.status(), 200, "{}", issued.text());
    issued.json()
}

fn show_at(weir: &Weir, host: &str, token: &Json) -> Message {
    let token = token["access_token"].as_str().unwrap();
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "GET /items HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    ));
    wire.response("GET")
}

fn show(weir: &Weir, token: &Json) -> Message {
    show_at(weir, "a.test", token)
}

/// Waits until the token is refused; fails if that takes longer than a second.
fn refused_in_time(weir: &Weir, token: &Json, since: Instant) {
    wait_within(Duration::from_secs(5), "the token is refused", || {
        show(weir, token).status() == 401
    });
    let took = since.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// Another node of the same installation.
fn beside(world: &World, config: &str) -> Weir {
    let sealed = std::fs::read(world.weir.setup().data().join("installation.key")).unwrap();
    let setup = Setup::new();
    std::fs::create_dir_all(setup.data()).unwrap();
    setup.write("data/installation.key", sealed);
    setup.start(config)
}

async fn a_token_of_our_own_is_let_in_until_it_is_taken_back(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&routes(&config(engine), &upstream)).await;
    let acme = world.organization("acme");
    let editor = world.member(&acme, "editor").await;
    let weir = &world.weir;
    let more = json!({ "organization": "acme", "scope": "route:read" });
    let token = issue(&editor, &more);
    for _ in 0..3 {
        let answer = show(weir, &token);
        let seen = answer.text();
        assert_eq!(answer.status(), 200, "{seen}");
        for line in [
            "x-weir-organization: acme\n",
            "x-weir-roles: editor\n",
            "x-weir-scopes: route:read\n",
            "x-weir-method: token\n",
        ] {
            assert!(seen.contains(line), "{line}: {seen}");
        }
        assert!(seen.contains("x-weir-issuer: http"), "{seen}");
    }
    let elsewhere = issue(&editor, &json!({ "audience": "https://other.example" }));
    show(weir, &elsewhere).assert_problem(401, "credential_refused");
    // Another refresh token of the same login is another generation of one family: revoked is all of it.
    let revoked = editor.post(
        "/v1/tokens/revoke",
        &json!({ "token": token["refresh_token"] }),
    );
    assert_eq!(revoked.status(), 204);
    refused_in_time(weir, &token, Instant::now());
    let detail = show(weir, &token).json()["detail"].clone();
    assert_eq!(detail, "The token is not good any more.");

    // What began with a session ends with it.
    let me = editor.get("/v1/me").json()["id"].clone();
    let me = me.as_str().unwrap().parse().unwrap();
    let again = world.signed_in(&me).await;
    let token = issue(&again, &json!({}));
    assert_eq!(show(weir, &token).status(), 200);
    let system = Caller::system();
    let ended = world.identity.revoke_sessions(&system, &me, None);
    ended.await.unwrap();
    refused_in_time(weir, &token, Instant::now());

    // Nor is anything good that a key signed which somebody else may have.
    let lasting = issue(&world.owner, &json!({}));
    assert_eq!(show(weir, &lasting).status(), 200);
    let keys = world.owner.get("/v1/signing-keys").json();
    let mut keys = keys["items"].as_array().unwrap().iter();
    let active = &keys.find(|key| key["stage"] == "active").unwrap()["kid"];
    let path = format!("/v1/signing-keys/{}/revoke", active.as_str().unwrap());
    let revoked = world.owner.post(&path, &json!({}));
    assert!(revoked.status() < 300, "{}", revoked.text());
    refused_in_time(weir, &lasting, Instant::now());
    let next = issue(&world.owner, &json!({}));
    assert_eq!(
        show(weir, &next).status(),
        200,
        "{}",
        show(weir, &next).text()
    );
}

async fn a_token_for_one_organization_opens_nothing_of_another(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&routes(&config(engine), &upstream)).await;
    let mut tokens = Vec::new();
    for slug in ["acme", "globex"] {
        let organization = world.organization(slug);
        let member = world.member(&organization, "viewer").await;
        tokens.push(issue(&member, &json!({ "organization": slug })));
    }
    let [own, foreign] = &tokens[..] else {
        panic!("{tokens:?}");
    };
    let of_none = issue(&world.owner, &json!({}));
    let at = |token: &Json| show_at(&world.weir, "acme.test", token);
    wait_within(Duration::from_secs(20), "the organization is known", || {
        at(own).status() == 200
    });
    for token in [foreign, &of_none] {
        assert_eq!(show(&world.weir, token).status(), 200);
        at(token).assert_problem(403, "forbidden");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_at_one_node_is_refused_at_the_other_also_after_a_start_without_records()
 {
    let postgres = Postgres::start(&[]);
    let upstream = Upstream::echo();
    let records = format!(
        "admin: {{ address: $ADMIN, public_url: https://weir.example }}\nrecords: {{ url: \"{}\", acquire_timeout: 1s }}\n",
        postgres.database()
    );
    let text = routes(&records, &upstream);
    let world = World::begin_with(&text).await;
    let mut other = beside(&world, &text);
    let lasting = issue(&world.owner, &json!({}));
    let session = world.anybody().sign_in("owner@weir.example");
    let revoked = issue(&session, &json!({}));
    for weir in [&world.weir, &other] {
        for token in [&lasting, &revoked] {
            wait_within(Duration::from_secs(20), "the node has keys", || {
                show(weir, token).status() == 200
            });
        }
    }
    let body = json!({ "token": revoked["refresh_token"] });
    assert_eq!(session.post("/v1/tokens/revoke", &body).status(), 204);
    let since = Instant::now();
    refused_in_time(&other, &revoked, since);
    refused_in_time(&world.weir, &revoked, since);
    let kept = |weir: &Weir| {
        let text = std::fs::read_to_string(weir.setup().data().join("tokens.json"));
        text.is_ok_and(|text| text.contains("\"family\""))
    };
    wait_within(Duration::from_secs(5), "it is kept", || kept(&other));
    postgres.stop();
    other.signal(Signal::KILL);
    other.wait_exit();
    let setup = Setup::new().data_directory(other.setup().data());
    let again = setup.start(&text);
    for _ in 0..5 {
        assert_eq!(
            show(&again, &lasting).status(),
            200,
            "{}",
            show(&again, &lasting).text()
        );
        show(&again, &revoked).assert_problem(401, "credential_refused");
    }
}
