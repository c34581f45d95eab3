//! The first start, and the key of the installation.

use serde_json::json;
use weir_testkit::on_both_engines;

use super::world::{config, operator, setup_token};
use super::{Client, PASSWORD, World};
use crate::harness::{Setup, Weir, wait_until};

on_both_engines! {
    a_link_makes_the_first_owner_and_then_nobody,
    a_node_with_another_key_keeps_away_from_people,
}

fn owner(token: &str) -> serde_json::Value {
    json!({ "token": token, "email": "ada@acme.example", "name": "Ada", "password": PASSWORD })
}

async fn a_link_makes_the_first_owner_and_then_nobody(engine: &str) {
    let weir = Weir::start(&config(engine));
    let printed = setup_token(&weir);
    let client = Client::of(&weir);
    // It is for whoever sees standard error, not for readers of the log.
    assert!(!weir.log().contains(&printed));
    client
        .post("/v1/setup", &owner("weir_once_guessed"))
        .assert_problem(403, "refused");
    client
        .post("/v1/setup/link", &json!({}))
        .assert_problem(401, "unauthenticated");
    let link = operator(&weir).post("/v1/setup/link", &json!({})).json();
    let link = link["link"].as_str().unwrap();
    let admin = weir.setup().admin;
    let fresh = link
        .strip_prefix(&format!("http://{admin}/setup?token="))
        .unwrap();
    // A new link puts the ones before it out of use.
    client
        .post("/v1/setup", &owner(&printed))
        .assert_problem(403, "refused");
    let weak =
        json!({ "token": fresh, "email": "ada@acme.example", "name": "Ada", "password": "x" });
    let refused = client.post("/v1/setup", &weak);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/password");
    let made = client.post("/v1/setup", &owner(fresh));
    assert_eq!(made.status(), 201, "{}", made.text());
    assert_eq!(made.json()["email"], "ada@acme.example");
    assert!(!made.text().contains(PASSWORD));
    client
        .post("/v1/setup", &owner(fresh))
        .assert_problem(403, "refused");
    operator(&weir)
        .post("/v1/setup/link", &json!({}))
        .assert_problem(409, "conflict");
    let me = client.sign_in("ada@acme.example").get("/v1/me").json();
    assert_eq!(me["organizations"][0]["role"], "owner");
}

async fn a_node_with_another_key_keeps_away_from_people(engine: &str) {
    let config = config(engine);
    let world = World::begin_with(&config).await;
    let setup = Setup::new();
    if engine == "sqlite" {
        // As a restored database without the key.
        std::fs::create_dir(setup.path("data")).unwrap();
        for name in ["weir.db", "weir.db-wal"] {
            let from = world.weir.setup().path(&format!("data/{name}"));
            if from.exists() {
                std::fs::copy(from, setup.path(&format!("data/{name}"))).unwrap();
            }
        }
    }
    let other = setup.start(&config);
    wait_until("it is noticed", || {
        let answer = Client::of(&other).post("/v1/sign-in", &owner(""));
        answer.json()["reason"] == "wrong_installation_key"
    });
    let refused = operator(&other).get("/v1/organizations");
    refused.assert_problem(503, "wrong_installation_key");
    assert!(refused.text().contains("records.key"), "{}", refused.text());
    // What needs no secrets goes on.
    assert_eq!(operator(&other).get("/v1/status").status(), 200);
    assert!(!other.stderr().contains("/setup?token="));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_may_come_from_elsewhere() {
    let hexadecimal = "07".repeat(32);
    let weir = Setup::new()
        .environment("INSTALLATION", &hexadecimal)
        .start("routes: []\nrecords: { key: env:INSTALLATION }\n");
    setup_token(&weir);
    assert!(!weir.setup().path("data/installation.key").exists());
    for text in [weir.log(), weir.stderr()] {
        assert!(!text.contains(&hexadecimal));
    }
}
