//! Entries come with changes, and cannot be changed afterwards without it being seen.

use serde_json::json;
use sqlx::{Connection as _, Executor as _};
use weir_core::Id;
use weir_store::Records;
use weir_store::audit::{Actor, Broken, Change, Entry, Fault, Origin, Query, Subject};
use weir_store::records::{Address, Scope};

use crate::engines::{Fresh, entry, fresh, on_both_engines, organization};

/// Changes rows behind Weir's back.
async fn tamper(fresh: &Fresh, sql: &'static str) {
    match &fresh.options.address {
        Address::Sqlite(path) => {
            let mut connection = sqlx::SqliteConnection::connect(path.to_str().unwrap())
                .await
                .unwrap();
            connection.execute(sql).await.unwrap();
            connection.close().await.unwrap();
        }
        Address::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
            connection.execute(sql).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

async fn tell(records: &Records, entries: usize) {
    for _ in 0..entries {
        let write = records.write(&Scope::Platform).await.unwrap();
        write
            .commit(&Scope::Platform, &entry("organization.update"))
            .await
            .unwrap();
    }
}

async fn first_broken(fresh: &Fresh) -> Option<Broken> {
    fresh
        .records
        .verify_audit(&Scope::Platform, |_| ())
        .await
        .unwrap()
        .err()
}

on_both_engines! {
    an_entry_is_read_as_it_was_told,
    each_way_to_tamper_is_found_where_it_begins,
    a_long_chain_is_gone_through_in_pages,
}

async fn an_entry_is_read_as_it_was_told(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let tenant = organization(records, "acme").await.unwrap();
    let scope = Scope::Tenant(tenant.clone());
    let actor = Id::new("usr");
    let before = json!({"name": "a"});
    let mut write = records.write(&scope).await.unwrap();
    write.tell(&scope, &entry("role.create")).await.unwrap();
    write
        .commit(
            &scope,
            &Entry {
                actor: Actor::User(actor.clone()),
                origin: Origin {
                    name: Some("zoë@example.org".to_owned()),
                    address: Some("2001:db8::1".to_owned()),
                    agent: Some("curl/8\n\"".to_owned()),
                },
                action: "organization.update",
                subject: Subject {
                    kind: "organization",
                    id: Some(tenant.id().clone()),
                },
                change: Change {
                    before: before.as_object().unwrap().clone(),
                    ..Change::default()
                },
                request_id: Some("4bf92f".to_owned()),
                once: None,
            },
        )
        .await
        .unwrap();
    let found = records.audit(&scope, &Query::default(), 10).await.unwrap();
    assert_eq!(
        found.iter().map(|entry| entry.sequence).collect::<Vec<_>>(),
        [2, 1]
    );
    let told = &found[0];
    assert_eq!(told.actor_id.as_deref(), Some(actor.as_str()));
    assert_eq!(told.change, Some(json!({"before": {"name": "a"}})));
    assert_eq!(told.origin.as_ref().unwrap()["agent"], "curl/8\n\"");
    assert_eq!(told.request_id.as_deref(), Some("4bf92f"));
    // The platform's chain is another one.
    let platform = records
        .audit(&Scope::Platform, &Query::default(), 10)
        .await
        .unwrap();
    assert_eq!(platform.len(), 1);
    for (query, expected) in [
        (
            Query {
                actor: Some(actor.to_string()),
                ..Query::default()
            },
            vec![2],
        ),
        (
            Query {
                subject: Some(tenant.to_string()),
                ..Query::default()
            },
            vec![2],
        ),
        (
            Query {
                action: Some("role.create".to_owned()),
                ..Query::default()
            },
            vec![1],
        ),
        (
            Query {
                since: Some(told.at),
                ..Query::default()
            },
            vec![2, 1],
        ),
        (
            Query {
                until: Some(told.at),
                ..Query::default()
            },
            vec![],
        ),
        (
            Query {
                oldest_first: true,
                after: Some(1),
                ..Query::default()
            },
            vec![2],
        ),
        (
            Query {
                after: Some(2),
                ..Query::default()
            },
            vec![1],
        ),
    ] {
        let found = records.audit(&scope, &query, 10).await.unwrap();
        let sequences: Vec<_> = found.iter().map(|entry| entry.sequence).collect();
        assert_eq!(sequences, expected, "{query:?}");
    }
}

async fn each_way_to_tamper_is_found_where_it_begins(engine: &str) {
    for (sql, sequence, fault) in [
        (
            "UPDATE audit SET action = 'organization.delete' WHERE sequence = 3",
            3,
            Fault::Altered,
        ),
        (
            "UPDATE audit SET at = at + 1 WHERE sequence = 3",
            3,
            Fault::Altered,
        ),
        (
            "UPDATE audit SET actor_id = '' WHERE sequence = 3",
            3,
            Fault::Altered,
        ),
        (
            "UPDATE audit SET hash = change_hash WHERE sequence = 3",
            3,
            Fault::Altered,
        ),
        (
            "UPDATE audit SET origin = '{}' WHERE sequence = 3",
            3,
            Fault::TextAltered,
        ),
        (
            "UPDATE audit SET change = NULL WHERE sequence = 3",
            3,
            Fault::TextMissing,
        ),
        (
            "UPDATE audit SET origin = NULL, origin_salt = NULL WHERE sequence = 3",
            3,
            Fault::TextMissing,
        ),
        (
            "UPDATE audit SET origin = NULL, origin_salt = NULL, erased_by = 2 WHERE sequence = 3",
            3,
            Fault::TextMissing,
        ),
        ("DELETE FROM audit WHERE sequence = 3", 3, Fault::Missing),
        ("DELETE FROM audit WHERE sequence = 1", 1, Fault::Missing),
        ("DELETE FROM audit WHERE sequence > 3", 4, Fault::Missing),
        ("UPDATE scopes SET audit_sequence = 4", 5, Fault::BeyondEnd),
        (
            "UPDATE audit SET sequence = 0 WHERE sequence = 3",
            3,
            Fault::Missing,
        ),
    ] {
        let fresh = fresh(engine).await;
        tell(&fresh.records, 5).await;
        assert_eq!(first_broken(&fresh).await, None);
        tamper(&fresh, sql).await;
        assert_eq!(
            first_broken(&fresh).await,
            Some(Broken { sequence, fault }),
            "{sql}"
        );
    }
}

async fn a_long_chain_is_gone_through_in_pages(engine: &str) {
    let fresh = fresh(engine).await;
    let mut write = fresh.records.write(&Scope::Platform).await.unwrap();
    for _ in 0..2_500 {
        write
            .tell(&Scope::Platform, &entry("organization.update"))
            .await
            .unwrap();
    }
    write
        .commit(&Scope::Platform, &entry("organization.update"))
        .await
        .unwrap();
    let mut heard = Vec::new();
    let verified = fresh
        .records
        .verify_audit(&Scope::Platform, |at| heard.push(at))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(verified.entries, 2_501);
    assert_eq!(heard, [1_000, 2_000, 2_501, 2_501]);
}
