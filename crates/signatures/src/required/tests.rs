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

/// The fault of fields that nobody would sign.
fn fault_of_fields(input: impl Into<Vec<u8>>, signature: impl Into<Vec<u8>>) -> Option<Fault> {
    let mut request = Request::new();
    request.set("Signature-Input", input);
    request.set("Signature", signature);
    request.verify(&Required::default(), &secret().1, NOW).err()
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

/// The public key as the secret of an HMAC: what an attacker has, and what a key of ours never is.
#[test]
fn the_message_does_not_choose_the_algorithm() {
    let (signing, verifying) = pair(Algorithm::Ed25519);
    let forger = SigningKey::from_secret(&signing.public().unwrap());
    let request = Request::signed(&forger, LIST);
    assert_eq!(
        request.verify(&Required::default(), &verifying, NOW),
        Err(Fault::Invalid)
    );

    let stated = format!("{LIST};alg=\"hmac-sha256\"");
    let request = Request::signed(&forger, &stated);
    assert_eq!(
        request.verify(&Required::default(), &verifying, NOW),
        Err(Fault::WrongAlgorithm)
    );
    let none = Request::signed(&signing, &format!("{LIST};alg=\"none\""));
    assert_eq!(
        none.verify(&Required::default(), &verifying, NOW),
        Err(Fault::WrongAlgorithm)
    );

    let right = Request::signed(&signing, &format!("{LIST};alg=\"ed25519\""));
    assert!(right.verify(&Required::default(), &verifying, NOW).is_ok());
    let only_rsa = Required {
        algorithms: vec![Algorithm::RsaPssSha512],
        ..Required::default()
    };
    assert_eq!(
        right.verify(&only_rsa, &verifying, NOW),
        Err(Fault::AlgorithmNotAllowed)
    );
}

#[test]
fn every_changed_byte_is_refused() {
    let (signing, verifying) = secret();
    let request = Request::signed(&signing, LIST);
    let required = Required::default();
    assert!(request.verify(&required, &verifying, NOW).is_ok());
    let refused = |changed: &Request| {
        let verified = changed.verify(&required, &verifying, NOW);
        assert!(verified.is_err(), "{:?}", changed.fields);
    };
    let flipped = |text: &str, index: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[index] ^= 1;
        String::from_utf8(bytes).unwrap()
    };
    for index in 0..request.method.len() {
        refused(&Request {
            method: flipped(&request.method, index),
            ..request.clone()
        });
    }
    for index in 0..request.authority.len() {
        refused(&Request {
            authority: flipped(&request.authority, index),
            ..request.clone()
        });
    }
    for index in 0..request.path.len() {
        refused(&Request {
            path: flipped(&request.path, index),
            ..request.clone()
        });
    }
    let query = request.query.clone().unwrap();
    for index in 0..query.len() {
        refused(&Request {
            query: Some(flipped(&query, index)),
            ..request.clone()
        });
    }
    for index in 0..request.fields[1].1.len() {
        let mut changed = request.clone();
        changed.fields[1].1[index] ^= 1;
        refused(&changed);
    }
    // Both fields of the signature; each bit of each byte.
    for field in 2..request.fields.len() {
        for index in 0..request.fields[field].1.len() {
            for bit in 0..8 {
                let mut changed = request.clone();
                changed.fields[field].1[index] ^= 1 << bit;
                if !is_same_signature(&request, &changed) {
                    refused(&changed);
                }
            }
        }
    }
}

/// The last letter of base64 has bits that do not count, and must not be refused (RFC 9651 §4.2.7).
fn is_same_signature(one: &Request, other: &Request) -> bool {
    let (one, other) = (one.message(), other.message());
    let (Ok(one), Ok(other)) = (Input::read(&one), Input::read(&other)) else {
        return false;
    };
    format!("{:?}", one[0]) == format!("{:?}", other[0])
}

#[test]
fn signed_things_that_are_added_or_removed_are_noticed() {
    let (signing, verifying) = secret();
    let request = Request::signed(&signing, LIST);
    let required = Required::default();
    let mut twice = request.clone();
    twice.set("content-digest", content_digest(b"other"));
    assert_eq!(
        twice.verify(&required, &verifying, NOW),
        Err(Fault::Invalid)
    );
    let mut without = request.clone();
    without.fields.retain(|(name, _)| name != "Content-Digest");
    assert_eq!(
        without.verify(&required, &verifying, NOW),
        Err(Fault::AbsentComponent)
    );
    let no_query = Request {
        query: None,
        ..request.clone()
    };
    assert_eq!(
        no_query.verify(&required, &verifying, NOW),
        Err(Fault::Invalid)
    );
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
fn hostile_fields_are_refused_with_their_reason() {
    let input = r#"sig=("@method");created=1700000000;keyid="k""#;
    let mac = "sig=:AAAA:";
    let two = |one: &str| format!("{one}, {one}");
    let many = |text: &str, count: usize| text.repeat(count);
    let labels = (0..5)
        .map(|n| format!("s{n}=()"))
        .collect::<Vec<_>>()
        .join(",");
    let components = format!("sig=({})", many(r#""@method" "#, 33));
    let parameters = (0..9).map(|n| format!(";p{n}=1")).collect::<String>();
    let long = format!("sig=(\"{}\")", many("x", 9000));
    let long_label = many("s", 65);
    let cases: [(String, String, Fault); 19] = [
        (two(input), mac.into(), Fault::DuplicateLabel),
        (input.into(), two(mac), Fault::DuplicateLabel),
        (input.into(), String::new(), Fault::Unpaired),
        (String::new(), mac.into(), Fault::Unpaired),
        (input.into(), "other=:AAAA:".into(), Fault::Unpaired),
        (
            format!("{input};keyid=\"z\""),
            mac.into(),
            Fault::DuplicateParameter,
        ),
        (
            r#"sig=("x";sf;sf)"#.into(),
            mac.into(),
            Fault::DuplicateParameter,
        ),
        ("sig=1".into(), mac.into(), Fault::Malformed),
        ("sig".into(), mac.into(), Fault::Malformed),
        ("sig=(@method)".into(), mac.into(), Fault::Malformed),
        ("sig=(method)".into(), mac.into(), Fault::Malformed),
        (r#"sig=("@method""#.into(), mac.into(), Fault::Malformed),
        (input.into(), "sig=AAAA".into(), Fault::Malformed),
        (input.into(), "sig=(:AAAA:)".into(), Fault::Malformed),
        (labels, mac.into(), Fault::TooLarge),
        (components, mac.into(), Fault::TooLarge),
        (format!("sig=(){parameters}"), mac.into(), Fault::TooLarge),
        (long, mac.into(), Fault::TooLarge),
        (
            format!("{long_label}=()"),
            format!("{long_label}=:AAAA:"),
            Fault::TooLarge,
        ),
    ];
    for (input, signature, expected) in cases {
        assert_eq!(
            fault_of_fields(input.clone(), signature),
            Some(expected),
            "{input}"
        );
    }
    assert_eq!(
        fault_of_fields(input, b"sig=:\xff:".to_vec()),
        Some(Fault::Malformed)
    );
    assert_eq!(fault_of_fields("sig=(\"é\")", mac), Some(Fault::Malformed));
    assert_eq!(
        fault_of_fields(input, format!("sig=:{}:", "A".repeat(1368))),
        Some(Fault::TooLarge)
    );
    let request = Request::new();
    let unsigned = request.verify(&Required::default(), &secret().1, NOW);
    assert_eq!(unsigned, Err(Fault::NoSignature));
}

/// Whatever is sent, it is refused and nothing panics; a generator of our own makes it the same each time.
#[test]
fn noise_is_refused() {
    let pieces = [
        "sig",
        "=",
        "(",
        ")",
        "\"@method\"",
        "\"",
        ";",
        "created",
        "=1",
        ",",
        " ",
        ":AA==:",
        ":",
        "keyid=\"k\"",
        "\\",
        "?1",
        "%\"",
        "@1",
        "-",
        "é",
        "\u{0}",
        "key=\"a\"",
        "sf",
        "tr",
    ];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..20_000 {
        let mut text =
            |length: usize| -> String { (0..length).map(|_| pieces[next(pieces.len())]).collect() };
        let (input, signature) = (text(12), text(4));
        assert!(fault_of_fields(format!("sig=({input}"), format!("sig={signature}")).is_some());
    }
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
