mod hostile;

use super::*;
use crate::replay::ReplayGuard;
use crate::signer::{Signed, SigningKey, content_digest};

const NOW: u64 = 1_700_000_000;
const BODY: &[u8] = b"{\"amount\": 100}";
const LIST: &str =
    r#"("@method" "@target-uri" "content-digest");created=1700000000;keyid="k";nonce="n-1""#;

/// A request that can be changed.
#[derive(Clone)]
struct Request {
    method: String,
    authority: String,
    path: String,
    query: Option<String>,
    fields: Vec<(String, Vec<u8>)>,
}

impl Request {
    fn new() -> Self {
        let fields = [
            ("Content-Type", "application/json".to_owned()),
            ("Content-Digest", content_digest(BODY)),
        ];
        Self {
            method: "POST".into(),
            authority: "api.example.com".into(),
            path: "/transfers".into(),
            query: Some("to=bob".into()),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.into_bytes()))
                .into(),
        }
    }

    fn signed(key: &SigningKey, list: &str) -> Self {
        let mut request = Self::new();
        let signed = key.sign(&request.message(), "sig", list).unwrap();
        request.add(signed);
        request
    }

    fn add(&mut self, Signed { input, signature }: Signed) {
        self.set("Signature-Input", input);
        self.set("Signature", signature);
    }

    fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.fields.push((name.to_owned(), value.into()));
    }

    fn message(&self) -> Message<'_, impl Iterator<Item = (&str, &[u8])> + Clone> {
        Message {
            method: &self.method,
            scheme: "https",
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            content_length: Some(BODY.len() as u64),
            has_body: true,
            fields: self
                .fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice())),
        }
    }

    fn verify(&self, required: &Required, key: &VerifyingKey, now: u64) -> Result<Verified, Fault> {
        required.verify(
            &self.message(),
            |key_id| (key_id == "k").then_some(key),
            now,
        )
    }
}

fn pair(algorithm: Algorithm) -> (SigningKey, VerifyingKey) {
    let signing = SigningKey::generate(algorithm).unwrap();
    let public = signing.public().unwrap();
    let verifying = match algorithm {
        Algorithm::HmacSha256 => VerifyingKey::from_secret(&public),
        _ => VerifyingKey::from_pem(algorithm, std::str::from_utf8(&public).unwrap()),
    };
    (signing, verifying.unwrap())
}

fn secret() -> (SigningKey, VerifyingKey) {
    pair(Algorithm::HmacSha256)
}

/// The fault of a request that is signed like this.
fn fault_of(required: &Required, list: &str, now: u64) -> Option<Fault> {
    let (signing, verifying) = secret();
    Request::signed(&signing, list)
        .verify(required, &verifying, now)
        .err()
}

#[test]
fn every_algorithm_is_checked_with_its_own_key_only() {
    let pairs = Algorithm::ALL.map(pair);
    for (index, (signing, _)) in pairs.iter().enumerate() {
        let request = Request::signed(signing, LIST);
        for (other, (_, verifying)) in pairs.iter().enumerate() {
            let verified = request.verify(&Required::default(), verifying, NOW);
            if index == other {
                assert_eq!(verified.unwrap().algorithm, Algorithm::ALL[index]);
            } else {
                assert_eq!(verified, Err(Fault::Invalid));
            }
        }
    }
}

#[test]
fn times_are_judged_with_the_skew_and_to_the_second() {
    let required = Required {
        max_age: 60,
        clock_skew: 5,
        ..Required::default()
    };
    assert_eq!(fault_of(&required, LIST, NOW + 65), None);
    assert_eq!(fault_of(&required, LIST, NOW + 66), Some(Fault::TooOld));
    assert_eq!(fault_of(&required, LIST, NOW - 5), None);
    assert_eq!(
        fault_of(&required, LIST, NOW - 6),
        Some(Fault::FromTheFuture)
    );

    let until = |expires: u64| format!("{LIST};expires={expires}");
    assert_eq!(fault_of(&required, &until(NOW + 10), NOW + 15), None);
    assert_eq!(
        fault_of(&required, &until(NOW + 10), NOW + 16),
        Some(Fault::Expired)
    );
    assert_eq!(fault_of(&required, &until(NOW), NOW), None);
    assert_eq!(
        fault_of(&required, &until(NOW - 1), NOW),
        Some(Fault::ExpiresBeforeCreated)
    );
    // What expires late is still too old some day.
    assert_eq!(
        fault_of(&required, &until(NOW + 9999), NOW + 66),
        Some(Fault::TooOld)
    );

    let (signing, verifying) = secret();
    let verified = Request::signed(&signing, &until(NOW + 10)).verify(&required, &verifying, NOW);
    assert_eq!(verified.unwrap().until, NOW + 15);
}

#[test]
fn parameters_that_are_missing_or_impossible_are_named() {
    let required = Required {
        require_nonce: true,
        tag: Some("app".into()),
        ..Required::default()
    };
    let covered = r#"("@method" "@target-uri" "content-digest")"#;
    let cases = [
        (r#";created=1700000000;keyid="k";nonce="n";tag="app""#, None),
        (
            r#";created=1700000000;keyid="k";nonce="n""#,
            Some(Fault::WrongTag),
        ),
        (
            r#";created=1700000000;keyid="k";nonce="n";tag="App""#,
            Some(Fault::WrongTag),
        ),
        (
            r#";created=1700000000;keyid="k";nonce="n";tag=app"#,
            Some(Fault::BadParameter),
        ),
        (
            r#";created=1700000000;nonce="n";tag="app""#,
            Some(Fault::NoKeyId),
        ),
        (
            r#";created=1700000000;keyid=k;tag="app""#,
            Some(Fault::BadParameter),
        ),
        (
            r#";created=1700000000;keyid="x";tag="app""#,
            Some(Fault::UnknownKey),
        ),
        (r#";keyid="k";nonce="n";tag="app""#, Some(Fault::NoCreated)),
        (
            r#";created="1700000000";keyid="k";tag="app""#,
            Some(Fault::BadParameter),
        ),
        (
            r#";created=-1;keyid="k";nonce="n";tag="app""#,
            Some(Fault::BadParameter),
        ),
        (
            r#";created=1700000000.5;keyid="k";tag="app""#,
            Some(Fault::BadParameter),
        ),
        (
            r#";created=1700000000;keyid="k";tag="app""#,
            Some(Fault::NoNonce),
        ),
        (
            r#";created=1700000000;keyid="k";nonce="";tag="app""#,
            Some(Fault::NoNonce),
        ),
        (
            r#";created=1700000000;keyid="k";nonce="n";tag="app";expires"#,
            Some(Fault::BadParameter),
        ),
    ];
    for (parameters, expected) in cases {
        assert_eq!(
            fault_of(&required, &format!("{covered}{parameters}"), NOW),
            expected,
            "{parameters}"
        );
    }
    let long = format!(
        r#"{covered};created=1700000000;keyid="{}""#,
        "k".repeat(257)
    );
    assert_eq!(
        fault_of(&Required::default(), &long, NOW),
        Some(Fault::TooLarge)
    );
}

#[test]
fn of_several_signatures_one_is_enough_and_the_nearest_is_told_of() {
    let (signing, verifying) = secret();
    let message = Request::new();
    let own = signing.sign(&message.message(), "own", LIST).unwrap();
    let foreign = r#"foreign=("@authority");created=1;keyid="of-somebody""#;
    let both = |list: &str| {
        let mut request = Request::new();
        let input = own.input.replace(LIST, list);
        request.set("Signature-Input", format!("{foreign}, {input}"));
        request.set("Signature", format!("foreign=:AAAA:, {}", own.signature));
        request.verify(&Required::default(), &verifying, NOW)
    };
    assert_eq!(
        both(LIST).map(|verified| verified.label).as_deref(),
        Ok("own")
    );
    let later = LIST.replace("1700000000", "1700000001");
    assert_eq!(both(&later), Err(Fault::Invalid));
    let unknown = LIST.replace("\"k\"", "\"x\"");
    assert_eq!(both(&unknown), Err(Fault::UnknownKey));
}

#[test]
fn a_signature_is_used_once_and_so_is_its_nonce() {
    let (signing, verifying) = pair(Algorithm::EcdsaP256Sha256);
    let mut guard = ReplayGuard::new(16);
    let mut admit = |list: &str| {
        let verified =
            Request::signed(&signing, list).verify(&Required::default(), &verifying, NOW);
        let verified = verified.unwrap();
        guard.admit(verified.replay, verified.until, NOW)
    };
    assert_eq!(admit(LIST), Ok(()));
    assert_eq!(admit(LIST), Err(Fault::Replayed));
    assert_eq!(admit(&format!("{LIST};tag=\"t\"")), Err(Fault::Replayed));
    assert_eq!(admit(&LIST.replace("n-1", "n-2")), Ok(()));
    // Each is signed anew, with other bytes: it is the content that is known again.
    let without = LIST.replace(";nonce=\"n-1\"", "");
    assert_eq!(admit(&without), Ok(()));
    assert_eq!(admit(&without), Err(Fault::Replayed));
}

#[test]
fn only_the_whole_digest_covers_a_body() {
    let required = Required {
        components: Vec::new(),
        ..Required::default()
    };
    let with = |component: &str| format!(r#"({component});created=1700000000;keyid="k""#);
    for component in [
        r#""content-digest""#,
        r#""content-digest";sf"#,
        r#""content-digest";bs"#,
    ] {
        assert_eq!(
            fault_of(&required, &with(component), NOW),
            None,
            "{component}"
        );
    }
    for component in [
        "",
        r#""content-digest";key="sha-256""#,
        r#""content-length""#,
    ] {
        let fault = fault_of(&required, &with(component), NOW);
        assert_eq!(fault, Some(Fault::DigestNotCovered), "{component}");
    }
}
