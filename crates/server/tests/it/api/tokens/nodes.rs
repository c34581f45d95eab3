//! Tokens on several nodes of one installation, of which some are killed and some have no records.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value as Json, json};
use weir_testkit::Postgres;

use super::{AUDIENCE, issue, refresh};
use crate::api::world::config;
use crate::api::{Client, World};
use crate::harness::{Setup, Weir, wait_until};

/// Another process on the same records.
fn beside(world: &World, config: &str) -> Weir {
    let setup = Setup::new();
    std::fs::create_dir_all(setup.data()).unwrap();
    let key = "installation.key";
    let from = world.weir.setup().data().join(key);
    std::fs::copy(from, setup.data().join(key)).unwrap();
    let weir = setup.start(config);
    wait_for_people(&weir);
    weir
}

/// The keys are there a moment before the rest is.
fn wait_for_people(weir: &Weir) {
    let nothing = json!({ "token": "nothing" });
    wait_until("the API over records is there", || {
        Client::of(weir)
            .post("/v1/tokens/revoke", &nothing)
            .status()
            == 204
    });
}

/// What a node keeps for a start without records.
fn kept(weir: &Weir) -> Json {
    let text = std::fs::read(weir.setup().data().join("tokens.json"));
    let parsed = text
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    parsed.unwrap_or(Json::Null)
}

fn knows_of(weir: &Weir, kind: &str, subject: &str) -> bool {
    let kept = kept(weir);
    let revocations = kept["revocations"].as_array();
    let mut revocations = revocations.into_iter().flatten();
    revocations.any(|one| one["kind"] == kind && one["subject"] == subject)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_uses_on_two_nodes_one_counts() {
    let config = config("postgres");
    let world = World::begin_with(&config).await;
    let other = beside(&world, &config);
    let first = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    let nodes = [Client::of(&world.weir), Client::of(&other)];
    let uses: Vec<_> = (0..100)
        .map(|number: usize| {
            let (node, token) = (nodes[number % 2].clone(), first["refresh_token"].clone());
            std::thread::spawn(move || refresh(&node, &token))
        })
        .collect();
    let answers = uses.into_iter().map(|used| used.join().unwrap());
    let (good, busy): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status() == 200);
    assert!(busy.iter().all(|answer| answer.status() == 503), "{busy:?}");
    let successors: BTreeSet<String> = good
        .iter()
        .map(|answer| answer.json()["refresh_token"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(successors.len(), 1, "of {} answers", good.len());
    let successor = json!(successors.first().unwrap());
    assert_eq!(refresh(&nodes[1], &successor).status(), 200);
    refresh(&nodes[0], &first["refresh_token"]).assert_problem_word(403, "refused");
    refresh(&nodes[1], &successor).assert_problem_word(403, "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_the_node_and_reaches_the_other_in_a_second() {
    let config = config("postgres");
    let mut world = World::begin_with(&config).await;
    let other = beside(&world, &config);
    let first = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    let revoked = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    let anybody = world.anybody();
    let second = refresh(&anybody, &first["refresh_token"]).json();
    let families = world.owner.get("/v1/me/tokens").json();
    let family = families["items"][0]["id"].as_str().unwrap().to_owned();
    let done = anybody.post(
        "/v1/tokens/revoke",
        &json!({ "token": revoked["refresh_token"] }),
    );
    assert_eq!(done.status(), 204);
    world.weir.signal(Signal::KILL);
    world.weir.wait_exit();
    let since = Instant::now();
    wait_until("the other node knows of it", || {
        knows_of(&other, "family", &family)
    });
    let took = since.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let there = Client::of(&other);
    refresh(&there, &revoked["refresh_token"]).assert_problem_word(403, "refused");
    assert_eq!(refresh(&there, &second["refresh_token"]).status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_records_forgets_neither_keys_nor_revocations() {
    let database = Postgres::start(&["fsync=off"]);
    let config = format!(
        "routes: []\nrecords: {{ url: \"{}\", acquire_timeout: 1s }}\n",
        database.database()
    );
    let mut world = World::begin_with(&config).await;
    let issued = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    let families = world.owner.get("/v1/me/tokens").json();
    let family = families["items"][0]["id"].as_str().unwrap().to_owned();
    let gone = world.owner.delete(&format!("/v1/me/tokens/{family}"));
    assert_eq!(gone.status(), 204);
    wait_until("it is kept", || knows_of(&world.weir, "family", &family));
    let keys = world.anybody().get("/.well-known/jwks.json").text();
    database.stop();
    assert_eq!(world.anybody().get("/.well-known/jwks.json").text(), keys);
    world.weir.signal(Signal::KILL);
    world.weir.wait_exit();
    let setup = Setup::new().data_directory(world.weir.setup().data());
    let again = setup.start(&config);
    let anybody = Client::of(&again);
    assert_eq!(anybody.get("/.well-known/jwks.json").text(), keys);
    assert!(knows_of(&again, "family", &family));
    refresh(&anybody, &issued["refresh_token"]).assert_problem_word(503, "records_unavailable");
    database.resume();
    wait_until("it is back", || {
        refresh(&anybody, &issued["refresh_token"]).status() == 403
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_installation_is_replaced_while_a_node_runs() {
    let database = Postgres::shared().database();
    let with = |records: &str| format!("routes: []\nrecords: {{ url: \"{database}\"{records} }}\n");
    let world = World::begin_with(&with("")).await;
    let issued = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    let old = std::fs::read_to_string(world.weir.setup().data().join("installation.key"));
    let (old, new) = (old.unwrap(), "fb".repeat(32));
    let setup = Setup::new();
    setup.write("old.key", &old);
    setup.write("new.key", &new);
    let keys = ", key: 'file:new.key', former_keys: ['file:old.key']";
    let ahead = setup.start(&with(keys));
    wait_for_people(&ahead);
    let there = Client::of(&ahead);
    let next = refresh(&there, &issued["refresh_token"]);
    assert_eq!(next.status(), 200, "{}", next.text());
    let told = ahead.run("doctor", &[]).stdout;
    assert!(told.contains("weir keys rewrap"), "{told}");
    let ran = ahead.run("keys", &["rewrap", "--json"]);
    let done: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(done["done"], true, "{done}");
    let told = ahead.run("doctor", &[]).stdout;
    assert!(
        told.contains("everything in the records is sealed under it"),
        "{told}"
    );
    // Alone, the new key opens what there is: the keys that sign above all.
    let setup = Setup::new();
    setup.write("new.key", &new);
    let alone = setup.start(&with(", key: 'file:new.key'"));
    wait_for_people(&alone);
    let last = refresh(&Client::of(&alone), &next.json()["refresh_token"]);
    assert_eq!(last.status(), 200, "{}", last.text());
}
