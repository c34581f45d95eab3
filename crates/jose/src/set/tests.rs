//! Which keys a set has, and which of them a token means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::testing::{
    A1_KEY, A2_KEY, A3_KEY, ED25519_KEY, GITHUB_BODY, GITHUB_KEY_ID, GITHUB_KEYS, GITHUB_SIGNATURE,
    RFC_7638_KEY,
};

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

#[test]
fn what_github_signed_is_verified_by_the_keys_that_it_publishes() {
    let (set, skipped) = KeySet::parse_github(GITHUB_KEYS.as_bytes()).unwrap();
    assert_eq!((set.keys().len(), skipped), (2, Vec::new()));
    let key = set.find(Some(GITHUB_KEY_ID), Algorithm::Es256).unwrap();
    let signature = STANDARD.decode(GITHUB_SIGNATURE).unwrap();
    let body = GITHUB_BODY.as_bytes();
    assert!(key.verifies_asn1(body, &signature));
    // Every other bit of body and signature, more of them, and the other key.
    for at in 0..8 * signature.len() {
        let mut other = signature.clone();
        other[at / 8] ^= 1 << (at % 8);
        assert!(!key.verifies_asn1(body, &other), "{at}");
    }
    let moved = GITHUB_BODY.replace("some_token", "some_taken");
    assert!(!key.verifies_asn1(moved.as_bytes(), &signature));
    assert!(!key.verifies_asn1(format!("{GITHUB_BODY}\n").as_bytes(), &signature));
    assert!(!key.verifies_asn1(body, &[&signature[..], b"0"].concat()));
    assert!(!key.verifies_asn1(body, &signature[..signature.len() - 1]));
    assert!(!set.keys()[0].verifies_asn1(body, &signature));
    // Neither do the two forms of a signature stand for each other.
    assert!(!key.verifies(body, &signature));
    let other_kinds = parse(&[A2_KEY, ED25519_KEY]).0;
    for key in other_kinds.keys() {
        assert!(!key.verifies_asn1(body, &signature));
    }
    assert_eq!(
        set.find(Some("unknown"), Algorithm::Es256).unwrap_err(),
        NotVerified::UnknownKey
    );
}

#[test]
fn keys_of_github_that_cannot_be_used_are_told() {
    let fault = |json: &str| KeySet::parse_github(json.as_bytes()).unwrap_err();
    for json in [
        "",
        "[]",
        r#"{"keys":[]}"#,
        r#"{"public_keys":{}}"#,
        r#"{"public_keys":[{"key":"x"}]}"#,
    ] {
        assert!(matches!(fault(json), SetError::GithubForm(_)), "{json}");
    }
    let many = vec![r#"{"key_identifier":"a","key":""}"#; MOST_KEYS + 1];
    assert!(matches!(
        fault(&format!(r#"{{"public_keys":[{}]}}"#, many.join(","))),
        SetError::TooMany(_)
    ));
    assert!(matches!(
        fault(&" ".repeat(LONGEST_SET + 1)),
        SetError::TooLong(_)
    ));
    // One name for two keys would let either sign for the other.
    let same = GITHUB_KEYS.replace(
        "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a",
        GITHUB_KEY_ID,
    );
    let (set, skipped) = KeySet::parse_github(same.as_bytes()).unwrap();
    assert!(set.is_empty());
    assert_eq!(skipped.len(), 2);
    let (set, skipped) =
        KeySet::parse_github(br#"{"public_keys":[{"key_identifier":"a","key":"no key"}]}"#)
            .unwrap();
    assert!(set.is_empty());
    assert_eq!(skipped[0].fault, KeyFault::Pem);
}
