//! Routes that differ by who is calling.

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use weir_jose::Algorithm;

use super::{Bench, Issuer};
use crate::harness::{H2Client, Message, Upstream, Wire, answer, block_on};

const WHO: &str = "  who: { identity: {} }\n  writers: { require: { scopes: [write] } }\n";

/// Each says its name; `$PLAIN` is one without claims.
const ROUTES: &str = "routes:
  - { name: acme, match: { path: /items, claims: { tenant: acme } }, policies: [customers], respond: { status: 200, body: acme } }
  - { name: gold, match: { path: /items, claims: { tenant: acme, plan: [gold, 7, 'true'] } }, policies: [customers, writers], respond: { status: 200, body: gold } }
  - { name: staff, match: { path: /items, claims: { /realm_access/roles: staff } }, policies: [who, customers], upstream: up }
  - { name: rest, match: { path: /* }, respond: { status: 200, body: rest } }
$PLAIN";

const PUBLIC: &str =
    "  - { name: plain, match: { path: /items }, respond: { status: 200, body: plain } }\n";

fn bench(issuer: &Issuer, plain: &str) -> Bench {
    Bench::with(issuer, WHO, &ROUTES.replace("$PLAIN", plain))
}

#[test]
fn the_route_is_that_of_the_claims_of_a_good_token() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = bench(&issuer, "");
    let text = |claims: Value| bench.with_token(&issuer.token(&claims)).text();
    assert_eq!(text(json!({"tenant": "acme"})), "acme");
    assert_eq!(
        text(json!({"tenant": ["x", "acme"], "plan": "iron"})),
        "acme"
    );
    for plan in [json!("gold"), json!(7), json!(true), json!(["x", "gold"])] {
        let gold = json!({"tenant": "acme", "plan": plan, "scope": "write"});
        assert_eq!(text(gold), "gold", "{plan}");
    }
    let staff = text(json!({"tenant": "other", "realm_access": {"roles": ["x", "staff"]}}));
    assert!(
        staff.contains("x-weir-subject: ada"),
        "its own policies act: {staff}"
    );
    // A route that is found has the last word, also where another one would take the request.
    let gold = json!({"tenant": "acme", "plan": "gold", "scope": "read"});
    let lacking = bench.with_token(&issuer.token(&gold));
    lacking.assert_problem(403, "forbidden");
    assert_eq!(bench.logged(&lacking)["http.route"], "gold");
}

#[test]
fn whoever_has_none_of_the_claims_finds_no_route_and_whoever_has_no_token_hears_of_it() {
    let issuer = Issuer::new(Algorithm::Es256);
    let only = bench(&issuer, "");
    let stranger = issuer.token(&json!({"tenant": "other"}));
    let missing = only.with_token(&stranger);
    missing.assert_problem(404, "no_route");
    let logged = only.logged(&missing);
    assert_eq!(
        (&logged["user.id"], &logged["http.route"]),
        (&json!("ada"), &Value::Null)
    );
    let nobody = only.get("");
    nobody.assert_problem(401, "credential_missing");
    assert_eq!(
        nobody.get("www-authenticate"),
        Some("Bearer realm=\"weir\"")
    );
    assert_eq!(
        only.logged(&nobody)["weir.decided_by"],
        "policies.customers"
    );
    for word in ["acme", "tenant", "gold", "staff"] {
        let said = format!("{}{}", nobody.text(), missing.text());
        assert!(!said.contains(word), "{word}: {said}");
    }

    let plain = bench(&issuer, PUBLIC);
    assert_eq!(plain.get("").text(), "plain");
    assert_eq!(plain.with_token(&stranger).text(), "plain");
    let keeps =
        "  - { name: plain, match: { path: /items }, policies: [customers, who], upstream: up }\n";
    let keeps = bench(&issuer, keeps);
    keeps.get("").assert_problem(401, "credential_missing");
    assert!(
        keeps
            .with_token(&stranger)
            .text()
            .contains("x-weir-subject: ada")
    );
}

#[test]
fn nothing_but_a_good_credential_chooses_a_route() {
    let (issuer, forger) = (Issuer::new(Algorithm::Es256), Issuer::new(Algorithm::Es256));
    let claims = json!({"tenant": "acme"});
    for plain in ["", PUBLIC] {
        let bench = bench(&issuer, plain);
        let with = |token: &str, fields: &str| {
            bench.get(&format!("Authorization: Bearer {token}\r\n{fields}"))
        };
        let good = issuer.token(&json!({"tenant": "other"}));
        let (head, rest) = good.split_once('.').unwrap();
        let signature = rest.split_once('.').unwrap().1;
        let payload = forger.token(&claims);
        let swapped = format!("{head}.{}.{signature}", payload.split('.').nth(1).unwrap());
        let expired = issuer.token(&json!({"tenant": "acme", "exp": 1}));
        let foreign = issuer.token(&json!({"tenant": "acme", "aud": "other"}));
        for bad in [
            &*forger.token(&claims),
            &swapped,
            &expired,
            &foreign,
            "acme",
            "",
        ] {
            // Not even where there is a route for everybody.
            with(bad, "").assert_problem(401, "credential_refused");
        }
        let fields = "Tenant: acme\r\nX-Weir-Claim-Tenant: acme\r\nX-Weir-Subject: ada\r\n";
        let sent = with(&good, fields);
        match plain {
            "" => sent.assert_problem(404, "no_route"),
            _ => assert_eq!(sent.text(), "plain"),
        }
        for claims in [
            json!({"Tenant": "acme"}),
            json!({"tenant": "ACME"}),
            json!({"tenant": "acme "}),
            json!({"tenant": {"acme": true}}),
            json!({"tenant": [["acme"]]}),
            json!({"tenant": null}),
            json!({"tenant": "acmé"}),
            json!({"realm_access": "staff"}),
            json!({"/realm_access/roles": "staff"}),
            json!({"realm_access/roles": "staff"}),
        ] {
            let sent = with(&issuer.token(&claims), "");
            match plain {
                "" => sent.assert_problem(404, "no_route"),
                _ => assert_eq!(sent.text(), "plain", "{claims}"),
            }
        }
        let both = format!("Authorization: Bearer {good}\r\n");
        with(&issuer.token(&claims), &both).assert_problem(400, "malformed_request");
    }
}

#[test]
fn one_who_is_known_is_found_out_once_and_a_reload_changes_the_routes() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = bench(&issuer, "");
    let token = issuer.token(&json!({"tenant": "acme"}));
    for _ in 0..3 {
        assert_eq!(bench.with_token(&token).text(), "acme");
    }
    let config = std::fs::read_to_string(bench.weir.directory().join("weir.yaml")).unwrap();
    let changed = config.replace("claims: { tenant: acme } }", "claims: { tenant: other } }");
    let reload = |config: &str| {
        bench.weir.replace_file("weir.yaml", config);
        bench.weir.ask("POST", "/v1/reload")
    };
    assert_eq!(reload(&changed).status(), 200);
    bench.with_token(&token).assert_problem(404, "no_route");
    let other = issuer.token(&json!({"tenant": "other"}));
    assert_eq!(bench.with_token(&other).text(), "acme");
    // Two verifiers for one place: refused, and what runs goes on.
    let worse = changed.replace(
        "claims: { tenant: other } }, policies: [customers]",
        "claims: { tenant: other } }, policies: [machines]",
    );
    let machines = format!(
        "policies:\n  machines: {{ jwt: {{ issuer: m, audience: m, jwks: {} }} }}\n",
        issuer.jwks()
    );
    let refused = reload(&worse.replace("policies:\n", &machines));
    assert_ne!(refused.status(), 200, "{}", refused.text());
    assert!(
        refused.text().contains("`acme` and `gold`"),
        "{}",
        refused.text()
    );
    assert_eq!(bench.with_token(&other).text(), "acme");
}

#[test]
fn signed_bodies_and_other_ways_choose_as_well_and_bodies_arrive() {
    let issuer = Issuer::new(Algorithm::Es256);
    let upstream = Upstream::echo();
    let setup =
        crate::harness::Setup::new().environment("HOOK_SECRET", "shared-secret-of-some-length");
    setup.write("jwks.json", issuer.jwks());
    let weir = setup.start(&format!(
        "upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
         policies:\n  \
           customers: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json }} }}\n  \
           hooks: {{ hmac: {{ form: body, header: x-hub-signature-256, secrets: env:HOOK_SECRET }} }}\n  \
           shops: {{ any_of: {{ policies: [customers, hooks] }} }}\n\
         routes:\n  \
           - {{ name: acme, match: {{ path: /items, claims: {{ tenant: acme }} }}, policies: [shops], respond: {{ status: 200, body: acme }} }}\n  \
           - {{ name: plain, match: {{ path: /items }}, policies: [shops], upstream: up }}\n",
        upstream.address
    ));
    let body = "a body";
    let key = aws_lc_rs::hmac::Key::new(
        aws_lc_rs::hmac::HMAC_SHA256,
        b"shared-secret-of-some-length",
    );
    let signature: String = aws_lc_rs::hmac::sign(&key, body.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let post = |fields: &str| -> Message {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!(
            "POST /items HTTP/1.1\r\nHost: a.test\r\n{fields}Content-Length: 6\r\nConnection: close\r\n\r\n{body}"
        ));
        wire.response("POST")
    };
    let signed = post(&format!("X-Hub-Signature-256: sha256={signature}\r\n"));
    assert_eq!(signed.status(), 200, "{}", signed.text());
    assert!(signed.text().ends_with(body), "{}", signed.text());
    let token = issuer.token(&json!({"tenant": "acme"}));
    assert_eq!(
        post(&format!("Authorization: Bearer {token}\r\n")).text(),
        "acme"
    );
    let zeros = "0".repeat(64);
    post(&format!("X-Hub-Signature-256: sha256={zeros}\r\n"))
        .assert_problem(401, "credential_refused");
    post("").assert_problem(401, "credential_missing");
}

#[test]
fn a_preflight_is_answered_by_the_most_specific_and_a_refusal_can_be_read() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policies =
        "  pages: { cors: { origins: ['https://app.test'], headers: [authorization] } }\n";
    let routes = "routes:\n  - { name: acme, match: { path: /items, claims: { tenant: acme } }, policies: [pages, customers], respond: { status: 200, body: acme } }\n";
    let bench = Bench::with(&issuer, policies, routes);
    let mut wire = Wire::connect(bench.weir.http());
    wire.send(
        "OPTIONS /items HTTP/1.1\r\nHost: a.test\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: GET\r\n\
         Access-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n",
    );
    let preflight = wire.response("OPTIONS");
    assert_eq!(preflight.status(), 204, "{preflight:?}");
    let refused = bench.get("Origin: https://app.test\r\n");
    refused.assert_problem(401, "credential_missing");
    assert_eq!(
        refused.get("access-control-allow-origin"),
        Some("https://app.test")
    );
}

#[test]
fn over_http2_calls_and_websockets_go_by_claims_too() {
    let issuer = Issuer::new(Algorithm::Es256);
    let open = Upstream::answering(|request| {
        let is_open = request.get("upgrade") == Some("websocket");
        match is_open {
            // The accept value of the key below (RFC 6455 §1.3).
            true => b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n".to_vec(),
            false => answer(200, &[], "open"),
        }
    });
    let routes = format!(
        "routes:\n  - {{ name: chat, match: {{ path: /chat, claims: {{ tenant: acme }} }}, policies: [customers], upstream: chats, websocket: true }}\n  \
           - {{ name: calls, match: {{ path: /test.Echo/*, claims: {{ tenant: acme }} }}, policies: [customers], respond: {{ status: 200, body: acme }} }}\n\
         upstreams: {{ chats: {{ targets: ['{}'] }},",
        open.address
    );
    let bench = {
        let upstream = Upstream::echo();
        let setup = crate::harness::Setup::new();
        setup.write("jwks.json", issuer.jwks());
        let config = format!(
            "{routes} up: {{ targets: ['{}'] }} }}\n\
             policies:\n  customers: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json }} }}\n",
            upstream.address
        );
        setup.start(&config)
    };
    let acme = issuer.token(&json!({"tenant": "acme"}));
    let other = issuer.token(&json!({"tenant": "other"}));
    let ask = |token: &str| {
        let mut wire = Wire::connect(bench.http());
        wire.send(format!(
            "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
        ));
        wire.head().expect("an answer").status()
    };
    assert_eq!(ask(&acme), 101);
    assert_eq!(ask(&other), 404);
    assert_eq!(ask("forged"), 401);

    let call = |token: Option<&str>| {
        block_on(async {
            let client = H2Client::connect(bench.http()).await;
            let mut request = Request::post(format!("http://{}/test.Echo/Unary", bench.http()))
                .header("content-type", "application/grpc")
                .header("te", "trailers");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let body = Bytes::from_static(&[0, 0, 0, 0, 0]);
            let answer = client
                .send(request.body(()).unwrap(), body, None)
                .await
                .unwrap();
            let status = answer
                .fields
                .get("grpc-status")
                .map(|value| value.to_str().unwrap().to_owned());
            (answer.text(), status)
        })
    };
    assert_eq!(call(Some(&acme)).0, "acme");
    // UNIMPLEMENTED, as without a route, and UNAUTHENTICATED.
    assert_eq!(call(Some(&other)).1.as_deref(), Some("12"));
    assert_eq!(call(Some("forged")).1.as_deref(), Some("16"));
    assert_eq!(call(None).1.as_deref(), Some("16"));
}

#[test]
fn a_dry_run_says_which_claims_lead_where() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = bench(&issuer, "");
    let run = |claims: &[&str]| {
        let url = bench.weir.url("/items");
        let mut arguments = vec!["GET", url.as_str(), "--json"];
        for claim in claims {
            arguments.extend(["--claim", claim]);
        }
        let file = bench.weir.run("match", &arguments);
        arguments.push("--running");
        let running = bench.weir.run("match", &arguments);
        let read = |text: &str| -> Value {
            let said: Value = serde_json::from_str(text).unwrap();
            said["routing"].clone()
        };
        let (file, running) = (read(&file.stdout), read(&running.stdout));
        assert_eq!(file, running);
        file
    };
    assert_eq!(run(&["tenant=acme"])["outcome"]["route"], "acme");
    let gold = run(&["tenant=x", "tenant=acme", "plan=7"]);
    assert_eq!(gold["outcome"]["route"], "gold");
    let staff = run(&["/realm_access/roles=staff"]);
    assert_eq!(staff["outcome"]["route"], "staff");
    assert_eq!(run(&["sub=ada"])["outcome"]["result"], "no_route");
    let nobody = run(&[]);
    assert_eq!(nobody["outcome"]["result"], "no_credential");
    assert_eq!(
        nobody["considered"][0]["failed"][0],
        "claim tenant needs a credential"
    );
}
