//! What somebody sends who has no key, or has changed what somebody else has signed.

use super::*;

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

/// The fault of fields that nobody would sign.
fn fault_of_fields(input: impl Into<Vec<u8>>, signature: impl Into<Vec<u8>>) -> Option<Fault> {
    let mut request = Request::new();
    request.set("Signature-Input", input);
    request.set("Signature", signature);
    request.verify(&Required::default(), &secret().1, NOW).err()
}
