//! What transactions see of each other.

use std::sync::Arc;

use tokio::task::JoinSet;
use weir_store::records::{Scope, Value};

use crate::engines::{ORGANIZATIONS, ROLES, entry, fresh, on_both_engines, organization, role};

on_both_engines! {
    what_is_not_committed_never_was,
    a_reader_sees_one_state,
    writers_of_one_scope_come_one_after_another,
}

async fn what_is_not_committed_never_was(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    let scope = Scope::Tenant(tenant.clone());
    let mut write = records.write(&scope).await.unwrap();
    write
        .insert(
            ROLES.of(&tenant),
            &weir_core::Id::new("rol"),
            [
                ("name", Value::from("ghost")),
                ("description", Value::from("")),
                ("permissions", Value::from("[]")),
            ],
        )
        .await
        .unwrap();
    write.tell(&scope, &entry("role.create")).await.unwrap();
    // Others do not see it, it does.
    assert!(
        records
            .all(ROLES.of(&tenant).select())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        write.all(ROLES.of(&tenant).select()).await.unwrap().len(),
        1
    );
    drop(write);
    assert!(
        records
            .all(ROLES.of(&tenant).select())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        records
            .audit(&scope, &weir_store::audit::Query::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );
    // The next one is not held up by it.
    role(records, &tenant, "real").await.unwrap();
}

async fn a_reader_sees_one_state(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    organization(records, "first").await.unwrap();
    let mut read = records.read().await.unwrap();
    assert_eq!(
        read.all(ORGANIZATIONS.rows().select()).await.unwrap().len(),
        1
    );
    organization(records, "second").await.unwrap();
    assert_eq!(
        read.all(ORGANIZATIONS.rows().select()).await.unwrap().len(),
        1
    );
    drop(read);
    assert_eq!(
        records
            .all(ORGANIZATIONS.rows().select())
            .await
            .unwrap()
            .len(),
        2
    );
}

async fn writers_of_one_scope_come_one_after_another(engine: &str) {
    let fresh = fresh(engine).await;
    let records = Arc::new(fresh.records.clone());
    let tenant = organization(&records, "acme").await.unwrap();
    let id = role(&records, &tenant, "counter").await.unwrap();
    let scope = Scope::Tenant(tenant.clone());
    // Read, add, write: no addition may be lost.
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let (records, tenant, id, scope) = (
            Arc::clone(&records),
            tenant.clone(),
            id.clone(),
            scope.clone(),
        );
        tasks.spawn(async move {
            let mut write = records.write(&scope).await.unwrap();
            let row = write
                .first(ROLES.of(&tenant).select().with_id(&id))
                .await
                .unwrap()
                .unwrap();
            let count: i64 = row.text("description").unwrap().parse().unwrap_or(0);
            let version = row.int("version").unwrap();
            let next = [("description", Value::from((count + 1).to_string()))];
            write
                .update(ROLES.of(&tenant), &id, Some(version), next)
                .await
                .unwrap();
            write.commit(&scope, &entry("role.update")).await.unwrap();
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let row = records
        .first(ROLES.of(&tenant).select().with_id(&id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.text("description").unwrap(), "32");
    let verified = records.verify_audit(&scope, |_| ()).await.unwrap().unwrap();
    assert_eq!(verified.entries, 33);
}
/// SQLite has one writer in all; PostgreSQL has one for each scope.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_scopes_do_not_wait_on_postgres() {
    let fresh = fresh("postgres").await;
    let records = &fresh.records;
    let one = Scope::Tenant(organization(records, "one").await.unwrap());
    let two = Scope::Tenant(organization(records, "two").await.unwrap());
    let first = records.write(&one).await.unwrap();
    let second = records.write(&two).await.unwrap();
    second.commit(&two, &entry("role.create")).await.unwrap();
    first.commit(&one, &entry("role.create")).await.unwrap();
}
