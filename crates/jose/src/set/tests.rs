//! Which keys a set has, and which of them a token means.

use super::*;
use crate::testing::{A1_KEY, A2_KEY, A3_KEY, ED25519_KEY, RFC_7638_KEY};

fn with(jwk: &str, member: &str) -> String {
    jwk.replacen('{', &format!("{{{member},"), 1)
}

fn named(jwk: &str, kid: &str) -> String {
    with(jwk, &format!(r#""kid":"{kid}""#))
}

fn json(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn parse(keys: &[&str]) -> (KeySet, Vec<Skipped>) {
    KeySet::parse(json(keys).as_bytes()).unwrap()
}

#[test]
fn what_is_unknown_is_skipped_and_told() {
    let (set, skipped) = parse(&[
        r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#,
        A3_KEY,
        "17",
        &with(A2_KEY, r#""use":"enc""#),
        A1_KEY,
        ED25519_KEY,
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
    ]);
    assert_eq!(set.keys().len(), 2);
    let told: Vec<_> = skipped.iter().map(|one| (one.index, one.fault)).collect();
    assert_eq!(
        told,
        [
            (0, KeyFault::Kind),
            (2, KeyFault::Json),
            (3, KeyFault::Use),
            (4, KeyFault::SecretPublished),
            (6, KeyFault::RsaModulus),
        ]
    );
}

#[test]
fn a_published_set_has_no_shared_secrets_and_a_configured_one_may() {
    assert!(parse(&[A1_KEY]).0.is_empty());
    let set = KeySet::new(vec![Key::from_jwk(A1_KEY.as_bytes()).unwrap()]).unwrap();
    assert!(set.find(None, Algorithm::Hs256).is_ok());
}

#[test]
fn a_set_is_bounded() {
    let one = r#"{"kty":"x"}"#;
    assert_eq!(parse(&[one; MOST_KEYS]).1.len(), MOST_KEYS);
    let many = json(&[one; MOST_KEYS + 1]);
    assert_eq!(
        KeySet::parse(many.as_bytes()).unwrap_err(),
        SetError::TooMany(MOST_KEYS + 1)
    );
    let long = format!("{}{}", json(&[]), " ".repeat(LONGEST_SET));
    assert_eq!(
        KeySet::parse(long.as_bytes()).unwrap_err(),
        SetError::TooLong(long.len())
    );
}

#[test]
fn what_is_no_set_is_refused() {
    for bad in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[]}x"#,
        "<html>",
    ] {
        let error = KeySet::parse(bad.as_bytes()).unwrap_err();
        assert!(matches!(error, SetError::Form(_)), "{bad}");
    }
    // An issuer that takes all keys back is believed.
    let (set, skipped) = parse(&[]);
    assert!(set.is_empty() && skipped.is_empty());
}

#[test]
fn a_key_is_found_by_its_kid_and_algorithm() {
    let (rsa, curve) = (named(A2_KEY, "one"), named(A3_KEY, "two"));
    let (set, _) = parse(&[&rsa, &curve, RFC_7638_KEY]);
    let found = |kid, algorithm| set.find(kid, algorithm).map(|key| key.id().to_string());
    let id = |jwk: &str| Ok(Key::from_jwk(jwk.as_bytes()).unwrap().id().to_string());
    assert_eq!(found(Some("one"), Algorithm::Rs256), id(A2_KEY));
    assert_eq!(
        found(Some("2011-04-29"), Algorithm::Rs256),
        id(RFC_7638_KEY)
    );
    assert_eq!(found(Some("two"), Algorithm::Es256), id(A3_KEY));
    assert_eq!(
        found(Some("two"), Algorithm::Rs256),
        Err(NotVerified::WrongAlgorithm)
    );
    assert_eq!(
        found(Some("one"), Algorithm::Ps256),
        Err(NotVerified::WrongAlgorithm)
    );
    assert_eq!(
        found(Some("three"), Algorithm::Rs256),
        Err(NotVerified::UnknownKey)
    );
    assert_eq!(
        found(Some(""), Algorithm::Rs256),
        Err(NotVerified::UnknownKey)
    );
    assert_eq!(
        found(Some("ONE"), Algorithm::Rs256),
        Err(NotVerified::UnknownKey)
    );
    // Without a kid there must be one only.
    assert_eq!(found(None, Algorithm::Es256), id(A3_KEY));
    assert_eq!(found(None, Algorithm::Rs256), Err(NotVerified::KeyNotNamed));
    assert_eq!(
        found(None, Algorithm::EdDsa),
        Err(NotVerified::WrongAlgorithm)
    );
}

#[test]
fn a_key_without_kid_stands_for_names_that_no_other_has() {
    let (set, _) = parse(&[&named(A3_KEY, "two"), A2_KEY]);
    assert!(set.find(Some("whatever"), Algorithm::Rs256).is_ok());
    assert_eq!(
        set.find(Some("whatever"), Algorithm::Es256).unwrap_err(),
        NotVerified::UnknownKey
    );
    assert_eq!(
        set.find(Some("two"), Algorithm::Rs256).unwrap_err(),
        NotVerified::WrongAlgorithm
    );
}

#[test]
fn keys_of_one_kid_are_used_only_if_their_algorithms_differ() {
    let (rsa, curve) = (named(A2_KEY, "one"), named(A3_KEY, "one"));
    let (set, skipped) = parse(&[&rsa, &curve]);
    assert!(skipped.is_empty());
    assert!(set.find(Some("one"), Algorithm::Rs256).is_ok());
    assert!(set.find(Some("one"), Algorithm::Es256).is_ok());

    let other = RFC_7638_KEY.replace("2011-04-29", "one");
    let (set, skipped) = parse(&[&rsa, &curve, &other]);
    assert!(set.find(Some("one"), Algorithm::Rs256).is_err());
    let told: Vec<_> = skipped.iter().map(|one| (one.index, one.fault)).collect();
    assert_eq!(told, [(0, KeyFault::SameKid), (2, KeyFault::SameKid)]);

    let keys = [&rsa, &other].map(|jwk| Key::from_jwk(jwk.as_bytes()).unwrap());
    let error = KeySet::new(keys.into()).unwrap_err();
    assert!(matches!(
        error,
        SetError::SameKid {
            algorithm: Algorithm::Rs256,
            ..
        }
    ));
}

#[test]
fn the_same_key_twice_is_one() {
    let rsa = named(A2_KEY, "one");
    let (set, skipped) = parse(&[&rsa, &rsa]);
    assert_eq!((set.keys().len(), skipped.len()), (1, 0));
    let keys = [&rsa, &rsa].map(|jwk| Key::from_jwk(jwk.as_bytes()).unwrap());
    assert_eq!(KeySet::new(keys.into()).unwrap().keys().len(), 1);
}
