use super::*;

const BODY: &[u8] = b"{\"hello\": \"world\"}";
/// RFC 9530 appendix B and RFC 9421 appendix B.2.
const SHA_256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
const SHA_512: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

fn checker(values: &[&str]) -> Result<Option<DigestChecker>, Fault> {
    let fields = values
        .iter()
        .map(|value| ("Content-Digest", value.as_bytes()));
    DigestChecker::of(&Message {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path: "/",
        query: None,
        content_length: None,
        has_body: true,
        fields,
    })
}

fn check(values: &[&str], body: &[u8]) -> Result<(), Fault> {
    let mut checker = checker(values)?.expect("there is a digest");
    for chunk in body.chunks(5) {
        checker.update(chunk);
    }
    checker.finish()
}

#[test]
fn the_digests_of_the_standards_fit_and_no_other_body_does() {
    let both = format!("{SHA_256}, {SHA_512}");
    for value in [SHA_256, SHA_512, &both] {
        assert_eq!(check(&[value], BODY), Ok(()));
        assert_eq!(check(&[value], b""), Err(Fault::DigestMismatch));
        for index in 0..BODY.len() {
            let mut body = BODY.to_vec();
            body[index] ^= 1;
            assert_eq!(check(&[value], &body), Err(Fault::DigestMismatch));
        }
    }
    assert_eq!(check(&[SHA_256, SHA_512], BODY), Ok(()));
    assert!(checker(&[]).unwrap().is_none());
}

#[test]
fn one_wrong_digest_among_right_ones_is_a_mismatch() {
    let wrong = format!("{SHA_256}, {}", SHA_512.replace("WZDP", "WZDQ"));
    assert_eq!(check(&[&wrong], BODY), Err(Fault::DigestMismatch));
}

#[test]
fn unknown_algorithms_do_not_count() {
    let with_md5 = format!("md5=:Sd/dVLAcvNLSq16eXua5uQ==:, {SHA_256}");
    assert_eq!(check(&[&with_md5], BODY), Ok(()));
    let only_md5 = "md5=:Sd/dVLAcvNLSq16eXua5uQ==:";
    assert_eq!(check(&[only_md5], BODY), Err(Fault::DigestUnsupported));
    assert_eq!(check(&[""], BODY), Err(Fault::DigestUnsupported));
}

#[test]
fn hostile_fields_are_malformed() {
    let twice = format!("{SHA_256}, {SHA_256}");
    let long = format!("{SHA_256}, a=\"{}\"", "x".repeat(2048));
    let many: Vec<String> = (0..20).map(|n| format!("a{n}=:AA==:")).collect();
    let many = many.join(", ");
    let cases = [
        &twice,
        &long,
        &many,
        "sha-256",
        "sha-256=1",
        "sha-256=(:AA==:)",
        "sha-256=:AA==:",
        "sha-256=:!:",
        "sha-256=\"X48E9\"",
        "SHA-256=:AA==:",
        "sha-256=::",
        "é=:AA==:",
    ];
    for value in cases {
        let refused = checker(&[value]).err();
        assert_eq!(refused, Some(Fault::DigestMalformed), "{value}");
    }
    assert_eq!(
        checker(&[SHA_256, SHA_256]).err(),
        Some(Fault::DigestMalformed)
    );
}
