//! The token that tells an upstream who is calling.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use weir_jose::{Algorithm, SigningKey};
use weir_testkit::{installed, on_both_engines};

use super::{Bench, Issuer, now};
use crate::api::{World, config};
use crate::harness::{Message, Setup, Upstream, Weir, Wire, wait_until};

on_both_engines! {
    an_upstream_verifies_who_calls_and_keys_are_replaced_meanwhile,
}

/// What the upstream got in a field, as the server says that tells what it got.
fn seen(answer: &Message, name: &str) -> Vec<String> {
    let text = answer.text();
    let prefix = format!("{name}: ");
    let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    lines.map(|value| value.trim().to_owned()).collect()
}

fn part(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The upstream, with npm's `jose`: the claims, or why the token is not good.
fn verified(keys: &str, issuer: &str, token: &str) -> Result<Value, String> {
    const PROGRAM: &str = "
import { createRemoteJWKSet, createLocalJWKSet, jwtVerify } from 'jose';
const [keys, issuer, token] = process.argv.slice(1);
const set = keys.startsWith('http') ? createRemoteJWKSet(new URL(keys)) : createLocalJWKSet(JSON.parse(keys));
const { payload } = await jwtVerify(token, set, {
  issuer, audience: 'orders', typ: 'weir-internal+jwt', maxTokenAge: '60s', clockTolerance: 5,
  requiredClaims: ['sub', 'exp', 'iat', 'jti'] });
console.log(JSON.stringify(payload));
";
    let mut node = Command::new("node");
    node.current_dir(installed("node/package.json").parent().unwrap());
    node.args([
        "--input-type=module",
        "--eval",
        PROGRAM,
        "--",
        keys,
        issuer,
        token,
    ]);
    let ran = node.output().unwrap();
    match ran.status.success() {
        true => Ok(serde_json::from_slice(&ran.stdout).unwrap()),
        false => Err(String::from_utf8(ran.stderr).unwrap()),
    }
}

fn get(weir: &Weir, fields: &str) -> Message {
    let mut wire = Wire::connect(weir.http());
    wire.send(format!(
        "GET /items HTTP/1.1\r\nHost: a.test\r\n{fields}Connection: close\r\n\r\n"
    ));
    wire.response("GET")
}

async fn an_upstream_verifies_who_calls_and_keys_are_replaced_meanwhile(engine: &str) {
    let upstream = Upstream::echo();
    let issuer = Issuer::new(Algorithm::Es256);
    let setup = Setup::new();
    setup.write("jwks.json", issuer.jwks());
    let records = config(engine).replace("routes: []\n", "");
    let text = format!(
        "{records}upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
         policies:\n  customers: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json }} }}\n  \
           who: {{ identity: {{ token: {{ audience: orders, claims: email }} }} }}\n\
         routes:\n  - {{ name: items, policies: [customers, who], upstream: up }}\n",
        upstream.address
    );
    let world = World::begin_at(setup, &text).await;
    let admin = format!("http://{}", world.weir.setup().admin);
    let keys = format!("{admin}/.well-known/jwks.json");
    let token =
        issuer.token(&json!({"email": "ada@acme.example", "scope": "a b", "exp": now() + 600}));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let mut first = String::new();
    wait_until("there is a key", || {
        let answer = get(&world.weir, &bearer);
        first = seen(&answer, "weir-identity").concat();
        answer.status() == 200
    });
    let gateway = format!("{admin}/internal");
    let said = verified(&keys, &gateway, &first).unwrap();
    assert_eq!(
        (&said["sub"], &said["scope"], &said["method"]),
        (&json!("ada"), &json!("a b"), &json!("token"))
    );
    assert_eq!(said["sub_id"]["iss"], "https://issuer.test");
    assert_eq!(said["claims"], json!({"email": "ada@acme.example"}));
    assert_eq!(
        said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(),
        60
    );

    // Whoever signs in gets tokens for the same audience, by the same keys, and not in the gateway's name.
    let own = world
        .owner
        .post("/v1/tokens", &json!({"audience": "orders"}));
    let own = own.json()["access_token"].as_str().unwrap().to_owned();
    let (their, its) = (part(&own, 1), part(&first, 1));
    assert_eq!((&their["aud"], &their["iss"]), (&its["aud"], &json!(admin)));
    assert_ne!(their["iss"], its["iss"]);

    // It opens nothing of Weir's own.
    let mut wire = Wire::connect(world.weir.setup().admin);
    wire.send(format!(
        "GET /v1/me HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {first}\r\nConnection: close\r\n\r\n",
        world.weir.setup().admin
    ));
    assert_eq!(wire.response("GET").status(), 401);

    let rotated = world
        .owner
        .post("/v1/signing-keys", &json!({ "now": true }));
    assert_eq!(rotated.status(), 200, "{}", rotated.text());
    let kid = rotated.json()["kid"].clone();
    let mut second = String::new();
    wait_until("the next key signs", || {
        let answer = get(&world.weir, &bearer);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        second = seen(&answer, "weir-identity").concat();
        part(&second, 0)["kid"] == kid
    });
    for token in [&first, &second] {
        verified(&keys, &gateway, token).unwrap();
    }
    let (signed, _) = second.rsplit_once('.').unwrap();
    let (_, signature) = first.rsplit_once('.').unwrap();
    assert!(verified(&keys, &gateway, &format!("{signed}.{signature}")).is_err());
}

/// Without records of an installation: the configuration has the key.
fn with_own_key(header: &str) -> (Bench, Issuer, SigningKey) {
    let issuer = Issuer::new(Algorithm::Es256);
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let pkcs8 = STANDARD.encode(key.to_pkcs8().unwrap().expose());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pkcs8}\n-----END PRIVATE KEY-----\n");
    let directory = tempfile::tempdir().unwrap().keep();
    let file = directory.join("internal.pem");
    std::fs::write(&file, pem).unwrap();
    let policies = format!(
        "  some: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json, required: false }} }}\n  \
         who: {{ identity: {{ token: {{ audience: orders, header: {header}, issuer: https://gateway.test, key: 'file:{}' }} }} }}\n",
        file.display()
    );
    let routes = "routes:\n  - { name: items, policies: [some, who], upstream: up }\n  \
                  - { name: open, match: { host: b.test }, upstream: up }\n";
    (Bench::with(&issuer, &policies, routes), issuer, key)
}

#[test]
fn a_key_of_the_configuration_signs_and_its_public_part_is_told() {
    let (bench, issuer, key) = with_own_key("weir-identity");
    let token = issuer.token(&json!({}));
    let answer = bench.with_token(&token);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let internal = seen(&answer, "weir-identity").concat();
    let config = std::fs::read_to_string(bench.weir.directory().join("weir.yaml")).unwrap();
    let file = config
        .split("file:")
        .find(|rest| rest.contains("internal.pem"))
        .unwrap();
    let file = file.split('\'').next().unwrap();
    let told = bench.weir.run("keys", &["public", file]);
    let keys: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(keys, json!({"keys": [key.public_jwk()]}));
    let said = verified(&keys.to_string(), "https://gateway.test", &internal).unwrap();
    assert_eq!(said["sub"], "ada");
    assert!(!bench.weir.log().contains(&internal));
    // One for the credential, whatever else is in the requests.
    let connections = (0..20).map(|_| seen(&bench.with_token(&token), "weir-identity").concat());
    let tokens: std::collections::HashSet<_> = connections.collect();
    assert!(tokens.len() <= 4, "one for each worker: {}", tokens.len());
}

#[test]
fn no_client_sends_one_of_its_own() {
    let (bench, issuer, _) = with_own_key("weir-identity");
    let forged = "Weir-Identity: forged\r\nWEIR-IDENTITY: forged\r\nweir_identity: forged\r\nWeir_identity: forged\r\n";
    for fields in [
        format!(
            "Authorization: Bearer {}\r\n{forged}",
            issuer.token(&json!({}))
        ),
        forged.to_owned(),
    ] {
        let answer = bench.get(&fields);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert!(!answer.text().contains("forged"), "{}", answer.text());
    }
    let mut wire = Wire::connect(bench.weir.http());
    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: b.test\r\n{forged}Connection: close\r\n\r\n"
    ));
    let elsewhere = wire.response("GET").text();
    assert!(!elsewhere.contains("forged"), "{elsewhere}");
}

#[test]
fn as_a_bearer_token_it_takes_the_place_of_the_clients_own() {
    let (bench, issuer, _) = with_own_key("authorization");
    let token = issuer.token(&json!({}));
    let shown = seen(&bench.with_token(&token), "authorization");
    let [shown] = &*shown else {
        panic!("{shown:?}");
    };
    let shown = shown.strip_prefix("Bearer ").unwrap();
    assert_ne!(shown, token);
    assert_eq!(part(shown, 0)["typ"], "weir-internal+jwt");
    // Of somebody who is not known, no credential of another kind is left either.
    let unknown = bench.get("Authorization: Basic YTpi\r\n");
    assert_eq!(seen(&unknown, "authorization"), [""; 0]);
    // For other upstreams it stays.
    let mut wire = Wire::connect(bench.weir.http());
    wire.send(
        "GET / HTTP/1.1\r\nHost: b.test\r\nAuthorization: Basic YTpi\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(seen(&wire.response("GET"), "authorization"), ["Basic YTpi"]);
}
