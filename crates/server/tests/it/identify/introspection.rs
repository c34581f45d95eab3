//! Opaque tokens, about which the server is asked that issued them.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use weir_jose::Algorithm;

use super::{Bench, Issuer, SECRET, now};
use crate::harness::{Message, Upstream, Wire, answer, wait_until};

/// A server that issued opaque tokens.
struct Authority {
    server: Upstream,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What it answers about a token; of others it says that they are not active.
    answers: HashMap<String, Vec<u8>>,
    /// Every question, head and body.
    asked: Vec<String>,
    /// Whether it leaves whoever asks without an answer.
    is_silent: bool,
}

impl Authority {
    fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let asked = Arc::clone(&shared);
        let server = Upstream::answering(move |request| asked.respond(request));
        Self { server, shared }
    }

    /// What it says of a token from now on: the usual, and this.
    fn vouches(&self, token: &str, more: &Value) {
        let mut claims = json!({
            "active": true, "iss": "https://issuer.test", "aud": "catalog", "sub": "ada", "scope": "a b",
            "exp": now() + 300,
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.answers(token, json_answer(&claims.to_string()));
    }

    fn answers(&self, token: &str, answer: Vec<u8>) {
        self.shared.state().answers.insert(token.to_owned(), answer);
    }

    fn silence(&self, is_silent: bool) {
        self.shared.state().is_silent = is_silent;
        self.shared.changed.notify_all();
    }

    fn asked(&self) -> Vec<String> {
        self.shared.state().asked.clone()
    }

    /// `opaque`, with these settings.
    fn policy(&self, more: &str) -> String {
        format!(
            "  opaque: {{ introspection: {{ endpoint: 'http://{}/introspect', client_id: weir, client_secret: file:secret, \
             issuer: https://issuer.test, audience: catalog, allow: [127.0.0.0/8]{more} }} }}\n  who: {{ identity: {{}} }}\n",
            self.server.address
        )
    }

    fn bench(&self, more: &str) -> Bench {
        let issuer = Issuer::new(Algorithm::Es256);
        Bench::new(&issuer, &self.policy(more), "opaque, who")
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn respond(&self, request: &Message) -> Vec<u8> {
        let mut state = self.state();
        let authorization = request.get("authorization").unwrap_or_default();
        state
            .asked
            .push(format!("{authorization} {}", request.text()));
        let mut state = self
            .changed
            .wait_while(state, |state| state.is_silent)
            .unwrap_or_else(PoisonError::into_inner);
        let token = request.text();
        let token = token
            .strip_prefix("token=")
            .and_then(|rest| rest.split('&').next());
        let known = token.and_then(|token| state.answers.get_mut(token));
        known.map_or_else(
            || json_answer(r#"{"active":false}"#),
            |answer| answer.clone(),
        )
    }
}

fn json_answer(body: &str) -> Vec<u8> {
    answer(200, &[("Content-Type", "application/json")], body)
}

#[test]
fn an_active_token_passes_is_asked_about_once_and_stands_in_no_log() {
    let authority = Authority::new();
    let bench = authority.bench("");
    authority.vouches("opaque-7f3a", &json!({}));
    for _ in 0..10 {
        let answer = bench.with_token("opaque-7f3a");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        for fact in [
            "x-weir-subject: ada",
            "x-weir-issuer: https://issuer.test",
            "x-weir-scopes: a b",
            "authorization: Bearer opaque-7f3a",
        ] {
            assert!(answer.text().contains(fact), "{fact}: {}", answer.text());
        }
    }
    let asked = authority.asked();
    // `weir` and the secret (RFC 6749 §2.3.1); the token and what it is meant to be (RFC 7662 §2.1).
    assert_eq!(
        asked,
        [format!(
            "Basic {} token=opaque-7f3a&token_type_hint=access_token",
            base64(&format!("weir:{SECRET}"))
        )]
    );
    let answer = bench.with_token("made-up-8c4b");
    bench.logged(&answer);
    answer.assert_problem(401, "credential_refused");
    let log = bench.weir.log();
    for secret in ["opaque-7f3a", "made-up-8c4b", SECRET] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn what_the_server_does_not_vouch_for_is_refused() {
    let authority = Authority::new();
    let bench = authority.bench("");
    for (number, (claims, cause)) in [
        (json!({"active": false}), "token_inactive"),
        (json!({"exp": now() - 31}), "token_expired"),
        (json!({"exp": "4000000000"}), "date_not_a_number"),
        (json!({"nbf": now() + 60}), "token_not_yet_valid"),
        (json!({"aud": "orders"}), "audience_not_accepted"),
        (json!({"aud": {"catalog": 1}}), "audience_missing"),
        (json!({"iss": "https://other.test"}), "issuer_not_accepted"),
        (json!({"iss": null}), "issuer_missing"),
        (json!({"sub": 7}), "subject_missing"),
        (json!({"sub": ""}), "subject_missing"),
        (json!({"token_use": "refresh_token"}), "token_type"),
        (json!({"token_type": "DPoP"}), "token_type"),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("token-{number}");
        authority.vouches(&token, &claims);
        let answer = bench.with_token(&token);
        answer.assert_problem(401, "credential_refused");
        assert!(
            answer
                .get("www-authenticate")
                .unwrap()
                .contains("invalid_token")
        );
        assert_eq!(bench.logged(&answer)["weir.cause"], cause);
    }
    assert_eq!(bench.upstream.accepted(), 0);
}

#[test]
fn an_answer_that_cannot_be_used_lets_nobody_in_and_calls_no_token_bad() {
    let authority = Authority::new();
    let elsewhere =
        Upstream::answering(|_| json_answer(r#"{"active":true,"sub":"root","aud":"catalog"}"#));
    // The last answer never comes to its end.
    let bench = authority.bench(", timeout: 2s");
    let huge = format!(
        r#"{{"active":true,"sub":"ada","x":"{}"}}"#,
        "x".repeat(70_000)
    );
    let place = format!("http://{}/introspect", elsewhere.address);
    let answers = [
        json_answer(r#"{"active":"true","sub":"ada","aud":"catalog"}"#),
        json_answer(r#"{"active":1}"#),
        json_answer(r#"{"sub":"ada"}"#),
        json_answer(r#"[{"active":true}]"#),
        json_answer(r#"{"active":false,"active":true,"sub":"ada"}"#),
        json_answer(r#"{"active":true,"sub":"ada","sub":"root"}"#),
        json_answer(""),
        json_answer(&huge),
        json_answer(&"[".repeat(60_000)),
        answer(401, &[], r#"{"active":true}"#),
        answer(500, &[], r#"{"active":true}"#),
        answer(307, &[("Location", &place)], ""),
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{\"active\":true}".to_vec(),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let token = format!("token-{number}");
        authority.answers(&token, answer);
        bench
            .with_token(&token)
            .assert_problem(503, "identity_unavailable");
    }
    assert_eq!(elsewhere.accepted(), 0, "tokens are sent nowhere else");
    assert_eq!(bench.upstream.accepted(), 0);
    authority.vouches("good", &json!({}));
    assert_eq!(bench.with_token("good").status(), 200);
}

#[test]
fn what_cannot_be_a_token_is_asked_of_nobody() {
    let authority = Authority::new();
    let bench = authority.bench("");
    for text in ["a b", "a&token=b", "a\"b", "=", "weir_key_0"] {
        let status = bench.with_token(text).status();
        assert_eq!(status, 401, "{text}");
    }
    assert_eq!(authority.asked(), [""; 0]);
}

#[test]
fn many_who_come_at_once_with_one_token_ask_once() {
    let authority = Authority::new();
    let bench = authority.bench(", timeout: 30s");
    authority.vouches("popular", &json!({}));
    authority.silence(true);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| bench.with_token("popular").status()))
            .collect();
        wait_until("the server is asked", || !authority.asked().is_empty());
        authority.silence(false);
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap(), 200);
        }
    });
    assert_eq!(authority.asked().len(), 1);
}

#[test]
fn a_flood_of_made_up_tokens_is_none_at_the_server_and_no_harm_to_who_is_known() {
    let authority = Authority::new();
    let bench = authority.bench(", timeout: 30s, at_once: 2");
    authority.vouches("known", &json!({}));
    assert_eq!(bench.with_token("known").status(), 200);
    authority.silence(true);
    std::thread::scope(|scope| {
        let first: Vec<_> = ["made-up-1", "made-up-2"]
            .map(|token| scope.spawn(|| bench.with_token(token).status()))
            .into_iter()
            .collect();
        wait_until("both are asked about", || authority.asked().len() == 3);
        for number in 0..50 {
            let answer = bench.with_token(&format!("made-up-too-{number}"));
            answer.assert_problem(503, "identity_unavailable");
            assert_eq!(bench.with_token("known").status(), 200);
        }
        assert_eq!(
            authority.asked().len(),
            3,
            "of one address no more are asked"
        );
        authority.silence(false);
        for first in first {
            assert_eq!(first.join().unwrap(), 401);
        }
    });
}

#[test]
fn who_shows_made_up_tokens_is_banned() {
    let authority = Authority::new();
    let issuer = Issuer::new(Algorithm::Es256);
    let routes = "routes: [{ name: items, policies: [opaque], upstream: up }]\n\
                  overload: { bans: { errors: 5, within: 60s, ban_for: 90s } }\n";
    let bench = Bench::with(&issuer, &authority.policy(""), routes);
    for number in 0..5 {
        let refused = bench.with_token(&format!("made-up-{number}"));
        refused.assert_problem(401, "credential_refused");
    }
    wait_until("the address is banned", || {
        let mut wire = Wire::connect(bench.weir.http());
        let request = "GET /items HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer another\r\nConnection: close\r\n\r\n";
        wire.try_send(request).is_err() || wire.try_response("GET").is_none()
    });
}

#[test]
fn while_the_server_is_away_known_tokens_are_good_until_they_end() {
    let authority = Authority::new();
    let bench = authority.bench(", cache: 0s, stale: 1h, leeway: 0s");
    authority.vouches("lasting", &json!({}));
    authority.vouches("ending", &json!({"exp": now() + 4}));
    for token in ["lasting", "ending"] {
        assert_eq!(bench.with_token(token).status(), 200);
    }
    drop(authority);
    for _ in 0..5 {
        assert_eq!(bench.with_token("lasting").status(), 200);
        let unknown = bench.with_token("unknown");
        unknown.assert_problem(503, "identity_unavailable");
        assert!(unknown.get("retry-after").is_some());
    }
    wait_until("it has ended", || {
        bench.with_token("ending").status() == 401
    });
    assert_eq!(bench.with_token("lasting").status(), 200);
}

#[test]
fn known_tokens_are_not_good_for_ever_without_the_server() {
    let authority = Authority::new();
    let bench = authority.bench(", cache: 1s, stale: 1s");
    authority.vouches("token", &json!({}));
    assert_eq!(bench.with_token("token").status(), 200);
    drop(authority);
    wait_until("nobody vouches for it any more", || {
        let answer = bench.with_token("token");
        assert!([200, 503].contains(&answer.status()), "{}", answer.text());
        answer.status() == 503
    });
}

#[test]
fn a_silent_server_is_waited_for_no_longer_than_told_and_not_by_who_is_known() {
    let authority = Authority::new();
    let bench = authority.bench(", cache: 0s, timeout: 500ms");
    authority.vouches("known", &json!({}));
    assert_eq!(bench.with_token("known").status(), 200);
    authority.silence(true);
    let unknown = bench.with_token("unknown");
    unknown.assert_problem(503, "identity_unavailable");
    let asked = authority.asked().len();
    for _ in 0..3 {
        assert_eq!(bench.with_token("known").status(), 200);
    }
    assert!(authority.asked().len() <= asked + 3);
    authority.silence(false);
    wait_until("the server is asked again", || {
        bench.with_token("unknown").status() == 401
    });
}

#[test]
fn a_token_that_is_taken_back_is_refused_when_its_answer_is_too_old() {
    let authority = Authority::new();
    let bench = authority.bench(", cache: 1s");
    authority.vouches("token", &json!({}));
    assert_eq!(bench.with_token("token").status(), 200);
    authority.vouches("token", &json!({"active": false}));
    wait_until("it is refused", || {
        bench.with_token("token").status() == 401
    });
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
