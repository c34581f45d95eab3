//! Access and refresh tokens over the API: whoever else verifies them can, one use of many counts on all nodes, and
//! what is revoked stays so.

mod nodes;

use std::process::Command;

use serde_json::{Value as Json, json};
use weir_testkit::{installed, on_both_engines};

use super::{Client, World};
use crate::harness::{Message, Weir};

on_both_engines! {
    tokens_are_issued_exchanged_and_revoked,
    what_outlives_a_session_needs_a_recent_sign_in,
    keys_are_replaced_by_whoever_may,
}

const AUDIENCE: &str = "https://api.acme.example";

fn issue(client: &Client, body: &Json) -> Json {
    let issued = client.post("/v1/tokens", body);
    assert_eq!(issued.status(), 200, "{}", issued.text());
    assert_eq!(issued.get("cache-control"), Some("no-store"));
    issued.json()
}

fn refresh(client: &Client, token: &Json) -> Message {
    client.post("/v1/tokens/refresh", &json!({ "refresh_token": token }))
}

/// What a foreign program says of a token: its claims, or why it is not good.
fn asked(mut command: Command, weir: &Weir, token: &Json) -> Result<Json, String> {
    let keys = format!("http://{}/.well-known/jwks.json", weir.setup().admin);
    let issuer = format!("http://{}", weir.setup().admin);
    let ran = command
        .args([&keys, &issuer, AUDIENCE, token.as_str().unwrap()])
        .output()
        .unwrap();
    match ran.status.success() {
        true => Ok(serde_json::from_slice(&ran.stdout).unwrap()),
        false => Err(String::from_utf8(ran.stderr).unwrap()),
    }
}

/// Authlib, of PyPI.
fn authlib() -> Command {
    const PROGRAM: &str = "
import json, sys, urllib.request
from authlib.jose import JsonWebKey, JsonWebToken
address, issuer, audience, token = sys.argv[1:]
keys = JsonWebKey.import_key_set(json.load(urllib.request.urlopen(address)))
essential = lambda value: {'essential': True, 'value': value}
claims = JsonWebToken(['ES256', 'RS256', 'EdDSA']).decode(
    token, keys, claims_options={'iss': essential(issuer), 'aud': essential(audience), 'exp': {'essential': True}})
claims.validate()
assert claims.header['typ'] == 'at+jwt', claims.header
print(json.dumps(claims))
";
    let mut python = Command::new(installed("venv/bin/python"));
    python.args(["-c", PROGRAM]);
    python
}

/// jose, of npm.
fn jose() -> Command {
    const PROGRAM: &str = "
import { createRemoteJWKSet, jwtVerify } from 'jose';
const [address, issuer, audience, token] = process.argv.slice(1);
const keys = createRemoteJWKSet(new URL(address));
const { payload } = await jwtVerify(token, keys, {
  issuer, audience, typ: 'at+jwt', requiredClaims: ['sub', 'exp', 'iat', 'jti', 'client_id'] });
console.log(JSON.stringify(payload));
";
    let mut node = Command::new("node");
    node.current_dir(installed("node/package.json").parent().unwrap());
    node.args(["--input-type=module", "--eval", PROGRAM, "--"]);
    node
}

async fn tokens_are_issued_exchanged_and_revoked(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let editor = world.member(&acme, "editor").await;
    let first = issue(
        &editor,
        &json!({ "audience": AUDIENCE, "organization": "acme", "scope": "route:read" }),
    );
    assert_eq!(first["token_type"], "Bearer");
    assert_eq!(
        (&first["expires_in"], &first["scope"]),
        (&json!(300), &json!("route:read"))
    );
    world.organization("globex");
    for (wrong, pointer, said) in [
        (
            json!({ "organization": "nosuch" }),
            "/organization",
            "is no organization to which you belong",
        ),
        (
            json!({ "organization": "globex" }),
            "/organization",
            "is no organization to which you belong",
        ),
        (
            json!({ "scope": "route:read" }),
            "/scope",
            "needs an `organization`: scopes are what a role there gives",
        ),
    ] {
        let mut body = wrong;
        body["audience"] = json!(AUDIENCE);
        let refused = editor.post("/v1/tokens", &body);
        refused.assert_problem(422, "invalid");
        assert_eq!(
            refused.json()["errors"],
            json!([{ "pointer": pointer, "detail": said }])
        );
    }
    let me = editor.get("/v1/me").json();
    for foreign in [authlib(), jose()] {
        let claims = asked(foreign, &world.weir, &first["access_token"]).unwrap();
        assert_eq!(
            (&claims["sub"], &claims["aud"]),
            (&me["id"], &json!(AUDIENCE))
        );
        assert_eq!(
            (&claims["tenant"], &claims["roles"]),
            (&json!(acme), &json!(["editor"]))
        );
    }
    let token = first["access_token"].as_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let forged = json!(format!(
        "{signed}.{}",
        signature.chars().rev().collect::<String>()
    ));
    for foreign in [authlib(), jose()] {
        assert!(asked(foreign, &world.weir, &forged).is_err());
    }

    // A browser that has the set does not fetch it again, and nobody needs a credential for it.
    let anybody = world.anybody();
    let keys = anybody.get("/.well-known/jwks.json");
    assert_eq!(keys.status(), 200);
    assert_eq!(keys.get("cache-control"), Some("public, max-age=300"));
    assert_eq!(keys.get("content-type"), Some("application/jwk-set+json"));
    assert!(!keys.text().contains("\"d\""));
    let field = format!("If-None-Match: {}\r\n", keys.get("etag").unwrap());
    let again = anybody.send("GET", "/.well-known/jwks.json", None, &field);
    assert_eq!((again.status(), again.text().as_str()), (304, ""));

    // No session is needed to go on.
    let second = refresh(&anybody, &first["refresh_token"]).json();
    let repeated = refresh(&anybody, &first["refresh_token"]).json();
    assert_eq!(second["refresh_token"], repeated["refresh_token"]);
    let third = refresh(&anybody, &second["refresh_token"]).json();
    let old = refresh(&anybody, &first["refresh_token"]);
    old.assert_problem_word(403, "refused");
    refresh(&anybody, &third["refresh_token"]).assert_problem_word(403, "refused");

    let fourth = issue(&editor, &json!({ "audience": AUDIENCE }));
    let listed = editor.get("/v1/me/tokens").json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["agent"], "weir-tests");
    let family = listed["items"][0]["id"].as_str().unwrap();
    let others = world.owner.delete(&format!("/v1/me/tokens/{family}"));
    others.assert_problem_word(404, "not_found");
    let revoked = editor.delete(&format!("/v1/me/tokens/{family}"));
    assert_eq!(revoked.status(), 204);
    refresh(&anybody, &fourth["refresh_token"]).assert_problem_word(403, "refused");
    let fifth = issue(&editor, &json!({ "audience": AUDIENCE }));
    for token in [
        &fifth["refresh_token"],
        &fifth["refresh_token"],
        &json!("nothing"),
    ] {
        let revoked = anybody.post("/v1/tokens/revoke", &json!({ "token": token }));
        assert_eq!(revoked.status(), 204);
    }
    refresh(&anybody, &fifth["refresh_token"]).assert_problem_word(403, "refused");
}

async fn what_outlives_a_session_needs_a_recent_sign_in(engine: &str) {
    let world = World::begin(engine).await;
    let offline = json!({ "audience": AUDIENCE, "offline": true });
    let issued = issue(&world.owner, &offline);
    world.age_sessions(16).await;
    let refused = world.owner.post("/v1/tokens", &offline);
    refused.assert_problem_word(403, "recent_sign_in_needed");
    let bound = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    assert_eq!(world.owner.post("/v1/sign-out", &json!({})).status(), 204);
    let anybody = world.anybody();
    refresh(&anybody, &bound["refresh_token"]).assert_problem_word(403, "refused");
    assert_eq!(refresh(&anybody, &issued["refresh_token"]).status(), 200);
    // Somebody at the machine has no account that a token could be of.
    let operator = world.operator().post("/v1/tokens", &offline);
    operator.assert_problem_word(403, "no_account");
}

async fn keys_are_replaced_by_whoever_may(engine: &str) {
    let world = World::begin(engine).await;
    let acme = world.organization("acme");
    let owner = world.member(&acme, "owner").await;
    let refused = owner.post("/v1/signing-keys", &json!({}));
    assert_eq!(refused.json()["permission"], "signing_key:write");
    let refused = owner.get("/v1/signing-keys");
    assert_eq!(refused.json()["permission"], "signing_key:read");
    let before = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    let next = world.owner.post("/v1/signing-keys", &json!({}));
    assert_eq!(
        (next.status(), &next.json()["stage"]),
        (200, &json!("next"))
    );
    let again = world.owner.post("/v1/signing-keys", &json!({}));
    again.assert_problem_word(409, "conflict");
    let now = world
        .owner
        .post("/v1/signing-keys", &json!({ "now": true }));
    assert_eq!(now.json()["kid"], next.json()["kid"]);
    let after = issue(&world.owner, &json!({ "audience": AUDIENCE }));
    for token in [&before, &after] {
        for foreign in [authlib(), jose()] {
            asked(foreign, &world.weir, &token["access_token"]).unwrap();
        }
    }
    let keys = world.operator().get("/v1/signing-keys").json();
    let stages: Vec<_> = keys["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["stage"])
        .collect();
    assert_eq!(stages, ["active", "retired"]);
    let retired = keys["items"][1]["kid"].as_str().unwrap();
    let path = format!("/v1/signing-keys/{retired}/revoke");
    assert_eq!(world.owner.post(&path, &json!({})).status(), 204);
    world
        .owner
        .post(&path, &json!({}))
        .assert_problem_word(409, "conflict");
    for foreign in [authlib(), jose()] {
        assert!(asked(foreign, &world.weir, &before["access_token"]).is_err());
    }
    for foreign in [authlib(), jose()] {
        asked(foreign, &world.weir, &after["access_token"]).unwrap();
    }
}
