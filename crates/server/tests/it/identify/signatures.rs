//! Signed requests: RFC 9421, and the simple forms of webhooks.

use aws_lc_rs::hmac;
use weir_signatures::{Algorithm, Message as Signable, SigningKey, content_digest};

use super::now;
use crate::harness::{Message, Setup, Upstream, Weir, Wire, installed, peer, tool};

const SECRET: &str = "canary-0123456789-secret";

struct Bench {
    weir: Weir,
    upstream: Upstream,
    key: SigningKey,
}

/// A request as a client builds it.
struct Call<'a> {
    method: &'a str,
    target: &'a str,
    body: &'a str,
    /// Beside host and length, each as a line.
    fields: String,
}

impl Bench {
    /// `policy` is the kind and its settings; `partner.pem` is the public key.
    fn new(policy: &str) -> Self {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let public = key.public().unwrap();
        Self::with(policy, key, &public)
    }

    fn with(policy: &str, key: SigningKey, public: &[u8]) -> Self {
        let upstream = Upstream::echo();
        let setup = Setup::new().environment("HOOK_SECRET", SECRET);
        setup.write("partner.pem", public);
        let weir = setup.start(&format!(
            "upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
             policies:\n  signed: {{ {policy} }}\n  who: {{ identity: {{}} }}\n\
             routes: [{{ name: items, policies: [signed, who], upstream: up }}]\n\
             log: {{ format: json, headers: [signature, signature-input, x-signature] }}\n",
            upstream.address
        ));
        Self {
            weir,
            upstream,
            key,
        }
    }

    fn by_rfc(more: &str) -> Self {
        Self::new(&by_rfc(more))
    }

    fn send(&self, call: &Call<'_>) -> Message {
        let mut wire = Wire::connect(self.weir.http());
        let Call {
            method,
            target,
            body,
            fields,
        } = call;
        let length = body.len();
        wire.send(format!(
            "{method} {target} HTTP/1.1\r\nHost: a.test\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
        wire.response(method)
    }

    /// The same, signed with these components and parameters.
    fn sign(&self, call: &mut Call<'_>, list: &str) {
        let (path, query) = match call.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (call.target, None),
        };
        let digest = content_digest(call.body.as_bytes());
        let fields = [("content-digest", digest.as_bytes())];
        let has_body = !call.body.is_empty();
        let message = Signable {
            method: call.method,
            scheme: "http",
            authority: "a.test",
            path,
            query,
            content_length: Some(call.body.len() as u64),
            has_body,
            fields: fields.into_iter(),
        };
        let signed = self.key.sign(&message, "sig1", list).unwrap();
        call.fields += &format!(
            "Content-Digest: {digest}\r\nSignature-Input: {}\r\nSignature: {}\r\n",
            signed.input, signed.signature
        );
    }
}

fn by_rfc(more: &str) -> String {
    format!(
        "signature: {{ keys: {{ partner-1: {{ algorithm: ed25519, key: file:partner.pem, subject: partner }} }}{more} }}"
    )
}

fn get(target: &str) -> Call<'_> {
    Call {
        method: "GET",
        target,
        body: "",
        fields: String::new(),
    }
}

fn post(body: &str) -> Call<'_> {
    Call {
        method: "POST",
        body,
        ..get("/items")
    }
}

fn list(more: &str) -> String {
    format!(
        "(\"@method\" \"@target-uri\");created={};keyid=\"partner-1\"{more}",
        now()
    )
}

fn with_digest(more: &str) -> String {
    list(more).replace("\"@target-uri\"", "\"@target-uri\" \"content-digest\"")
}

#[test]
fn a_signed_request_says_who_is_calling_once() {
    let bench = Bench::by_rfc("");
    // Over the path as it was sent, not as it is matched.
    let mut call = get("/%69tems?b=%7e&a=");
    bench.sign(&mut call, &list(""));
    let answer = bench.send(&call);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let seen = answer.text();
    assert!(seen.contains("x-weir-subject: partner"), "{seen}");
    assert!(seen.contains("x-weir-method: signature"), "{seen}");
    let again = bench.send(&call);
    again.assert_problem(401, "credential_refused");
    assert_eq!(
        again.get("www-authenticate"),
        Some("Signature realm=\"weir\"")
    );
    assert_eq!(bench.upstream.accepted(), 1);
}

#[test]
fn what_was_used_stays_used_under_the_next_revision() {
    let bench = Bench::by_rfc("");
    let mut call = get("/items");
    bench.sign(&mut call, &list(";nonce=\"n1\""));
    assert_eq!(bench.send(&call).status(), 200);
    let config = std::fs::read_to_string(bench.weir.setup().path("weir.yaml")).unwrap();
    let changed = config.replace("subject: partner", "subject: other");
    assert_ne!(changed, config);
    bench.weir.replace_file("weir.yaml", changed);
    assert_eq!(bench.weir.ask("POST", "/v1/reload").status(), 200);
    bench.send(&call).assert_problem(401, "credential_refused");
}

#[test]
fn a_key_that_has_used_all_of_its_room_waits_and_nothing_is_forgotten_for_it() {
    let bench = Bench::by_rfc(", remembered: 2");
    let signed = |nonce: u32| {
        let mut call = get("/items");
        bench.sign(&mut call, &list(&format!(";nonce=\"{nonce}\"")));
        call
    };
    let calls = [1, 2, 3].map(signed);
    for call in &calls[..2] {
        assert_eq!(bench.send(call).status(), 200);
    }
    bench
        .send(&calls[2])
        .assert_problem(503, "identity_unavailable");
    for call in &calls[..2] {
        bench.send(call).assert_problem(401, "credential_refused");
    }
    let metric = |name| bench.weir.metric(name, &["policy=\"signed\""]);
    assert_eq!(metric("weir_signatures_remembered"), 2.0);
    assert_eq!(metric("weir_signatures_refused_full_total"), 1.0);
    // Another revision has more room, and the same memory.
    let config = std::fs::read_to_string(bench.weir.setup().path("weir.yaml")).unwrap();
    let changed = config.replace("remembered: 2", "remembered: 3");
    bench.weir.replace_file("weir.yaml", changed);
    assert_eq!(bench.weir.ask("POST", "/v1/reload").status(), 200);
    assert_eq!(bench.send(&calls[2]).status(), 200);
    for call in &calls {
        bench.send(call).assert_problem(401, "credential_refused");
    }
}

#[test]
fn who_is_refused_by_the_fields_is_not_waited_for() {
    let bench = Bench::by_rfc("");
    let mut used = post("{\"amount\": 1}");
    bench.sign(&mut used, &with_digest(""));
    assert_eq!(bench.send(&used).status(), 200);
    let bad = used.fields.replace("sig1=:", "sig1=:AAAA");
    for fields in [&used.fields, &bad] {
        let mut wire = Wire::connect(bench.weir.http());
        // A body of the right length that never comes.
        wire.send(format!(
            "POST /items HTTP/1.1\r\nHost: a.test\r\n{fields}Content-Length: {}\r\n\r\n",
            used.body.len()
        ));
        wire.response("POST")
            .assert_problem(401, "credential_refused");
    }
}

#[test]
fn a_body_is_the_one_that_was_signed_or_nothing_of_it_is_forwarded() {
    let bench = Bench::by_rfc("");
    let mut good = post("{\"amount\": 1}");
    bench.sign(&mut good, &with_digest(""));
    let changed = Call {
        body: "{\"amount\": 9}",
        fields: good.fields.clone(),
        ..good
    };
    bench
        .send(&changed)
        .assert_problem(401, "credential_refused");
    assert_eq!(bench.upstream.accepted(), 0);
    let answer = bench.send(&good);
    assert_eq!(answer.status(), 200);
    assert!(
        answer.text().contains("{\"amount\": 1}"),
        "{}",
        answer.text()
    );
    // Without the digest the body is nobody's.
    let mut bare = post("{}");
    bench.sign(&mut bare, &list(""));
    bench.send(&bare).assert_problem(401, "credential_refused");
    // And a body of more than is looked at is not read.
    let bench = Bench::by_rfc(", body_bytes: 8");
    let mut long = post("0123456789");
    bench.sign(&mut long, &with_digest(""));
    bench
        .send(&long)
        .assert_problem(413, "body_too_large_to_check");
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn no_signature_is_good_for_another_request() {
    let bench = Bench::by_rfc("");
    let mut signed = get("/items?a=1");
    bench.sign(&mut signed, &list(""));
    for (method, target) in [
        ("DELETE", "/items?a=1"),
        ("GET", "/items?a=2"),
        ("GET", "/other?a=1"),
        ("GET", "/items"),
    ] {
        let moved = Call {
            method,
            target,
            body: "",
            fields: signed.fields.clone(),
        };
        bench.send(&moved).assert_problem(401, "credential_refused");
    }
    let unknown = format!(
        "(\"@method\" \"@target-uri\");created={};keyid=\"nobody\"",
        now()
    );
    let partly = format!("(\"@method\");created={};keyid=\"partner-1\"", now());
    let old = list("").replace(&now().to_string(), &(now() - 1000).to_string());
    let early = list("").replace(&now().to_string(), &(now() + 1000).to_string());
    let mut details = Vec::new();
    for list in [unknown, list(";alg=\"hmac-sha256\""), partly, old, early] {
        let mut call = get("/items");
        bench.sign(&mut call, &list);
        let refused = bench.send(&call);
        refused.assert_problem(401, "credential_refused");
        details.push(refused.json()["detail"].to_string());
    }
    // Which keys there are is nobody's to know.
    assert_eq!(details[0], details[1]);
    for fields in [
        "Signature: sig1=:AAAA:\r\n",
        "Signature-Input: sig1=()\r\n",
        "Signature-Input: sig1=(\r\nSignature: sig1=:AAAA:\r\n",
        "Signature-Input: ;;;\r\nSignature: \u{e9}\r\n",
    ] {
        let call = Call {
            fields: fields.to_owned(),
            ..get("/items")
        };
        bench.send(&call).assert_problem(401, "credential_refused");
    }
    let missing = bench.send(&get("/items"));
    missing.assert_problem(401, "credential_missing");
    assert_eq!(bench.upstream.accepted(), 0);
    let log = bench.weir.log();
    assert!(!log.contains("AAAA"), "{log}");
}

/// The signature of a webhook.
pub(super) fn mac(secret: &str, signed: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn a_webhook_is_known_by_the_secret_that_signed_its_body() {
    let bench =
        Bench::new("hmac: { header: x-signature, secrets: env:HOOK_SECRET, subject: shop }");
    let hook = |time: i64, secret: &str, signed: &str| Call {
        fields: format!(
            "X-Signature: t={time},v1={}\r\n",
            mac(secret, &format!("{time}.{signed}"))
        ),
        ..post("{\"paid\": true}")
    };
    let good = bench.send(&hook(now(), SECRET, "{\"paid\": true}"));
    assert_eq!(good.status(), 200, "{}", good.text());
    let seen = good.text();
    assert!(seen.contains("x-weir-subject: shop"), "{seen}");
    assert!(seen.contains("{\"paid\": true}"), "{seen}");
    let before = bench.upstream.accepted();
    for call in [
        hook(now(), SECRET, "{\"paid\": false}"),
        hook(now(), "another-secret-of-somebody", "{\"paid\": true}"),
        hook(now() - 1000, SECRET, "{\"paid\": true}"),
        hook(now() + 1000, SECRET, "{\"paid\": true}"),
        Call {
            fields: "X-Signature: t=1,v1=zz\r\n".to_owned(),
            ..post("{}")
        },
        Call {
            fields: format!("X-Signature: sha256={}\r\n", mac(SECRET, "{}")),
            ..post("{}")
        },
    ] {
        bench.send(&call).assert_problem(401, "credential_refused");
    }
    bench
        .send(&post("{}"))
        .assert_problem(401, "credential_missing");
    assert_eq!(bench.upstream.accepted(), before);
    let log = bench.weir.log();
    assert!(!log.contains(SECRET) && !log.contains("v1="), "{log}");
}

#[test]
fn other_forms_of_webhooks_are_known() {
    let body = Bench::new("hmac: { form: body, header: x-signature, secrets: [env:HOOK_SECRET] }");
    let signed = |text: &str| format!("X-Signature: sha256={}\r\n", mac(SECRET, text));
    let call = |fields: String| Call {
        fields,
        ..post("{}")
    };
    let answer = body.send(&call(signed("{}")));
    assert_eq!(answer.status(), 200);
    assert!(
        answer.text().contains("x-weir-subject: signed"),
        "{}",
        answer.text()
    );
    body.send(&call(signed("{ }")))
        .assert_problem(401, "credential_refused");
    let timed = Bench::new(
        "hmac: { form: timed, header: x-signature, timestamp_header: x-time, secrets: env:HOOK_SECRET }",
    );
    let at = |time: i64| {
        let fields = signed(&format!("{time}.{{}}"));
        call(format!("{fields}X-Time: {time}\r\n"))
    };
    assert_eq!(timed.send(&at(now())).status(), 200);
    timed
        .send(&at(now() - 1000))
        .assert_problem(401, "credential_refused");
    timed
        .send(&call(signed("{}")))
        .assert_problem(401, "credential_refused");
}

/// npm's `http-message-signatures` as the client.
#[test]
fn another_implementation_signs_what_is_taken_here() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let unused = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let bench = Bench::with(
        &by_rfc("").replace("ed25519", "ecdsa-p256-sha256"),
        unused,
        key.public_key_pem().as_bytes(),
    );
    let private = bench.weir.setup().path("partner.key");
    std::fs::write(&private, key.serialize_pem()).unwrap();
    let packages = installed("node/node_modules").display().to_string();
    let output = std::process::Command::new(tool("node"))
        .arg(peer("signer.js"))
        .args([packages, bench.weir.url("/items?a=1&b=%20c")])
        .arg(private)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "get: 200\npost: 200\nanother body: 401\nanother method: 401\nagain: 401\n",
        "{errors}"
    );
}
