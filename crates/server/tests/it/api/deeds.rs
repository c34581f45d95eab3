//! What people and tokens change of the running process is told to the audit.

use rustix::process::Signal;
use serde_json::{Value, json};
use weir_testkit::{Postgres, on_both_engines};

use super::World;
use super::world::{Client, config};
use crate::harness::{Message, Setup, Weir, Wire, wait_until};

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
    let setup = Setup::new();
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
    world.weir.verify_audit();
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
    world.weir.verify_audit();
}

/// Records that are away, and a node whose data outlives it.
struct Away {
    database: Postgres,
    data: tempfile::TempDir,
    text: String,
}

impl Away {
    fn new() -> Self {
        let database = Postgres::start(&["fsync=off"]);
        let records = format!(
            "routes: []\nrecords: {{ url: \"{}\", acquire_timeout: 1s }}\n",
            database.database()
        );
        Self {
            text: process(&records),
            data: tempfile::tempdir().unwrap(),
            database,
        }
    }

    fn start(&self) -> Weir {
        let setup = Setup::new().data_directory(self.data.path());
        setup.write("token", "target-token-7f3a\n");
        setup.start(&self.text)
    }
}

fn client(weir: &Weir) -> Client {
    let token = std::fs::read_to_string(weir.setup().data().join("operator.token")).unwrap();
    Client::of(weir).with(token.trim())
}

/// Sets these shares; the request's identifier.
fn set(weir: &Weir, percent: u32) -> String {
    let shares = json!({ "set": { "blue": 100 - percent, "green": percent } });
    let answer = client(weir).post("/v1/traffic/items", &shares);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.get("x-request-id").unwrap().to_owned()
}

/// The requests that the audit has changes of shares of, in its order, once it has all that waits.
fn told(weir: &Weir) -> Vec<String> {
    wait_until("records are there", || {
        weir.metric("weir_records_available", &[]) == 1.0
    });
    // What a process that is gone has left is looked for as soon as there is one.
    wait_until("nothing waits", || {
        let waiting = weir.setup().data().join("audit-waiting");
        let files = std::fs::read_dir(waiting).into_iter().flatten();
        let is_empty = |entry: std::io::Result<std::fs::DirEntry>| {
            entry
                .unwrap()
                .metadata()
                .map_or(true, |file| file.len() == 0)
        };
        files.into_iter().all(is_empty) && weir.metric("weir_audit_pending", &[]) == 0.0
    });
    let mut told = Vec::new();
    wait_until("the audit is read", || {
        let answer = client(weir).get("/v1/audit?action=traffic.set&sort=at&limit=200");
        if answer.status() != 200 {
            return false;
        }
        let items = answer.json()["items"].clone();
        let items = items.as_array().unwrap().iter();
        told = items
            .map(|entry| entry["request_id"].as_str().unwrap().to_owned())
            .collect();
        true
    });
    weir.verify_audit();
    told
}

#[test]
fn what_waits_for_records_outlives_a_process_that_is_killed() {
    let away = Away::new();
    let mut weir = away.start();
    assert!(told(&weir).is_empty());
    away.database.stop();
    let mut ids = Vec::new();
    // Killed with some waiting, and killed again with those and some more.
    for round in 0..2 {
        for percent in [10, 20, 30] {
            ids.push(set(&weir, percent + round));
        }
        weir.signal(Signal::KILL);
        weir.wait_exit();
        drop(weir);
        weir = away.start();
        let waiting = ids.len() as f64;
        wait_until("it knows of them", || {
            weir.metric("weir_audit_pending", &[]) == waiting
        });
    }
    away.database.resume();
    assert_eq!(told(&weir), ids, "each once, in order");
    assert_eq!(weir.metric("weir_audit_lost_total", &[]), 0.0);
    // Nothing is told again.
    drop(weir);
    let weir = away.start();
    assert_eq!(told(&weir), ids);
}

#[test]
fn what_is_answered_is_in_the_audit_once_however_often_a_process_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let text = process("routes: []\n");
    let start = || {
        let setup = Setup::new().data_directory(data.path());
        setup.write("token", "target-token-7f3a\n");
        setup.start(&text)
    };
    let mut ids = Vec::new();
    for round in 0..5 {
        let weir = start();
        // Some before records are there, some after.
        ids.extend((0..3).map(|percent| set(&weir, 10 * percent + round)));
        if round % 2 == 0 {
            wait_until("records are there", || {
                weir.metric("weir_records_available", &[]) == 1.0
            });
            ids.extend((0..3).map(|percent| set(&weir, 50 + 10 * percent + round)));
        }
        weir.signal(Signal::KILL);
    }
    let weir = start();
    assert_eq!(told(&weir), ids, "each once, in order");
}

#[test]
fn what_a_process_that_ends_has_left_is_said_and_told_by_the_next() {
    let away = Away::new();
    let mut weir = away.start();
    assert!(told(&weir).is_empty());
    away.database.stop();
    let id = set(&weir, 50);
    weir.signal(Signal::TERM);
    assert!(weir.wait_exit().success());
    let log = weir.log();
    assert!(log.contains("the next process tells it"), "{log}");
    away.database.resume();
    let weir = away.start();
    assert_eq!(told(&weir), [id]);
}

#[test]
fn what_a_process_that_was_replaced_has_left_is_told_by_its_successor() {
    let away = Away::new();
    let setup = Setup::new();
    setup.write("token", "target-token-7f3a\n");
    let mut weir = setup.start(&away.text);
    assert!(told(&weir).is_empty());
    away.database.stop();
    let mut ids = vec![set(&weir, 50)];
    weir.signal(Signal::USR2);
    assert!(weir.wait_exit().success());
    ids.push(set(&weir, 60));
    away.database.resume();
    let mut told = told(&weir);
    told.sort();
    ids.sort();
    assert_eq!(told, ids);
}
