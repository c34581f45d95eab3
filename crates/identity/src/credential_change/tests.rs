use std::time::Duration;

use tempfile::TempDir;
use weir_core::Secret;
use weir_store::Records;
use weir_store::records::{Address, Notice, Options as RecordsOptions, Scope};
use weir_testkit::{Postgres, on_both_engines};

use super::*;
use crate::caller::Caller;
use crate::options::Options;

on_both_engines! {
    none_is_passed_over_that_is_committed_late,
    each_is_heard_and_told_in_its_order,
    what_was_undone_is_not_told,
    old_ones_are_removed,
}

struct Fresh {
    identity: Identity,
    _directory: Option<TempDir>,
}

async fn fresh(engine: &str) -> Fresh {
    let (address, directory) = match engine {
        "sqlite" => {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("weir.db");
            (Address::Sqlite(path), Some(directory))
        }
        _ => {
            let url = Postgres::shared().database();
            (Address::Postgres(Secret::new(url)), None)
        }
    };
    let records = Records::open(&RecordsOptions::new(address)).unwrap();
    records.migrate().await.unwrap();
    let options = Options::new("https://weir.example", Secret::new([7; 32]));
    Fresh {
        identity: Identity::new(records, options).unwrap(),
        _directory: directory,
    }
}

/// A change in the making, of a scope of its own as long as `scope` is another one's.
async fn begun(identity: &Identity, scope: &Scope, subject: &str) -> Write {
    let mut write = identity.records.write(scope).await.unwrap();
    note_change(&mut write, CredentialKind::Token, subject)
        .await
        .unwrap();
    write
}

async fn finish(write: Write, scope: &Scope) {
    let id = Id::new("tok");
    let entry = Caller::system().entry("token.revoke", "token", &id, Default::default());
    write.commit(scope, &entry).await.unwrap();
}

/// Scopes that wait for nobody.
async fn scopes(identity: &Identity, many: usize) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for _ in 0..many {
        let tenant = weir_core::TenantId::generate();
        let mut write = identity.records.write(&Scope::Platform).await.unwrap();
        write.open_scope(&tenant).await.unwrap();
        finish(write, &Scope::Platform).await;
        scopes.push(Scope::of(&tenant));
    }
    scopes
}

fn subjects(changes: &[CredentialChange]) -> Vec<&str> {
    changes
        .iter()
        .map(|change| change.subject.as_str())
        .collect()
}

async fn none_is_passed_over_that_is_committed_late(engine: &str) {
    const WRITERS: usize = 8;
    const EACH: usize = 10;
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let mut seen = identity.latest_change().await.unwrap();
    let before = seen;
    let mut writers = tokio::task::JoinSet::new();
    for (writer, scope) in scopes(identity, WRITERS).await.into_iter().enumerate() {
        let identity = identity.clone();
        writers.spawn(async move {
            for number in 0..EACH {
                let write = begun(&identity, &scope, &format!("{writer} {number}")).await;
                // Others have every occasion to come between.
                tokio::task::yield_now().await;
                finish(write, &scope).await;
            }
        });
    }
    // A reader that goes on behind what it has seen, as nodes do.
    let mut read = 0;
    loop {
        let is_over = writers.is_empty();
        let changes = identity.changes_since(seen).await.unwrap();
        if let Some(last) = changes.last() {
            seen = last.sequence;
        }
        read += changes.len();
        if is_over {
            break;
        }
        while let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
    }
    assert_eq!(read, WRITERS * EACH);
    let all = identity.changes_since(before).await.unwrap();
    let numbers: Vec<_> = all.iter().map(|change| change.sequence).collect();
    let expected: Vec<_> = (before + 1..=before + (WRITERS * EACH) as i64).collect();
    assert_eq!(numbers, expected);
    assert_eq!(identity.latest_change().await.unwrap(), seen);
}

async fn each_is_heard_and_told_in_its_order(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let mut notices = identity.records.notices();
    assert_eq!(notices.next().await, Some(Notice::Anything));
    let before = identity.latest_change().await.unwrap();
    let mut write = begun(identity, &Scope::Platform, "first").await;
    note_change(&mut write, CredentialKind::User, "second")
        .await
        .unwrap();
    finish(write, &Scope::Platform).await;
    assert_eq!(
        notices.next().await,
        Some(Notice::Changed(Topic::Credentials))
    );
    let changes = identity.changes_since(before).await.unwrap();
    assert_eq!(subjects(&changes), ["first", "second"]);
    assert_eq!(changes[0].kind, CredentialKind::Token);
    assert_eq!(changes[1].kind, CredentialKind::User);
    let rest = identity.changes_since(changes[0].sequence).await.unwrap();
    assert_eq!(subjects(&rest), ["second"]);
}

async fn what_was_undone_is_not_told(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let before = identity.latest_change().await.unwrap();
    drop(begun(identity, &Scope::Platform, "undone").await);
    let write = begun(identity, &Scope::Platform, "done").await;
    finish(write, &Scope::Platform).await;
    let changes = identity.changes_since(before).await.unwrap();
    assert_eq!(subjects(&changes), ["done"]);
    assert_eq!(changes[0].sequence, before + 1);
}

async fn old_ones_are_removed(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    let before = identity.latest_change().await.unwrap();
    for subject in ["old", "young"] {
        finish(
            begun(identity, &Scope::Platform, subject).await,
            &Scope::Platform,
        )
        .await;
    }
    let old = Timestamp::now() - KEPT - Duration::from_secs(60);
    let mut write = identity.records.write_unaudited().await.unwrap();
    write
        .update_where(
            CREDENTIAL_CHANGES.rows(),
            "subject = ?",
            ["old"],
            [("created_at", Value::from(old))],
        )
        .await
        .unwrap();
    write.commit().await.unwrap();
    let mut write = identity.records.write_unaudited().await.unwrap();
    assert_eq!(prune(&mut write).await.unwrap(), 1);
    write.commit().await.unwrap();
    let changes = identity.changes_since(before).await.unwrap();
    assert_eq!(subjects(&changes), ["young"]);
    // Numbers go on from where they were.
    assert_eq!(identity.latest_change().await.unwrap(), before + 2);
}

#[test]
fn a_kind_reads_as_it_is_written() {
    for kind in [
        CredentialKind::ApiKey,
        CredentialKind::Session,
        CredentialKind::User,
        CredentialKind::Organization,
        CredentialKind::Token,
        CredentialKind::Family,
        CredentialKind::SigningKey,
    ] {
        assert_eq!(CredentialKind::of_name(kind.as_str()), kind);
    }
    assert_eq!(CredentialKind::of_name("passkey"), CredentialKind::Unknown);
}
