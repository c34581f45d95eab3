//! What is taken as a key, and what it is called.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::base64url;
use crate::signing::{RsaBits, SigningKey};
use crate::testing::{
    A1_KEY, A2_KEY, A3_KEY, ED25519_KEY, ED25519_THUMBPRINT, RFC_7638_KEY, RFC_7638_THUMBPRINT,
};

fn key(jwk: &str) -> Key {
    Key::from_jwk(jwk.as_bytes()).unwrap()
}

fn fault(jwk: &str) -> KeyFault {
    Key::from_jwk(jwk.as_bytes()).unwrap_err()
}

/// The key with one more member.
fn with(jwk: &str, member: &str) -> String {
    jwk.replacen('{', &format!("{{{member},"), 1)
}

fn rsa_jwk(modulus: &[u8], exponent: &[u8]) -> String {
    let (n, e) = (base64url::encode(modulus), base64url::encode(exponent));
    format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)
}

/// An odd number of so many bits.
fn number(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    bytes[0] >>= bytes.len() * 8 - bits;
    bytes
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    assert_eq!(key(RFC_7638_KEY).id().to_string(), RFC_7638_THUMBPRINT);
    assert_eq!(key(ED25519_KEY).id().to_string(), ED25519_THUMBPRINT);
    assert_eq!(
        key(RFC_7638_KEY).kid().map(|kid| &**kid),
        Some("2011-04-29")
    );
}

#[test]
fn a_key_without_alg_has_the_algorithm_of_its_kind() {
    assert_eq!(key(A2_KEY).algorithm(), Algorithm::Rs256);
    assert_eq!(key(A3_KEY).algorithm(), Algorithm::Es256);
    assert_eq!(key(ED25519_KEY).algorithm(), Algorithm::EdDsa);
    assert_eq!(
        key(&with(A2_KEY, r#""alg":"PS384""#)).algorithm(),
        Algorithm::Ps384
    );
    assert_eq!(
        key(&with(ED25519_KEY, r#""alg":"Ed25519""#)).algorithm(),
        Algorithm::EdDsa
    );
    assert_eq!(
        fault(r#"{"kty":"oct","k":"AAAA"}"#),
        KeyFault::SecretAlgorithm
    );
}

#[test]
fn an_algorithm_must_fit_the_kind() {
    for (jwk, others) in [
        (A2_KEY, ["ES256", "EdDSA", "HS256"]),
        (A3_KEY, ["RS256", "ES384", "HS256"]),
        (ED25519_KEY, ["RS256", "ES256", "HS256"]),
    ] {
        for other in others {
            assert_eq!(
                fault(&with(jwk, &format!(r#""alg":"{other}""#))),
                KeyFault::Mismatch
            );
        }
        for unknown in ["none", "RSA-OAEP", "ES512", "rs256", ""] {
            assert_eq!(
                fault(&with(jwk, &format!(r#""alg":"{unknown}""#))),
                KeyFault::Algorithm
            );
        }
    }
    assert_eq!(fault(&A1_KEY.replace("HS256", "RS256")), KeyFault::Mismatch);
}

#[test]
fn use_and_key_ops_are_honoured() {
    for fits in [
        r#""use":"sig""#,
        r#""key_ops":["verify"]"#,
        r#""key_ops":["sign","verify"]"#,
    ] {
        key(&with(A2_KEY, fits));
    }
    for other in [
        r#""use":"enc""#,
        r#""use":"""#,
        r#""key_ops":["encrypt"]"#,
        r#""key_ops":[]"#,
        r#""use":"sig","key_ops":["wrapKey"]"#,
    ] {
        assert_eq!(fault(&with(A2_KEY, other)), KeyFault::Use, "{other}");
    }
}

#[test]
fn unknown_kinds_are_told() {
    for jwk in [
        r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#,
        r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#,
        r#"{"kty":"EC","x":"AA","y":"AA"}"#,
        r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#,
        r#"{"kty":"OKP","crv":"Ed448","x":"AA"}"#,
        r#"{"kty":"AKP","alg":"ES256","pub":"AA"}"#,
        r#"{"kty":"rsa"}"#,
    ] {
        assert_eq!(fault(jwk), KeyFault::Kind, "{jwk}");
    }
    for jwk in [
        "",
        "[]",
        "{}",
        r#"{"kty":1}"#,
        r#"{"kty":"RSA","n":1,"e":"AQAB"}"#,
        r#"{"kty":"RSA","kty":"RSA"}"#,
    ] {
        assert_eq!(fault(jwk), KeyFault::Json, "{jwk}");
    }
}

#[test]
fn rsa_numbers_are_sane() {
    let exponent = [1, 0, 1];
    for bits in [2048, 2049, 3072, 8192] {
        key(&rsa_jwk(&number(bits), &exponent));
    }
    for bits in [8, 512, 1024, 2047, 8193, 16384] {
        assert_eq!(
            fault(&rsa_jwk(&number(bits), &exponent)),
            KeyFault::RsaModulus,
            "{bits}"
        );
    }
    let mut even = number(2048);
    even[255] = 0xfe;
    assert_eq!(fault(&rsa_jwk(&even, &exponent)), KeyFault::RsaModulus);
    let modulus = number(2048);
    key(&rsa_jwk(&modulus, &[3]));
    for bad in [
        &[1][..],
        &[2],
        &[1, 0, 0],
        &[1, 0, 0, 0, 1],
        &[0xff; 256],
        &[0],
    ] {
        assert_eq!(
            fault(&rsa_jwk(&modulus, bad)),
            KeyFault::RsaExponent,
            "{bad:?}"
        );
    }
    assert_eq!(
        fault(r#"{"kty":"RSA","n":"","e":"AQAB"}"#),
        KeyFault::RsaModulus
    );
    assert_eq!(fault(r#"{"kty":"RSA","e":"AQAB"}"#), KeyFault::Member("n"));
    assert_eq!(
        fault(&A2_KEY.replace("AQAB", "AQAB==")),
        KeyFault::Member("e")
    );
}

#[test]
fn leading_zeros_of_rsa_numbers_change_nothing() {
    let modulus = number(2048);
    let plain = key(&rsa_jwk(&modulus, &[1, 0, 1]));
    let padded = key(&rsa_jwk(&[&[0][..], &modulus].concat(), &[0, 1, 0, 1]));
    assert_eq!(plain.id(), padded.id());
}

#[test]
fn points_are_on_their_curve() {
    let zeros = "A".repeat(43);
    assert_eq!(
        fault(&format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{zeros}","y":"{zeros}"}}"#
        )),
        KeyFault::Point
    );
    assert_eq!(fault(&A3_KEY.replace("f83O", "f83P")), KeyFault::Point);
    // Another length than that of the curve.
    assert_eq!(
        fault(&A3_KEY.replace("P-256", "P-384")),
        KeyFault::Member("x")
    );
    assert_eq!(
        fault(&A3_KEY.replace("f83O", "f83OAAAA")),
        KeyFault::Member("x")
    );
    assert_eq!(
        fault(r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#),
        KeyFault::Member("x")
    );
}

#[test]
fn the_private_part_is_never_kept() {
    let private = with(
        A3_KEY,
        r#""d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI""#,
    );
    let key = key(&private);
    assert_eq!(key.id(), self::key(A3_KEY).id());
    assert!(!format!("{key:?}").contains("jpsQ"));
    assert!(!format!("{key:?}").to_lowercase().contains("8e9b109e7190"));
}

#[test]
fn a_shared_secret_is_as_long_as_its_hash() {
    for (algorithm, length) in [
        (Algorithm::Hs256, 32),
        (Algorithm::Hs384, 48),
        (Algorithm::Hs512, 64),
    ] {
        assert!(Key::from_secret(&vec![7; length], algorithm, None).is_ok());
        let short = Key::from_secret(&vec![7; length - 1], algorithm, None);
        assert_eq!(short.unwrap_err(), KeyFault::SecretTooShort);
    }
    let other = Key::from_secret(&[7; 64], Algorithm::Rs256, None);
    assert_eq!(other.unwrap_err(), KeyFault::Mismatch);
    let canary = Key::from_secret(
        b"canary-7f3a-canary-7f3a-canary-7f3a",
        Algorithm::Hs256,
        None,
    );
    assert!(!format!("{canary:?}").contains("canary"));
}

#[test]
fn pem_files_hold_public_keys_or_certificates() {
    for signing in [
        SigningKey::generate_rsa(RsaBits::Bits2048).unwrap(),
        SigningKey::generate(Algorithm::Es256).unwrap(),
        SigningKey::generate(Algorithm::EdDsa).unwrap(),
    ] {
        let pkcs8 = signing.to_pkcs8().unwrap();
        let private = pem("PRIVATE KEY", pkcs8.expose());
        let refused = Key::from_pem(private.as_bytes(), None, None);
        assert_eq!(refused.unwrap_err(), KeyFault::PrivatePem);
        let public = pem("PUBLIC KEY", &signing.spki());
        let key = Key::from_pem(public.as_bytes(), None, Some("one")).unwrap();
        assert_eq!(
            (key.id(), key.algorithm()),
            (signing.id(), signing.algorithm())
        );
        assert_eq!(key.kid().map(|kid| &**kid), Some("one"));
        let message = b"message";
        assert!(key.verifies(message, &signing.signature(message).unwrap()));
    }
    for bad in [
        "",
        "x",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        assert_eq!(
            Key::from_pem(bad.as_bytes(), None, None).unwrap_err(),
            KeyFault::Pem
        );
    }
}

#[test]
fn a_certificate_lends_its_key() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let parameters = rcgen::CertificateParams::new(["issuer.test".to_owned()]).unwrap();
    let certificate = parameters.self_signed(&pair).unwrap();
    let key = Key::from_pem(certificate.pem().as_bytes(), None, None).unwrap();
    let public = Key::from_pem(pair.public_key_pem().as_bytes(), None, None).unwrap();
    assert_eq!((key.id(), key.algorithm()), (public.id(), Algorithm::Es384));
}

#[test]
fn every_rsa_algorithm_verifies_its_own_signatures_only() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let spki = pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref());
    let encodings: [(Algorithm, &'static dyn RsaEncoding); 6] = [
        (Algorithm::Rs256, &signature::RSA_PKCS1_SHA256),
        (Algorithm::Rs384, &signature::RSA_PKCS1_SHA384),
        (Algorithm::Rs512, &signature::RSA_PKCS1_SHA512),
        (Algorithm::Ps256, &signature::RSA_PSS_SHA256),
        (Algorithm::Ps384, &signature::RSA_PSS_SHA384),
        (Algorithm::Ps512, &signature::RSA_PSS_SHA512),
    ];
    for (signed_by, encoding) in encodings {
        let mut signature = vec![0; 256];
        pair.sign(encoding, &SystemRandom::new(), b"message", &mut signature)
            .unwrap();
        for (algorithm, _) in encodings {
            let key = Key::from_pem(spki.as_bytes(), Some(algorithm), None).unwrap();
            assert_eq!(key.verifies(b"message", &signature), algorithm == signed_by);
            assert!(!key.verifies(b"massage", &signature));
        }
    }
}

#[test]
fn es384_and_every_shared_secret_verify() {
    let pair = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
    let spki = pem("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref());
    let key = Key::from_pem(spki.as_bytes(), None, None).unwrap();
    assert!(key.verifies(b"message", signature.as_ref()));
    assert!(!key.verifies(b"massage", signature.as_ref()));
    let secret = [7; 64];
    for (algorithm, hash) in [
        (Algorithm::Hs256, hmac::HMAC_SHA256),
        (Algorithm::Hs384, hmac::HMAC_SHA384),
        (Algorithm::Hs512, hmac::HMAC_SHA512),
    ] {
        let tag = hmac::sign(&hmac::Key::new(hash, &secret), b"message");
        let key = Key::from_secret(&secret, algorithm, None).unwrap();
        assert!(key.verifies(b"message", tag.as_ref()));
        assert!(!key.verifies(b"massage", tag.as_ref()));
        // A shorter one is none, though it begins in the same way.
        assert!(!key.verifies(b"message", &tag.as_ref()[..16]));
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
