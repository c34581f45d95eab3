//! What was done, by pages and as exports.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use weir_testkit::on_both_engines;

use super::world::setup_token;
use super::{Client, World};
use crate::harness::{Setup, anonymous_memory, wait_within};

on_both_engines! {
    entries_are_found_by_what_is_known_of_them,
    every_form_tells_the_same,
    a_table_does_nothing_in_a_spreadsheet,
}

const AUDIT: &str = "/v1/organizations/acme/audit";
const FIELDS: &str = "sequence,at,action,actor_kind,actor_id,actor_name,subject_kind,subject_id,address,\
                      agent,request_id,before,after,erased_by,hash";

fn sequences(client: &Client, query: &str) -> Vec<i64> {
    let answer = client.get(&format!("{AUDIT}?{query}"));
    assert_eq!(answer.status(), 200, "{query}: {}", answer.text());
    let items = answer.json()["items"].clone();
    let items = items.as_array().unwrap().iter();
    items
        .map(|item| item["sequence"].as_i64().unwrap())
        .collect()
}

/// A world in which five things were done in one organization, by its owner since the third.
async fn world(engine: &str) -> (World, Client) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    for name in ["a", "b", "c"] {
        let new = json!({ "name": name, "permissions": [] });
        let made = owner.post("/v1/organizations/acme/roles", &new);
        assert_eq!(made.status(), 201);
    }
    (world, owner)
}

async fn entries_are_found_by_what_is_known_of_them(engine: &str) {
    let (world, owner) = world(engine).await;
    assert_eq!(sequences(&owner, ""), [5, 4, 3, 2, 1]);
    assert_eq!(sequences(&owner, "sort=at"), [1, 2, 3, 4, 5]);
    let all = owner.get(&format!("{AUDIT}?sort=at")).json();
    let me = owner.get("/v1/me").json();
    let last = &all["items"][4];
    assert_eq!(
        json!([
            last["action"],
            last["actor_kind"],
            last["actor_id"],
            last["actor_name"]
        ]),
        json!(["role.create", "user", me["id"], me["email"]])
    );
    assert_eq!(
        (&last["address"], &last["agent"]),
        (&json!("127.0.0.1"), &json!("weir-tests"))
    );
    assert_eq!(
        (&last["before"], &last["after"]["name"]),
        (&Value::Null, &json!("c"))
    );
    let of = |at: usize, field: &str| all["items"][at][field].as_str().unwrap().to_owned();
    assert_eq!(
        sequences(&owner, &format!("actor={}", of(4, "actor_id"))),
        [5, 4, 3]
    );
    assert_eq!(
        sequences(&owner, &format!("subject={}", of(3, "subject_id"))),
        [4]
    );
    assert_eq!(sequences(&owner, "action=member.add"), [2]);
    assert_eq!(
        sequences(&owner, "action=role.create&sort=at&limit=2"),
        [3, 4]
    );
    let since = of(3, "at");
    assert_eq!(sequences(&owner, &format!("since={since}")), [5, 4]);
    assert_eq!(
        sequences(&owner, &format!("until={since}&sort=at")),
        [1, 2, 3]
    );
    assert_eq!(
        sequences(&owner, &format!("since={since}&until={since}")),
        [0_i64; 0]
    );
    // Page by page.
    let first = owner
        .get(&format!("{AUDIT}?limit=2&action=role.create"))
        .json();
    let next = first["next"].as_str().unwrap();
    assert_eq!(
        sequences(&owner, &format!("limit=2&action=role.create&cursor={next}")),
        [3]
    );
    for bad in [
        format!("cursor={next}"),
        "actor=olivia".to_owned(),
        "subject=".to_owned(),
        "action=%00".to_owned(),
        "since=yesterday".to_owned(),
        "sort=action".to_owned(),
        "format=xml".to_owned(),
        "limit=0".to_owned(),
    ] {
        let refused = owner.get(&format!("{AUDIT}?{bad}"));
        refused.assert_problem(422, "invalid");
    }
    // The platform's chain has what the platform did, and its members see both.
    let platform = world
        .owner
        .get("/v1/audit?action=organization.create")
        .json();
    assert_eq!(platform["items"][0]["subject_id"], of(0, "subject_id"));
    assert_eq!(sequences(&world.owner, "limit=1"), [5]);
    let refused = owner.get("/v1/audit");
    refused.assert_problem(403, "forbidden");
    assert_eq!(refused.json()["permission"], "audit:read");
}

async fn every_form_tells_the_same(engine: &str) {
    let (_world, owner) = world(engine).await;
    let page = owner.get(&format!("{AUDIT}?sort=at")).json();
    let items = page["items"].as_array().unwrap();
    let accept = |form: &str| {
        let field = format!("Accept: {form}\r\n");
        owner.send("GET", &format!("{AUDIT}?sort=at"), None, &field)
    };
    let lines = accept("application/x-ndjson");
    assert_eq!(lines.get("content-type"), Some("application/x-ndjson"));
    let read = lines.text();
    let read: Vec<Value> = read
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(&read, items);
    let asked = owner.get(&format!("{AUDIT}?sort=at&format=ndjson"));
    assert_eq!(asked.body, lines.body);
    // `?pretty` is for people, and lines are for programs.
    let pretty = owner.get(&format!("{AUDIT}?sort=at&format=ndjson&pretty"));
    assert_eq!(pretty.body, lines.body);

    let table = accept("text/csv");
    assert_eq!(table.get("content-type"), Some("text/csv; charset=utf-8"));
    let rows = parsed(&table.text());
    assert_eq!(rows[0].join(","), FIELDS);
    assert_eq!(rows.len(), items.len() + 1);
    for (row, item) in rows[1..].iter().zip(items) {
        for (name, cell) in rows[0].iter().zip(row) {
            let expected = match &item[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(cell, &expected, "{name}");
        }
    }
    // What is asked for by name counts more than what is accepted.
    let field = "Accept: text/csv\r\n";
    let json = owner.send("GET", &format!("{AUDIT}?format=json"), None, field);
    assert_eq!(json.get("content-type"), Some("application/json"));
    let none = owner
        .get(&format!("{AUDIT}?format=csv&action=nothing.at.all"))
        .text();
    assert_eq!(none, format!("{FIELDS}\r\n"));
    let none = owner.get(&format!("{AUDIT}?format=ndjson&action=nothing.at.all"));
    assert_eq!((none.status(), none.text().as_str()), (200, ""));
}

async fn a_table_does_nothing_in_a_spreadsheet(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    for (at, begin) in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"]
        .into_iter()
        .enumerate()
    {
        let new = json!({ "name": format!("role-{at}"), "permissions": [] });
        let agent = format!("User-Agent: {begin}|\"x\",\r\n");
        let made = owner.send("POST", "/v1/organizations/acme/roles", Some(&new), &agent);
        assert_eq!(made.status(), 201);
    }
    let table = parsed(&owner.get(&format!("{AUDIT}?format=csv")).text());
    let agents: Vec<_> = table.iter().map(|row| row[9].as_str()).collect();
    assert!(agents.contains(&"'=1+1|\"x\","), "{agents:?}");
    for cell in table.iter().flatten() {
        assert!(
            !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
            "{cell}"
        );
    }
}

/// As another program reads it.
fn parsed(text: &str) -> Vec<Vec<String>> {
    let script =
        "import csv, json, sys; json.dump(list(csv.reader(sys.stdin, strict=True)), sys.stdout)";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("audit.csv");
    std::fs::write(&file, text).unwrap();
    let output = Command::new("python3")
        .args(["-c", script])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Entries of the large audit.
const MANY: usize = 1_000_000;
/// How much more an export may take than a short one, in KiB.
const MEMORY: u64 = 8 * 1024;

/// Those that were filled in, and not what the start told.
const FILLED: &str = "sort=at&until=2026-01-01T00:01:00Z";

/// Writes a long audit straight into a file of records.
const FILL: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
db.execute('PRAGMA synchronous = OFF')
db.execute('''
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
    INSERT INTO audit (scope, sequence, at, actor_kind, actor_id, action, subject_kind, subject_id,
        request_id, origin, origin_salt, origin_hash, change, change_salt, change_hash, hash)
    SELECT 'platform', n, 1767225600000000 + n, 'user', 'usr_01kc2q8r5nf0hb6x2v9w4t7zde',
        'organization.update', 'organization', 'org_01kc2q8r5nf0hb6x2v9w4t7zde', 'request-' || n,
        '{\"name\":\"olivia@weir.example\",\"address\":\"127.0.0.1\",\"agent\":\"curl/8.5.0\"}',
        zeroblob(16), zeroblob(32), '{\"before\":{\"name\":\"a\"},\"after\":{\"name\":\"b\"}}',
        zeroblob(16), zeroblob(32), zeroblob(32)
    FROM number''', (int(sys.argv[2]),))
db.execute('UPDATE scopes SET audit_sequence = ?, audit_at = 1767225600000000 + ? WHERE id = ?',
    (int(sys.argv[2]), int(sys.argv[2]), 'platform'))
db.commit()
";

#[test]
fn an_export_of_a_million_entries_takes_no_more_memory_than_one_of_few() {
    let setup = Setup::new();
    // Each connection has a cache of the engine's, which fills until it is full.
    let config = setup.complete("routes: []\nrecords: { connections: 2 }\n");
    setup.write("weir.yaml", config);
    assert_eq!(setup.run("migrate", &[]).code, Some(0));
    let filled = Command::new("python3")
        .args(["-c", FILL])
        .arg(setup.path("data/weir.db"))
        .arg(MANY.to_string())
        .output()
        .unwrap();
    assert!(filled.status.success(), "{filled:?}");
    let weir = setup.launch_and_wait();
    setup_token(&weir);
    let operator = super::world::operator(&weir);
    let peak = |since: &str| {
        let path = format!("/v1/audit?format=ndjson&since={since}&{FILLED}");
        let file = weir.setup().path("audit.ndjson");
        let mut download = Command::new("curl")
            .args(["-sSf", "-o"])
            .arg(&file)
            .args(["-H", &format!("Authorization: Bearer {}", operator.token())])
            .arg(format!("http://{}{path}", weir.setup().admin))
            .spawn()
            .unwrap();
        let mut highest = 0;
        wait_within(Duration::from_secs(300), "the export has ended", || {
            highest = anonymous_memory(weir.id()).max(highest);
            download.try_wait().unwrap().is_some()
        });
        assert!(download.wait().unwrap().success());
        (highest, std::fs::read_to_string(file).unwrap())
    };
    let (before, few) = peak("2026-01-01T00:00:00.99Z");
    assert_eq!(few.lines().count(), 10_001);
    let (highest, all) = peak("2026-01-01T00:00:00Z");
    assert_eq!(all.lines().count(), MANY);
    let last: Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    assert_eq!(last["sequence"], MANY);
    let grown = highest.saturating_sub(before);
    println!(
        "{MANY} entries, {} MB: {grown} KiB more than for 10,001, {highest} in all",
        all.len() / 1_000_000
    );
    assert!(grown < MEMORY, "{grown} KiB");
}
