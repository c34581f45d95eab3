//! Behind a proxy: who asks is the client that it names, and nobody else's word counts.

use serde_json::json;
use weir_testkit::on_both_engines;

use super::world::{Client, config};
use super::{PASSWORD, World};
use crate::harness::Message;

on_both_engines! {
    sessions_audit_and_throttle_know_the_client_behind_a_proxy,
    who_is_not_trusted_states_no_address,
}

const EMAIL: &str = "owner@weir.example";

fn behind(engine: &str, trusted: &str) -> String {
    let admin = format!("admin: {{ address: $ADMIN, trusted_proxies: [{trusted}] }}\n");
    admin + &config(engine)
}

fn sign_in(client: &Client, password: &str, fields: &str) -> Message {
    let body = json!({ "email": EMAIL, "password": password });
    client.send("POST", "/v1/sign-in", Some(&body), fields)
}

/// The address of the session that this head begins.
fn address(world: &World, fields: &str) -> String {
    let answer = sign_in(&world.anybody(), PASSWORD, fields);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let session = answer.json()["session"]["id"].clone();
    let sessions = world.owner.get("/v1/me/sessions").json();
    let mut sessions = sessions["items"].as_array().unwrap().iter();
    let own = sessions.find(|one| one["id"] == session).unwrap();
    own["address"].as_str().unwrap().to_owned()
}

async fn sessions_audit_and_throttle_know_the_client_behind_a_proxy(engine: &str) {
    let world = World::begin_with(&behind(engine, "127.0.0.1, 10.0.0.0/8")).await;
    for (fields, client) in [
        ("", "127.0.0.1"),
        ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
        // What a client has put in front of its own address is not believed.
        (
            "X-Forwarded-For: 198.51.100.66, 203.0.113.9, 10.0.0.1\r\n",
            "203.0.113.9",
        ),
        (
            "X-Forwarded-For: 198.51.100.66\r\nX-Forwarded-For: 203.0.113.9\r\n",
            "203.0.113.9",
        ),
        ("X-Forwarded-For: 203.0.113.9, nonsense\r\n", "127.0.0.1"),
        (
            "Forwarded: for=198.51.100.66, for=\"[2001:db8::9]:4711\";proto=https\r\n",
            "2001:db8::9",
        ),
    ] {
        assert_eq!(address(&world, fields), client, "{fields}");
    }
    let path = "/v1/organizations";
    let body = json!({ "slug": "acme", "name": "Acme" });
    let fields = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(
        world.owner.send("POST", path, Some(&body), fields).status(),
        201
    );
    let audit = world.owner.get("/v1/audit?limit=1").json();
    assert_eq!(audit["items"][0]["address"], "203.0.113.9");
    // Failures count for who makes them, and not for everybody behind the proxy.
    world.tire_out("203.0.113.7").await;
    let tired = "X-Forwarded-For: 203.0.113.7\r\n";
    sign_in(&world.anybody(), PASSWORD, tired).assert_problem(429, "throttled");
    assert_eq!(address(&world, fields), "203.0.113.9");
    assert_eq!(address(&world, ""), "127.0.0.1");
}

async fn who_is_not_trusted_states_no_address(engine: &str) {
    let world = World::begin_with(&behind(engine, "10.0.0.0/8")).await;
    let stated = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n";
    assert_eq!(address(&world, stated), "127.0.0.1");
    // A reload changes who is believed.
    let text = world.weir.setup().complete(&behind(engine, "127.0.0.1"));
    let text = match text.split_once("\nrecords:") {
        // This installation's own database stays.
        Some((head, _)) => {
            let before = std::fs::read_to_string(world.weir.setup().path("weir.yaml")).unwrap();
            let (_, records) = before.split_once("\nrecords:").unwrap();
            format!("{head}\nrecords:{records}")
        }
        None => text,
    };
    world.weir.setup().write("weir.yaml", text);
    let reloaded = world.operator().send("POST", "/v1/reload", None, "");
    assert_eq!(reloaded.json()["outcome"], "applied", "{}", reloaded.text());
    assert_eq!(address(&world, stated), "203.0.113.9");
}
