//! Keys of issuers that answer, change, lie, stall and die.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_issuers::{Form, Issuers, Options, Settings, Source};
use weir_jose::remote::{Asked, Freshness, RemoteKeys};
use weir_jose::{Algorithm, LONGEST_SET, SigningKey};
use weir_outbound::Reach;

use crate::server::{Server, plain};

/// A key as GitHub publishes it.
const GITHUB_KEYS: &str = r#"{"public_keys":[{"key_identifier":"a1","key":"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\nkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n","is_current":true}]}"#;

fn issuers(data: &Path) -> Issuers {
    let data = data.to_owned();
    Issuers::run(Options { data }).unwrap()
}

fn settings(source: Source) -> Settings {
    Settings {
        reach: Reach::Public {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
        },
        ..Settings::new(source)
    }
}

fn set(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    json!({ "keys": keys }).to_string()
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap()
}

/// A server with these keys at `/jwks`, and who follows it.
fn followed(data: &Path, keys: &[&SigningKey]) -> (Server, Issuers, Settings, RemoteKeys) {
    let server = Server::start();
    server.answer("/jwks", Some(plain("200 OK", &set(keys))));
    let settings = settings(Source::Keys(server.url("/jwks")));
    let issuers = issuers(data);
    let keys = issuers.follow(&settings);
    (server, issuers, settings, keys)
}

async fn fault(answer: Option<String>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.answer("/jwks", answer);
    let settings = Settings {
        timeout: Duration::from_millis(300),
        ..settings(Source::Keys(server.url("/jwks")))
    };
    let issuers = issuers(directory.path());
    let keys = issuers.follow(&settings);
    let view = keys.first().await;
    assert_eq!(view.freshness(), Freshness::Never);
    view.lost.clone().unwrap().error
}

#[tokio::test]
async fn the_keys_of_a_url_are_followed_once_for_all_who_ask() {
    let directory = tempfile::tempdir().unwrap();
    let key = key();
    let (server, issuers, settings, keys) = followed(directory.path(), &[&key]);
    let view = keys.first().await;
    assert_eq!(view.freshness(), Freshness::Fresh);
    assert!(view.keys.as_ref().unwrap().set.contains(key.id()));
    let same = issuers.follow(&settings);
    assert!(same.keys().is_some());
    assert_eq!(server.count("/jwks"), 1);
    let status = &issuers.status()[0];
    assert_eq!((status.keys, status.fetches, status.failures), (1, 1, 0));
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (key(), key());
    let (server, _issuers, _, keys) = followed(directory.path(), &[&old]);
    keys.first().await;
    server.answer("/jwks", Some(plain("200 OK", &set(&[&old, &new]))));
    let Asked::Newer(published) = keys.ask_again(1, Instant::now()).await else {
        panic!("the new key was not found");
    };
    assert!(published.set.contains(new.id()) && published.set.contains(old.id()));
    // A key that is taken back is gone with the next look.
    let later = Instant::now() + Duration::from_secs(31);
    server.answer("/jwks", Some(plain("200 OK", &set(&[&new]))));
    let Asked::Newer(published) = keys.ask_again(2, later).await else {
        panic!("the removal was not found");
    };
    assert!(!published.set.contains(old.id()));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_request() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _issuers, _, keys) = followed(directory.path(), &[&key()]);
    keys.first().await;
    let now = Instant::now();
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..2000 {
        let keys = keys.clone();
        flood.spawn(async move { keys.ask_again(1, now).await });
    }
    while let Some(asked) = flood.join_next().await {
        assert!(matches!(asked.unwrap(), Asked::Same));
    }
    assert_eq!(server.count("/jwks"), 2);
}

#[tokio::test]
async fn an_issuer_that_dies_leaves_its_keys_also_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let key = key();
    let (server, first, settings, keys) = followed(directory.path(), &[&key]);
    keys.first().await;
    server.answer("/jwks", Some(plain("503 Service Unavailable", "")));
    assert!(matches!(
        keys.ask_again(1, Instant::now()).await,
        Asked::Unreachable
    ));
    assert_eq!(keys.freshness(), Freshness::Stale);
    assert!(keys.keys().unwrap().set.contains(key.id()));
    tokio::task::spawn_blocking(move || first.stop())
        .await
        .unwrap();

    let second = issuers(directory.path());
    let keys = second.follow(&settings);
    assert!(keys.keys().unwrap().set.contains(key.id()), "there at once");
    assert!(matches!(
        keys.ask_again(1, Instant::now()).await,
        Asked::Unreachable
    ));
    server.answer("/jwks", Some(plain("200 OK", &set(&[&key]))));
    let later = Instant::now() + Duration::from_secs(31);
    assert!(matches!(keys.ask_again(1, later).await, Asked::Same));
    assert_eq!(keys.freshness(), Freshness::Fresh);
}

#[tokio::test]
async fn keys_that_are_too_old_are_not_used_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.answer("/jwks", Some(plain("200 OK", &set(&[&key()]))));
    let settings = Settings {
        stale: Duration::ZERO,
        ..settings(Source::Keys(server.url("/jwks")))
    };
    let issuers = issuers(directory.path());
    let keys = issuers.follow(&settings);
    assert!(keys.first().await.keys.is_some());
    server.answer("/jwks", Some(plain("500 Internal Server Error", "")));
    assert!(matches!(
        keys.ask_again(1, Instant::now()).await,
        Asked::Unreachable
    ));
    assert_eq!(keys.freshness(), Freshness::Never);
}

#[tokio::test]
async fn a_key_that_is_taken_back_goes_in_the_operators_time_whatever_the_answer_says() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (key(), key());
    let lasting = |keys: &[&SigningKey]| {
        let answer = plain("200 OK", &set(keys));
        answer.replacen("\r\n", "\r\ncache-control: max-age=86400\r\n", 1)
    };
    let server = Server::start();
    server.answer("/jwks", Some(lasting(&[&old])));
    let settings = Settings {
        refresh: Duration::from_millis(200),
        ..settings(Source::Keys(server.url("/jwks")))
    };
    let issuers = issuers(directory.path());
    let keys = issuers.follow(&settings);
    let published = keys.first().await.keys.clone().unwrap();
    assert!(published.set.contains(old.id()));
    server.answer("/jwks", Some(lasting(&[&new])));
    let asked = server.count("/jwks");
    let begun = Instant::now();
    // Nobody asks for it: it is only looked at.
    while server.count("/jwks") < asked + 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody looks");
        tokio::task::yield_now().await;
    }
    let published = keys.keys().unwrap();
    assert!(published.set.contains(new.id()) && !published.set.contains(old.id()));
}

#[tokio::test]
async fn an_issuer_alone_leads_to_its_keys() {
    let directory = tempfile::tempdir().unwrap();
    let issuers = issuers(directory.path());
    for well_known in [
        "/tenants/a/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/tenants/a",
    ] {
        let (server, key) = (Server::start(), key());
        let issuer = server.url("/tenants/a");
        let metadata = json!({ "issuer": issuer, "jwks_uri": server.url("/jwks") });
        server.answer(well_known, Some(plain("200 OK", &metadata.to_string())));
        server.answer("/jwks", Some(plain("200 OK", &set(&[&key]))));
        let keys = issuers.follow(&settings(Source::Issuer(issuer)));
        let view = keys.first().await;
        assert!(
            view.keys.as_ref().unwrap().set.contains(key.id()),
            "{well_known}"
        );
        // The metadata are good for the next look as well.
        keys.ask_again(1, Instant::now()).await;
        assert_eq!((server.count(well_known), server.count("/jwks")), (1, 2));
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let metadata = json!({ "issuer": server.url("/"), "jwks_uri": server.url("/jwks") });
    let well_known = "/.well-known/openid-configuration";
    server.answer(well_known, Some(plain("200 OK", &metadata.to_string())));
    server.answer("/jwks", Some(plain("200 OK", &set(&[&key()]))));
    let issuers = issuers(directory.path());
    let view = issuers
        .follow(&settings(Source::Issuer(server.url(""))))
        .first()
        .await;
    let error = view.lost.clone().unwrap().error;
    assert!(error.contains("another issuer"), "{error}");
    assert_eq!(server.count("/jwks"), 0);
}

#[tokio::test]
async fn answers_that_cannot_be_used_are_told() {
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert!(
        fault(Some(moved.into()))
            .await
            .contains("redirects are not followed")
    );
    assert!(
        fault(Some(plain("500 Internal Server Error", "")))
            .await
            .contains("500")
    );
    assert!(
        fault(Some(plain("200 OK", "<html>")))
            .await
            .contains("not a JSON object")
    );
    let huge = " ".repeat(LONGEST_SET + 1);
    assert!(
        fault(Some(plain("200 OK", &huge)))
            .await
            .contains("larger than")
    );
    assert!(
        fault(Some("SSH-2.0-x\r\n".into()))
            .await
            .contains("exchange failed")
    );
    // Neither a silent issuer nor one that stops in the middle is waited for.
    assert!(fault(None).await.contains("no answer within"));
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"keys\"";
    let error = fault(Some(half.into())).await;
    assert!(error.contains("exchange failed"), "{error}");
}

#[tokio::test]
async fn private_addresses_are_refused_unless_they_are_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.answer("/jwks", Some(plain("200 OK", &set(&[&key()]))));
    let issuers = issuers(directory.path());
    for url in [
        server.url("/jwks"),
        server.url("/jwks").replace("127.0.0.1", "localhost"),
    ] {
        let keys = issuers.follow(&Settings::new(Source::Keys(url)));
        let view = keys.first().await;
        let error = view.lost.clone().unwrap().error;
        assert!(error.contains("may not be reached"), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_file_is_looked_at_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let (old, new) = (key(), key());
    std::fs::write(&path, set(&[&old])).unwrap();
    let issuers = issuers(directory.path());
    let keys = issuers.follow(&Settings::new(Source::File(path.clone())));
    assert!(
        keys.first()
            .await
            .keys
            .as_ref()
            .unwrap()
            .set
            .contains(old.id())
    );
    std::fs::write(&path, set(&[&new])).unwrap();
    let Asked::Newer(published) = keys.ask_again(1, Instant::now()).await else {
        panic!("the change was not seen");
    };
    assert!(published.set.contains(new.id()) && !published.set.contains(old.id()));
    std::fs::remove_file(&path).unwrap();
    let later = Instant::now() + Duration::from_secs(31);
    assert!(matches!(keys.ask_again(2, later).await, Asked::Unreachable));
    assert!(keys.keys().is_some());
    // What is no file is not opened: a pipe would be waited for.
    let directory_as_file = Settings::new(Source::File(directory.path().to_owned()));
    let view = issuers.follow(&directory_as_file).first().await;
    assert!(
        view.lost
            .clone()
            .unwrap()
            .error
            .contains("not a regular file")
    );
}

#[tokio::test]
async fn who_is_not_followed_any_more_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, issuers, _settings, keys) = followed(directory.path(), &[&key()]);
    keys.first().await;
    let kept = directory.path().join("issuers");
    let flush = |issuers: Issuers| tokio::task::spawn_blocking(move || issuers.stop());
    issuers.retain(&[]);
    assert!(issuers.status().is_empty());
    flush(issuers).await.unwrap();
    assert_eq!(std::fs::read_dir(kept).map_or(0, Iterator::count), 0);
    assert!(matches!(
        keys.ask_again(1, Instant::now()).await,
        Asked::Unreachable
    ));
}

#[tokio::test]
async fn keys_in_the_form_of_github_are_followed_and_kept_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    server.answer("/keys", Some(plain("200 OK", GITHUB_KEYS)));
    let github = Settings {
        form: Form::Github,
        ..settings(Source::Keys(server.url("/keys")))
    };
    let first = issuers(directory.path());
    let keys = first.follow(&github);
    let view = keys.first().await;
    let set = &view.keys.as_ref().unwrap().set;
    assert_eq!(set.keys()[0].kid().unwrap().as_ref(), "a1");
    // Who takes the same place for a JWK set shares nothing with it.
    let as_set = settings(Source::Keys(server.url("/keys")));
    let view = first.follow(&as_set).first().await;
    let error = view.lost.clone().unwrap().error;
    assert!(error.contains("the array keys"), "{error}");
    tokio::task::spawn_blocking(move || first.stop())
        .await
        .unwrap();

    server.answer("/keys", Some(plain("403 Forbidden", "")));
    let second = issuers(directory.path());
    let keys = second.follow(&github);
    assert!(keys.keys().is_some(), "there at once");
    assert!(second.follow(&as_set).keys().is_none());
}
