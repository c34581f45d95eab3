//! What a new token costs: `cargo run --release -p weir-jose --example verify`.
//!
//! For each algorithm: form and signature with a key that is parsed once, as in use, and with one that is parsed for
//! every token; and what its claims cost.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_jose::{
    Algorithm, Claims, Expected, Key, KeySet, LONGEST_TOKEN, RsaBits, SigningKey, Token,
};

const CLAIMS: &str = r#"{"iss":"https://issuer.test","sub":"0192f0c1-9d0a-7c6e-8000-5d1f0f5d2b11","aud":"catalog","exp":1800000300,"iat":1800000000,"jti":"0192f0c1-9d0a-7c6e-8000-5d1f0f5d2b12","client_id":"app","scope":"read write"}"#;
const NOW: i64 = 1_800_000_000;
const FOR: Duration = Duration::from_millis(500);

fn main() {
    let expected = Expected::access_token("https://issuer.test", "catalog");
    for (name, signing) in [
        (
            "RS256, 2048 bits",
            SigningKey::generate_rsa(RsaBits::Bits2048),
        ),
        (
            "RS256, 3072 bits",
            SigningKey::generate_rsa(RsaBits::Bits3072),
        ),
        ("ES256", SigningKey::generate(Algorithm::Es256)),
        ("EdDSA", SigningKey::generate(Algorithm::EdDsa)),
    ] {
        let signing = signing.unwrap();
        let text = signing.sign("at+jwt", CLAIMS.as_bytes()).unwrap();
        let jwk = signing.public_jwk().to_string();
        let keys = KeySet::new(vec![signing.public_key().unwrap()]).unwrap();
        let mut buffer = Vec::new();
        let once = average(|| {
            let token = Token::parse(&text, LONGEST_TOKEN, &mut buffer).unwrap();
            black_box(token.verify(&keys).unwrap().key());
        });
        let anew = average(|| {
            let key = Key::from_jwk(jwk.as_bytes()).unwrap();
            let token = Token::parse(&text, LONGEST_TOKEN, &mut buffer).unwrap();
            black_box(token.verify_with(&key).unwrap().key());
        });
        let token = Token::parse(&text, LONGEST_TOKEN, &mut buffer).unwrap();
        let judged = average(|| {
            let claims = Claims::parse(black_box(CLAIMS.as_bytes())).unwrap();
            black_box(expected.judge(token.header(), &claims, NOW).unwrap());
        });
        println!(
            "{name}: {once:.1} µs with a parsed key, {anew:.1} µs with its JWK; claims {judged:.1} µs"
        );
    }
}

/// Microseconds that a call takes.
fn average(mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut calls = 0_u32;
    while begin.elapsed() < FOR {
        call();
        calls += 1;
    }
    begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}
