//! What is signed is verified by the key that is published.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::set::KeySet;
use crate::token::{LONGEST_TOKEN, Token};

fn keys() -> [SigningKey; 3] {
    [
        SigningKey::generate_rsa(RsaBits::Bits2048).unwrap(),
        SigningKey::generate(Algorithm::Es256).unwrap(),
        SigningKey::generate(Algorithm::EdDsa).unwrap(),
    ]
}

#[test]
fn a_published_set_verifies_what_was_signed() {
    let signing = keys();
    let published =
        json!({ "keys": signing.iter().map(SigningKey::public_jwk).collect::<Vec<_>>() });
    let (set, skipped) = KeySet::parse(published.to_string().as_bytes()).unwrap();
    assert_eq!((set.keys().len(), skipped), (3, Vec::new()));
    let mut buffer = Vec::new();
    for key in &signing {
        let text = key.sign("at+jwt", br#"{"sub":"ada"}"#).unwrap();
        let token = Token::parse(&text, LONGEST_TOKEN, &mut buffer).unwrap();
        let kid = key.id().to_string();
        assert_eq!(token.header().kid.as_deref(), Some(kid.as_str()));
        assert_eq!(token.header().typ.as_deref(), Some("at+jwt"));
        let verified = token.verify(&set).unwrap();
        assert_eq!(verified.key(), key.id());
        assert_eq!(verified.claims().unwrap().subject(), Some("ada"));
    }
}

#[test]
fn a_kept_key_is_the_same_key() {
    for key in keys() {
        let kept = key.to_pkcs8().unwrap();
        let again = SigningKey::from_pkcs8(key.algorithm(), kept.expose()).unwrap();
        assert_eq!(again.id(), key.id());
        let signature = again.signature(b"message").unwrap();
        assert!(key.public_key().unwrap().verifies(b"message", &signature));
        assert_eq!(format!("{kept:?}"), "[redacted]");
        let others = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
        for other in others.into_iter().filter(|other| *other != key.algorithm()) {
            let refused = SigningKey::from_pkcs8(other, kept.expose());
            assert_eq!(refused.unwrap_err(), SigningError::Rejected);
        }
    }
}

#[test]
fn a_published_key_has_nothing_private() {
    for key in keys() {
        let jwk = key.public_jwk();
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(jwk.get(private).is_none());
        }
        assert_eq!(jwk["kid"], key.id().to_string());
        assert_eq!(jwk["use"], "sig");
        assert_eq!(jwk["alg"], key.algorithm().as_str());
        let shown = format!("{key:?}");
        assert_eq!(
            shown,
            format!("SigningKey({} {})", key.algorithm(), key.id())
        );
    }
}

#[test]
fn an_es256_signature_has_two_halves_of_fixed_length() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    for round in 0..64 {
        assert_eq!(key.signature(&[round]).unwrap().len(), 64);
    }
}

#[test]
fn an_rsa_key_has_the_length_that_was_asked_for() {
    let key = SigningKey::generate(Algorithm::Rs256).unwrap();
    assert_eq!(key.signature(b"").unwrap().len(), 3072 / 8);
}

#[test]
fn what_cannot_sign_is_refused() {
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::Ps256,
        Algorithm::Es384,
        Algorithm::Rs512,
    ] {
        assert_eq!(
            SigningKey::generate(algorithm).unwrap_err(),
            SigningError::Algorithm
        );
        let refused = SigningKey::from_pkcs8(algorithm, b"");
        assert_eq!(refused.unwrap_err(), SigningError::Algorithm);
    }
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let refused = SigningKey::from_pkcs8(algorithm, b"no key");
        assert_eq!(refused.unwrap_err(), SigningError::Rejected);
    }
}

#[test]
fn a_key_of_a_pem_file_signs_by_its_own_algorithm() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
        let key = SigningKey::generate(algorithm).unwrap();
        let pkcs8 = STANDARD.encode(key.to_pkcs8().unwrap().expose());
        let section =
            |kind: &str| format!("-----BEGIN {kind}-----\n{pkcs8}\n-----END {kind}-----\n");
        let read = SigningKey::from_pem(section("PRIVATE KEY").as_bytes()).unwrap();
        assert_eq!((read.id(), read.algorithm()), (key.id(), algorithm));
        for kind in ["PUBLIC KEY", "EC PRIVATE KEY", "CERTIFICATE"] {
            let rejected = SigningKey::from_pem(section(kind).as_bytes());
            assert!(rejected.is_err(), "{kind}");
        }
    }
    assert!(SigningKey::from_pem(b"").is_err());
}
