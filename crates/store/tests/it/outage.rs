//! The engine goes and comes back.

use std::time::{Duration, Instant};

use weir_core::Secret;
use weir_store::records::{Address, Options, Scope};
use weir_store::{Error, Records};
use weir_testkit::Postgres;

use crate::engines::{ORGANIZATIONS, entry, organization};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_said_to_be_and_found_again() {
    let server = Postgres::start(&["fsync=off"]);
    let mut options = Options::new(Address::Postgres(Secret::new(server.database())));
    options.acquire_timeout = Duration::from_secs(2);
    let records = Records::open(&options).unwrap();
    records.migrate().await.unwrap();
    organization(&records, "before").await.unwrap();
    let write = records.write(&Scope::Platform).await.unwrap();

    server.stop();
    // What was under way did not happen, and is not said to have.
    let failed = write
        .commit(&Scope::Platform, &entry("organization.update"))
        .await;
    assert!(
        matches!(failed, Err(Error::Unavailable(_) | Error::Unknown(_))),
        "{failed:?}"
    );
    let begin = Instant::now();
    let failed = records.all(ORGANIZATIONS.rows().select()).await;
    let error = failed.err().unwrap();
    assert!(error.is_temporary(), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(
        organization(&records, "during")
            .await
            .unwrap_err()
            .is_temporary()
    );

    server.resume();
    organization(&records, "after").await.unwrap();
    let found = records
        .all(ORGANIZATIONS.rows().select().order(["created_at", "id"]))
        .await
        .unwrap();
    let slugs: Vec<_> = found.iter().map(|row| row.text("slug").unwrap()).collect();
    assert_eq!(slugs, ["before", "after"]);
    assert!(
        records
            .verify_audit(&Scope::Platform, |_| ())
            .await
            .unwrap()
            .is_ok()
    );
}

#[tokio::test]
async fn a_server_that_was_never_there_does_not_hinder_opening() {
    let port = weir_testkit::free_port();
    let url = format!("postgres://weir:canary-4d1f@127.0.0.1:{port}/weir");
    let mut options = Options::new(Address::Postgres(Secret::new(url)));
    options.acquire_timeout = Duration::from_millis(500);
    let records = Records::open(&options).unwrap();
    let error = records.migrate().await.unwrap_err();
    assert!(error.is_temporary());
    assert!(!format!("{error} {error:?} {options:?} {records:?}").contains("canary"));
}

#[test]
fn what_is_no_address_is_told_without_its_password() {
    for url in [
        "mysql://u:canary-4d1f@h/d",
        "postgres://u:canary-4d1f@h:port/d",
        "canary-4d1f",
    ] {
        let error = Address::Postgres(Secret::new(url.to_owned()))
            .check()
            .unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
}
