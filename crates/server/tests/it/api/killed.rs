//! A node is killed between the commit of a change and its answer: the request that is sent again finds out. Or it is
//! killed in the middle of what has many steps: the next start goes on.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use weir_core::Id;
use weir_identity::Caller;
use weir_store::audit::{Actor, Entry, Origin, Query, Recorded, Subject};
use weir_store::records::{PlatformTable, Scope};
use weir_testkit::{Postgres, on_both_engines};

use super::World;
use super::world::config;
use crate::harness::{Message, Setup, Weir, Wire, wait_until};

on_both_engines! {
    killed_before_the_answer_is_written_down,
    killed_before_the_answer_is_heard,
    killed_in_the_middle_of_an_erasure,
}

const KEY: &str = "Idempotency-Key: 8e03978e-40d5-43dd-bc93-6894a57f9324\r\n";

/// The database itself, as Weir does not show it.
enum Database {
    Sqlite(String),
    Postgres(String),
}

impl Database {
    fn of(world: &World, config: &str) -> Self {
        match config.split_once("url: \"") {
            Some((_, rest)) => Self::Postgres(rest.split_once('"').unwrap().0.to_owned()),
            None => {
                let file = world.weir.setup().data().join("weir.db");
                Self::Sqlite(file.to_str().unwrap().to_owned())
            }
        }
    }

    /// The first cell of what this finds; empty if nothing.
    fn ask(&self, sql: &str) -> String {
        let file = match self {
            Self::Postgres(url) => return Postgres::shared().psql(url, sql),
            Self::Sqlite(file) => file,
        };
        let script = "import sqlite3, sys\n\
                      database = sqlite3.connect(sys.argv[1], timeout=60)\n\
                      cursor = database.execute(sys.argv[2])\n\
                      row = cursor.fetchone()\n\
                      database.commit()\n\
                      print(row[0] if row else '')";
        let mut python = Command::new("python3");
        let ran = python.args(["-c", script, file, sql]).output().unwrap();
        assert!(ran.status.success(), "{sql}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Whoever writes an answer down is not done with it before they are killed.
    fn stall_answers(&self) {
        let statements: &[&str] = match self {
            Self::Postgres(_) => &[
                "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$",
                "CREATE TRIGGER stall BEFORE UPDATE ON idempotency_keys \
                 FOR EACH ROW EXECUTE FUNCTION stall()",
            ],
            Self::Sqlite(_) => &[
                "CREATE VIEW forever AS WITH RECURSIVE numbers(n) AS \
                 (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000000) \
                 SELECT n FROM numbers",
                "CREATE TRIGGER stall BEFORE UPDATE ON idempotency_keys \
                 BEGIN SELECT count(*) FROM forever; END",
            ],
        };
        for statement in statements {
            self.ask(statement);
        }
    }

    /// After whoever did has been killed.
    fn no_longer_stall(&self) {
        let statements: &[&str] = match self {
            Self::Postgres(_) => &[
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
                "DROP TRIGGER stall ON idempotency_keys",
            ],
            Self::Sqlite(_) => &["DROP TRIGGER stall"],
        };
        for statement in statements {
            self.ask(statement);
        }
    }

    fn count(&self, condition: &str) -> String {
        self.ask(&format!(
            "SELECT count(*) FROM idempotency_keys WHERE {condition}"
        ))
    }
}

fn acme() -> Value {
    json!({ "slug": "acme", "name": "Acme" })
}

/// Sends the request and never hears its answer.
fn begin(world: &World) -> Wire {
    let mut wire = Wire::connect(world.weir.setup().admin);
    wire.send(
        world
            .owner
            .request("POST", "/v1/organizations", &acme().to_string(), KEY),
    );
    wire
}

fn kill(world: &mut World) {
    world.weir.signal(Signal::KILL);
    assert!(!world.weir.wait_exit().success());
}

fn restart(world: &World, config: &str) -> Weir {
    let setup = world.weir.setup();
    let next = Setup::new()
        .data_directory(setup.data())
        .at(setup.admin, setup.http)
        .start(config);
    wait_until("the admin API is there", || {
        world.owner.get("/v1/me").status() == 200
    });
    next
}

fn retry(world: &World) -> Message {
    let path = "/v1/organizations";
    world.owner.send("POST", path, Some(&acme()), KEY)
}

/// The change is there once, and was told once.
fn assert_once(world: &World, weir: &Weir, answer: &Message) {
    assert_eq!(answer.status(), 201, "{}", answer.text());
    assert_eq!(answer.get("idempotency-replayed"), Some("true"));
    let made = answer.json();
    let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
    assert_eq!(answer.get("location"), Some(&*path));
    assert_eq!(world.owner.get(&path).json(), made);
    let listed = world.owner.get("/v1/organizations?slug=acme").json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let told = world.owner.get(&format!("{path}/audit")).json();
    let told: Vec<_> = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["action"])
        .collect();
    assert_eq!(told, ["organization.create"]);
    weir.verify_audit();
}

async fn killed_before_the_answer_is_written_down(engine: &str) {
    let config = config(engine);
    let mut world = World::begin_with(&config).await;
    let database = Database::of(&world, &config);
    database.stall_answers();
    let _unheard = begin(&world);
    wait_until("it is committed", || database.count("1 = 1") == "1");
    kill(&mut world);
    database.no_longer_stall();
    assert_eq!(database.count("sealed_answer IS NOT NULL"), "0");
    let weir = restart(&world, &config);
    let answer = retry(&world);
    assert_once(&world, &weir, &answer);
}

async fn killed_before_the_answer_is_heard(engine: &str) {
    let config = config(engine);
    let mut world = World::begin_with(&config).await;
    let database = Database::of(&world, &config);
    let unheard = begin(&world);
    wait_until("the answer is written down", || {
        database.count("sealed_answer IS NOT NULL") == "1"
    });
    kill(&mut world);
    drop(unheard);
    let weir = restart(&world, &config);
    let first = retry(&world);
    assert_once(&world, &weir, &first);
    // It is the answer that was kept, not what is there now.
    let path = first.get("location").unwrap();
    let renamed = world.owner.patch(path, &json!({ "name": "Other" }));
    assert_eq!(renamed.status(), 200);
    assert_eq!(retry(&world).text(), first.text());
}

const CANARY: &str = "canary@weir.example";
/// Entries of each chain that name the person; so many that erasing takes a while.
const ENTRIES: usize = 5_000;

async fn killed_in_the_middle_of_an_erasure(engine: &str) {
    let config = config(engine);
    let mut world = World::begin_with(&config).await;
    let acme = world.organization("acme");
    let user = world.person(CANARY).await;
    let viewer = "viewer".parse().unwrap();
    world
        .identity
        .add_member(&Caller::system(), &acme, &user, &viewer)
        .await
        .unwrap();
    world.signed_in(&user).await;
    let scopes = [Scope::Platform, Scope::of(&acme)];
    for scope in &scopes {
        name_often(&world, scope, &user).await;
    }

    let path = format!("/v1/users/{user}/erase");
    let mut unheard = Wire::connect(world.weir.setup().admin);
    unheard.send(world.owner.request("POST", &path, "{}", ""));
    // Each step that is written down is a version of it.
    while steps(&world).await.is_none_or(|steps| steps < 8) {
        tokio::task::yield_now().await;
    }
    kill(&mut world);
    drop(unheard);
    assert!(steps(&world).await.is_some(), "it was too fast");
    let erased = async |scope: &Scope| {
        let entries = chain(&world, scope).await.into_iter();
        entries.filter(|one| one.erased_by.is_some()).count()
    };
    let half = erased(&scopes[0]).await + erased(&scopes[1]).await;
    assert!((1..2 * ENTRIES).contains(&half), "{half}");

    // As if it had been killed some minutes ago: it is nobody's any more.
    let mut write = world.records().write_unaudited().await.unwrap();
    let set = [("leased_until", 0_i64.into())];
    let nothing: [i64; 0] = [];
    let rows = PlatformTable::new("erasures").rows();
    assert_eq!(
        write
            .update_where(rows, "1 = 1", nothing, set)
            .await
            .unwrap(),
        1
    );
    write.commit().await.unwrap();
    let weir = restart(&world, &config);
    let database = Database::of(&world, &config);
    wait_until("the erasure ends by itself", || {
        database.ask("SELECT count(*) FROM erasures") == "0"
    });

    // What the certificate says is what was done: its digest is that of what the chains tell.
    let mut told = Vec::new();
    for scope in &scopes {
        let entries = chain(&world, scope).await;
        let texts = entries.iter().map(|one| (&one.origin, &one.change));
        for (origin, change) in texts {
            assert!(
                !format!("{origin:?}{change:?}").contains(CANARY),
                "{origin:?} {change:?}"
            );
        }
        assert!(erased(scope).await >= ENTRIES);
        let by: Vec<_> = entries
            .iter()
            .filter(|one| one.action == "person.erase")
            .collect();
        let of = |one: &&Recorded| {
            let entries = one.change.as_ref().unwrap()["after"]["entries"].clone();
            serde_json::from_value::<Vec<i64>>(entries).unwrap()
        };
        told.push(json!({
            "scope": scope.name(),
            "entries": by.iter().flat_map(of).collect::<Vec<_>>(),
            "told_by": by.iter().map(|one| one.sequence).collect::<Vec<_>>(),
        }));
    }
    let platform = chain(&world, &Scope::Platform).await;
    let last = platform
        .iter()
        .rfind(|one| one.action == "user.erase")
        .unwrap();
    let after = &last.change.as_ref().unwrap()["after"];
    for (table, rows) in [("users", 1), ("memberships", 1), ("sessions", 1)] {
        assert_eq!(after["rows"][table], rows, "{after}");
    }
    let certificate = json!({
        "users": [user], "at": last.at, "rows": after["rows"], "audit": told,
    });
    let digest = Sha256::digest(certificate.to_string());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(after["digest"], digest);
    weir.verify_audit();
}

/// Has a chain tell of somebody again and again.
async fn name_often(world: &World, scope: &Scope, user: &Id) {
    let entry = Entry {
        actor: Actor::User(user.clone()),
        origin: Origin {
            name: Some(CANARY.to_owned()),
            ..Origin::default()
        },
        action: "test.act",
        subject: Subject {
            kind: "user",
            id: Some(user.clone()),
        },
        change: Default::default(),
        request_id: None,
        once: None,
    };
    // The node writes, too: it need not wait for all of them.
    for _ in 0..ENTRIES / 1_000 {
        let mut write = world.records().write(scope).await.unwrap();
        for _ in 1..1_000 {
            write.tell(scope, &entry).await.unwrap();
        }
        write.commit(scope, &entry).await.unwrap();
    }
}

/// How often the erasure under way has written down how far it is; none if there is none.
async fn steps(world: &World) -> Option<i64> {
    let erasures = PlatformTable::new("erasures").rows().select();
    let row = world.records().first(erasures).await.unwrap();
    row.map(|row| row.int("version").unwrap())
}

/// All entries of a chain, the oldest first.
async fn chain(world: &World, scope: &Scope) -> Vec<Recorded> {
    let query = Query {
        oldest_first: true,
        ..Query::default()
    };
    let all = world.records().audit(scope, &query, 100_000).await;
    all.unwrap()
}
