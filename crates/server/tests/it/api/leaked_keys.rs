//! Reports of leaked keys as GitHub's secret scanning partner programme signs them; openssl signs for it here.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_core::{ApiKeyText, TenantId};
use weir_testkit::on_both_engines;

use super::{Client, World, config};
use crate::harness::{Message, Setup, Upstream, answer, tool, wait_until};

on_both_engines! {
    what_github_signs_is_believed,
    ten_thousand_keys_are_judged_at_once,
}

const PATH: &str = "/v1/leaked-keys";
const KEYS: &str = "/v1/organizations/acme/api-keys";

/// A key of ECDSA that openssl has made.
struct Signer {
    directory: tempfile::TempDir,
    id: &'static str,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let signer = Self { directory, id };
        let made = Command::new(tool("openssl"))
            .args([
                "ecparam",
                "-name",
                "prime256v1",
                "-genkey",
                "-noout",
                "-out",
            ])
            .arg(signer.file())
            .status();
        assert!(made.unwrap().success());
        signer
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// As GitHub publishes it.
    fn published(signers: &[&Self]) -> String {
        let keys = signers.iter().map(|signer| {
            let public = Command::new(tool("openssl"))
                .args(["ec", "-pubout", "-in"])
                .arg(signer.file())
                .output();
            let pem = String::from_utf8(public.unwrap().stdout).unwrap();
            json!({ "key_identifier": signer.id, "key": pem, "is_current": true })
        });
        json!({ "public_keys": keys.collect::<Vec<_>>() }).to_string()
    }

    /// The fields that come with a body.
    fn fields(&self, body: &str) -> String {
        let mut signing = Command::new(tool("openssl"))
            .args(["dgst", "-sha256", "-sign"])
            .arg(self.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        signing
            .stdin
            .take()
            .unwrap()
            .write_all(body.as_bytes())
            .unwrap();
        let signature = signing.wait_with_output().unwrap().stdout;
        fields(self.id, &STANDARD.encode(signature))
    }

    fn report(&self, to: &Client, body: &str) -> Message {
        to.send_text("POST", PATH, body, &self.fields(body))
    }
}

fn fields(id: &str, signature: &str) -> String {
    format!("Github-Public-Key-Identifier: {id}\r\nGithub-Public-Key-Signature: {signature}\r\n")
}

/// An installation that knows this signer, with a key of an organization.
async fn world(engine: &str, signer: &Signer, settings: &str) -> (World, String) {
    let setup = Setup::new();
    setup.write("github.json", Signer::published(&[signer]));
    let config = format!(
        "{}identity: {{ leaked_keys: {{ {settings} github: {{ keys: 'file:github.json' }} }} }}\n",
        config(engine)
    );
    let world = World::begin_at(setup, &config).await;
    let acme = world.organization("acme");
    let secret = key(&world, &acme).await;
    (world, secret)
}

async fn key(world: &World, acme: &TenantId) -> String {
    let owner = world.member(acme, "owner").await;
    let made = owner.post(
        KEYS,
        &json!({ "name": "import", "permissions": ["role:read"] }),
    );
    assert_eq!(made.status(), 201, "{}", made.text());
    made.json()["secret"].as_str().unwrap().to_owned()
}

fn works(world: &World, secret: &str) -> bool {
    let status = world
        .anybody()
        .with(secret)
        .get("/v1/openapi.json")
        .status();
    assert!(status == 200 || status == 401, "{status}");
    status == 200
}

fn found(token: &str) -> Value {
    json!({ "token": token, "type": "weir_api_key", "source": "commit",
            "url": "https://github.com/acme/x/blob/a/.env" })
}

/// Of the right form: nothing is wrong with it but that there is no such key.
fn unknown(number: u64) -> String {
    ApiKeyText::compose(number, [1, 2, 3]).expose().clone()
}

fn labels(answer: &Message) -> Vec<String> {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let verdicts = answer.json();
    let labels = verdicts.as_array().unwrap().iter();
    let label = |verdict: &Value| verdict["label"].as_str().unwrap().to_owned();
    labels.map(label).collect()
}

async fn what_github_signs_is_believed(engine: &str) {
    let signer = Signer::new("a1");
    let (world, secret) = world(engine, &signer, "").await;
    let anybody = world.anybody();
    // As GitHub may send it: the same key in two places, and with what stood around it.
    let around = format!(" {secret}\r\n\t");
    let body = json!([found(&around), found(&unknown(1)), found(&secret)]).to_string();
    let expected = ["true_positive", "false_positive", "true_positive"];
    let told = signer.report(&anybody, &body);
    assert_eq!(labels(&told), expected);
    assert!(!told.text().contains(&secret) && !works(&world, &secret));
    // Sent again, it is answered alike, and nothing more comes of it.
    assert_eq!(labels(&signer.report(&anybody, &body)), expected);
    let audit = world
        .owner
        .get("/v1/organizations/acme/audit?limit=50")
        .text();
    assert_eq!(audit.matches("api_key.leak").count(), 1, "{audit}");
    assert!(
        audit.contains(r#""found_by""#) && audit.contains("github"),
        "{audit}"
    );

    // What GitHub signed has nobody wait, until somebody sends it on.
    let noise = json!([found(&unknown(2))]).to_string();
    let fields = signer.fields(&noise);
    let mut answers = 0;
    let throttled = loop {
        let answer = anybody.send_text("POST", PATH, &noise, &fields);
        if answer.status() != 200 {
            break answer;
        }
        answers += 1;
        assert!(answers < 200);
    };
    throttled.assert_problem(429, "throttled");
    assert!(answers > 90, "{answers}");
    let other = json!([found(&unknown(3))]).to_string();
    assert_eq!(labels(&signer.report(&anybody, &other)), ["false_positive"]);
}

async fn ten_thousand_keys_are_judged_at_once(engine: &str) {
    let signer = Signer::new("a1");
    let (world, secret) = world(engine, &signer, "").await;
    let mut all: Vec<_> = (0..9_999).map(|number| found(&unknown(number))).collect();
    all.push(found(&secret));
    let told = labels(&signer.report(&world.anybody(), &Value::from(all.clone()).to_string()));
    assert_eq!(
        told.iter()
            .filter(|label| *label == "true_positive")
            .count(),
        1
    );
    assert_eq!(told[9_999], "true_positive");
    assert!(!works(&world, &secret));
    all.push(found(&secret));
    let more = signer.report(&world.anybody(), &Value::from(all).to_string());
    more.assert_problem(422, "invalid");
}

#[tokio::test]
async fn what_is_not_signed_as_github_signs_changes_nothing() {
    let (signer, stranger) = (Signer::new("a1"), Signer::new("a1"));
    let (world, secret) = world("sqlite", &signer, "unsigned: false,").await;
    let anybody = world.anybody();
    let body = json!([found(&secret)]).to_string();
    let refused = |body: &str, fields: &str, status, reason| {
        let answer = anybody.send_text("POST", PATH, body, fields);
        answer.assert_problem(status, reason);
        assert!(!answer.text().contains(&secret));
    };
    refused(&body, "", 403, "signature_needed");
    let good = signer.fields(&body);
    let (key, signature) = good.split_once("\r\n").unwrap();
    let signature = signature.trim_end();
    for fields in [
        format!("{key}\r\n"),
        format!("{signature}\r\n"),
        format!("{good}{key}\r\n"),
        format!("{good}{signature}\r\n"),
        // Somebody else's, as an unknown key's, of nothing, and not in base64.
        stranger.fields(&body),
        good.replacen("a1", "a2", 1),
        signer.fields(""),
        fields("a1", "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz"),
        fields("a1", "?"),
        fields(&"a".repeat(4_000), "MEQC"),
    ] {
        refused(&body, &fields, 403, "bad_signature");
    }
    // Another body, if only by what JSON does not care about.
    for other in [format!("{body} "), body.replacen("commit", "Commit", 1)] {
        refused(&other, &good, 403, "bad_signature");
    }
    for text in ["", "[{", "nothing", "[]x"] {
        refused(text, &signer.fields(text), 400, "bad_body");
    }
    for text in ["{}", "{", "[1]", "[{}]", r#"[{"token":7}]"#] {
        refused(text, &signer.fields(text), 422, "invalid");
    }
    // What GitHub signs for others, and what they could send on.
    let mut others = found(&secret);
    others["type"] = json!("other_company_token");
    let others = json!([others]).to_string();
    refused(&others, &signer.fields(&others), 403, "bad_signature");
    let huge = format!("[{}]", " ".repeat(8 << 20));
    refused(&huge, &signer.fields(&huge), 413, "body_too_large");
    assert!(works(&world, &secret));
    assert_eq!(
        labels(&anybody.send_text("POST", PATH, &body, &good)),
        ["true_positive"]
    );
    assert!(!works(&world, &secret));
}

#[tokio::test]
async fn keys_of_github_are_read_where_it_publishes_them() {
    let (first, second) = (Signer::new("a1"), Signer::new("b2"));
    let published = Arc::new(Mutex::new(None::<String>));
    let keys = Arc::clone(&published);
    let github = Upstream::answering(move |_| match &*keys.lock().unwrap() {
        Some(keys) => answer(200, &[("Cache-Control", "public, max-age=60")], keys),
        None => answer(500, &[], ""),
    });
    let settings = |types: &str| {
        format!(
            "routes: []\nidentity: {{ leaked_keys: {{ unsigned: false, github: {{ keys: 'http://{}/keys', \
             types: [{types}], allow: [127.0.0.0/8], damping: 1ms }} }} }}\n",
            github.address
        )
    };
    let world = World::begin_with(&settings("other")).await;
    let anybody = world.anybody();
    let body = json!([found(&unknown(1))]).to_string();
    let unread = first.report(&anybody, &body);
    unread.assert_problem(503, "keys_unavailable");
    *published.lock().unwrap() = Some(Signer::published(&[&first]));
    wait_until("the keys are read", || {
        first.report(&anybody, &body).status() != 503
    });
    // Who is believed changes with a reload.
    first
        .report(&anybody, &body)
        .assert_problem(403, "bad_signature");
    assert_eq!(world.weir.reload(&settings("weir_api_key")).status(), 200);
    assert_eq!(labels(&first.report(&anybody, &body)), ["false_positive"]);
    // A key that nobody knows has GitHub asked again.
    second
        .report(&anybody, &body)
        .assert_problem(403, "bad_signature");
    *published.lock().unwrap() = Some(Signer::published(&[&second]));
    assert_eq!(labels(&second.report(&anybody, &body)), ["false_positive"]);
    first
        .report(&anybody, &body)
        .assert_problem(403, "bad_signature");
    *published.lock().unwrap() = None;
    Signer::new("c3")
        .report(&anybody, &body)
        .assert_problem(503, "keys_unavailable");
    assert_eq!(labels(&second.report(&anybody, &body)), ["false_positive"]);
}
