//! Who is calling, in templates and programs.

use serde_json::json;
use weir_jose::Algorithm;

use super::{Bench, Issuer};
use crate::harness::Wire;

const ROUTES: &str = r#"  shaped:
    transform:
      request: { jq: "{who: $request.principal.subject, plan: $request.principal.claims.plan, scopes: $request.principal.scopes}" }
  told:
    headers: { request: { set: { x-user: "{principal.subject}", x-may: "{principal.scopes}", x-plan: "{claims.plan}" } } }
routes:
  - name: items
    policies: [customers, shaped, told]
    match: { path: /items }
    rewrite: { path: "/of/{principal.subject}/items" }
    headers: { response: { set: { x-for: "{claims.name}" } } }
    upstream: up
"#;

fn bench(issuer: &Issuer) -> Bench {
    Bench::with(issuer, "", ROUTES)
}

#[test]
fn templates_and_programs_find_who_is_calling() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = bench(&issuer);
    let token = issuer.token(&json!({"scope": "a b", "plan": "gold", "name": "Ada"}));
    let body = r#"{"who":"root"}"#;
    let mut wire = Wire::connect(bench.weir.http());
    wire.send(format!(
        "POST /items HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {token}\r\nX-User: root\r\nx_plan: free\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
    let answer = wire.response("POST");
    let seen = answer.text();
    assert_eq!(answer.status(), 200, "{seen}");
    for told in [
        "POST /of/ada/items HTTP/1.1",
        "x-user: ada",
        "x-may: a b",
        "x-plan: gold",
        r#"{"who":"ada","plan":"gold","scopes":["a","b"]}"#,
    ] {
        assert!(seen.contains(told), "{told}: {seen}");
    }
    assert!(!seen.contains("root") && !seen.contains("free"), "{seen}");
    assert_eq!(answer.get("x-for"), Some("Ada"));
}

#[test]
fn what_claims_say_breaks_out_of_no_field_and_of_no_path() {
    let issuer = Issuer::new(Algorithm::Es256);
    let bench = bench(&issuer);
    let get = |subject: &str, name: &str| {
        bench.with_token(&issuer.token(&json!({"sub": subject, "name": name})))
    };
    let answer = get("a?b#c d", "Ada\r\nSet-Cookie: a=b\u{0}");
    assert!(
        answer
            .text()
            .contains("GET /of/a%3Fb%23c%20d/items HTTP/1.1"),
        "{}",
        answer.text()
    );
    assert!(
        answer.text().contains("x-user: a?b#c d"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.get("x-for"), Some("Ada%0D%0ASet-Cookie:%20a=b%00"));
    assert_eq!(answer.get("set-cookie"), None);
    for subject in ["..", ".", "../..", "a/../../admin"] {
        let refused = get(subject, "Ada");
        assert_eq!(refused.status(), 400, "{subject}: {}", refused.text());
    }
}
