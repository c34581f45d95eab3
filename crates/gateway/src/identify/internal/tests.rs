use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use weir_config::model::ClaimPath;
use weir_core::principal::Method;
use weir_jose::{Algorithm, Expected, Kind, LONGEST_TOKEN, NotVerified, Token};

use super::*;
use crate::identify::known::Known;

fn model() -> InternalToken {
    InternalToken {
        header: HeaderName::from_static("weir-identity"),
        audiences: vec!["orders".to_owned()],
        lifetime: Duration::from_secs(60),
        claims: vec![ClaimPath::top("email"), ClaimPath::top("none")],
        issuer: None,
        key: None,
    }
}

fn principal() -> Principal {
    let claims = json!({"email": "ada@acme.example", "iss": "https://elsewhere.test"});
    Principal {
        method: Method::Token,
        issuer: Some("https://issuer.test".into()),
        subject: "ada".into(),
        organization: None,
        scopes: vec!["a".into(), "b".into()],
        roles: Vec::new(),
        claims: claims.as_object().cloned().unwrap(),
    }
}

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(Algorithm::EdDsa).unwrap())
}

fn signer(key: &Arc<SigningKey>) -> Signer {
    let signer = Signer::default();
    signer.set(Arc::clone(key), "https://weir.test");
    signer
}

fn claims(value: &HeaderValue) -> Value {
    let payload = value.to_str().unwrap().split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[test]
fn a_token_says_who_calls_whom_and_for_how_long() {
    let (key, minter) = (key(), Minter::compile(&Arc::new(model()), Some("acme")));
    let known = Known::new(principal(), 10_000, None);
    let value = known
        .token(&minter, &signer(&key), u64::MAX, 1_000)
        .unwrap();
    let mut said = claims(&value);
    assert!(said["jti"].as_str().unwrap().starts_with("jti_"));
    said["jti"] = Value::Null;
    assert_eq!(
        said,
        json!({
            "iss": "https://weir.test", "sub": "ada", "aud": "orders", "iat": 1_000, "exp": 1_060, "jti": null,
            "method": "token", "tenant": "acme", "scope": "a b",
            "sub_id": {"format": "iss_sub", "iss": "https://issuer.test", "sub": "ada"},
            "claims": {"email": "ada@acme.example"},
        })
    );
    assert!(value.is_sensitive());
    // It is nothing that lets anybody in where access tokens do.
    let mut buffer = Vec::new();
    let token = Token::parse(value.to_str().unwrap(), LONGEST_TOKEN, &mut buffer).unwrap();
    let keys = json!({"keys": [key.public_jwk()]}).to_string();
    let (keys, _) = weir_jose::KeySet::parse(keys.as_bytes()).unwrap();
    let verified = token.verify(&keys).unwrap();
    let all = verified.claims().unwrap();
    for kind in [Kind::AccessToken, Kind::StrictAccessToken] {
        let expected = Expected {
            kind,
            ..Expected::access_token("https://weir.test", "orders")
        };
        assert!(expected.judge(verified.header(), &all, 1_000).is_err());
    }
    let others = json!({"keys": [self::key().public_jwk()]}).to_string();
    let (others, _) = weir_jose::KeySet::parse(others.as_bytes()).unwrap();
    assert_eq!(token.verify(&others).err(), Some(NotVerified::UnknownKey));
}

#[test]
fn one_is_made_for_each_credential_and_sent_for_two_thirds_of_its_lifetime() {
    let (signer, minter) = (signer(&key()), Minter::compile(&Arc::new(model()), None));
    let known = Known::new(principal(), 10_000, None);
    let token = |now| known.token(&minter, &signer, u64::MAX, now).unwrap();
    let first = token(1_000);
    assert_eq!(token(1_039), first);
    let second = token(1_040);
    assert_ne!(second, first);
    assert_eq!(claims(&second)["exp"], 1_100);
    let other = Known::new(principal(), 10_000, None);
    assert_ne!(
        other.token(&minter, &signer, u64::MAX, 1_040).unwrap(),
        second
    );
}

#[test]
fn none_outlives_the_credential() {
    let (signer, minter) = (signer(&key()), Minter::compile(&Arc::new(model()), None));
    let known = Known::new(principal(), 1_010, None);
    let token = known.token(&minter, &signer, u64::MAX, 1_000).unwrap();
    assert_eq!(claims(&token)["exp"], 1_010);
    assert_eq!(
        known.token(&minter, &signer, u64::MAX, 1_009).unwrap(),
        token
    );
}

#[test]
fn none_outlives_a_credential_beside() {
    let (signer, minter) = (signer(&key()), Minter::compile(&Arc::new(model()), None));
    let known = Known::new(principal(), 10_000, None);
    let ends_at =
        |most| claims(&known.token(&minter, &signer, most, 1_000).unwrap())["exp"].clone();
    assert_eq!(ends_at(u64::MAX), 1_060);
    assert_eq!(ends_at(1_020), 1_020, "what is kept would outlive it");
    assert_eq!(ends_at(1_010), 1_010);
}

#[test]
fn it_is_bound_to_audience_and_tenant() {
    let (signer, known) = (signer(&key()), Known::new(principal(), 10_000, None));
    let orders = Arc::new(model());
    let billing = Arc::new(InternalToken {
        audiences: vec!["billing".to_owned()],
        ..model()
    });
    let minters = [
        Minter::compile(&orders, None),
        Minter::compile(&orders, Some("acme")),
        Minter::compile(&orders, Some("zoo")),
        Minter::compile(&billing, None),
    ];
    let tokens = minters
        .iter()
        .map(|minter| known.token(minter, &signer, u64::MAX, 1_000).unwrap());
    let tokens: Vec<_> = tokens.collect();
    for (at, (minter, token)) in minters.iter().zip(&tokens).enumerate() {
        assert_eq!(
            known.token(minter, &signer, u64::MAX, 1_001).unwrap(),
            *token
        );
        assert!(!tokens[..at].contains(token));
        let said = claims(token);
        assert_eq!(said["aud"], json!(minter.model.audiences[0]));
        assert_eq!(said["tenant"], json!(minter.tenant));
    }
}

#[test]
fn a_key_that_signs_no_more_is_not_relied_on_and_without_one_nothing_is_sent() {
    let minter = Minter::compile(&Arc::new(model()), None);
    let (signer, known) = (signer(&key()), Known::new(principal(), 10_000, None));
    let first = known.token(&minter, &signer, u64::MAX, 1_000).unwrap();
    signer.set(key(), "https://weir.test");
    assert_ne!(
        known.token(&minter, &signer, u64::MAX, 1_001).unwrap(),
        first
    );
    signer.clear();
    assert!(known.token(&minter, &signer, u64::MAX, 1_002).is_err());
    let own = Minter::compile(
        &Arc::new(InternalToken {
            key: Some(key()),
            ..model()
        }),
        None,
    );
    let token = known.token(&own, &signer, u64::MAX, 1_002).unwrap();
    assert_eq!(claims(&token)["iss"], "weir");
}

#[test]
fn a_token_that_no_server_would_take_is_not_sent() {
    let minter = Minter::compile(&Arc::new(model()), None);
    let mut principal = principal();
    principal
        .claims
        .insert("email".to_owned(), json!("x".repeat(LONGEST)));
    let known: Rc<Known> = Known::new(principal, 10_000, None);
    assert!(
        known
            .token(&minter, &signer(&key()), u64::MAX, 1_000)
            .is_err()
    );
}

#[test]
fn tokens_of_routes_that_are_gone_are_not_kept() {
    let (signer, known) = (signer(&key()), Known::new(principal(), 10_000, None));
    for number in 0..100 {
        let minter = Minter::compile(&Arc::new(model()), None);
        known
            .token(&minter, &signer, u64::MAX, 1_000 + number)
            .unwrap();
    }
    assert!(known.tokens() <= 16, "{}", known.tokens());
}
