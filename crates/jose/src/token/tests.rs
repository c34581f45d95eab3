//! What is read as a token, and what is taken for genuine: RFC 7515 and RFC 8037 by their examples, RFC 8725 by its
//! attacks.

use super::*;
use crate::algorithm::Algorithm;
use crate::signing::{RsaBits, SigningKey};
use crate::testing::{
    A1_KEY, A1_TOKEN, A2_KEY, A2_TOKEN, A3_KEY, A3_TOKEN, ED25519_KEY, ED25519_TOKEN, forged,
    hmac_signed,
};

const CLAIMS: &[u8] = br#"{"sub":"ada"}"#;

fn set(jwks: &[&str]) -> KeySet {
    let keys = jwks
        .iter()
        .map(|jwk| Key::from_jwk(jwk.as_bytes()).unwrap());
    KeySet::new(keys.collect()).unwrap()
}

fn verify(text: &str, keys: &KeySet) -> Result<Vec<u8>, String> {
    let mut buffer = Vec::new();
    let token =
        Token::parse(text, LONGEST_TOKEN, &mut buffer).map_err(|fault| fault.word().to_owned())?;
    let verified = token
        .verify(keys)
        .map_err(|fault| fault.word().to_owned())?;
    Ok(verified.payload().to_vec())
}

fn malformed(text: &str) -> Malformed {
    Token::parse(text, LONGEST_TOKEN, &mut Vec::new()).unwrap_err()
}

#[test]
fn examples_of_rfc_7515_and_rfc_8037_verify() {
    let payload =
        b"{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    for (key, token, payload) in [
        (A1_KEY, A1_TOKEN, &payload[..]),
        (A2_KEY, A2_TOKEN, payload),
        (A3_KEY, A3_TOKEN, payload),
        (ED25519_KEY, ED25519_TOKEN, b"Example of Ed25519 signing"),
    ] {
        assert_eq!(verify(token, &set(&[key])).as_deref(), Ok(payload), "{key}");
    }
}

#[test]
fn a_token_with_any_byte_flipped_is_refused() {
    for (key, token) in [
        (A1_KEY, A1_TOKEN),
        (A2_KEY, A2_TOKEN),
        (A3_KEY, A3_TOKEN),
        (ED25519_KEY, ED25519_TOKEN),
    ] {
        let keys = set(&[key]);
        for place in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.as_bytes().to_vec();
                bytes[place] ^= 1 << bit;
                let text = String::from_utf8(bytes).unwrap();
                assert!(verify(&text, &keys).is_err(), "{place} {bit}");
            }
        }
        for end in 0..token.len() {
            assert!(verify(&token[..end], &keys).is_err());
            assert!(verify(&token[end + 1..], &keys).is_err());
        }
        assert!(verify(&format!("{token}A"), &keys).is_err());
        assert!(verify(&format!("{token}="), &keys).is_err());
    }
}

#[test]
fn none_in_any_case_is_refused() {
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"alg":"{none}"}}"#);
        for signature in [&b""[..], b"x"] {
            let token = forged(&header, CLAIMS, |_| signature.to_vec());
            assert_eq!(malformed(&token), Malformed::Algorithm);
        }
    }
}

#[test]
fn a_public_rsa_key_is_no_shared_secret() {
    let signing = SigningKey::generate_rsa(RsaBits::Bits2048).unwrap();
    let keys = KeySet::new(vec![signing.public_key().unwrap()]).unwrap();
    let jwk = signing.public_jwk().to_string();
    let kid = signing.id();
    let modulus = signing.public_jwk()["n"].as_str().unwrap().to_owned();
    for secret in [jwk.as_bytes(), modulus.as_bytes(), b""] {
        for header in [
            r#"{"alg":"HS256"}"#.to_owned(),
            format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#),
        ] {
            let token = hmac_signed(&header, CLAIMS, secret);
            assert_eq!(verify(&token, &keys), Err("wrong_algorithm".to_owned()));
        }
    }
}

#[test]
fn a_key_has_one_algorithm() {
    // The same numbers verify by RS256 only, though they could by PS256 and RS512 as well.
    let keys = set(&[A2_KEY]);
    for other in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS256"] {
        let header = format!(r#"{{"alg":"{other}"}}"#);
        let token = forged(&header, CLAIMS, |_| vec![1; 256]);
        assert_eq!(
            verify(&token, &keys),
            Err("wrong_algorithm".to_owned()),
            "{other}"
        );
    }
}

#[test]
fn a_key_in_the_token_is_ignored() {
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk = attacker.public_jwk();
    let keys = set(&[A3_KEY]);
    for header in [
        format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#),
        r#"{"alg":"ES256","jku":"https://attacker.test/jwks.json"}"#.to_owned(),
        r#"{"alg":"ES256","x5u":"https://attacker.test/chain.pem"}"#.to_owned(),
        r#"{"alg":"ES256","x5c":["MIIB"],"x5t":"x"}"#.to_owned(),
    ] {
        let token = forged(&header, CLAIMS, |message| {
            attacker.signature(message).unwrap()
        });
        assert_eq!(
            verify(&token, &keys),
            Err("bad_signature".to_owned()),
            "{header}"
        );
    }
}

#[test]
fn a_hostile_kid_is_only_compared() {
    let keys = set(&[&named(A3_KEY, "one")]);
    for kid in [
        "../../../dev/null",
        "' OR 1=1 --",
        "one\\u0000",
        "ONE",
        "",
        "http://attacker.test/",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        let token = forged(&header, CLAIMS, |_| vec![0; 64]);
        assert_eq!(
            verify(&token, &keys),
            Err("unknown_key".to_owned()),
            "{kid}"
        );
    }
}

#[test]
fn an_empty_or_zero_signature_is_refused() {
    for (key, algorithm) in [
        (A1_KEY, "HS256"),
        (A2_KEY, "RS256"),
        (A3_KEY, "ES256"),
        (ED25519_KEY, "EdDSA"),
    ] {
        let keys = set(&[key]);
        for length in [0, 1, 32, 63, 64, 65, 255, 256, 257, 1024] {
            let header = format!(r#"{{"alg":"{algorithm}"}}"#);
            let token = forged(&header, CLAIMS, |_| vec![0; length]);
            assert_eq!(verify(&token, &keys), Err("bad_signature".to_owned()));
        }
    }
}

#[test]
fn an_es256_signature_is_not_der() {
    let keys = set(&[A3_KEY]);
    let (signed, signature) = A3_TOKEN.rsplit_once('.').unwrap();
    let fixed = base64url::decode(signature).unwrap();
    let integer = |half: &[u8]| {
        let mut bytes = vec![2, 0, 0];
        bytes.extend_from_slice(half);
        bytes[1] = u8::try_from(half.len() + 1).unwrap();
        bytes
    };
    let (r, s) = fixed.split_at(32);
    let body = [integer(r), integer(s)].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    let token = format!("{signed}.{}", base64url::encode(der));
    assert_eq!(verify(&token, &keys), Err("bad_signature".to_owned()));
}

#[test]
fn a_token_has_three_parts_of_strict_base64url() {
    let (header, rest) = A3_TOKEN.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    for bad in [
        "",
        ".",
        "..",
        "...",
        header,
        &format!("{header}.{payload}"),
        &format!("{A3_TOKEN}."),
        &format!("{A3_TOKEN}.."),
        &format!(".{A3_TOKEN}"),
    ] {
        assert!(
            matches!(malformed(bad), Malformed::Parts | Malformed::Header),
            "{bad}"
        );
    }
    // Five parts are an encrypted token.
    assert_eq!(
        malformed(&format!("{A3_TOKEN}.{payload}.{signature}")),
        Malformed::Parts
    );
    for bad in [
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}==.{signature}"),
        format!("{header}.{payload}.{signature}=="),
        format!(" {A3_TOKEN}"),
        format!("{A3_TOKEN}\n"),
        format!("{header}. {payload}.{signature}"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")),
        format!("{header}.{payload}.é"),
    ] {
        assert_eq!(malformed(&bad), Malformed::Encoding, "{bad}");
    }
    // What is left over of the last character means nothing, so that it could be another one.
    let last = format!("{}R", &A3_TOKEN[..A3_TOKEN.len() - 1]);
    assert_eq!(malformed(&last), Malformed::Encoding);
}

#[test]
fn a_token_over_the_cap_is_not_looked_at() {
    let mut buffer = Vec::new();
    assert!(Token::parse(A3_TOKEN, A3_TOKEN.len(), &mut buffer).is_ok());
    let fault = Token::parse(A3_TOKEN, A3_TOKEN.len() - 1, &mut buffer).unwrap_err();
    assert_eq!(fault, Malformed::TooLong);
}

#[test]
fn a_buffer_serves_one_token_after_the_other() {
    let mut buffer = b"left over from before".to_vec();
    for (key, token) in [
        (A2_KEY, A2_TOKEN),
        (ED25519_KEY, ED25519_TOKEN),
        (A2_KEY, A2_TOKEN),
    ] {
        let parsed = Token::parse(token, LONGEST_TOKEN, &mut buffer).unwrap();
        assert!(parsed.verify(&set(&[key])).is_ok());
    }
}

#[test]
fn what_verified_is_known_by_its_key() {
    let key = Key::from_jwk(A3_KEY.as_bytes()).unwrap();
    let id = key.id();
    let mut buffer = Vec::new();
    let token = Token::parse(A3_TOKEN, LONGEST_TOKEN, &mut buffer).unwrap();
    let keys = KeySet::new(vec![key]).unwrap();
    let verified = token.verify(&keys).unwrap();
    assert_eq!(verified.key(), id);
    assert_eq!(verified.claims().unwrap().issuer(), Some("joe"));
    assert!(keys.contains(id));
    // A removed key refuses what it verified.
    assert!(!set(&[A2_KEY]).contains(id));
    assert_eq!(
        token.verify(&set(&[A2_KEY])).unwrap_err(),
        NotVerified::WrongAlgorithm
    );
}

fn named(jwk: &str, kid: &str) -> String {
    jwk.replacen('{', &format!(r#"{{"kid":"{kid}","#), 1)
}
