//! Keys that an issuer publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::process::Signal;
use serde_json::json;
use weir_jose::Algorithm;

use super::{Bench, Issuer};
use crate::harness::{Upstream, answer, wait_until};

/// An issuer's server: answers with what is published, and counts.
pub(super) struct Publisher {
    server: Upstream,
    asked: Arc<AtomicUsize>,
    published: Arc<Mutex<String>>,
}

impl Publisher {
    pub(super) fn new(jwks: String) -> Self {
        let asked = Arc::<AtomicUsize>::default();
        let published = Arc::new(Mutex::new(jwks));
        let (counted, shown) = (Arc::clone(&asked), Arc::clone(&published));
        let server = Upstream::answering(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let body = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            answer(200, &[("Content-Type", "application/json")], body)
        });
        Self {
            server,
            asked,
            published,
        }
    }

    pub(super) fn publish(&self, jwks: String) {
        *self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = jwks;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.server.address
    }

    pub(super) fn policy(&self, damping: &str) -> String {
        format!(
            "  followed: {{ jwt: {{ issuer: https://issuer.test, audience: catalog, jwks: {{ url: 'http://{}/jwks.json', \
             allow: [127.0.0.0/8], damping: {damping}, refresh: 1h }} }} }}\n",
            self.server.address
        )
    }
}

#[test]
fn a_new_key_is_asked_for_and_a_flood_of_unknown_ones_asks_once() {
    let (issuer, new) = (Issuer::new(Algorithm::Es256), Issuer::new(Algorithm::EdDsa));
    let publisher = Publisher::new(issuer.jwks());
    let bench = Bench::new(&issuer, &publisher.policy("1h"), "followed");
    assert_eq!(bench.with_token(&issuer.token(&json!({}))).status(), 200);
    let asked = publisher.asked();
    publisher.publish(json!({"keys": [issuer.key.public_jwk(), new.key.public_jwk()]}).to_string());
    assert_eq!(
        bench.with_token(&new.token(&json!({}))).status(),
        200,
        "the issuer was asked"
    );
    assert_eq!(publisher.asked(), asked + 1);
    for _ in 0..20 {
        let foreign = Issuer::new(Algorithm::EdDsa).token(&json!({}));
        bench
            .with_token(&foreign)
            .assert_problem(401, "credential_refused");
    }
    assert_eq!(
        publisher.asked(),
        asked + 1,
        "within the damping interval nobody asks"
    );
}

#[test]
fn of_several_issuers_the_one_that_a_token_names_is_asked_and_no_other() {
    let (one, other) = (Issuer::new(Algorithm::Es256), Issuer::new(Algorithm::Es256));
    let (of_one, of_other) = (Publisher::new(one.jwks()), Publisher::new(other.jwks()));
    let issuer = |name: &str, publisher: &Publisher| {
        format!(
            "{{ issuer: https://{name}.test, audience: catalog, jwks: {{ url: 'http://{}/jwks.json', \
             allow: [127.0.0.0/8], damping: 1h, refresh: 1h }} }}",
            publisher.server.address
        )
    };
    let policy = format!(
        "  both: {{ jwt: {{ issuers: [{}, {}] }} }}\n",
        issuer("one", &of_one),
        issuer("other", &of_other)
    );
    let bench = Bench::new(&one, &policy, "both");
    let known = one.token(&json!({"iss": "https://one.test"}));
    assert_eq!(bench.with_token(&known).status(), 200);
    let asked = (of_one.asked(), of_other.asked());
    // The first one's new key is found, although the second one does not know it either.
    let new = Issuer::new(Algorithm::EdDsa);
    of_one.publish(json!({"keys": [one.key.public_jwk(), new.key.public_jwk()]}).to_string());
    let renewed = new.token(&json!({"iss": "https://one.test"}));
    assert_eq!(bench.with_token(&renewed).status(), 200);
    assert_eq!((of_one.asked(), of_other.asked()), (asked.0 + 1, asked.1));
    // Nobody is asked about a token that names somebody else.
    let foreign = new.token(&json!({"iss": "https://third.test", "sub": "eve"}));
    let stranger = Issuer::new(Algorithm::EdDsa).token(&json!({"iss": "https://third.test"}));
    for token in [foreign, stranger] {
        bench
            .with_token(&token)
            .assert_problem(401, "credential_refused");
    }
    assert_eq!((of_one.asked(), of_other.asked()), (asked.0 + 1, asked.1));
}

#[test]
fn while_the_issuer_is_away_known_keys_count_and_unknown_ones_are_not_said_to_be_bad() {
    let issuer = Issuer::new(Algorithm::Es256);
    let publisher = Publisher::new(issuer.jwks());
    let policy = publisher.policy("1s");
    let bench = Bench::new(&issuer, &policy, "followed");
    assert_eq!(
        bench
            .with_token(&issuer.token(&json!({"sub": "first"})))
            .status(),
        200
    );
    drop(publisher);
    let foreign = Issuer::new(Algorithm::EdDsa).token(&json!({}));
    let mut last = None;
    wait_until("the issuer is found to be away", || {
        let answer = bench.with_token(&foreign);
        let is_away = answer.status() == 503;
        last = Some(answer);
        is_away
    });
    let answer = last.unwrap();
    answer.assert_problem(503, "identity_unavailable");
    assert!(answer.get("retry-after").is_some());
    assert_eq!(
        bench
            .with_token(&issuer.token(&json!({"sub": "second"})))
            .status(),
        200
    );
}

#[test]
fn a_start_without_the_issuer_uses_what_was_known_and_without_that_says_so() {
    let issuer = Issuer::new(Algorithm::Es256);
    let publisher = Publisher::new(issuer.jwks());
    let mut bench = Bench::new(&issuer, &publisher.policy("1s"), "followed");
    let token = issuer.token(&json!({}));
    assert_eq!(bench.with_token(&token).status(), 200);
    drop(publisher);
    bench.restart(Signal::TERM);
    assert_eq!(
        bench.with_token(&token).status(),
        200,
        "kept in the data directory"
    );
    let kept = bench.weir.setup().data().join("issuers");
    bench.restart(Signal::KILL);
    assert_eq!(
        bench.with_token(&token).status(),
        200,
        "also after an end without farewell"
    );
    let lost = "its last known keys stay";
    wait_until("what stays is said", || bench.weir.log().contains(lost));
    std::fs::remove_dir_all(kept).unwrap();
    bench.restart(Signal::KILL);
    bench
        .with_token(&token)
        .assert_problem(503, "identity_unavailable");
    let unknown = "none of its tokens can be judged";
    wait_until("that nothing is known is said", || {
        bench.weir.log().contains(unknown)
    });
    assert!(!bench.weir.log().contains(lost));
}

#[test]
fn an_issuer_in_a_network_that_was_not_allowed_is_never_asked() {
    let issuer = Issuer::new(Algorithm::Es256);
    let publisher = Publisher::new(issuer.jwks());
    let policy = publisher.policy("1s").replace("allow: [127.0.0.0/8], ", "");
    let bench = Bench::new(&issuer, &policy, "followed");
    bench
        .with_token(&issuer.token(&json!({})))
        .assert_problem(503, "identity_unavailable");
    assert_eq!(publisher.asked(), 0);
}
