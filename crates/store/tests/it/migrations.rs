//! The schema grows by numbered steps, once each.

use tokio::task::JoinSet;
use weir_store::records::{Records, Scope};

use crate::engines::{empty, fresh, on_both_engines, organization};

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

#[tokio::test]
async fn the_file_is_nobody_elses_to_read() {
    use std::os::unix::fs::PermissionsExt as _;

    let fresh = fresh("sqlite").await;
    organization(&fresh.records, "acme").await.unwrap();
    let weir_store::records::Address::Sqlite(path) = &fresh.options.address else {
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
