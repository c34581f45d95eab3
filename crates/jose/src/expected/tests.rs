//! Who is let in, by the claims of a token.

use super::*;
use crate::algorithm::Algorithm;

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 60;

fn expected() -> Expected {
    Expected::access_token("https://issuer.test", "catalog")
}

fn header(typ: Option<&'static str>) -> Header<'static> {
    Header {
        algorithm: Algorithm::Es256,
        typ: typ.map(Into::into),
        kid: None,
    }
}

/// The claims of a token that is let in until `NOW + 300`, with others in their place.
fn claims(others: &str) -> Claims {
    let exp = NOW + 300;
    let comma = if others.is_empty() { "" } else { "," };
    let json =
        format!(r#"{{"iss":"https://issuer.test","aud":"catalog","exp":{exp}{comma}{others}}}"#);
    // Of members that are there twice the last one stays.
    let mut all: serde_json::Map<_, _> = serde_json::from_str(&json).unwrap();
    all.retain(|_, value| *value != "absent");
    Claims::from(all)
}

fn judge(expected: &Expected, others: &str) -> Result<i64, ClaimFault> {
    let judged = expected.judge(&header(Some("at+jwt")), &claims(others), NOW)?;
    Ok(judged.expires_at)
}

fn typed(expected: &Expected, typ: Option<&'static str>, others: &str) -> Result<i64, ClaimFault> {
    let judged = expected.judge(&header(typ), &claims(others), NOW)?;
    Ok(judged.expires_at)
}

#[test]
fn a_token_of_the_issuer_for_the_audience_is_let_in() {
    assert_eq!(judge(&expected(), ""), Ok(NOW + 300 + LEEWAY));
}

#[test]
fn a_missing_or_text_exp_is_refused() {
    assert_eq!(
        judge(&expected(), r#""exp":"absent""#),
        Err(ClaimFault::ExpiryMissing)
    );
    for bad in [r#""1900000000""#, "null", "true", "[1900000000]", "{}"] {
        assert_eq!(
            judge(&expected(), &format!(r#""exp":{bad}"#)),
            Err(ClaimFault::Date),
            "{bad}"
        );
        assert_eq!(
            judge(&expected(), &format!(r#""nbf":{bad}"#)),
            Err(ClaimFault::Date),
            "{bad}"
        );
        assert_eq!(
            judge(&expected(), &format!(r#""iat":{bad}"#)),
            Err(ClaimFault::Date),
            "{bad}"
        );
    }
}

#[test]
fn a_token_is_over_at_the_second_of_its_exp() {
    let exp = |at: i64| judge(&expected(), &format!(r#""exp":{at}"#));
    assert_eq!(exp(NOW - LEEWAY), Err(ClaimFault::Expired));
    assert_eq!(exp(NOW - LEEWAY + 1), Ok(NOW + 1));
    assert_eq!(exp(0), Err(ClaimFault::Expired));
    assert_eq!(exp(-1), Err(ClaimFault::Expired));
    assert_eq!(judge(&expected(), r#""exp":1e300"#), Ok(i64::MAX));
    assert_eq!(
        judge(&expected(), r#""exp":-1e300"#),
        Err(ClaimFault::Expired)
    );
    // A fraction is cut off.
    assert_eq!(
        judge(&expected(), r#""exp":1800000000.9"#),
        Ok(NOW + LEEWAY)
    );
    let strict = Expected {
        leeway: 0,
        ..expected()
    };
    assert_eq!(
        judge(&strict, r#""exp":1800000000.9"#),
        Err(ClaimFault::Expired)
    );
}

#[test]
fn a_token_is_not_valid_before_its_nbf() {
    let nbf = |at: i64| judge(&expected(), &format!(r#""nbf":{at}"#)).map(|_| ());
    assert_eq!(nbf(NOW + LEEWAY), Ok(()));
    assert_eq!(nbf(NOW + LEEWAY + 1), Err(ClaimFault::NotYet));
    assert_eq!(
        judge(&expected(), r#""nbf":1e300"#),
        Err(ClaimFault::NotYet)
    );
    assert_eq!(
        judge(&expected(), r#""nbf":1800000060.5"#),
        Err(ClaimFault::NotYet)
    );
}

#[test]
fn a_wrong_or_missing_iss_is_refused() {
    for missing in [
        r#""iss":"absent""#,
        r#""iss":1"#,
        r#""iss":["https://issuer.test"]"#,
        r#""iss":null"#,
    ] {
        assert_eq!(
            judge(&expected(), missing),
            Err(ClaimFault::IssuerMissing),
            "{missing}"
        );
    }
    for wrong in [
        "https://issuer.test/",
        "https://ISSUER.test",
        "http://issuer.test",
        "",
        "https://issuer.test.attacker.test",
    ] {
        let other = format!(r#""iss":"{wrong}""#);
        assert_eq!(
            judge(&expected(), &other),
            Err(ClaimFault::Issuer),
            "{wrong}"
        );
    }
    let nobody = Expected {
        issuers: Vec::new(),
        ..expected()
    };
    assert_eq!(judge(&nobody, ""), Err(ClaimFault::Issuer));
}

#[test]
fn a_token_of_tenant_a_is_refused_at_b() {
    let b = Expected::access_token("https://issuer.test/tenants/b", "catalog");
    let of_a = r#""iss":"https://issuer.test/tenants/a""#;
    assert_eq!(judge(&b, of_a), Err(ClaimFault::Issuer));
    let either = Expected {
        issuers: vec![
            "https://issuer.test/tenants/a".into(),
            "https://issuer.test/tenants/b".into(),
        ],
        ..expected()
    };
    assert!(judge(&either, of_a).is_ok());
}

#[test]
fn a_wrong_or_missing_aud_is_refused() {
    for missing in [
        r#""aud":"absent""#,
        r#""aud":[]"#,
        r#""aud":1"#,
        r#""aud":["catalog",1]"#,
    ] {
        assert_eq!(
            judge(&expected(), missing),
            Err(ClaimFault::AudienceMissing),
            "{missing}"
        );
    }
    for wrong in [
        r#""billing""#,
        r#"["billing"]"#,
        r#""Catalog""#,
        r#""catalog ""#,
        r#""""#,
    ] {
        let other = format!(r#""aud":{wrong}"#);
        assert_eq!(
            judge(&expected(), &other),
            Err(ClaimFault::Audience),
            "{wrong}"
        );
    }
    assert!(judge(&expected(), r#""aud":["billing","catalog"]"#).is_ok());
    let any = Expected {
        audiences: Vec::new(),
        ..expected()
    };
    assert!(judge(&any, r#""aud":"absent""#).is_ok());
}

#[test]
fn tokens_of_other_types_do_not_pass_for_access_tokens() {
    let expected = expected();
    for fits in [
        Some("at+jwt"),
        Some("application/at+jwt"),
        Some("AT+JWT"),
        Some("Application/at+JWT"),
        Some("JWT"),
        Some("jwt"),
        None,
    ] {
        assert!(typed(&expected, fits, "").is_ok(), "{fits:?}");
    }
    for other in [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "id_token+jwt",
        "refresh+jwt",
        "JOSE",
        "",
        "application/",
        "text/at+jwt",
        "at+jwt ",
        "é",
    ] {
        assert_eq!(
            typed(&expected, Some(other), ""),
            Err(ClaimFault::Type),
            "{other}"
        );
    }
}

#[test]
fn id_and_refresh_tokens_without_a_type_of_their_own_are_known_by_their_claims() {
    for other in [
        r#""nonce":"n""#,
        r#""at_hash":"h""#,
        r#""c_hash":"h""#,
        r#""events":{}"#,
        r#""typ":"ID""#,
        r#""typ":"Refresh""#,
        r#""typ":"Offline""#,
        r#""typ":"Logout""#,
        r#""typ":1"#,
        r#""token_use":"id""#,
    ] {
        for typ in [Some("JWT"), None] {
            assert_eq!(
                typed(&expected(), typ, other),
                Err(ClaimFault::Type),
                "{other}"
            );
        }
    }
    for access in [r#""typ":"Bearer""#, r#""token_use":"access""#] {
        assert!(typed(&expected(), Some("JWT"), access).is_ok(), "{access}");
    }
}

#[test]
fn a_token_that_is_bound_to_a_key_is_no_bearers() {
    let strict = Expected {
        kind: Kind::StrictAccessToken,
        ..expected()
    };
    let whole = r#""sub":"ada","client_id":"app","iat":1799999990,"jti":"1""#;
    for bound in [
        r#""cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#,
        r#""cnf":{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#,
        r#""cnf":null"#,
    ] {
        for typ in [Some("at+jwt"), Some("JWT"), None] {
            assert_eq!(typed(&expected(), typ, bound), Err(ClaimFault::Type));
        }
        let whole = format!("{whole},{bound}");
        assert_eq!(
            typed(&strict, Some("at+jwt"), &whole),
            Err(ClaimFault::Type)
        );
    }
}

#[test]
fn a_strict_access_token_is_one_by_rfc_9068() {
    let strict = Expected {
        kind: Kind::StrictAccessToken,
        ..expected()
    };
    let whole = r#""sub":"ada","client_id":"app","iat":1799999990,"jti":"1""#;
    assert!(typed(&strict, Some("at+jwt"), whole).is_ok());
    for typ in [Some("JWT"), None] {
        assert_eq!(typed(&strict, typ, whole), Err(ClaimFault::Type));
    }
    for missing in ["sub", "client_id", "iat", "jti"] {
        let others = format!(r#"{whole},"{missing}":"absent""#);
        let fault = typed(&strict, Some("at+jwt"), &others);
        assert_eq!(fault, Err(ClaimFault::Missing(missing)));
    }
}

#[test]
fn another_sort_of_token_is_asked_for_by_name() {
    let proof = Expected {
        kind: Kind::Explicit("dpop+jwt".into()),
        ..expected()
    };
    assert!(typed(&proof, Some("dpop+jwt"), "").is_ok());
    assert!(typed(&proof, Some("application/dpop+jwt"), "").is_ok());
    for other in [Some("at+jwt"), Some("JWT"), None] {
        assert_eq!(typed(&proof, other, ""), Err(ClaimFault::Type));
    }
}

#[test]
fn an_old_token_is_refused_where_age_is_limited() {
    let young = Expected {
        max_age: Some(100),
        ..expected()
    };
    let issued = |at: i64| judge(&young, &format!(r#""iat":{at}"#));
    assert_eq!(judge(&young, ""), Err(ClaimFault::IssuedMissing));
    assert_eq!(issued(NOW - 100 - LEEWAY), Err(ClaimFault::TooOld));
    assert_eq!(issued(NOW - 100 - LEEWAY + 1), Ok(NOW + 1));
    assert_eq!(issued(NOW + LEEWAY), Ok(NOW + 100 + 2 * LEEWAY));
    assert_eq!(issued(NOW + LEEWAY + 1), Err(ClaimFault::IssuedInFuture));
    // Without a limit the age says nothing.
    assert!(judge(&expected(), r#""iat":0"#).is_ok());
}

#[test]
fn sentences_have_nothing_of_what_is_expected_in_them() {
    for others in [r#""iss":"x""#, r#""aud":"x""#, r#""exp":0"#] {
        let sentence = judge(&expected(), others).unwrap_err().to_string();
        assert!(
            !sentence.contains("issuer.test") && !sentence.contains("catalog"),
            "{sentence}"
        );
    }
}
