//! Names and passwords (RFC 7617).

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::harness::{Message, Setup, Upstream, Weir, Wire, wait_until};

/// Of libxcrypt: "correct horse".
const ADA: &str = "ada:$2y$08$abcdefghijklmnopqrstuubAvJmxpQuyV3jn7x.SUSPxe.DearCPe";
const PASSWORD: &str = "correct horse";

struct Bench {
    weir: Weir,
    upstream: Upstream,
}

impl Bench {
    fn new() -> Self {
        Self::with("")
    }

    /// With more settings of the file.
    fn with(more: &str) -> Self {
        let upstream = Upstream::echo();
        let setup = Setup::new();
        setup.write("users.htpasswd", format!("# staff\n{ADA}\n"));
        let weir = setup.start(&format!(
            "upstreams: {{ up: {{ targets: ['{}'] }} }}\n\
             policies:\n  \
               operators: {{ basic: {{ users: file:users.htpasswd }} }}\n  \
               who: {{ identity: {{}} }}\n\
             routes: [{{ name: items, policies: [operators, who], upstream: up }}]\n\
             log: {{ format: json }}\n{more}",
            upstream.address
        ));
        Self { weir, upstream }
    }

    fn get(&self, fields: &str) -> Message {
        let mut wire = Wire::connect(self.weir.http());
        wire.send(format!(
            "GET /items HTTP/1.1\r\nHost: a.test\r\n{fields}Connection: close\r\n\r\n"
        ));
        wire.response("GET")
    }

    fn with_password(&self, name: &str, password: &str) -> Message {
        self.get(&field(&format!("{name}:{password}")))
    }
}

fn field(text: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(text))
}

#[test]
fn questions_about_passwords_are_counted_with_how_long_they_took() {
    let bench = Bench::new();
    assert_eq!(bench.with_password("ada", PASSWORD).status(), 200);
    bench
        .with_password("ada", "guess")
        .assert_problem(401, "credential_refused");
    let metric = |name: &str, word: &str| bench.weir.metric(name, &["kind=\"password\"", word]);
    let asked = |outcome| metric("weir_credential_lookups_total", outcome);
    assert_eq!(
        (asked("good"), asked("bad"), asked("unavailable")),
        (1.0, 1.0, 0.0)
    );
    assert_eq!(metric("weir_credential_lookups_waiting", ""), 0.0);
    let name = "weir_credential_lookup_duration_seconds";
    assert_eq!(metric(&format!("{name}_count"), ""), 2.0);
    assert!(metric(&format!("{name}_sum"), "") > 0.0);
}

#[test]
fn a_users_password_lets_in_and_goes_no_further() {
    let bench = Bench::new();
    for _ in 0..3 {
        let answer = bench.with_password("ada", PASSWORD);
        assert_eq!(answer.status(), 200);
        let seen = answer.text();
        assert!(!seen.contains("authorization"), "{seen}");
        assert!(seen.contains("x-weir-subject: ada"), "{seen}");
        assert!(seen.contains("x-weir-method: password"), "{seen}");
    }
}

#[test]
fn who_is_no_user_hears_what_a_user_hears_with_a_wrong_password() {
    let bench = Bench::new();
    let challenge = "Basic realm=\"weir\", charset=\"UTF-8\"";
    let missing = bench.get("");
    missing.assert_problem(401, "credential_missing");
    assert_eq!(missing.get("www-authenticate"), Some(challenge));
    let mut heard = Vec::new();
    for (name, password) in [
        ("ada", "canary-wrong"),
        ("nobody", "canary-wrong"),
        ("nobody", PASSWORD),
        ("ADA", PASSWORD),
        ("ada", "correct horse "),
        ("ada", ""),
    ] {
        let refused = bench.with_password(name, password);
        refused.assert_problem(401, "credential_refused");
        assert_eq!(refused.get("www-authenticate"), Some(challenge));
        heard.push(refused.json()["detail"].clone());
    }
    heard.dedup();
    assert_eq!(heard, ["Name and password are not good."]);
    assert_eq!(bench.upstream.accepted(), 0);
    // A good one is known by now, and still nobody else's.
    assert_eq!(bench.with_password("ada", PASSWORD).status(), 200);
    bench
        .with_password("ada", "canary-wrong")
        .assert_problem(401, "credential_refused");
    let log = bench.weir.log();
    for secret in ["canary-wrong", &STANDARD.encode("ada:canary-wrong"), "$2y$"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn what_is_no_name_and_password_is_refused_without_hashing() {
    let bench = Bench::new();
    let long = field(&format!("ada:{}", "a".repeat(4096)));
    for fields in [
        "Authorization: Basic\r\n".to_owned(),
        "Authorization: Basic !!!\r\n".to_owned(),
        "Authorization: Basic YWRh\r\n".to_owned(),
        "Authorization: Basic YWRhOgo=\r\n".to_owned(),
        "Authorization: Basic YTqj\r\n".to_owned(),
        long,
    ] {
        let refused = bench.get(&fields);
        refused.assert_problem(401, "credential_refused");
        assert_ne!(
            refused.json()["detail"],
            "Name and password are not good.",
            "{fields}"
        );
    }
    let twice = field(&format!("ada:{PASSWORD}")).repeat(2);
    bench.get(&twice).assert_problem(400, "malformed_request");
    bench
        .get("Authorization: Bearer abc\r\n")
        .assert_problem(401, "credential_missing");
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn a_changed_users_file_counts() {
    let bench = Bench::new();
    assert_eq!(bench.with_password("ada", PASSWORD).status(), 200);
    let eva = ADA.replace("ada:", "eva:");
    bench.weir.replace_file("users.htpasswd", eva);
    wait_until("the file is taken up", || {
        bench.with_password("ada", PASSWORD).status() == 401
    });
    assert_eq!(bench.with_password("eva", PASSWORD).status(), 200);
}

#[test]
fn who_guesses_passwords_is_banned() {
    let bench = Bench::with("overload: { bans: { errors: 5, within: 60s, ban_for: 90s } }\n");
    for number in 0..5 {
        let refused = bench.with_password("ada", &format!("guess {number}"));
        refused.assert_problem(401, "credential_refused");
    }
    // Whoever is banned is not even read.
    let request = format!(
        "GET /items HTTP/1.1\r\nHost: a.test\r\n{}Connection: close\r\n\r\n",
        field(&format!("ada:{PASSWORD}"))
    );
    wait_until("the address is banned", || {
        let mut wire = Wire::connect(bench.weir.http());
        wire.try_send(&request).is_err() || wire.try_response("GET").is_none()
    });
}

#[test]
fn who_guesses_from_one_address_leaves_room_to_others() {
    let bench = Bench::with("trusted_proxies: [127.0.0.1]\n");
    let (is_full, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let show = |client: &str, password: &str| {
        let password = field(&format!("ada:{password}"));
        bench.get(&format!("X-Forwarded-For: {client}\r\n{password}"))
    };
    std::thread::scope(|scope| {
        for guesser in 0..80 {
            let (show, is_full, is_over) = (&show, &is_full, &is_over);
            scope.spawn(move || {
                for guess in 0..100 {
                    let answer = show("203.0.113.9", &format!("{guesser}-{guess}"));
                    is_full.fetch_or(answer.status() == 503, Ordering::Relaxed);
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        wait_until("there is no room for more guesses", || {
            is_full.load(Ordering::Relaxed)
        });
        let other = show("203.0.113.10", PASSWORD);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(other.status(), 200, "{}", other.text());
    });
}

#[test]
fn many_at_once_with_one_password_are_all_let_in() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| bench.with_password("ada", PASSWORD).status()))
            .collect();
        for asked in asked {
            assert_eq!(asked.join().unwrap(), 200);
        }
    });
}

#[test]
fn guesses_beside_a_good_credential_count() {
    let issuer = super::Issuer::new(weir_jose::Algorithm::Es256);
    let setup = Setup::new();
    setup.write("users.htpasswd", format!("{ADA}\n"));
    setup.write("jwks.json", issuer.jwks());
    let weir = setup.start(
        "policies:\n  \
           staff: { basic: { users: file:users.htpasswd } }\n  \
           token: { jwt: { issuer: https://issuer.test, audience: catalog, jwks: file:jwks.json, header: x-token } }\n  \
           either: { any_of: { policies: [staff, token] } }\n  \
           calm: { require: { cedar: 'permit (principal, action, resource) when { context.risk < 25 };' } }\n\
         routes: [{ name: items, policies: [either, calm], respond: { status: 200 } }]\n",
    );
    let token = issuer.token(&serde_json::json!({}));
    let get = |fields: &str| {
        let mut wire = Wire::connect(weir.http());
        wire.send(format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\nX-Token: {token}\r\n{fields}Connection: close\r\n\r\n"
        ));
        wire.response("GET").status()
    };
    for _ in 0..4 {
        assert_eq!(get(""), 200);
    }
    let answers = ["a", "b", "c"].map(|guess| get(&field(&format!("ada:{guess}"))));
    assert_eq!(answers, [200, 200, 403]);
}
