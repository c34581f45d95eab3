//! What people and tokens change of the running process is told to the audit.

use rustix::process::Signal;
use serde_json::{Value, json};
use weir_testkit::{Postgres, on_both_engines};

use super::World;
use super::world::{Client, config};
use crate::harness::{Message, Wire, wait_until};

on_both_engines! {
    each_change_of_the_process_has_an_entry,
}

fn process(records: &str) -> String {
    let records = records.replacen("routes: []\n", "", 1);
    format!(
        "overload: {{ bans: {{ errors: 1, within: 60s, ban_for: 90s, statuses: [404] }} }}
upstreams:
  blue: {{ targets: ['127.0.0.1:1'] }}
  green: {{ targets: ['127.0.0.1:1'] }}
  up: {{ discovery: {{ registration: {{ token: file:token }} }} }}
routes:
  - name: items
    match: {{ path: /items }}
    split: {{ upstreams: {{ blue: 100, green: 0 }} }}
  - {{ name: up, match: {{ path: /up }}, upstream: up }}
{records}"
    )
}

async fn begin(records: &str) -> World {
    let setup = crate::harness::Setup::new();
    setup.write("token", "target-token-7f3a\n");
    World::begin_at(setup, &process(records)).await
}

/// The latest entry, which must be that of this answer.
fn entry(world: &World, answer: &Message, action: &str) -> Value {
    assert!(answer.status() < 300, "{}", answer.text());
    let latest = world.owner.get("/v1/audit?limit=1").json()["items"][0].clone();
    assert_eq!(latest["action"], action, "{latest}");
    assert_eq!(latest["request_id"], answer.get("x-request-id").unwrap());
    assert_eq!(latest["address"], "127.0.0.1");
    assert_eq!(latest["agent"], "weir-tests");
    latest
}

fn assert_actor(entry: &Value, kind: &str, name: Option<&str>) {
    assert_eq!(entry["actor_kind"], kind, "{entry}");
    assert_eq!(entry["actor_name"].as_str(), name, "{entry}");
    assert_eq!(entry["actor_id"].is_string(), name.is_some(), "{entry}");
}

async fn each_change_of_the_process_has_an_entry(engine: &str) {
    let world = begin(&config(engine)).await;
    let owner = ("user", Some("owner@weir.example"));

    let shares = json!({ "set": { "blue": 75, "green": 25 } });
    let answer = world.owner.post("/v1/traffic/items", &shares);
    let told = entry(&world, &answer, "traffic.set");
    assert_actor(&told, owner.0, owner.1);
    assert_eq!(told["subject_kind"], "split");
    let before =
        json!({ "route": "items", "shares": { "blue": 100.0, "green": 0.0 }, "shift": null });
    let after =
        json!({ "route": "items", "shares": { "blue": 75.0, "green": 25.0 }, "shift": null });
    assert_eq!((&told["before"], &told["after"]), (&before, &after));
    let reset = json!({ "reset": true });
    let answer = world.operator().post("/v1/traffic/items", &reset);
    let told = entry(&world, &answer, "traffic.reset");
    assert_actor(&told, "operator", None);
    assert_eq!((&told["before"], &told["after"]), (&after, &before));

    let mut bad = Wire::connect(world.weir.http());
    bad.send("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(bad.response("GET").status(), 404);
    wait_until("it is banned", || {
        let bans = world.owner.get("/v1/bans").json();
        bans["bans"].as_array().is_some_and(|bans| !bans.is_empty())
    });
    let answer = world.owner.delete("/v1/bans/127.0.0.1");
    let told = entry(&world, &answer, "ban.lift");
    assert_actor(&told, owner.0, owner.1);
    assert_eq!(told["before"], json!({ "address": "127.0.0.1" }));

    let path = "/v1/upstreams/up/targets/one";
    let target = world.anybody().with("target-token-7f3a");
    let put = |client: &Client, body: &Value| client.send("PUT", path, Some(body), "");
    let answer = put(&target, &json!({ "address": "127.0.0.1:9001" }));
    let told = entry(&world, &answer, "target.register");
    assert_actor(&told, "target", None);
    let first = json!({
        "upstream": "up", "id": "one", "address": "127.0.0.1:9001", "weight": 1, "zone": null
    });
    assert_eq!((&told["before"], &told["after"]), (&Value::Null, &first));
    // To renew changes nothing.
    let renewed = target.send("PUT", path, None, "");
    assert_eq!(renewed.status(), 200, "{}", renewed.text());
    let answer = put(
        &world.owner,
        &json!({ "address": "127.0.0.1:9001", "weight": 3 }),
    );
    let told = entry(&world, &answer, "target.register");
    assert_actor(&told, owner.0, owner.1);
    assert_eq!(
        (&told["before"], &told["after"]["weight"]),
        (&first, &json!(3))
    );
    let answer = target.delete(path);
    let told = entry(&world, &answer, "target.deregister");
    assert_actor(&told, "target", None);
    assert_eq!(
        (&told["before"]["weight"], &told["after"]),
        (&json!(3), &Value::Null)
    );

    let file = world.weir.setup().path("weir.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("path: /up", "path: /down")).unwrap();
    let answer = world.owner.send("POST", "/v1/reload", None, "");
    // Whoever looks at files may have been faster.
    if answer.json()["outcome"] == "applied" {
        let told = entry(&world, &answer, "configuration.reload");
        assert_actor(&told, owner.0, owner.1);
        assert_eq!(told["before"]["number"], 1);
        assert_eq!(told["after"]["number"], 2);
    }
    // What changed nothing has no entry.
    let last = world.owner.get("/v1/audit?limit=1").json()["items"][0]["sequence"].clone();
    assert_eq!(world.owner.delete("/v1/bans/127.0.0.1").status(), 404);
    let unchanged = world.owner.send("POST", "/v1/reload", None, "");
    assert_eq!(unchanged.json()["outcome"], "unchanged");
    let bad = world
        .owner
        .post("/v1/traffic/items", &json!({ "halt": true }));
    assert_eq!(bad.status(), 409);
    let latest = world.owner.get("/v1/audit?limit=1").json()["items"][0]["sequence"].clone();
    assert_eq!(latest, last);
    let verified = world.weir.run("audit", &["verify"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    // The log has the same.
    let log = world.weir.log();
    let mut lines = log
        .lines()
        .filter(|line| line.contains("target.deregister"));
    let line = lines.next().expect("a line");
    for part in ["\"actor\":\"target\"", "127.0.0.1:9001", "request_id"] {
        assert!(line.contains(part), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_records_changes_work_and_the_audit_hears_of_them_later() {
    let database = Postgres::start(&["fsync=off"]);
    let records = format!(
        "routes: []\nrecords: {{ url: \"{}\", acquire_timeout: 1s }}\n",
        database.database()
    );
    let world = begin(&records).await;
    let operator = world.operator();
    database.stop();
    let mut ids = Vec::new();
    for percent in [10, 20, 30] {
        let shares = json!({ "set": { "blue": 100 - percent, "green": percent } });
        let answer = operator.post("/v1/traffic/items", &shares);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        ids.push(answer.get("x-request-id").unwrap().to_owned());
    }
    assert_eq!(world.weir.metric("weir_audit_pending", &[]), 3.0);
    let log = world.weir.log();
    assert!(ids.iter().all(|id| log.contains(id)), "{log}");
    database.resume();
    wait_until("the audit has them", || {
        world.weir.metric("weir_audit_pending", &[]) == 0.0
    });
    assert_eq!(world.weir.metric("weir_audit_lost_total", &[]), 0.0);
    wait_until("records are back", || {
        world.owner.get("/v1/audit").status() == 200
    });
    let told = world
        .owner
        .get("/v1/audit?action=traffic.set&sort=at")
        .json();
    let told = told["items"].as_array().unwrap();
    let found: Vec<_> = told
        .iter()
        .map(|entry| entry["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(found, ids, "each once, in order");
    // The first says when it was done, as that is long ago by now.
    let done_at: jiff::Timestamp = told[0]["after"]["done_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let at: jiff::Timestamp = told[0]["at"].as_str().unwrap().parse().unwrap();
    assert!(done_at < at, "{done_at} {at}");
    let verified = world.weir.run("audit", &["verify"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_audit_never_heard_is_said_at_the_end() {
    let database = Postgres::start(&["fsync=off"]);
    let records = format!(
        "routes: []\nrecords: {{ url: \"{}\", acquire_timeout: 1s }}\n",
        database.database()
    );
    let mut world = begin(&records).await;
    let operator = world.operator();
    database.stop();
    let shares = json!({ "set": { "blue": 50, "green": 50 } });
    assert_eq!(operator.post("/v1/traffic/items", &shares).status(), 200);
    world.weir.signal(Signal::TERM);
    assert!(world.weir.wait_exit().success());
    let log = world.weir.log();
    assert!(log.contains("missing in the audit"), "{log}");
}
