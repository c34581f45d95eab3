//! The schema grows by numbered steps, once each.

use tokio::task::JoinSet;
use weir_core::TenantId;
use weir_store::audit::Query;
use weir_store::backup::check;
use weir_store::records::{Address, Records, Scope, Select, Value};

use crate::backup::saved;
use crate::engines::{
    Fresh, ORGANIZATIONS, ROLES, empty, entry, fresh, on_both_engines, organization, role,
};
use crate::refusals::tamper;

on_both_engines! {
    steps_are_taken_once,
    many_at_once_take_each_step_once,
    records_survive_their_process,
    a_column_that_the_next_version_adds_harms_nobody,
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
async fn a_column_that_the_next_version_adds_harms_nobody(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    // Connections have asked all of this before the column is there.
    for round in 0..20 {
        everything(records, &tenant, round).await;
    }
    let tables = tables(&fresh).await;
    assert!(tables.len() > 20, "{tables:?}");
    let mut read = records.read().await.unwrap();
    assert_eq!(read.all(all_organizations()).await.unwrap().len(), 1);
    for table in tables.iter().filter(|table| *table != "organizations") {
        tamper(
            &fresh,
            &format!("ALTER TABLE {table} ADD COLUMN novelty TEXT"),
        )
        .await;
    }
    // Of a table that this transaction has not looked at yet.
    assert_eq!(
        read.all(ROLES.of(&tenant).select()).await.unwrap().len(),
        20
    );
    drop(read);
    tamper(&fresh, "ALTER TABLE organizations ADD COLUMN novelty TEXT").await;
    for round in 20..40 {
        everything(records, &tenant, round).await;
    }
    let with_novelty = ROLES.of(&tenant).select().columns("*");
    let rows = records.all(with_novelty).await.unwrap();
    assert_eq!(rows[0].optional_text("novelty").unwrap(), None);
    assert_eq!(rows[0].text("name").unwrap(), "0");
}

fn all_organizations() -> Select {
    ORGANIZATIONS.rows().select().limit(10)
}

/// Asks and changes, within transactions and without.
async fn everything(records: &Records, tenant: &TenantId, round: usize) {
    assert_eq!(records.all(all_organizations()).await.unwrap().len(), 1);
    let id = role(records, tenant, &round.to_string()).await.unwrap();
    let scope = Scope::Tenant(tenant.clone());
    let mut write = records.write(&scope).await.unwrap();
    let found = write
        .first(ROLES.of(tenant).select().with_id(&id))
        .await
        .unwrap()
        .unwrap();
    let version = found.int("version").unwrap();
    let renamed = [("description", Value::from("new"))];
    let rows = ROLES.of(tenant);
    assert_eq!(
        write
            .update(rows, &id, Some(version), renamed)
            .await
            .unwrap(),
        2
    );
    write.commit(&scope, &entry("role.update")).await.unwrap();
    let mut read = records.read().await.unwrap();
    let joined = ROLES.select_everywhere().also("organizations.slug");
    let joined = joined.join(&ORGANIZATIONS, "organizations.id = base.tenant_id");
    assert_eq!(read.all(joined).await.unwrap().len(), round + 1);
    let told = records.audit(&scope, &Query::default(), 100).await.unwrap();
    assert_eq!(told.len(), 2 * (round + 1));
    let verified = records.verify_audit(&scope, |_| ()).await.unwrap();
    assert!(verified.is_ok(), "{verified:?}");
}

/// The names of all tables but those of the engine.
async fn tables(fresh: &Fresh) -> Vec<String> {
    let (_, file) = saved(&fresh.records).await;
    let summary = check(&file[..], |_| ()).unwrap();
    summary.tables.into_iter().map(|(name, _)| name).collect()
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
