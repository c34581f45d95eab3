//! Tokens that were made to deceive (RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use weir_jose::{Algorithm, SigningKey};

use super::{Bench, Issuer, claims};
use crate::harness::{Setup, Upstream, Wire, answer};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with another header, and this signature.
fn forged(header: &Value, signature: &[u8]) -> String {
    format!(
        "{}.{}.{}",
        part(header),
        part(&claims(&json!({}))),
        URL_SAFE_NO_PAD.encode(signature)
    )
}

#[test]
fn no_token_chooses_how_it_is_checked() {
    let issuer = Issuer::new(Algorithm::Rs256);
    let bench = Bench::new(&issuer, "", "customers");
    let public = issuer.key.public_jwk();
    let kid = &public["kid"];
    let good = issuer.token(&json!({}));
    let signature = URL_SAFE_NO_PAD
        .decode(good.rsplit('.').next().unwrap())
        .unwrap();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": kid, "typ": "at+jwt"});
        for signature in [&[][..], &signature] {
            bench
                .with_token(&forged(&header, signature))
                .assert_problem(401, "credential_refused");
        }
    }
    // RSA's public key as the secret of an HMAC.
    for secret in [
        public["n"].as_str().unwrap().as_bytes(),
        public.to_string().as_bytes(),
    ] {
        let header = json!({"alg": "HS256", "kid": kid, "typ": "at+jwt"});
        let signed = format!("{}.{}", part(&header), part(&claims(&json!({}))));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        bench
            .with_token(&token)
            .assert_problem(401, "credential_refused");
    }
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA"] {
        let header = json!({"alg": alg, "kid": kid, "typ": "at+jwt"});
        bench
            .with_token(&forged(&header, &signature))
            .assert_problem(401, "credential_refused");
    }
    assert_eq!(bench.upstream.accepted(), 0);
    assert_eq!(bench.with_token(&good).status(), 200);
}

#[test]
fn no_token_brings_its_own_key() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = Bench::new(&issuer, "", "customers");
    let attacker = SigningKey::generate(Algorithm::Es256).unwrap();
    let kid = issuer.key.public_jwk()["kid"].clone();
    let jwk = attacker.public_jwk();
    let signed = attacker
        .sign("at+jwt", claims(&json!({})).to_string().as_bytes())
        .unwrap();
    let signature = URL_SAFE_NO_PAD
        .decode(signed.rsplit('.').next().unwrap())
        .unwrap();
    let headers = [
        json!({"alg": "ES256", "kid": kid, "jwk": jwk}),
        json!({"alg": "ES256", "jwk": jwk}),
        json!({"alg": "ES256", "kid": kid, "jku": "http://127.0.0.1:1/jwks.json"}),
        json!({"alg": "ES256", "kid": kid, "x5u": "http://127.0.0.1:1/c.pem"}),
        json!({"alg": "ES256", "kid": "../../../../dev/null"}),
        json!({"alg": "ES256", "kid": "' OR 1=1 --"}),
        json!({"alg": "ES256", "kid": ["a"]}),
        json!({"alg": "ES256", "kid": "k".repeat(4096)}),
        json!({"alg": "ES256", "kid": kid, "crit": ["exp"], "exp": 1}),
        json!({"alg": "ES256", "kid": kid, "b64": false, "crit": ["b64"]}),
        json!({"alg": "ES256", "kid": kid, "zip": "DEF"}),
    ];
    for header in headers {
        bench
            .with_token(&forged(&header, &signature))
            .assert_problem(401, "credential_refused");
    }
    bench
        .with_token(&signed)
        .assert_problem(401, "credential_refused");
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn what_is_no_token_is_refused_whatever_it_is() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = Bench::new(&issuer, "", "customers");
    let good = issuer.token(&json!({}));
    let twice = r#"{"iss":"https://issuer.test","aud":"catalog","sub":"ada","sub":"root","exp":4000000000}"#;
    let tokens = [
        "a.b.c".to_owned(),
        "..".to_owned(),
        "a".to_owned(),
        format!("{good}."),
        format!("{good}="),
        format!("{good} x"),
        good.replace('.', ".."),
        issuer.key.sign("at+jwt", twice.as_bytes()).unwrap(),
        issuer.key.sign("at+jwt", b"[]").unwrap(),
        format!("{}.{}", good, "a".repeat(17_000)),
    ];
    for token in tokens {
        bench
            .with_token(&token)
            .assert_problem(401, "credential_refused");
    }
    let twice = format!("Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n");
    bench.get(&twice).assert_problem(400, "malformed_request");
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn no_client_says_who_it_is_by_a_field() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policies = "  who: { identity: { claims: { x-user-email: email } } }\n";
    let routes = "routes:\n  - { name: items, policies: [customers, who], upstream: up }\n  - { name: open, match: { host: b.test }, upstream: up }\n";
    let bench = Bench::with(&issuer, policies, routes);
    let token = issuer.token(&json!({"scope": "a b", "roles": ["x", "y"]}));
    let forged = "X-Weir-Subject: root\r\nx_weir_subject: root\r\nX-Weir-Anything: root\r\nX-User-Email: root\r\nx_user_email: root\r\n";
    let seen = bench
        .get(&format!("Authorization: Bearer {token}\r\n{forged}"))
        .text();
    assert!(!seen.contains("root"), "{seen}");
    for fact in [
        "x-weir-subject: ada",
        "x-weir-issuer: https://issuer.test",
        "x-weir-scopes: a b",
        "x-weir-roles: x,y",
        "x-weir-method: token",
    ] {
        assert!(seen.contains(fact), "{fact}: {seen}");
    }
    // Nor where nobody is asked.
    let mut wire = Wire::connect(bench.weir.http());
    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: b.test\r\n{forged}Connection: close\r\n\r\n"
    ));
    let seen = wire.response("GET").text();
    assert!(!seen.contains("root"), "{seen}");
}

#[test]
fn nobody_says_behind_a_body_who_they_are() {
    let issuer = Issuer::new(Algorithm::Es256);
    let upstream = Upstream::answering(|request| {
        answer(
            200,
            &[],
            format!("{:?} {:?}", request.fields, request.trailers),
        )
    });
    let policies = format!(
        "  who: {{ identity: {{ claims: {{ x-user-email: email }} }} }}\n\
         upstreams: {{ up: {{ targets: ['{}'] }} }}\n",
        upstream.address
    );
    let setup = Setup::new();
    setup.write("jwks.json", issuer.jwks());
    let weir = setup.start(&format!(
        "policies:\n  customers: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json }} }}\n{policies}\
         routes: [{{ name: items, policies: [customers, who], upstream: up }}]\n"
    ));
    let token = issuer.token(&json!({"email": "ada@acme.example"}));
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\na\r\n0\r\nx-user-email: root\r\nx_user_email: root\r\nX-Weir-Subject: root\r\nx-sum: 42\r\n\r\n"
    ));
    let answer = wire.response("POST");
    let seen = answer.text();
    assert_eq!(answer.status(), 200, "{seen}");
    assert!(
        seen.contains("ada@acme.example") && seen.contains("42") && !seen.contains("root"),
        "{seen}"
    );
}

#[test]
fn identity_is_told_also_under_the_names_that_proxies_use() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policy = "  who: { identity: { subject: x-forwarded-user, claims: { remote-user: email, x-auth-request-email: email } } }\n";
    let bench = Bench::new(&issuer, policy, "customers, who");
    let token = issuer.token(&json!({"email": "ada@acme.example"}));
    let seen = bench.get(&format!(
        "Authorization: Bearer {token}\r\nX-Forwarded-User: root\r\nRemote_User: root\r\nX-Auth-Request-Email: root\r\n"
    ));
    let seen = seen.text();
    for told in [
        "x-forwarded-user: ada\n",
        "remote-user: ada@acme.example\n",
        "x-auth-request-email: ada@acme.example\n",
    ] {
        assert!(seen.contains(told), "{told} {seen}");
    }
    assert!(!seen.contains("root"), "{seen}");
}

#[test]
fn a_token_in_another_form_does_not_pass_unjudged() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policy = "  some: { jwt: { issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json, required: false } }\n";
    let bench = Bench::new(&issuer, policy, "some");
    for hidden in ["JWT a.b.c", "Basic YTpi, Bearer a.b.c", "a.b.c"] {
        let answer = bench.get(&format!("Authorization: {hidden}\r\n"));
        answer.assert_problem(400, "malformed_request");
    }
    bench
        .get("Authorization: Bearer\ta.b.c\r\n")
        .assert_problem(401, "credential_refused");
    let other = bench.get("Authorization: Basic YTpi\r\n");
    assert!(other.text().contains("Basic YTpi"), "{}", other.text());
}
