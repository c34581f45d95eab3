//! What somebody who calls must be.

use serde_json::json;
use weir_jose::Algorithm;

use super::{Bench, Issuer};

#[test]
fn a_good_token_that_is_not_for_this_is_forbidden_and_says_what_is_missing() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policies = "  readers: { require: { scopes: [catalog:read, catalog:list], roles: [editor, admin], claims: { plan: [gold, silver] } } }\n";
    let bench = Bench::new(&issuer, policies, "customers, readers");
    let good = json!({"scope": "catalog:list catalog:read", "realm_access": {"roles": ["admin"]}, "plan": "gold"});
    assert_eq!(bench.with_token(&issuer.token(&good.clone())).status(), 200);
    let cases = [
        (
            "scope",
            json!("catalog:read"),
            "scope",
            "`catalog:read catalog:list` is needed",
        ),
        (
            "realm_access",
            json!({"roles": ["reader"]}),
            "role",
            "its role may not do this",
        ),
        (
            "plan",
            json!("bronze"),
            "claim",
            "its claim `plan` does not allow this",
        ),
        (
            "plan",
            json!(null),
            "claim",
            "its claim `plan` does not allow this",
        ),
    ];
    for (claim, value, cause, sentence) in cases {
        let mut claims = good.clone();
        claims[claim] = value;
        let answer = bench.with_token(&issuer.token(&claims));
        answer.assert_problem(403, "forbidden");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(sentence), "{detail}");
        let challenge = answer.get("www-authenticate").unwrap();
        let is_scope =
            challenge.contains("error=\"insufficient_scope\", scope=\"catalog:read catalog:list\"");
        assert_eq!(is_scope, cause == "scope", "{challenge}");
        assert!(
            !format!("{detail}{challenge}").contains("silver"),
            "what would do is nobody's to know"
        );
        let logged = bench.logged(&answer);
        assert_eq!(
            (&logged["weir.decided_by"], &logged["weir.cause"]),
            (&json!("policies.readers"), &json!(cause))
        );
    }
    bench.get("").assert_problem(401, "credential_missing");
}

#[test]
fn one_of_several_ways_is_enough_and_all_policies_of_a_route_must_hold() {
    let (one, other) = (Issuer::new(Algorithm::Es256), Issuer::new(Algorithm::EdDsa));
    let policies = format!(
        "  machines: {{ jwt: {{ issuer: machines, audience: catalog, jwks: {}, header: x-machine, forward: false }} }}\n  \
           either: {{ any_of: {{ policies: [customers, machines] }} }}\n  who: {{ identity: {{}} }}\n",
        other.jwks()
    );
    let routes = "routes:\n  - { name: items, policies: [either, who], upstream: up }\n  - { name: both, match: { path: /both }, policies: [customers, machines, who], upstream: up }\n";
    let bench = Bench::with(&one, &policies, routes);
    let (person, machine) = (
        one.token(&json!({})),
        other.token(&json!({"iss": "machines", "sub": "robot"})),
    );
    let person = format!("Authorization: Bearer {person}\r\n");
    let machine = format!("X-Machine: {machine}\r\n");
    assert!(bench.get(&person).text().contains("x-weir-subject: ada"));
    let seen = bench.get(&machine).text();
    assert!(
        seen.contains("x-weir-subject: robot") && !seen.contains("x-machine"),
        "{seen}"
    );
    let missing = bench.get("");
    missing.assert_problem(401, "credential_missing");
    let detail = missing.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("Authorization: Bearer") && detail.contains("x-machine"),
        "{detail}"
    );

    let get = |fields: &str| {
        let mut wire = crate::harness::Wire::connect(bench.weir.http());
        wire.send(format!(
            "GET /both HTTP/1.1\r\nHost: a.test\r\n{fields}Connection: close\r\n\r\n"
        ));
        wire.response("GET")
    };
    get(&person).assert_problem(401, "credential_missing");
    get(&machine).assert_problem(401, "credential_missing");
    let both = get(&format!("{machine}{person}"));
    assert!(
        both.text().contains("x-weir-subject: ada"),
        "the first policy says who it is: {}",
        both.text()
    );
}

#[test]
fn rules_decide_by_caller_method_route_and_context_and_a_denial_names_the_rule() {
    let issuer = Issuer::new(Algorithm::Es256);
    let policies = r#"  readers:
    require:
      cedar: |
        @id("read") permit (principal, action in Action::"read", resource) when { principal.scopes.contains("read") };
        @id("not-bob") forbid (principal, action, resource) when { principal.hasTag("name") && principal.getTag("name") == "bob" };
  calm:
    require: { cedar: '@id("guesser") permit (principal, action, resource) when { context.risk < 30 };' }
"#;
    let bench = Bench::new(&issuer, policies, "customers, readers, calm");
    let good = issuer.token(&json!({"scope": "read", "name": "ada"}));
    let over = issuer.token(&json!({"scope": "read", "exp": super::now() - 300}));
    for _ in 0..3 {
        assert_eq!(bench.with_token(&good).status(), 200);
        // Whoever did not notice that it is over guesses nothing.
        bench
            .with_token(&over)
            .assert_problem(401, "credential_refused");
    }
    let denied = |claims, rule: serde_json::Value| {
        let token = issuer.token(&claims);
        for _ in 0..2 {
            let answer = bench.with_token(&token);
            answer.assert_problem(403, "forbidden");
            let said = answer.text();
            assert!(
                !said.contains("not-bob"),
                "no rule is told to a client: {said}"
            );
            let logged = bench.logged(&answer);
            assert_eq!(
                (&logged["weir.cause"], &logged["weir.rule"]),
                (&json!("rule"), &rule)
            );
            assert_eq!(logged["weir.decided_by"], "policies.readers");
            assert_eq!(logged["user.id"], "ada");
        }
    };
    denied(json!({"scope": "write"}), json!(null));
    denied(json!({"scope": "read", "name": "bob"}), json!("not-bob"));
    // The same credential, another method.
    let mut wire = crate::harness::Wire::connect(bench.weir.http());
    wire.send(format!(
        "DELETE /items HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {good}\r\nConnection: close\r\n\r\n"
    ));
    wire.response("DELETE").assert_problem(403, "forbidden");
    // Whoever guesses is looked at twice for a while, also with a good credential.
    for _ in 0..5 {
        bench
            .with_token("guess")
            .assert_problem(401, "credential_refused");
    }
    bench.with_token(&good).assert_problem(403, "forbidden");
}
