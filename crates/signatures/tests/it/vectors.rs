//! The test cases of RFC 9421, appendix B and §4.3, as far as they are of requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_signatures::{
    Algorithm, DigestChecker, Fault, Message, Required, RequiredComponent, Verified, VerifyingKey,
};

/// B.1.1, as SPKI.
const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAhAKYdtoeoy8zcAcR874L
8cnZxKzAGwd7v36APp7Pv6Q2jdsPBRrwWEBnez6d0UDKDwGbc6nxfEXAy5mbhgaj
zrw3MOEt8uA5txSKobBpKDeBLOsdJKFqMGmXCQvEG7YemcxDTRPxAleIAgYYRjTS
d/QBwVW9OwNFhekro3RtlinV0a75jfZgkne/YiktSvLG34lw2zqXBDTC5NHROUqG
TlML4PlNZS5Ri2U4aCNx2rUPRcKIlE0PuKxI4T+HIaFpv8+rdV6eUgOrB2xeI1dS
FFn/nnv5OoZJEIB+VmuKn3DCUcCZSFlQPSXSfBDiUGhwOw76WuSSsf1D4b/vLoJ1
0wIDAQAB
-----END PUBLIC KEY-----";
/// B.1.2
const RSA_PSS: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----";
/// B.1.3
const ECC_P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----";
/// B.1.4
const ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----";
/// B.1.5
const SECRET: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";

const CREATED: u64 = 1_618_884_473;
const BODY: &[u8] = b"{\"hello\": \"world\"}";
const DIGEST: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

struct Case {
    input: &'static str,
    signature: &'static str,
}

const B21: Case = Case {
    input: r#"sig-b21=();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
    signature: "sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:",
};
const B22: Case = Case {
    input: r#"sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
    signature: "sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:",
};
const B23: Case = Case {
    input: r#"sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
    signature: "sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:",
};
const B25: Case = Case {
    input: r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
    signature: "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
};
const B26: Case = Case {
    input: r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
    signature: "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
};

/// What the vectors have in common is that they cover little.
fn anything() -> Required {
    Required {
        components: Vec::new(),
        digest_of_bodies: false,
        ..Required::default()
    }
}

fn verify(case: &Case, required: &Required, now: u64) -> Result<Verified, Fault> {
    let fields = [
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        ("Content-Digest", DIGEST),
        ("Content-Length", "18"),
        ("Signature-Input", case.input),
        ("Signature", case.signature),
    ];
    let message = Message {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        content_length: None,
        has_body: true,
        fields: fields.iter().map(|(name, value)| (*name, value.as_bytes())),
    };
    let keys = keys();
    let find = |key_id: &str| {
        keys.iter()
            .find(|(name, _)| *name == key_id)
            .map(|(_, key)| key)
    };
    let verified = required.verify(&message, find, now)?;
    if verified.covers_digest {
        let mut checker = DigestChecker::of(&message)?.expect("it is covered");
        checker.update(BODY);
        checker.finish()?;
    }
    Ok(verified)
}

fn keys() -> [(&'static str, VerifyingKey); 5] {
    let public = |algorithm, pem| VerifyingKey::from_pem(algorithm, pem).unwrap();
    [
        ("test-key-rsa", public(Algorithm::RsaV15Sha256, RSA)),
        ("test-key-rsa-pss", public(Algorithm::RsaPssSha512, RSA_PSS)),
        (
            "test-key-ecc-p256",
            public(Algorithm::EcdsaP256Sha256, ECC_P256),
        ),
        ("test-key-ed25519", public(Algorithm::Ed25519, ED25519)),
        (
            "test-shared-secret",
            VerifyingKey::from_secret(&STANDARD.decode(SECRET).unwrap()).unwrap(),
        ),
    ]
}

#[test]
fn the_signatures_of_appendix_b_2_are_accepted() {
    let cases = [
        (B21, Algorithm::RsaPssSha512, false),
        (B22, Algorithm::RsaPssSha512, true),
        (B23, Algorithm::RsaPssSha512, true),
        (B25, Algorithm::HmacSha256, false),
        (B26, Algorithm::Ed25519, false),
    ];
    for (case, algorithm, covers_digest) in cases {
        let verified = verify(&case, &anything(), CREATED).unwrap();
        assert_eq!(verified.algorithm, algorithm, "{}", case.input);
        assert_eq!(verified.covers_digest, covers_digest, "{}", case.input);
        assert_eq!((verified.created, verified.until), (CREATED, CREATED + 330));
        assert!(case.input.starts_with(&verified.label));
        assert!(case.input.contains(&verified.key_id));
    }
}

#[test]
fn a_policy_takes_those_that_cover_what_it_asks_for() {
    let asking = |components: &[&str]| Required {
        components: components
            .iter()
            .map(|component| RequiredComponent::parse(component).unwrap())
            .collect(),
        ..Required::default()
    };
    let b22 = asking(&["@authority", "@query-param;name=\"Pet\""]);
    assert!(verify(&B22, &b22, CREATED).is_ok());
    let other = asking(&["@query-param;name=\"param\""]);
    assert_eq!(verify(&B22, &other, CREATED), Err(Fault::NotCovered));
    // `@query` holds every parameter.
    assert!(verify(&B23, &other, CREATED).is_ok());
    assert_eq!(
        verify(&B26, &asking(&["@method"]), CREATED),
        Err(Fault::DigestNotCovered)
    );
    assert_eq!(
        verify(&B21, &asking(&["@method"]), CREATED),
        Err(Fault::NotCovered)
    );
}

/// §4.3: a proxy's signature beside the client's; the client's is of a host that is not ours.
#[test]
fn a_proxys_signature_is_found_beside_the_clients() {
    let fields = [
        ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("content-type", "application/json"),
        ("content-length", "18"),
        ("forwarded", "for=192.0.2.123;host=example.com;proto=https"),
        ("content-digest", DIGEST),
        (
            "signature-input",
            r#"sig1=("@method" "@authority" "@path" "content-digest" "content-type" "content-length");created=1618884475;keyid="test-key-ecc-p256", proxy_sig=("@method" "@authority" "@path" "content-digest" "content-type" "content-length" "forwarded");created=1618884480;keyid="test-key-rsa";alg="rsa-v1_5-sha256";expires=1618884540"#,
        ),
        (
            "signature",
            "sig1=:X5spyd6CFnAG5QnDyHfqoSNICd+BUP4LYMz2Q0JXlb//4Ijpzp+kve2w4NIyqeAuM7jTDX+sNalzA8ESSaHD3A==:, proxy_sig=:S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==:",
        ),
    ];
    let keys = keys();
    let find = |key_id: &str| {
        keys.iter()
            .find(|(name, _)| *name == key_id)
            .map(|(_, key)| key)
    };
    let at = |authority, now| {
        let message = Message {
            method: "POST",
            scheme: "https",
            authority,
            path: "/foo",
            query: Some("param=Value&Pet=dog"),
            content_length: None,
            has_body: true,
            fields: fields.iter().map(|(name, value)| (*name, value.as_bytes())),
        };
        anything()
            .verify(&message, find, now)
            .map(|verified| verified.label)
    };
    let inside = "origin.host.internal.example";
    assert_eq!(at(inside, 1_618_884_500).as_deref(), Ok("proxy_sig"));
    assert_eq!(at(inside, 1_618_884_540 + 31), Err(Fault::Invalid));
    assert_eq!(at("example.com", 1_618_884_500).as_deref(), Ok("sig1"));
}
