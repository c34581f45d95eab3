//! The schema grows by numbered steps, once each.

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::task::JoinSet;
use weir_store::records::{Address, Records, Scope};

use crate::engines::{ORGANIZATIONS, empty, fresh, on_both_engines, organization};

on_both_engines! {
    steps_are_taken_once,
    many_at_once_take_each_step_once,
    records_survive_their_process,
}

async fn steps_are_taken_once(engine: &str) {
    let fresh = empty(engine);
    let records = &fresh.records;
    let before = records.schema().await.unwrap();
    assert_eq!(before.applied, 0);
    assert!(!before.pending.is_empty());
    // Looking changes nothing.
    assert_eq!(records.schema().await.unwrap(), before);
    assert_eq!(records.migrate().await.unwrap().applied, before.pending);
    let after = records.schema().await.unwrap();
    assert_eq!(
        (after.applied, after.pending.len()),
        (before.pending.len() as i64, 0)
    );
    assert!(records.migrate().await.unwrap().applied.is_empty());
}

async fn many_at_once_take_each_step_once(engine: &str) {
    let fresh = empty(engine);
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        // Each with connections of its own, as processes have.
        let records = Records::open(&fresh.options).unwrap();
        tasks.spawn(async move { records.migrate().await.unwrap().applied.len() });
    }
    let mut steps = 0;
    while let Some(taken) = tasks.join_next().await {
        steps += taken.unwrap();
    }
    assert_eq!(steps as i64, fresh.records.schema().await.unwrap().applied);
}

async fn records_survive_their_process(engine: &str) {
    let fresh = fresh(engine).await;
    let tenant = organization(&fresh.records, "acme").await.unwrap();
    fresh.records.close().await;
    let again = Records::open(&fresh.options).unwrap();
    again.write(&Scope::Tenant(tenant)).await.unwrap();
    assert!(again.schema().await.unwrap().pending.is_empty());
}

/// In an upgrade, the process that is about to end still asks while the next one changes the schema.
#[tokio::test]
async fn a_column_that_the_next_version_adds_harms_nobody() {
    let fresh = fresh("sqlite").await;
    organization(&fresh.records, "acme").await.unwrap();
    let all = || ORGANIZATIONS.rows().select().limit(10);
    // Every connection of the pool has asked this before.
    for _ in 0..20 {
        assert_eq!(fresh.records.all(all()).await.unwrap().len(), 1);
    }
    let Address::Sqlite(path) = &fresh.options.address else {
        panic!("not SQLite");
    };
    let options = SqliteConnectOptions::new().filename(path);
    let mut other = options.connect().await.unwrap();
    let add = "ALTER TABLE organizations ADD COLUMN novelty TEXT";
    sqlx::raw_sql(add).execute(&mut other).await.unwrap();
    for _ in 0..20 {
        assert_eq!(fresh.records.all(all()).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_file_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt as _;

    let fresh = fresh("sqlite").await;
    organization(&fresh.records, "acme").await.unwrap();
    let Address::Sqlite(path) = &fresh.options.address else {
        panic!("not SQLite");
    };
    let mut files = 0;
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert!(files >= 2, "no write-ahead log");
}
