//! What is secret is nowhere but where it belongs: it is sent through every endpoint, and then looked for
//! in all that Weir writes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use weir_core::TenantId;
use weir_identity::Caller;
use weir_testkit::{free_port, on_both_engines};

use super::world::{config, setup_token};
use super::{Client, PASSWORD, World};
use crate::harness::{Authority, Leaf, Message, Receiver, Upstream, answer, forward, wait_until};

on_both_engines! {
    secrets_are_nowhere_but_where_they_belong,
}

/// Sent as a password, a code, a token: nobody's.
const CANARY: &str = "cnry-7Qm4xZ9dK2vT";
/// The mail server's password.
const MAIL: &str = "lantern-Copper-77-thistle";
/// What a policy beside the file sends to an upstream, before and after it was changed.
const SENT: [&str; 2] = [
    "Bearer gantry-Onyx-52-pollen",
    "Bearer willow-Basalt-19-ember",
];
/// Somebody's password.
const HERS: &str = "quartz-Nimbus-41-velvet";

/// Members of bodies that carry secrets.
fn is_secret(name: &str) -> bool {
    ["password", "token", "code", "secret"]
        .iter()
        .any(|word| name.contains(word))
}

/// A value of this schema: the canary where a secret belongs.
fn sample(document: &Value, name: &str, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        return sample(document, name, schema);
    }
    if let Some(choice) = schema["oneOf"]
        .as_array()
        .and_then(|choices| choices.last())
    {
        return sample(document, name, choice);
    }
    let first = match &schema["type"] {
        Value::Array(types) => &types[0],
        one => one,
    };
    match first.as_str() {
        Some("object") | None => {
            let members = schema["properties"].as_object().into_iter().flatten();
            let members =
                members.map(|(name, schema)| (name.clone(), sample(document, name, schema)));
            Value::Object(members.collect())
        }
        Some("string") if is_secret(name) => json!(CANARY),
        Some("string") => {
            let example = [
                &schema["example"],
                &schema["examples"][0],
                &schema["enum"][0],
            ];
            let example = example.into_iter().find(|example| !example.is_null());
            example.cloned().unwrap_or_else(|| json!("x"))
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(1),
        Some(_) => json!(true),
    }
}

/// The body with what is secret in another form than it should have.
fn misplaced(body: &Value) -> Value {
    let members = body.as_object().cloned().unwrap_or_default();
    let of = |(name, value): (String, Value)| match is_secret(&name) {
        true => (name, json!({ "x": [CANARY] })),
        false => (name, value),
    };
    let mut members: Map<String, Value> = members.into_iter().map(of).collect();
    members.insert("password".to_owned(), json!([CANARY]));
    Value::Object(members)
}

/// Sends the canary through every operation; what was answered.
fn send_everywhere(clients: &[&Client]) -> Vec<(String, Message)> {
    let document = clients[0].get("/v1/openapi.json").json();
    let mut answers = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let segments = path.split('/').map(|segment| match segment {
            "{organization}" => "acme",
            "{section}" => "routes",
            "{name}" => "kept",
            "{number}" => "0",
            segment if segment.starts_with('{') => "usr_01kc2q8r5nf0hb6x2v9w4t7zde",
            segment => segment,
        });
        let filled = segments.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            // What ends everything else.
            if matches!(
                what.as_str(),
                "post /v1/sign-out"
                    | "post /v1/me/session/token"
                    | "delete /v1/organizations/{organization}"
            ) {
                continue;
            }
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = match schema {
                Value::Null => json!({}),
                schema => sample(&document, "", schema),
            };
            let cut = format!("{{\"password\": \"{CANARY}\", \"token\": \"{CANARY}");
            let bodies = [body.to_string(), misplaced(&body).to_string(), cut];
            for client in clients {
                for body in &bodies {
                    let fields = format!("Cookie: session={CANARY}\r\nUser-Agent: x\r\n");
                    let answer = client.send_text(&method.to_uppercase(), &filled, body, &fields);
                    answers.push((what.clone(), answer));
                }
            }
            let wrong = clients[0].with(&format!("weir_session_{CANARY}"));
            let fields = format!("X-Token: {CANARY}\r\n");
            let answer = wrong.send_text(&method.to_uppercase(), &filled, "{}", &fields);
            answers.push((what, answer));
        }
    }
    answers
}

/// All rows of a backup as they are before they are packed.
fn unpacked(file: &Path) -> Vec<u8> {
    const HEAD: usize = 1 + 4 + 4 + 32;
    let bytes = std::fs::read(file).unwrap();
    let mut rest = bytes
        .strip_prefix(b"weir-backup\n")
        .unwrap()
        .get(4..)
        .unwrap();
    let mut plain = Vec::new();
    while !rest.is_empty() {
        let (head, behind) = rest.split_at(HEAD);
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let (payload, behind) = behind.split_at(number(5));
        let mut text = Vec::with_capacity(number(1));
        zstd_safe::decompress(&mut text, payload).unwrap();
        plain.extend_from_slice(&text);
        rest = behind;
    }
    plain
}

/// Has a policy with a secret made and changed, and a certificate; what is answered to those who look.
fn use_resources(world: &World, leaf: &Leaf) -> Vec<(String, Message)> {
    let owner = &world.owner;
    let put = |path: &str, document: &Value, status: u16| {
        let path = format!("/v1/config/{path}");
        let made = owner.send("PUT", &path, Some(document), "");
        assert_eq!(made.status(), status, "{}", made.text());
        (format!("PUT {path}"), made)
    };
    let policy = |secret: &str| json!({"headers": {"request": {"set": {"authorization": secret}}}});
    let route = json!({"match": {"path": "/sent"}, "upstream": "up", "policies": ["sent"]});
    let mut answers = vec![
        put("policies/sent", &policy(SENT[0]), 201),
        put("routes/sent", &route, 201),
        put("policies/sent", &policy(SENT[1]), 200),
        put(
            "certificates/sent",
            &json!({"certificate": leaf.certificate, "key": leaf.key}),
            201,
        ),
    ];
    assert_eq!(world.weir.get("/sent").text(), "fine");
    let wrong = json!({"headers": {"request": {"st": {"authorization": SENT[1]}}}});
    let swapped = json!({"certificate": leaf.key, "key": leaf.key});
    for (path, wrong) in [("policies/sent", wrong), ("certificates/sent", swapped)] {
        let refused = owner.send("PUT", &format!("/v1/config/{path}"), Some(&wrong), "");
        assert_eq!(refused.status(), 422);
        answers.push((format!("a refused PUT of {path}"), refused));
    }
    for path in [
        "/v1/config/policies",
        "/v1/config/policies/sent",
        "/v1/revisions/3/diff",
        "/v1/revisions/3/diff?from=0",
        "/v1/config/certificates",
        "/v1/config/certificates/sent",
        "/v1/revisions/4/diff",
    ] {
        let shown = owner.get(path);
        assert!(shown.text().contains("sent"), "{path}: {}", shown.text());
        answers.push((path.to_owned(), shown));
    }
    answers
}

/// Secrets of every kind, by what they are.
async fn secrets(world: &World, acme: &TenantId) -> BTreeMap<&'static str, String> {
    let (identity, weir) = (&world.identity, &world.weir);
    let user = world.person("grace@navy.example").await;
    let grace = world.signed_in(&user).await;
    let forgetful = world.person("ada@navy.example").await;
    let behind = |link: &str| link.split_once("?token=").unwrap().1.to_owned();
    // As whoever invites is told it where no mail is sent.
    let (system, viewer) = (Caller::system(), "viewer".parse().unwrap());
    let invited = identity.invite(&system, acme, "invited@acme.example", &viewer);
    let invited = invited.await.unwrap().link.unwrap();
    let reset = identity.issue_reset(&system, &user).await.unwrap();
    let new = json!({ "name": "import", "permissions": ["role:read"] });
    let key = world
        .owner
        .post("/v1/organizations/acme/api-keys", &new)
        .json();
    let key = key["secret"].as_str().unwrap().to_owned();
    let program = world.anybody().with(&key);
    assert_eq!(program.get("/v1/organizations/acme/roles").status(), 200);
    // Where it does not belong, of the admin listener and of a route.
    for path in [format!("/v1/me?a={key}"), format!("/v1/users/{key}")] {
        assert_eq!(program.get(&path).json()["reason"], "key_in_address");
    }
    for path in [format!("/x?a={key}"), format!("/{key}")] {
        assert_eq!(weir.get(&path).status(), 200);
    }
    let known = json!({ "password": PASSWORD });
    let enrolment = grace.post("/v1/me/totp", &known).json();
    let forgotten = identity.issue_reset(&system, &forgetful).await.unwrap();
    let forgotten = behind(forgotten.expose());
    let new = json!({ "token": forgotten, "password": HERS });
    assert_eq!(
        world.anybody().post("/v1/password/reset", &new).status(),
        204
    );
    let sign_in = json!({ "email": "ada@navy.example", "password": HERS });
    assert_eq!(world.anybody().post("/v1/sign-in", &sign_in).status(), 200);
    BTreeMap::from([
        ("what nobody knows", CANARY.to_owned()),
        ("an API key", key),
        ("a password", HERS.to_owned()),
        ("the token that set it", forgotten),
        ("the operator's token", world.operator().token().to_owned()),
        ("the owner's session", world.owner.token().to_owned()),
        ("a member's session", grace.token().to_owned()),
        ("the token of the set-up link", setup_token(weir)),
        ("the token of an invitation", behind(invited.expose())),
        ("the token of a reset", behind(reset.expose())),
        (
            "the secret of an authenticator",
            enrolment["secret"].as_str().unwrap().to_owned(),
        ),
        ("the password of the mail server", MAIL.to_owned()),
        ("what a policy sends", SENT[1].to_owned()),
        ("what a policy sent before", SENT[0].to_owned()),
        ("the installation's key", {
            let key = weir.setup().path("data/installation.key");
            std::fs::read_to_string(key).unwrap().trim().to_owned()
        }),
    ])
}

async fn secrets_are_nowhere_but_where_they_belong(engine: &str) {
    let receiver = Receiver::start("grpc");
    let upstream = Upstream::answering(|_| answer(200, &[], "fine"));
    let config = config(engine).replace("routes: []\n", &forward(upstream.address));
    let telemetry = format!(
        "log: {{ level: trace }}\ntracing: {{ sample: 100% }}\notlp: {{ endpoint: 'http://{}' }}\n",
        receiver.address
    );
    // Nobody listens there: letters wait, and it is told why.
    let material = tempfile::tempdir().unwrap();
    let password = material.path().join("password");
    std::fs::write(&password, MAIL).unwrap();
    let mail = format!(
        "mail:\n  from: weir@weir.example\n  smtp: {{ address: 'localhost:{}', user: weir, \
         password: 'file:{}' }}\n",
        free_port(),
        password.display()
    );
    let world = World::begin_with(&(config + &telemetry + &mail)).await;
    let weir = &world.weir;
    let acme = world.organization("acme");
    let mut secrets = secrets(&world, &acme).await;
    let leaf = Authority::new("test").issue("sent", &["sent.example"]);
    let line = leaf.key.lines().nth(1).unwrap().to_owned();
    secrets.insert("the key of a certificate", line);
    let operator = world.operator();
    let resources = use_resources(&world, &leaf);
    let kept = weir.setup().data().join("resources.json");
    wait_until("resources are kept", || {
        std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("\"revision\":4"))
    });
    let kept = std::fs::read(&kept).unwrap();
    let mut answers = send_everywhere(&[&world.owner, &operator, &world.anybody()]);
    assert_eq!(weir.get("/").text(), "fine");
    receiver.wait_for("span", 1, |_| true);

    answers.extend(resources);
    let mut places: Vec<(String, Vec<u8>)> = vec![("resources.json".to_owned(), kept)];
    for (what, answer) in &answers {
        let text = format!("{:?}{}", answer.fields, answer.text());
        places.push((format!("the answer to {what}"), text.into_bytes()));
    }
    for path in [
        "/metrics",
        "/v1/status",
        "/v1/requests",
        "/v1/revisions",
        "/v1/audit?format=ndjson",
        "/v1/audit?format=csv",
        "/v1/organizations/acme/audit?format=ndjson",
        "/v1/organizations/acme/invitations",
        "/v1/organizations/acme/trash",
        "/v1/users",
        "/v1/trash",
        "/v1/me",
        "/v1/me/sessions",
    ] {
        let shown = world.owner.get(path);
        assert_eq!(shown.status(), 200, "{path}");
        places.push((path.to_owned(), shown.body));
    }
    let file = weir.setup().path("weir.backup");
    let backed_up = weir.run("backup", &[file.to_str().unwrap()]);
    assert_eq!(backed_up.code, Some(0), "{}", backed_up.stderr);
    let backup = unpacked(&file);
    places.push(("the log".to_owned(), weir.log().into_bytes()));
    places.push(("spans".to_owned(), receiver.text().into_bytes()));
    // What was printed for whoever starts Weir is theirs to keep.
    let (_, printed) = weir
        .stderr()
        .split_once("prints another one.")
        .map(own)
        .unwrap();
    places.push(("standard error".to_owned(), printed.into_bytes()));

    // That there is something in each place where something is looked for.
    let is_in = |place: &[u8], text: &str| {
        place
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(is_in(&backup, "grace@navy.example"));
    assert!(is_in(receiver.text().as_bytes(), "span"));
    assert!(weir.log().contains("\"severity_text\":\"TRACE\""));
    assert!(answers.len() > 400, "{}", answers.len());
    places.push(("a backup".to_owned(), backup));
    for (secret, value) in &secrets {
        for (place, content) in &places {
            assert!(!is_in(content, value), "{secret} is in {place}");
        }
    }
    let bytes: usize = places.iter().map(|(_, content)| content.len()).sum();
    println!(
        "{engine}: {} secrets in none of {} answers and {} other places, {bytes} bytes",
        secrets.len(),
        answers.len(),
        places.len() - answers.len()
    );
}

fn own((before, behind): (&str, &str)) -> (String, String) {
    (before.to_owned(), behind.to_owned())
}
