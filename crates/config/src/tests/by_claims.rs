//! Routes that match by claims.

use std::path::Path;
use std::sync::Arc;

use super::{codes_of, loaded, options, refused, resource};
use crate::{LoadOptions, Resources, load_text};

const KEYS: &str = "{keys: [{kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0}]}";

/// Routes by their name, match and policies.
fn text(routes: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "listeners: [{{address: 127.0.0.1:8080}}]\npolicies:\n  \
           one: {{jwt: {{issuer: one, audience: a, jwks: {KEYS}}}}}\n  \
           other: {{jwt: {{issuer: other, audience: a, jwks: {KEYS}}}}}\n  \
           readers: {{require: {{scopes: read}}}}\nroutes:\n"
    );
    for (name, matcher, policies) in routes {
        text.push_str(&format!(
            "  - {{name: {name}, match: {{{matcher}}}, policies: [{policies}], respond: {{status: 200}}}}\n"
        ));
    }
    text
}

const ACME: &str = "path: /a, claims: {tenant: acme}";

#[test]
fn claims_have_one_value_or_several_or_any() {
    let matcher = "claims: {tenant: acme, plan: [gold, 7], /realm_access/roles: '*'}";
    let config = loaded(&text(&[("r", matcher, "one")])).config;
    let claims = &config.routes[0].matcher.claims;
    let texts: Vec<(&str, &[String])> = claims
        .iter()
        .map(|rule| (rule.claim.text.as_str(), rule.values.as_slice()))
        .collect();
    let (acme, plans) = (["acme".to_owned()], ["gold".to_owned(), "7".to_owned()]);
    let expected: [(&str, &[String]); 3] = [
        ("tenant", &acme),
        ("plan", &plans),
        ("/realm_access/roles", &[]),
    ];
    assert_eq!(texts, expected);
    assert_eq!(claims[2].claim.steps, ["realm_access", "roles"]);
}

#[test]
fn claims_of_nobody_are_refused() {
    let report = refused(&text(&[("r", ACME, "")]));
    assert!(codes_of(&report).contains(&"WR0205"), "{report}");
    let said = report.to_string();
    assert!(
        said.contains("no policy of it finds out who is calling"),
        "{said}"
    );
    let malformed = text(&[("r", "claims: {/a//b: x}", "one")]);
    assert!(codes_of(&refused(&malformed)).contains(&"WR0121"));
    let empty = refused(&text(&[("r", "claims: {a: []}", "one")]));
    let said = empty.to_string();
    assert!(said.contains("at least 1 item"), "{said}");
}

#[test]
fn routes_of_one_place_find_out_by_the_same_policies_who_calls() {
    let other = "path: /a, claims: {tenant: other}";
    let report = refused(&text(&[
        ("acme", ACME, "one, readers"),
        ("other-tenant", other, "other"),
    ]));
    assert!(codes_of(&report).contains(&"WR0205"), "{report}");
    let said = report.to_string();
    for name in ["`acme`", "`other-tenant`", "`one`"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    // Nor in another order, by other names of captures, one of several hosts, for HEAD alone, or behind a header.
    let clashes = [
        (ACME, "one, other", other, "other, one"),
        (
            "path: '/{x}', claims: {t: a}",
            "one",
            "path: '/{y}', claims: {t: b}",
            "other",
        ),
        (
            "host: [a.test, b.test], path: /a, claims: {t: a}",
            "one",
            "host: B.test, path: [/b, /a], claims: {t: a}",
            "other",
        ),
        (
            "path: /a, methods: GET, claims: {t: a}",
            "one",
            "path: /a, methods: [HEAD, PUT], claims: {t: a}",
            "other",
        ),
        (
            ACME,
            "one",
            "path: /a, headers: {x-a: b}, claims: {t: a}",
            "other",
        ),
    ];
    for (first, one, second, two) in clashes {
        let text = text(&[("first", first, one), ("second", second, two)]);
        assert!(codes_of(&refused(&text)).contains(&"WR0205"), "{second}");
    }
}

#[test]
fn routes_of_other_places_methods_or_without_claims_find_out_as_they_like() {
    loaded(&text(&[
        ("acme", ACME, "one, readers"),
        ("other-tenant", "path: /a, claims: {tenant: other}", "one"),
        ("plain", "path: /a", "other"),
        ("below", "path: /a/*, claims: {tenant: acme}", "other"),
        (
            "host",
            "host: a.test, path: /a, claims: {tenant: acme}",
            "other",
        ),
        ("put", "path: /b, methods: PUT, claims: {t: a}", "one"),
        ("get", "path: /b, methods: GET, claims: {t: a}", "other"),
    ]));
    let twice = text(&[
        ("acme", "path: /a, claims: {t: [a, b], u: c}", "one"),
        ("again", "path: /a, claims: {u: c, t: [b, a]}", "one"),
    ]);
    let report = refused(&twice);
    assert!(
        report
            .to_string()
            .contains("`acme` already takes these requests"),
        "{report}"
    );
}

#[test]
fn a_resource_chooses_no_other_verifier_for_a_place_of_the_file() {
    let file = text(&[("acme", ACME, "one")]);
    let load = |policy: &str| {
        let route = format!(
            r#"{{"name": "beside", "match": {{"path": "/a", "claims": {{"tenant": "other"}}}}, "policies": ["{policy}"], "respond": {{"status": 200}}}}"#
        );
        let documents = vec![resource("route", "beside", &route)];
        let options = LoadOptions {
            resources: Some(Arc::new(Resources::new(7, documents))),
            ..options()
        };
        load_text(&file, "weir.yaml", Path::new(""), &options)
    };
    load("one").unwrap_or_else(|report| panic!("{report}"));
    let report = load("other").unwrap_err();
    let said = report.to_string();
    assert!(
        said.contains("`acme` and `beside` match by claims"),
        "{said}"
    );
}
