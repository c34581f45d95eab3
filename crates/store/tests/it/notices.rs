//! Who listens hears of changes, by whichever process.

use std::time::Duration;

use weir_core::{Secret, TenantId};
use weir_store::Records;
use weir_store::records::{Address, Notice, Notices, Options, Scope, Topic, Value};
use weir_testkit::Postgres;

use crate::engines::{ORGANIZATIONS, entry, fresh, on_both_engines, organization};

/// Far longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);

on_both_engines! {
    a_change_is_heard_once_it_is_committed,
    another_process_is_heard_as_well,
    closed_records_end_the_notices,
}

async fn next(notices: &mut Notices) -> Option<Notice> {
    tokio::time::timeout(PATIENCE, notices.next())
        .await
        .unwrap()
}

/// Makes an organization and tells of it.
async fn change(records: &Records, slug: &str, topic: Topic) {
    let tenant = TenantId::generate();
    let mut write = records.write(&Scope::Platform).await.unwrap();
    let values = [
        ("slug", Value::from(slug)),
        ("name", Value::from(slug)),
        ("settings", Value::from("{}")),
    ];
    let rows = ORGANIZATIONS.rows();
    write.insert(rows, tenant.id(), values).await.unwrap();
    write.notify(topic).await.unwrap();
    write.notify(topic).await.unwrap();
    let entry = entry("organization.create");
    write.commit(&Scope::Platform, &entry).await.unwrap();
}

async fn a_change_is_heard_once_it_is_committed(engine: &str) {
    let fresh = fresh(engine).await;
    let records = &fresh.records;
    let mut notices = records.notices();
    assert_eq!(next(&mut notices).await, Some(Notice::Anything));

    // Undone, and without a notice: neither is heard of.
    let mut write = records.write(&Scope::Platform).await.unwrap();
    write.notify(Topic::Organizations).await.unwrap();
    drop(write);
    organization(records, "silent").await.unwrap();

    change(records, "first", Topic::Revisions).await;
    assert_eq!(
        next(&mut notices).await,
        Some(Notice::Changed(Topic::Revisions))
    );
    change(records, "second", Topic::Organizations).await;
    let heard = next(&mut notices).await;
    assert_eq!(heard, Some(Notice::Changed(Topic::Organizations)));
}

async fn another_process_is_heard_as_well(engine: &str) {
    let fresh = fresh(engine).await;
    let mut notices = fresh.records.notices();
    assert_eq!(next(&mut notices).await, Some(Notice::Anything));
    // Shares nothing with the first but what a process of its own would.
    let other = Records::open(&fresh.options).unwrap();
    // A file says only that something was changed, and only to who looked before.
    let mut attempts = 0;
    let heard = loop {
        attempts += 1;
        change(&other, &format!("slug-{attempts}"), Topic::Revisions).await;
        match tokio::time::timeout(Duration::from_secs(2), notices.next()).await {
            Ok(heard) => break heard,
            Err(_) => assert!(attempts < 10),
        }
    };
    let expected = match engine {
        "sqlite" => Notice::Anything,
        _ => Notice::Changed(Topic::Revisions),
    };
    assert_eq!(heard, Some(expected));
}

async fn closed_records_end_the_notices(engine: &str) {
    let fresh = fresh(engine).await;
    let mut notices = fresh.records.notices();
    assert_eq!(next(&mut notices).await, Some(Notice::Anything));
    fresh.records.close().await;
    assert_eq!(next(&mut notices).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_went_and_came_back_has_everything_looked_at() {
    let server = Postgres::start(&["fsync=off"]);
    let mut options = Options::new(Address::Postgres(Secret::new(server.database())));
    options.acquire_timeout = Duration::from_secs(2);
    let records = Records::open(&options).unwrap();
    records.migrate().await.unwrap();
    let mut notices = records.notices();
    assert_eq!(next(&mut notices).await, Some(Notice::Anything));

    server.stop();
    assert_eq!(next(&mut notices).await, Some(Notice::Lost));
    server.resume();
    let mut heard = next(&mut notices).await;
    while heard == Some(Notice::Lost) {
        heard = next(&mut notices).await;
    }
    assert_eq!(heard, Some(Notice::Anything));
    change(&records, "after", Topic::Revisions).await;
    assert_eq!(
        next(&mut notices).await,
        Some(Notice::Changed(Topic::Revisions))
    );
}
