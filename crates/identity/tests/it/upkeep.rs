//! What is done now and then: nothing of it waits for anything else.

use std::time::Duration;

use tokio::net::TcpListener;
use weir_core::TenantId;
use weir_identity::{BuiltIn, MailTls, Options};
use weir_store::records::{PlatformTable, Value};

use crate::engines::{PASSWORD, built_in, fresh, fresh_with, on_both_engines, operator, options};
use crate::mail_server::Place;

on_both_engines! {
    what_fails_of_one_organization_keeps_no_other,
}

const PATIENCE: Duration = Duration::from_secs(30);

async fn what_fails_of_one_organization_keeps_no_other(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    // One that cannot be purged, since it has no chain: as a restore by hand might leave it.
    let broken = TenantId::generate();
    let organizations = PlatformTable::new("organizations").rows();
    let mut write = fresh.records.write_unaudited().await.unwrap();
    let values = [
        ("slug", Value::from("broken")),
        ("name", Value::from("broken")),
        ("settings", Value::from("{}")),
    ];
    write
        .insert(organizations, broken.id(), values)
        .await
        .unwrap();
    write.trash(organizations, broken.id(), None).await.unwrap();
    write.commit().await.unwrap();
    let acme = fresh.organization("acme").await;
    let user = fresh.user("zoe@a.example").await;
    identity
        .delete_organization(&operator(), &acme, None)
        .await
        .unwrap();
    identity
        .delete_user(&operator(), &user.id, None)
        .await
        .unwrap();
    let purged = identity.purge(&operator(), Duration::ZERO).await.unwrap();
    assert_eq!(
        (purged.organizations, purged.users, purged.failed),
        (1, 1, 1)
    );
    let purged = identity.purge(&operator(), Duration::ZERO).await.unwrap();
    assert_eq!((purged.organizations, purged.failed), (0, 1));
}

/// A mail server that takes connections and says nothing keeps no session from being written down.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_mail_server_delays_nothing_else() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut mail = Place::new(MailTls::None, None).options();
    mail.host = "127.0.0.1".to_owned();
    mail.port = silent.local_addr().unwrap().port();
    mail.timeout = Duration::from_secs(600);
    let options = Options {
        mail: Some(mail),
        ..options()
    };
    let fresh = fresh_with("sqlite", options).await;
    let acme = fresh.organization("acme").await;
    let viewer = built_in(BuiltIn::Viewer);
    fresh
        .identity
        .invite(&operator(), &acme, "x@a.example", &viewer)
        .await
        .unwrap();
    fresh.person("zoe@a.example").await;
    let session = fresh.signed_in("zoe@a.example", PASSWORD).await;
    let identity = fresh.identity.clone();
    let mut upkeep = tokio::task::JoinSet::new();
    upkeep.spawn(async move { identity.run().await });
    // From here on it waits for the server.
    let (connection, _) = silent.accept().await.unwrap();
    fresh.set_time("sessions", "last_seen_at", -60).await;
    let token = session.token.expose();
    assert!(fresh.identity.authenticate(token).await.unwrap().is_some());
    let sessions = PlatformTable::new("sessions").rows();
    let written = async {
        loop {
            let row = fresh.records.first(sessions.select()).await.unwrap();
            let row = row.unwrap();
            if row.int("last_seen_at").unwrap() > row.int("created_at").unwrap() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.unwrap();
    upkeep.shutdown().await;
    drop(connection);
}
