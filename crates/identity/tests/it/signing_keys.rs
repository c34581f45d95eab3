//! Keys that sign tokens: one takes the place of another without a token that is refused.

use std::time::Duration;

use jiff::Timestamp;
use weir_core::{Secret, TenantId};
use weir_identity::{
    Error, Identity, Issued, Options, Rotation, SigningAlgorithm, Stage, TokenOptions, Wanted,
};

use crate::engines::{
    Fresh, PASSWORD, client, fresh, fresh_with, on_both_engines, operator, options,
};

on_both_engines! {
    a_key_is_there_from_the_beginning,
    a_rotation_refuses_no_token,
    a_key_that_may_be_known_to_others_is_out_at_once,
    another_algorithm_takes_the_place_of_the_one_before,
    one_of_many_nodes_rotates,
    the_set_stays_while_records_are_away,
}

async fn issued(fresh: &Fresh) -> Issued {
    let token = fresh.signed_in("zoe@a.example", PASSWORD).await.token;
    let who = fresh.identity.authenticate(token.expose()).await;
    let wanted = Wanted {
        audience: "https://api.example".to_owned(),
        client_id: "weir".to_owned(),
        ..Wanted::default()
    };
    let who = who.unwrap().unwrap();
    fresh.identity.issue(&client(), &who, wanted).await.unwrap()
}

fn is_good(identity: &Identity, token: &Secret<String>) -> bool {
    identity
        .verify_access(token.expose(), Timestamp::now())
        .is_some()
}

async fn stages(identity: &Identity) -> Vec<Stage> {
    let keys = identity.signing_keys().await.unwrap();
    keys.into_iter().map(|key| key.stage).collect()
}

fn published(identity: &Identity) -> usize {
    identity.published_keys().unwrap().set.keys().len()
}

/// Has all times of keys be so much earlier, as if time had passed.
async fn pass(fresh: &Fresh, seconds: i64) {
    let rows = weir_store::records::PlatformTable::new("signing_keys").rows();
    for row in fresh.records.all(rows.select()).await.unwrap() {
        let mut write = fresh.records.write_unaudited().await.unwrap();
        for column in ["created_at", "active_from", "retired_at", "removed_at"] {
            if let Some(time) = row.optional_int(column).unwrap() {
                let earlier = weir_store::records::Value::from(time - seconds * 1_000_000);
                let id = row.id("id").unwrap();
                write
                    .update(rows, &id, None, [(column, earlier)])
                    .await
                    .unwrap();
            }
        }
        write.commit().await.unwrap();
    }
    fresh.identity.refresh_credentials().await.unwrap();
}

async fn a_key_is_there_from_the_beginning(engine: &str) {
    let fresh = fresh(engine).await;
    let keys = fresh.identity.signing_keys().await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (keys[0].stage, keys[0].algorithm.as_str()),
        (Stage::Active, "ES256")
    );
    let published = fresh.identity.published_keys().unwrap();
    assert!(published.document.contains(&keys[0].kid));
    assert!(!published.document.contains("\"d\""));
    // Another node begins with the same.
    let other = Identity::new(fresh.records.clone(), options()).unwrap();
    assert!(other.published_keys().is_none());
    other.prepare().await.unwrap();
    let others = other.published_keys().unwrap();
    assert_eq!(
        (&others.document, &others.etag),
        (&published.document, &published.etag)
    );
}

async fn a_rotation_refuses_no_token(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let before = issued(&fresh).await;
    let etag = identity.published_keys().unwrap().etag;
    let next = identity
        .rotate_signing_key(&operator(), Rotation::Soon)
        .await
        .unwrap();
    assert_eq!(next.stage, Stage::Next);
    assert_ne!(identity.published_keys().unwrap().etag, etag);
    assert_eq!(stages(identity).await, [Stage::Next, Stage::Active]);
    assert_eq!(published(identity), 2, "it is published before it signs");
    let twice = identity
        .rotate_signing_key(&operator(), Rotation::Soon)
        .await;
    assert!(matches!(twice, Err(Error::Conflict(_))));
    let meanwhile = issued(&fresh).await;
    let kid = |issued: &Issued| kid_of(issued.access_token.expose());
    assert_eq!(kid(&meanwhile), kid(&before));

    pass(&fresh, 901).await;
    assert_eq!(stages(identity).await, [Stage::Active, Stage::Retired]);
    let after = issued(&fresh).await;
    assert_eq!(kid(&after), next.kid);
    for issued in [&before, &meanwhile, &after] {
        assert!(is_good(identity, &issued.access_token));
    }
    // As long as something that the former one signed can be good.
    pass(&fresh, 3_600).await;
    assert_eq!(published(identity), 2);
    pass(&fresh, 61).await;
    assert_eq!(published(identity), 1);
    assert!(!is_good(identity, &before.access_token));
    assert!(is_good(identity, &after.access_token));
}

async fn a_key_that_may_be_known_to_others_is_out_at_once(engine: &str) {
    let fresh = fresh(engine).await;
    let identity = &fresh.identity;
    fresh.person("zoe@a.example").await;
    let before = issued(&fresh).await;
    let kid = kid_of(before.access_token.expose());
    let other = Identity::new(fresh.records.clone(), options()).unwrap();
    other.prepare().await.unwrap();
    assert!(is_good(&other, &before.access_token));
    identity
        .revoke_signing_key(&operator(), &kid)
        .await
        .unwrap();
    assert!(!is_good(identity, &before.access_token));
    other.refresh_credentials().await.unwrap();
    assert!(!is_good(&other, &before.access_token));
    let stages = stages(identity).await;
    assert_eq!(
        stages
            .iter()
            .filter(|stage| **stage == Stage::Active)
            .count(),
        1
    );
    assert!(stages.contains(&Stage::Revoked));
    // What it has signed is exchanged for what is good.
    let next = identity
        .refresh(&client(), &before.refresh_token, None)
        .await
        .unwrap();
    assert!(is_good(identity, &next.access_token) && is_good(&other, &next.access_token));
    for (kid, is_missing) in [(kid.as_str(), false), ("nobodys", true)] {
        let again = identity
            .revoke_signing_key(&operator(), kid)
            .await
            .unwrap_err();
        assert_eq!(matches!(again, Error::Missing(_)), is_missing, "{again}");
    }
    // The next one is out: the one that signs stays.
    let next = identity
        .rotate_signing_key(&operator(), Rotation::Soon)
        .await
        .unwrap();
    identity
        .revoke_signing_key(&operator(), &next.kid)
        .await
        .unwrap();
    pass(&fresh, 10_000).await;
    let signed = identity
        .refresh(&client(), &before.refresh_token, None)
        .await
        .unwrap();
    assert!(is_good(identity, &signed.access_token));
    let actions = fresh.actions_latest(&TenantId::platform()).await;
    assert!(actions.contains(&"signing_key.revoke".to_owned()));
    let rows = weir_store::records::PlatformTable::new("signing_keys").rows();
    for row in fresh.records.all(rows.select()).await.unwrap() {
        let is_revoked = row.optional_int("revoked_at").unwrap().is_some();
        assert_eq!(
            is_revoked,
            row.optional_bytes("sealed_key").unwrap().is_none()
        );
    }
}

fn with_algorithm(algorithm: SigningAlgorithm) -> Options {
    Options {
        tokens: TokenOptions {
            algorithm,
            ..TokenOptions::default()
        },
        ..options()
    }
}

async fn another_algorithm_takes_the_place_of_the_one_before(engine: &str) {
    let fresh = fresh_with(engine, with_algorithm(SigningAlgorithm::EdDsa)).await;
    fresh.person("zoe@a.example").await;
    let first = issued(&fresh).await;
    for algorithm in SigningAlgorithm::ALL {
        let node = Identity::new(fresh.records.clone(), with_algorithm(algorithm)).unwrap();
        node.prepare().await.unwrap();
        pass(&fresh, 901).await;
        node.refresh_credentials().await.unwrap();
        let keys = node.signing_keys().await.unwrap();
        let active = keys.iter().find(|key| key.stage == Stage::Active).unwrap();
        assert_eq!(active.algorithm, algorithm.as_str());
        let next = node
            .refresh(&client(), &first.refresh_token, None)
            .await
            .unwrap();
        assert_eq!(kid_of(next.access_token.expose()), active.kid);
        assert!(is_good(&node, &next.access_token));
        assert!(is_good(&node, &first.access_token));
    }
}

async fn one_of_many_nodes_rotates(engine: &str) {
    let often = Options {
        tokens: TokenOptions {
            rotate_every: Duration::from_secs(86_400),
            ..TokenOptions::default()
        },
        ..options()
    };
    let fresh = fresh_with(engine, often.clone()).await;
    pass(&fresh, 86_400 - 901).await;
    fresh.identity.prepare().await.unwrap();
    assert_eq!(stages(&fresh.identity).await, [Stage::Active]);
    pass(&fresh, 2).await;
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let node = Identity::new(fresh.records.clone(), often.clone()).unwrap();
        nodes.spawn(async move { node.prepare().await.unwrap() });
    }
    nodes.join_all().await;
    assert_eq!(stages(&fresh.identity).await, [Stage::Next, Stage::Active]);
}

async fn the_set_stays_while_records_are_away(engine: &str) {
    let fresh = fresh(engine).await;
    fresh.person("zoe@a.example").await;
    let issued = issued(&fresh).await;
    let document = fresh.identity.published_keys().unwrap().document;
    fresh.records.close().await;
    assert!(fresh.identity.refresh_credentials().await.is_err());
    assert_eq!(fresh.identity.published_keys().unwrap().document, document);
    assert!(is_good(&fresh.identity, &issued.access_token));
}

/// The key that a token names.
fn kid_of(token: &str) -> String {
    let mut buffer = Vec::new();
    let token = weir_jose::Token::parse(token, weir_jose::LONGEST_TOKEN, &mut buffer).unwrap();
    token.header().kid.as_deref().unwrap().to_owned()
}
