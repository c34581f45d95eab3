//! JSON Web Tokens.

use serde_json::json;
use weir_jose::Algorithm;

use super::{Bench, Issuer, claims, now};
use crate::harness::wait_until;

#[test]
fn a_good_token_of_each_algorithm_passes_and_is_known_afterwards() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let issuer = Issuer::new(algorithm);
        let bench = Bench::new(&issuer, "", "customers");
        let token = issuer.token(&json!({}));
        for _ in 0..3 {
            let answer = bench.with_token(&token);
            assert_eq!(answer.status(), 200, "{algorithm:?}: {}", answer.text());
            assert!(
                answer.text().contains("authorization: Bearer"),
                "it is forwarded"
            );
        }
    }
}

#[test]
fn without_a_token_the_client_is_told_how_to_say_who_it_is() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = Bench::new(&issuer, "", "customers");
    for fields in ["", "Authorization: Basic YTpi\r\n"] {
        let answer = bench.get(fields);
        assert_eq!(
            bench.logged(&answer)["weir.decided_by"],
            "policies.customers"
        );
        answer.assert_problem(401, "credential_missing");
        assert_eq!(
            answer.get("www-authenticate"),
            Some("Bearer realm=\"weir\"")
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("Authorization: Bearer"), "{detail}");
    }
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn what_is_wrong_with_a_token_is_said_to_its_holder_and_to_the_operator() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = Bench::new(&issuer, "", "customers");
    let cases = [
        (
            json!({"exp": now() - 31}),
            "token_expired",
            "The token has expired.",
        ),
        (
            json!({"nbf": now() + 60}),
            "token_not_yet_valid",
            "The token is not valid yet.",
        ),
        (
            json!({"iss": "https://other.test"}),
            "issuer_not_accepted",
            "The issuer of the token is not accepted here.",
        ),
        (
            json!({"aud": "orders"}),
            "audience_not_accepted",
            "The token is for another audience.",
        ),
        (
            json!({"exp": "1999999999"}),
            "date_not_a_number",
            "A date of the token is not a number.",
        ),
        (
            json!({"sub": ""}),
            "subject_missing",
            "The token does not say who it is about.",
        ),
    ];
    for (claims, cause, sentence) in cases {
        let answer = bench.with_token(&issuer.token(&claims));
        answer.assert_problem(401, "credential_refused");
        assert_eq!(answer.json()["detail"], sentence);
        let challenge = answer.get("www-authenticate").unwrap();
        let expected = format!("error=\"invalid_token\", error_description=\"{sentence}\"");
        assert!(challenge.contains(&expected), "{challenge}");
        let logged = bench.logged(&answer);
        assert_eq!(logged["weir.cause"], cause, "{logged}");
    }
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn a_token_is_refused_at_the_second_in_which_it_ends_though_it_is_known() {
    let issuer = Issuer::new(Algorithm::EdDsa);
    let setup = "  strict: { jwt: { issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json, leeway: 0s } }\n";
    let bench = Bench::new(&issuer, setup, "strict");
    let token = issuer.token(&json!({"exp": now() + 3}));
    assert_eq!(bench.with_token(&token).status(), 200);
    wait_until("it has ended", || bench.with_token(&token).status() == 401);
    assert_eq!(bench.with_token(&token).status(), 401);
}

#[test]
fn a_removed_key_is_refused_with_the_revision_that_removes_it() {
    let (old, new) = (Issuer::new(Algorithm::Rs256), Issuer::new(Algorithm::Rs256));
    let bench = Bench::new(&old, "", "customers");
    let token = old.token(&json!({}));
    assert_eq!(bench.with_token(&token).status(), 200);
    let revision = bench.weir.revision_number();
    bench.weir.replace_file("jwks.json", new.jwks());
    wait_until("the file is read", || {
        bench.weir.revision_number() > revision
    });
    let answer = bench.with_token(&token);
    answer.assert_problem(401, "credential_refused");
    assert_eq!(bench.with_token(&new.token(&json!({}))).status(), 200);
}

#[test]
fn tokens_of_several_issuers_are_told_apart() {
    let (one, other) = (Issuer::new(Algorithm::Es256), Issuer::new(Algorithm::Rs256));
    let policy = format!(
        "  both: {{ jwt: {{ issuers: [{{ issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json }}, \
         {{ issuer: https://other.test, audience: orders, jwks: {} }}], cookie: token, forward: false }} }}\n",
        other.jwks()
    );
    let bench = Bench::new(&one, &policy, "both");
    let get = |token: String| bench.get(&format!("Cookie: a=b; token={token}\r\n"));
    assert_eq!(get(one.token(&json!({}))).status(), 200);
    let answer = get(other.token(&json!({"iss": "https://other.test", "aud": ["x", "orders"]})));
    assert_eq!(answer.status(), 200);
    let seen = answer.text();
    assert!(
        seen.contains("cookie: a=b\n") || seen.contains("cookie: a=b\r\n"),
        "the token is not forwarded: {seen}"
    );
    // Each issuer vouches for itself only, and for its audience only.
    for claims in [json!({}), json!({"iss": "https://other.test"})] {
        get(other.token(&claims)).assert_problem(401, "credential_refused");
    }
    get(one.token(&json!({"aud": "orders"}))).assert_problem(401, "credential_refused");
}

#[test]
fn a_token_may_be_left_out_where_none_is_required_but_a_bad_one_is_refused() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policy = "  some: { jwt: { issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json, required: false } }\n  who: { identity: {} }\n";
    let bench = Bench::new(&issuer, policy, "some, who");
    let anonymous = bench.get("");
    assert_eq!(anonymous.status(), 200);
    assert!(!anonymous.text().contains("x-weir-subject"));
    let known = bench.with_token(&issuer.token(&json!({})));
    assert!(
        known.text().contains("x-weir-subject: ada"),
        "{}",
        known.text()
    );
    bench
        .with_token("nonsense")
        .assert_problem(401, "credential_refused");
}

#[test]
fn only_access_tokens_are_access_tokens() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = Bench::new(&issuer, "", "customers");
    let typed = |typ: &str, more| {
        let token = issuer
            .key
            .sign(typ, claims(&more).to_string().as_bytes())
            .unwrap();
        bench.with_token(&token).status()
    };
    assert_eq!(typed("JWT", json!({})), 200);
    assert_eq!(typed("application/at+jwt", json!({})), 200);
    for typ in ["dpop+jwt", "logout+jwt", "secevent+jwt", "refresh+jwt"] {
        assert_eq!(typed(typ, json!({})), 401, "{typ}");
    }
    assert_eq!(
        typed("JWT", json!({"nonce": "n", "at_hash": "h"})),
        401,
        "an ID token"
    );
}
