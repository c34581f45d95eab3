//! Tokens of issuers that others wrote: npm's jose and PyPI's Authlib, which publish their metadata and keys.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};
use weir_jose::Algorithm;

use super::{Bench, Issuer, claims, now};
use crate::harness::{NodeScript, Wire, installed, wait_until};

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

/// What an issuer's key, or somebody who has its public part, makes of good claims, and is no good all the same.
const BAD_KINDS: [&str; 9] = [
    "none",
    "public key as secret",
    "unknown key",
    "another key",
    "critical",
    "unencoded",
    "nested",
    "encrypted",
    "claim twice",
];

/// A script of `peers` that issues tokens.
struct Foreign {
    script: NodeScript,
}

impl Foreign {
    fn jose() -> Self {
        let packages = installed("node/node_modules");
        Self {
            script: NodeScript::start("issuer.mjs", &[packages.to_str().unwrap()]),
        }
    }

    fn authlib() -> Self {
        Self {
            script: NodeScript::python("issuer.py", &[]),
        }
    }

    fn name(&self) -> String {
        format!("http://{}", self.script.address)
    }

    /// A gateway that finds the keys by the issuer's name.
    fn bench(&self, settings: &str) -> Bench {
        let policy = format!(
            "  theirs: {{ jwt: {{ issuer: '{}', audience: catalog, \
             jwks: {{ url: discover, allow: [127.0.0.0/8], {settings} }} }} }}\n",
            self.name()
        );
        Bench::new(&Issuer::new(Algorithm::Es256), &policy, "theirs")
    }

    /// Has the script do something.
    fn tell(&self, what: &Value) -> String {
        let body = what.to_string();
        let length = body.len();
        let mut wire = Wire::connect(self.script.address);
        wire.send(format!(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
        let answer = wire.response("POST");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.text()
    }

    fn step(&self, what: &str) {
        self.tell(&json!({"do": what}));
    }

    fn token(&self, kind: &str, alg: &str, more: &Value) -> String {
        let mut claims = claims(&json!({"iss": self.name()}));
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.tell(&json!({"do": "sign", "kind": kind, "alg": alg, "claims": claims}))
    }

    fn good(&self, alg: &str) -> String {
        self.token("usual", alg, &json!({}))
    }

    /// How often its keys were fetched.
    fn asked(&self) -> usize {
        self.tell(&json!({"do": "asked"})).parse().unwrap()
    }
}

fn good_tokens_pass_and_bad_ones_do_not(issuer: &Foreign) {
    let bench = issuer.bench("damping: 1h");
    for alg in ALGORITHMS {
        for more in [json!({}), json!({"aud": ["orders", "catalog"]})] {
            let answer = bench.with_token(&issuer.token("usual", alg, &more));
            assert_eq!(answer.status(), 200, "{alg}: {}", answer.text());
        }
    }
    let passed = bench.upstream.accepted();
    let bad_claims = [
        json!({"aud": "orders"}),
        json!({"aud": []}),
        json!({"exp": now() - 60}),
        json!({"exp": null}),
        json!({"nbf": now() + 60}),
        json!({"iss": format!("{}/", issuer.name())}),
        json!({"iss": "https://issuer.test"}),
        json!({"sub": ""}),
    ];
    for alg in ALGORITHMS {
        for bad in &bad_claims {
            let answer = bench.with_token(&issuer.token("usual", alg, bad));
            assert_eq!(answer.status(), 401, "{alg} {bad}: {}", answer.text());
        }
        for kind in BAD_KINDS {
            let answer = bench.with_token(&issuer.token(kind, alg, &json!({})));
            assert_eq!(answer.status(), 401, "{alg} {kind}: {}", answer.text());
        }
        let token = issuer.good(alg);
        let (signed, _) = token.rsplit_once('.').unwrap();
        let answer = bench.with_token(&format!("{signed}."));
        assert_eq!(answer.status(), 401, "{alg}: without a signature");
    }
    assert_eq!(bench.upstream.accepted(), passed);
}

#[test]
fn of_npms_jose_good_tokens_pass_and_bad_ones_do_not() {
    good_tokens_pass_and_bad_ones_do_not(&Foreign::jose());
}

#[test]
fn of_authlib_good_tokens_pass_and_bad_ones_do_not() {
    good_tokens_pass_and_bad_ones_do_not(&Foreign::authlib());
}

/// Clients who get a token, show it, and get the next, until they are told to end.
struct Clients {
    threads: Vec<thread::JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    shown: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

impl Clients {
    fn start(issuer: &Arc<Foreign>, bench: &Arc<Bench>) -> Self {
        let shared = Arc::<Shared>::default();
        let client = |alg: &'static str| {
            let (issuer, bench) = (Arc::clone(issuer), Arc::clone(bench));
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while !shared.is_over.load(Ordering::SeqCst) {
                    let answer = bench.with_token(&issuer.good(alg));
                    if answer.status() != 200 {
                        let mut refused = shared
                            .refused
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner);
                        refused.push(format!("{alg}: {}", answer.text()));
                    }
                    shared.shown.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        Self {
            threads: ALGORITHMS.into_iter().map(client).collect(),
            shared,
        }
    }

    fn wait_for_more(&self) {
        let before = self.shared.shown.load(Ordering::SeqCst);
        wait_until("clients go on", || {
            self.shared.shown.load(Ordering::SeqCst) > before + 40
        });
    }

    /// What was said to those who were refused.
    fn finish(self) -> Vec<String> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let mut refused = self
            .shared
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut refused)
    }
}

fn keys_are_replaced_and_nobody_notices(issuer: Foreign) {
    let bench = Arc::new(issuer.bench("refresh: 1s, damping: 1s"));
    let issuer = Arc::new(issuer);
    let old = issuer.good("ES256");
    assert_eq!(bench.with_token(&old).status(), 200);
    let clients = Clients::start(&issuer, &bench);
    clients.wait_for_more();
    // At once, by who does not care: the first token of each key has the issuer asked.
    issuer.step("announce");
    issuer.step("use");
    clients.wait_for_more();
    // As the standards advise: published first, used when others have had the time to fetch it.
    issuer.step("announce");
    let asked = issuer.asked();
    wait_until("the new keys are fetched", || issuer.asked() > asked + 1);
    issuer.step("use");
    clients.wait_for_more();
    assert_eq!(
        bench.with_token(&old).status(),
        200,
        "its key is still there"
    );
    issuer.step("retire");
    wait_until("what the old key signed counts no more", || {
        bench.with_token(&old).status() == 401
    });
    clients.wait_for_more();
    assert_eq!(clients.finish(), [""; 0]);
}

#[test]
fn npms_jose_replaces_its_keys_and_nobody_notices() {
    keys_are_replaced_and_nobody_notices(Foreign::jose());
}

#[test]
fn authlib_replaces_its_keys_and_nobody_notices() {
    keys_are_replaced_and_nobody_notices(Foreign::authlib());
}
