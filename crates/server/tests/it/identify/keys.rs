//! API keys at the gateway: known by what records say, and forgotten when that changes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_jose::Algorithm;
use weir_testkit::{Postgres, on_both_engines};

use super::Issuer;
use crate::api::{World, config};
use crate::harness::{Message, Setup, Upstream, Weir, Wire, wait_within};

on_both_engines! {
    a_key_is_let_in_by_its_scopes_and_revoked_within_a_second,
    a_key_of_another_organization_is_no_good_on_a_route_of_this_one,
    whoever_else_calls_a_key_of_another_organization_stays_foreign,
}

const KEYS: &str = "/v1/organizations/acme/api-keys";

/// Records of this engine, and routes behind keys in front of a server that tells what it got.
fn routes(engine: &str, upstream: &Upstream) -> String {
    let records = config(engine).replace("routes: []\n", "");
    format!(
        "{records}upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
         policies:\n  services: {{ api_key: {{}} }}\n  readers: {{ require: {{ scopes: [catalog:read] }} }}\n  who: {{ identity: {{}} }}\n\
         routes:\n  - {{ name: items, policies: [services, readers, who], upstream: up }}\n  \
           - {{ name: acme, match: {{ host: acme.test }}, organization: acme, policies: [services, who], upstream: up }}\n\
         log: {{ format: json }}\n",
        upstream.address
    )
}

fn get(weir: &Weir, host: &str, fields: &str) -> Message {
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "GET /items HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n"
    ));
    wire.response("GET")
}

fn show(weir: &Weir, key: &str) -> Message {
    get(weir, "a.test", &format!("X-Api-Key: {key}\r\n"))
}

/// A new key of the organization; its identifier and the key.
fn make(world: &World, path: &str, scopes: &Value) -> (String, String) {
    let new = json!({ "name": "import", "scopes": scopes });
    let made = world.owner.post(path, &new);
    assert_eq!(made.status(), 201, "{}", made.text());
    let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// Waits until the key is refused; fails if that takes longer than a second.
fn refused_in_time(weir: &Weir, key: &str, since: Instant) {
    wait_within(Duration::from_secs(5), "the key is refused", || {
        show(weir, key).status() == 401
    });
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
}

async fn a_key_is_let_in_by_its_scopes_and_revoked_within_a_second(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&routes(engine, &upstream)).await;
    world.organization("acme");
    let (id, key) = make(&world, KEYS, &json!(["catalog:read"]));
    let (_, writer) = make(&world, KEYS, &json!(["catalog:write"]));
    let weir = &world.weir;
    for fields in [
        format!("X-Api-Key: {key}\r\n"),
        format!("Authorization: Bearer {key}\r\n"),
    ] {
        let answer = get(weir, "a.test", &fields);
        let seen = answer.text();
        assert_eq!(answer.status(), 200, "{seen}");
        assert!(
            seen.contains("x-weir-organization: acme") && seen.contains("x-weir-method: key"),
            "{seen}"
        );
        assert!(!seen.contains("weir_key_"), "it is for Weir alone: {seen}");
    }
    show(weir, &writer).assert_problem(403, "forbidden");
    // What was made up, or mistyped, and what is not there, sound alike.
    let mistyped = format!("{}0", &key[..key.len() - 1]);
    let made_up = weir_core::ApiKeyText::compose(7, [1, 2, 3]);
    for bad in [mistyped.as_str(), made_up.expose(), "nonsense"] {
        let answer = show(weir, bad);
        answer.assert_problem(401, "credential_refused");
        assert_eq!(answer.json()["detail"], "The API key is not good.");
    }
    let both = format!("X-Api-Key: {key}\r\nAuthorization: Bearer {key}\r\n");
    get(weir, "a.test", &both).assert_problem(400, "malformed_request");
    get(weir, "a.test", "").assert_problem(401, "credential_missing");
    let revoked = world.owner.post(&format!("{KEYS}/{id}/revoke"), &json!({}));
    assert!(revoked.status() < 300, "{}", revoked.text());
    refused_in_time(weir, &key, Instant::now());
    assert!(!weir.log().contains(&key));
}

async fn a_key_of_another_organization_is_no_good_on_a_route_of_this_one(engine: &str) {
    let upstream = Upstream::echo();
    let world = World::begin_with(&routes(engine, &upstream)).await;
    world.organization("acme");
    world.organization("globex");
    let (_, own) = make(&world, KEYS, &json!([]));
    let (_, foreign) = make(&world, "/v1/organizations/globex/api-keys", &json!([]));
    let show = |key: &str| get(&world.weir, "acme.test", &format!("X-Api-Key: {key}\r\n"));
    wait_within(Duration::from_secs(20), "the organization is known", || {
        show(&own).status() == 200
    });
    let answer = show(&foreign);
    answer.assert_problem(401, "credential_refused");
    assert_eq!(answer.json()["detail"], "The API key is not good.");
}

async fn whoever_else_calls_a_key_of_another_organization_stays_foreign(engine: &str) {
    let upstream = Upstream::echo();
    let staff = Issuer::new(Algorithm::Es256);
    let policy = format!(
        "policies:\n  staff: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: {} }} }}\n",
        staff.jwks()
    );
    let route = "\n  - { name: staff, match: { host: staff.test }, organization: acme, policies: [staff, services], upstream: up }\nlog:";
    let config = routes(engine, &upstream)
        .replace("policies:\n", &policy)
        .replace("\nlog:", route);
    let world = World::begin_with(&config).await;
    world.organization("acme");
    world.organization("globex");
    let (_, own) = make(&world, KEYS, &json!([]));
    let (_, foreign) = make(&world, "/v1/organizations/globex/api-keys", &json!([]));
    let token = staff.token(&json!({}));
    let show = |key: &str| {
        let both = format!("Authorization: Bearer {token}\r\nX-Api-Key: {key}\r\n");
        get(&world.weir, "staff.test", &both)
    };
    wait_within(Duration::from_secs(20), "the organization is known", || {
        show(&own).status() == 200
    });
    for _ in 0..2 {
        show(&foreign).assert_problem(401, "credential_refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_at_one_node_is_refused_at_the_other_and_known_ones_outlive_records()
{
    let postgres = Postgres::start(&[]);
    let upstream = Upstream::echo();
    let text = routes("sqlite", &upstream);
    let text = format!("records: {{ url: \"{}\" }}\n{text}", postgres.database());
    let world = World::begin_with(&text).await;
    world.organization("acme");
    // Both seal under the same key.
    let sealed = std::fs::read(world.weir.setup().data().join("installation.key")).unwrap();
    let setup = Setup::new();
    std::fs::create_dir_all(setup.data()).unwrap();
    setup.write("data/installation.key", sealed);
    let other = setup.start(&text);
    let (id, key) = make(&world, KEYS, &json!(["catalog:read"]));
    let (_, lasting) = make(&world, KEYS, &json!(["catalog:read"]));
    let is_in = |weir: &Weir, key: &str| show(weir, key).status() == 200;
    wait_within(
        Duration::from_secs(20),
        "the other node has records",
        || is_in(&other, &key),
    );
    assert!(is_in(&world.weir, &key) && is_in(&other, &lasting) && is_in(&world.weir, &lasting));
    let revoked = world.owner.post(&format!("{KEYS}/{id}/revoke"), &json!({}));
    assert!(revoked.status() < 300, "{}", revoked.text());
    let since = Instant::now();
    refused_in_time(&other, &key, since);
    refused_in_time(&world.weir, &key, since);
    let (_, unknown) = make(&world, KEYS, &json!(["catalog:read"]));
    postgres.stop();
    for _ in 0..20 {
        for weir in [&other, &world.weir] {
            let answer = show(weir, &lasting);
            assert_eq!(answer.status(), 200, "{}", answer.text());
        }
    }
    show(&other, &unknown).assert_problem(503, "identity_unavailable");
}
