//! What an operator sees of all this.

use serde_json::json;
use weir_jose::Algorithm;

use super::issuers::Publisher;
use super::{Bench, Issuer};
use crate::harness::{Wire, wait_until};

#[test]
fn refusals_are_counted_by_policy_and_reason_and_what_is_remembered_by_kind() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policies = "  readers: { require: { scopes: [read] } }\n  unused: { api_key: {} }\n";
    let bench = Bench::new(&issuer, policies, "customers, readers");
    let good = issuer.token(&json!({"scope": "read"}));
    for _ in 0..3 {
        assert_eq!(bench.with_token(&good).status(), 200);
    }
    bench.get("").assert_problem(401, "credential_missing");
    for _ in 0..2 {
        bench
            .with_token("made.up.canary")
            .assert_problem(401, "credential_refused");
    }
    bench
        .with_token(&issuer.token(&json!({})))
        .assert_problem(403, "forbidden");
    let denied = |policy: &str, way: &str, reason: &str| {
        let words = [
            format!("policy=\"{policy}\""),
            format!("way=\"{way}\""),
            format!("reason=\"{reason}\""),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        bench.weir.metric("weir_denials_total", &words)
    };
    // Counted when the answer's end is sent, which its reader may see before.
    wait_until("all are counted", || {
        bench.weir.metric("weir_denials_total", &[]) == 4.0
    });
    assert_eq!(denied("customers", "jwt", "credential_missing"), 1.0);
    assert_eq!(denied("customers", "jwt", "credential_refused"), 2.0);
    assert_eq!(denied("readers", "require", "forbidden"), 1.0);
    assert_eq!(denied("unused", "api_key", "credential_missing"), 0.0);

    let tokens = |name: &str, word: &str| {
        let of_tokens = format!("weir_credential_cache_{name}{{kind=\"token\"");
        bench.weir.metric(&of_tokens, &[word])
    };
    assert_eq!(tokens("evictions_total", ""), 0.0);
    // Each worker learns of a token by itself: which one a connection comes to is the kernel's choice.
    let (hits, misses) = (
        tokens("lookups_total", "outcome=\"hit\""),
        tokens("lookups_total", "outcome=\"miss\""),
    );
    assert_eq!(hits + misses, 6.0);
    let known = bench.weir.metric("weir_credential_cache_entries", &[]);
    assert_eq!(misses, known + 2.0, "what is not good is never remembered");
    assert!(bench.weir.metric("weir_credential_cache_bytes", &[]) > 200.0 * known);
    let said = bench.weir.ask("GET", "/metrics").text();
    assert!(
        !said.contains("canary") && !said.contains("\"ada\""),
        "{said}"
    );
}

#[test]
fn behind_a_bad_credential_what_is_known_waits_for_nothing() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = Bench::new(&issuer, "", "customers");
    let good = issuer.token(&json!({}));
    let mut connection = Wire::connect(bench.weir.http());
    let mut status = |token: &str| {
        let request =
            format!("GET /items HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        connection.response_to(&request).status()
    };
    let turns = || bench.weir.metric("weir_credential_turns_total", &[]);
    assert_eq!(status("made.up.canary"), 401, "nobody's suspect yet");
    assert_eq!(status(&good), 200, "in its turn");
    assert_eq!(turns(), 1.0);
    assert_eq!(status("made.up.canary"), 401, "nor again, behind that");
    for _ in 0..3 {
        assert_eq!(status(&good), 200, "it is known now");
    }
    assert_eq!(turns(), 1.0);
    // To show one that is known makes nobody less suspect.
    for turn in 2..5 {
        assert_eq!(status("made.up.canary"), 401);
        assert_eq!(status(&good), 200);
        assert_eq!(turns(), f64::from(turn));
    }
    let looked = bench
        .weir
        .metric("weir_credential_cache_lookups_total", &["token"]);
    assert_eq!(looked, 12.0, "each counts once");
}

#[test]
fn counters_of_a_policy_outlive_a_reload_that_keeps_it() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = Bench::new(&issuer, "", "customers");
    bench.get("").assert_problem(401, "credential_missing");
    let count = || bench.weir.metric("weir_denials_total", &["customers"]);
    wait_until("it is counted", || count() == 1.0);
    let config = std::fs::read_to_string(bench.weir.directory().join("weir.yaml")).unwrap();
    let renamed = config.replace("customers", "visitors");
    let more = config.replace("name: items", "name: things");
    let reload = |config: &str| {
        bench.weir.replace_file("weir.yaml", config);
        bench.weir.ask("POST", "/v1/reload").status()
    };
    assert_eq!(reload(&more), 200);
    assert_eq!(count(), 1.0);
    assert_eq!(reload(&renamed), 200);
    assert_eq!(count(), 0.0);
    assert_eq!(bench.weir.metric("weir_denials_total", &["visitors"]), 0.0);
}

#[test]
fn an_issuer_is_seen_with_its_keys_their_age_what_is_next_and_what_is_wrong() {
    let issuer = Issuer::new(Algorithm::Es256);
    let publisher = Publisher::new(issuer.jwks());
    let bench = Bench::new(&issuer, &publisher.policy("1h"), "followed");
    assert_eq!(bench.with_token(&issuer.token(&json!({}))).status(), 200);
    let status = || bench.weir.ask("GET", "/v1/status").json()["issuers"][0].clone();
    let metric = |name: &str| {
        let source = format!("source=\"keys http://{}/jwks.json\"", publisher.address());
        bench.weir.metric(name, &[&source])
    };
    let now = super::now() as f64;
    assert_eq!(status()["keys"], 1);
    assert_eq!(status()["lost"], json!(null));
    assert!(status()["fetched_at"].is_string() && status()["next_at"].is_string());
    assert_eq!(metric("weir_issuer_up"), 1.0);
    assert_eq!(metric("weir_issuer_keys{"), 1.0);
    assert_eq!(metric("weir_issuer_fetches_total"), 1.0);
    let fetched = metric("weir_issuer_keys_fetched_timestamp_seconds");
    assert!((fetched - now).abs() < 60.0, "{fetched} {now}");

    // The first unknown key has it asked, the others do not.
    for _ in 0..5 {
        let foreign = Issuer::new(Algorithm::EdDsa).token(&json!({}));
        bench
            .with_token(&foreign)
            .assert_problem(401, "credential_refused");
    }
    assert_eq!(metric("weir_issuer_fetches_total"), 2.0);
    assert_eq!(metric("weir_issuer_unknown_keys_damped_total"), 4.0);
    assert_eq!(metric("weir_issuer_fetches_failed_total"), 0.0);
}

#[test]
fn an_issuer_that_is_away_says_so() {
    let issuer = Issuer::new(Algorithm::Es256);
    let publisher = Publisher::new(issuer.jwks());
    publisher.publish("no keys".to_owned());
    let bench = Bench::new(&issuer, &publisher.policy("1s"), "followed");
    let status = || bench.weir.ask("GET", "/v1/status").json()["issuers"][0].clone();
    wait_until("it is lost", || status()["lost"]["error"].is_string());
    assert_eq!(status()["fetched_at"], json!(null));
    assert_eq!(bench.weir.metric("weir_issuer_up", &[]), 0.0);
    assert!(bench.weir.metric("weir_issuer_fetches_failed_total", &[]) >= 1.0);
    bench
        .with_token(&issuer.token(&json!({})))
        .assert_problem(503, "identity_unavailable");
    wait_until("it is counted", || {
        let words = ["policy=\"followed\"", "reason=\"identity_unavailable\""];
        bench.weir.metric("weir_denials_total", &words) == 1.0
    });
    publisher.publish(issuer.jwks());
    wait_until("it is back", || status()["keys"] == 1);
    assert_eq!(bench.weir.metric("weir_issuer_up", &[]), 1.0);
}
