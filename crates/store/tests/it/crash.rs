//! What was acknowledged outlives whatever ends the writer or the server, and nothing is half there.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::task::JoinSet;
use weir_core::{Id, Secret, TenantId};
use weir_store::audit::{Entry, Query, Subject};
use weir_store::records::{Address, Options, Scope, Value};
use weir_store::{Error, Records, Result};
use weir_testkit::Postgres;

use crate::engines::{ROLES, entry, fresh, on_both_engines, organization};

const ROUNDS: usize = 50;
const WRITERS: usize = 100;
const TENANTS: usize = 8;

/// Where the process that is killed finds its database.
const DATABASE: &str = "WEIR_TEST_CRASH_DATABASE";

/// One change: two rows and an entry, all of which name it.
async fn change(records: &Records, tenant: &TenantId, id: &Id) -> Result<()> {
    let scope = Scope::Tenant(tenant.clone());
    let mut write = records.write(&scope).await?;
    for half in ["first", "second"] {
        let row = match half {
            "first" => id.clone(),
            _ => Id::new("rol"),
        };
        let values = [
            ("name", Value::from(format!("{half} of {id}"))),
            ("description", Value::from(id)),
            ("permissions", Value::from("[]")),
        ];
        write.insert(ROLES.of(tenant), &row, values).await?;
    }
    let told = Entry {
        subject: Subject {
            kind: "role",
            id: Some(id.clone()),
        },
        ..entry("role.create")
    };
    write.commit(&scope, &told).await
}

/// What there is of the changes of a tenant; each is whole.
async fn changes(records: &Records, tenant: &TenantId) -> BTreeSet<String> {
    let scope = Scope::Tenant(tenant.clone());
    // A server may still be at the last commit of a writer that is gone: held, the scope is at rest.
    let _at_rest = records.write(&scope).await.unwrap();
    let rows = records.all(ROLES.of(tenant).select()).await.unwrap();
    let mut halves: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows {
        *halves.entry(row.text("description").unwrap()).or_default() += 1;
    }
    assert!(halves.values().all(|count| *count == 2), "{halves:?}");
    let told = records
        .audit(&scope, &Query::default(), i64::MAX)
        .await
        .unwrap();
    let told = told.into_iter().map(|entry| entry.subject_id.unwrap());
    let told: BTreeSet<String> = told.collect();
    let halves: BTreeSet<String> = halves.into_keys().collect();
    let untold: Vec<_> = halves.symmetric_difference(&told).collect();
    assert!(
        untold.is_empty(),
        "a row without its entry, or the reverse: {untold:?}"
    );
    let verified = records.verify_audit(&scope, |_| ()).await.unwrap();
    assert_eq!(verified.unwrap().entries as usize, told.len());
    told
}

on_both_engines! {
    what_a_killed_process_acknowledged_is_there,
}

async fn what_a_killed_process_acknowledged_is_there(engine: &str) {
    let fresh = fresh(engine).await;
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        let slug = format!("org-{number}");
        tenants.push(organization(&fresh.records, &slug).await.unwrap());
    }
    // From here on the killed process is the only one that has the database open, so that it is the
    // next one that finds what it left.
    fresh.records.close().await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut child = writing_process(&fresh.options.address, &tenants);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..fastrand::usize(1..60) {
            acknowledged.insert(next(&mut lines).await.unwrap());
        }
        // Anywhere within a commit, not just behind one.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..3_000))).await;
        child.kill().await.unwrap();
        while let Some(id) = next(&mut lines).await {
            acknowledged.insert(id);
        }
        // Each time is a recovery; to compare everything each time would only be slow.
        if round % 5 == 4 {
            let records = Records::open(&fresh.options).unwrap();
            let mut found = BTreeSet::new();
            for tenant in &tenants {
                found.append(&mut changes(&records, tenant).await);
            }
            let lost: Vec<_> = acknowledged.difference(&found).collect();
            assert!(lost.is_empty(), "{lost:?}");
            records.close().await;
        }
    }
    assert!(acknowledged.len() >= ROUNDS);
}

fn writing_process(address: &Address, tenants: &[TenantId]) -> tokio::process::Child {
    let database = match address {
        Address::Sqlite(path) => path.to_str().unwrap().to_owned(),
        Address::Postgres(url) => url.expose().clone(),
    };
    let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
    Command::new(std::env::current_exe().unwrap())
        .args([
            "crash::writes_until_it_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(DATABASE, format!("{database} {}", tenants.join(" ")))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The next change that was acknowledged; none when the process has ended. A line that was cut off is
/// not acknowledged.
async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(id) = line
            .strip_prefix("acknowledged ")
            .and_then(|id| id.strip_suffix("."))
        {
            return Some(id.to_owned());
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that another test starts and kills"]
async fn writes_until_it_is_killed() {
    let told = std::env::var(DATABASE).unwrap();
    let mut told = told.split(' ');
    let database = told.next().unwrap();
    let options = Options::new(match database.contains("://") {
        true => Address::Postgres(Secret::new(database.to_owned())),
        false => Address::Sqlite(database.into()),
    });
    let tenants: Vec<TenantId> = told.map(|tenant| tenant.parse().unwrap()).collect();
    let records = Records::open(&options).unwrap();
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let (records, tenant) = (records.clone(), tenants[number % tenants.len()].clone());
        writers.spawn(async move {
            loop {
                let id = Id::new("rol");
                change(&records, &tenant, &id).await.unwrap();
                println!("acknowledged {id}.");
            }
        });
    }
    writers.join_all().await;
}

/// What became of the changes that writers asked for.
#[derive(Default)]
struct Told {
    acknowledged: BTreeSet<String>,
    undone: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_acknowledged_is_there() {
    let server = Postgres::start(&["fsync=on", "max_connections=50"]);
    let mut options = Options::new(Address::Postgres(Secret::new(server.database())));
    options.acquire_timeout = Duration::from_secs(2);
    let records = Records::open(&options).unwrap();
    records.migrate().await.unwrap();
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        let slug = format!("org-{number}");
        tenants.push(organization(&records, &slug).await.unwrap());
    }
    let told = Arc::new(Mutex::new(Told::default()));
    for _ in 0..3 {
        let enough = told.lock().unwrap().acknowledged.len() + fastrand::usize(1..200);
        let (reached, is_reached) = tokio::sync::oneshot::channel();
        let reached = Arc::new(Mutex::new(Some(reached)));
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let (records, told) = (records.clone(), Arc::clone(&told));
            let (tenant, reached) = (tenants[number % TENANTS].clone(), Arc::clone(&reached));
            writers.spawn(async move {
                loop {
                    let id = Id::new("rol");
                    let done = change(&records, &tenant, &id).await;
                    let mut told = told.lock().unwrap();
                    match done {
                        Ok(()) => told.acknowledged.insert(id.to_string()),
                        Err(Error::Unavailable(_)) => {
                            // It promises that nothing was changed.
                            told.undone.insert(id.to_string());
                            return;
                        }
                        Err(Error::Unknown(_)) => return,
                        Err(error) => panic!("{error}"),
                    };
                    if told.acknowledged.len() >= enough
                        && let Some(reached) = reached.lock().unwrap().take()
                    {
                        reached.send(()).unwrap();
                    }
                }
            });
        }
        is_reached.await.unwrap();
        tokio::task::block_in_place(|| server.kill());
        writers.join_all().await;
        tokio::task::block_in_place(|| server.resume());
        let mut found = BTreeSet::new();
        for tenant in &tenants {
            found.append(&mut changes(&records, tenant).await);
        }
        let told = told.lock().unwrap();
        let lost: Vec<_> = told.acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert!(
            told.undone.is_disjoint(&found),
            "said to be undone, and there"
        );
    }
    let told = told.lock().unwrap();
    assert!(!told.undone.is_empty());
}
