use super::*;
use crate::signer::SigningKey;

fn public(algorithm: Algorithm) -> String {
    String::from_utf8(SigningKey::generate(algorithm).unwrap().public().unwrap()).unwrap()
}

fn error(algorithm: Algorithm, pem: &str) -> Option<KeyError> {
    VerifyingKey::from_pem(algorithm, pem).err()
}

#[test]
fn a_key_is_of_its_own_kind_only() {
    let kinds = [
        Algorithm::Ed25519,
        Algorithm::EcdsaP256Sha256,
        Algorithm::EcdsaP384Sha384,
        Algorithm::RsaPssSha512,
    ];
    for own in kinds {
        let pem = public(own);
        for other in kinds {
            let expected = (own != other).then_some(KeyError::WrongKind(other));
            assert_eq!(error(other, &pem), expected, "{own} as {other}");
        }
        assert_eq!(
            error(Algorithm::HmacSha256, &pem),
            Some(KeyError::SecretAsPem)
        );
    }
}

#[test]
fn what_is_no_public_key_is_told_with_what_to_do() {
    let block = |name: &str| format!("-----BEGIN {name}-----\nAAAA\n-----END {name}-----\n");
    let two = public(Algorithm::Ed25519).repeat(2);
    let cases = [
        (String::new(), KeyError::NotPem),
        ("ssh-ed25519 AAAA".into(), KeyError::NotPem),
        ("-----BEGIN PUBLIC KEY-----\nAAAA".into(), KeyError::NotPem),
        (block("PUBLIC KEY"), KeyError::WrongKind(Algorithm::Ed25519)),
        (block("PRIVATE KEY"), KeyError::Private),
        (block("RSA PRIVATE KEY"), KeyError::Private),
        (block("RSA PUBLIC KEY"), KeyError::Pkcs1),
        (block("CERTIFICATE"), KeyError::Certificate),
        (two, KeyError::Several),
    ];
    for (pem, expected) in cases {
        assert_eq!(error(Algorithm::Ed25519, &pem), Some(expected), "{pem}");
    }
}

/// Made with `openssl genrsa 1024`; only its public part is here.
#[test]
fn small_rsa_keys_are_refused_when_they_are_read() {
    let small = include_str!("../../testdata/rsa-1024.pem");
    assert_eq!(
        error(Algorithm::RsaPssSha512, small),
        Some(KeyError::RsaSize)
    );
    assert_eq!(
        error(Algorithm::RsaV15Sha256, small),
        Some(KeyError::RsaSize)
    );
}

#[test]
fn secrets_are_long_enough_and_not_shown() {
    assert_eq!(
        VerifyingKey::from_secret(&[7; 15]).err(),
        Some(KeyError::ShortSecret)
    );
    let key = VerifyingKey::from_secret(b"canary-7f3a-canary-7f3a").unwrap();
    assert!(!format!("{key:?}").contains("canary"));
}
